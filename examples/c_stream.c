/* Follow one voice live: raw float32 samples from standard input to standard output, 8 ms at a time, with a causal model.
 * A few seconds of the voice alone, as loud as it likes; the mixture is -1..1.
 *
 *   cc -std=c99 examples/c_stream.c -Inative/include build/native/libtinywase.a -lstdc++ -lm -lpthread -o c_stream
 *   ./c_stream causal.twase voice.f32 < mixture.f32 > estimate.f32
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <tinywase.h>

enum { CHUNKS_PER_S = 125 };

static void multiply(float *samples, size_t count, float factor) {
  for (size_t i = 0; i < count; i++) samples[i] *= factor;
}

/* A sound card's offset, which no network knows: the mean of all samples so far, at most of the last ten seconds. */
typedef struct {
  double mean, chunks;
} offset;

static void remove_offset(offset *o, float *samples, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += isfinite(samples[i]) ? samples[i] : 0;
  if (o->chunks < 10 * CHUNKS_PER_S) o->chunks++;
  o->mean += (sum / (double)count - o->mean) / o->chunks;
  for (size_t i = 0; i < count; i++) samples[i] -= (float)o->mean;
}

int main(int argc, char **argv) {
  static float voice[1 << 20];
  tw_info info;
  size_t count, written;
  offset heard = {0, 0};
  if (argc != 3) return fprintf(stderr, "c_stream MODEL VOICE < MIXTURE > ESTIMATE\n"), 2;
  tw_model *model = tw_model_open(argv[1]);
  if (!model || tw_model_info(model, &info) != TW_OK) return fprintf(stderr, "%s\n", tw_last_error()), 1;
  FILE *file = fopen(argv[2], "rb");
  if (!file) return perror(argv[2]), 1;
  count = fread(voice, sizeof(float), sizeof voice / sizeof(float), file);
  fclose(file);
  const size_t chunk_samples = (size_t)info.sample_rate_hz / CHUNKS_PER_S;
  const size_t capacity = chunk_samples + 2 * (size_t)info.hop_samples + (size_t)(info.latency_samples > 0 ? info.latency_samples : 0);
  float *voiceprint = malloc((size_t)info.voiceprint_count * sizeof(float));
  float *chunk = malloc(chunk_samples * sizeof(float)), *out = malloc(capacity * sizeof(float));
  if (!voiceprint || !chunk || !out) return 1;
  const int enrolled = tw_prepare_enrollment(model, voice, &count) == TW_OK && tw_enroll(model, voice, count, voiceprint) == TW_OK;
  tw_stream *stream = enrolled ? tw_stream_create(model, voiceprint) : NULL;
  if (!stream) return fprintf(stderr, "%s\n", tw_last_error()), 1;
  while ((count = fread(chunk, sizeof(float), chunk_samples, stdin)) > 0) {
    remove_offset(&heard, chunk, count);
    multiply(chunk, count, TW_STREAM_GAIN);
    if (tw_stream_process(stream, chunk, count, out, capacity, &written) != TW_OK) return fprintf(stderr, "%s\n", tw_last_error()), 1;
    multiply(out, written, 1 / TW_STREAM_GAIN); /* as loud as in the mixture */
    if (fwrite(out, sizeof(float), written, stdout) != written) return perror("standard output"), 1;
  }
  if (tw_stream_flush(stream, out, capacity, &written) != TW_OK) return fprintf(stderr, "%s\n", tw_last_error()), 1;
  multiply(out, written, 1 / TW_STREAM_GAIN);
  if (fwrite(out, sizeof(float), written, stdout) != written || fflush(stdout) != 0) return perror("standard output"), 1;
  tw_stream_destroy(stream);
  tw_model_close(model);
  free(voiceprint), free(chunk), free(out);
  return 0;
}
