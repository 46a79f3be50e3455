/* Extract one voice with the C interface: raw float32 samples in and out, mono, at the model's rate, as loud as they like.
 * The voice alone, a few seconds of it.
 *
 *   cc -std=c99 examples/c_api.c -Inative/include build/native/libtinywase.a -lstdc++ -lm -lpthread -o c_api
 *   ./c_api model.twase voice.f32 mixture.f32 estimate.f32
 */
#include <stdio.h>
#include <stdlib.h>
#include <tinywase.h>

static float *read_samples(const char *path, size_t *count) {
  FILE *file = fopen(path, "rb");
  if (!file) return perror(path), NULL;
  fseek(file, 0, SEEK_END);
  const long bytes = ftell(file);
  if (bytes < 0) return perror(path), fclose(file), NULL;
  *count = (size_t)bytes / sizeof(float);
  rewind(file);
  float *samples = malloc((*count + 1) * sizeof(float));
  if (samples && fread(samples, sizeof(float), *count, file) != *count) *count = 0;
  fclose(file);
  return samples;
}

int main(int argc, char **argv) {
  if (argc != 5) return fprintf(stderr, "c_api MODEL VOICE MIXTURE ESTIMATE\n"), 2;
  size_t voice_count, mixture_count;
  tw_info info;
  tw_model *model = tw_model_open(argv[1]);
  if (!model || tw_model_info(model, &info) != TW_OK) return fprintf(stderr, "%s\n", tw_last_error()), 1;
  float *voice = read_samples(argv[2], &voice_count), *mixture = read_samples(argv[3], &mixture_count);
  float *voiceprint = malloc((size_t)info.voiceprint_count * sizeof(float)), *estimate = malloc((mixture_count + 1) * sizeof(float));
  if (!voice || !mixture || !voiceprint || !estimate) return 1;
  const float factor = tw_set_level(mixture, mixture_count);
  if (tw_prepare_enrollment(model, voice, &voice_count) != TW_OK ||
      tw_enroll(model, voice, voice_count, voiceprint) != TW_OK ||
      tw_extract(model, mixture, mixture_count, voiceprint, estimate, NULL, 0) != TW_OK)
    return fprintf(stderr, "%s\n", tw_last_error()), 1;
  for (size_t i = 0; i < mixture_count; i++) estimate[i] /= factor; /* as loud as in the mixture */
  FILE *file = fopen(argv[4], "wb");
  if (!file || fwrite(estimate, sizeof(float), mixture_count, file) != mixture_count) return perror(argv[4]), 1;
  fclose(file);
  printf("%s on %s: %zu samples at %d Hz\n", info.name, info.isa, mixture_count, (int)info.sample_rate_hz);
  free(voice), free(mixture), free(voiceprint), free(estimate);
  tw_model_close(model);
  return 0;
}
