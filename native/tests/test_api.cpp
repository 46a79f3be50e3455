// The C interface as a C program meets it: wrong arguments are refused in words, and threads share a model.
//   test_api CAUSAL.twase OFFLINE.twase
#include <tinywase.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <thread>
#include <vector>

#include "check.h"

namespace {

using Samples = std::vector<float>;

Samples noise(size_t count, unsigned seed) {
  Samples samples(count);
  for (float &sample : samples) {
    seed = seed * 1664525u + 1013904223u;
    sample = 0.1f * (static_cast<float>(seed >> 8) / 8388608.0f - 1);
  }
  return samples;
}

void check_refused(tw_status got, tw_status expected, const char *words) {
  CHECK(got == expected, "status %d, expected %d", got, expected);
  CHECK(std::strstr(tw_last_error(), words), "'%s' does not say '%s'", tw_last_error(), words);
}

void test_refusals(const tw_model *causal, const tw_model *offline, const Samples &voiceprint) {
  float buffer[64] = {};
  size_t written = 99;
  CHECK(!tw_model_open("/nowhere/none.twase"), "opened a file that is not there");
  CHECK(std::strstr(tw_last_error(), "cannot read model '/nowhere/none.twase'"), "%s", tw_last_error());
  CHECK(!tw_model_open(nullptr), "opened null");
  CHECK(!tw_model_open_memory(nullptr, 0), "opened null");
  CHECK(!tw_model_open_memory("TWSE", 4), "opened a magic number");
  CHECK(std::strstr(tw_last_error(), "cut short: 4 bytes"), "%s", tw_last_error());
  check_refused(tw_model_info(nullptr, nullptr), TW_ERROR_ARGUMENT, "null pointer");
  check_refused(tw_enroll(causal, buffer, 0, buffer), TW_ERROR_ARGUMENT, "0 samples");
  size_t count = 64;
  check_refused(tw_prepare_enrollment(causal, buffer, &count), TW_ERROR_ARGUMENT, "got 0.00 s of speech");
  CHECK(count == 0, "%zu samples of silence are left", count);
  check_refused(tw_prepare_enrollment(causal, nullptr, &count), TW_ERROR_ARGUMENT, "null pointer");
  std::fill_n(buffer, 64, 1e-41f);
  count = 64;
  check_refused(tw_prepare_enrollment(causal, buffer, &count), TW_ERROR_ARGUMENT, "got 0.00 s of speech");
  check_refused(tw_extract(causal, buffer, 10, voiceprint.data(), buffer, buffer, 1), TW_ERROR_ARGUMENT, "room for 1 values");
  check_refused(tw_extract_threads(offline, buffer, 10, voiceprint.data(), buffer, nullptr, 0, 0), TW_ERROR_ARGUMENT, "expected 1 to 64");
  check_refused(tw_enroll(causal, buffer, SIZE_MAX / 2, buffer), TW_ERROR_MEMORY, "Use shorter pieces or a smaller model");
  Samples broken = voiceprint;
  broken[0] = std::numeric_limits<float>::quiet_NaN();
  check_refused(tw_extract(offline, buffer, 10, broken.data(), buffer, nullptr, 0), TW_ERROR_ARGUMENT, "voiceprint holds NaN");
  CHECK(!tw_stream_create(causal, broken.data()) && std::strstr(tw_last_error(), "voiceprint holds NaN"), "%s", tw_last_error());
  CHECK(!tw_stream_create(offline, voiceprint.data()), "an offline model streams");
  CHECK(std::strstr(tw_last_error(), "needs the whole recording"), "%s", tw_last_error());
  tw_stream *stream = tw_stream_create(causal, voiceprint.data());
  check_refused(tw_stream_process(stream, buffer, 64, buffer, 64, &written), TW_ERROR_ARGUMENT, "room for 64 values");
  CHECK(written == 0, "wrote %zu", written);
  CHECK(tw_stream_process(stream, buffer, 0, buffer, 64, &written) == TW_OK, "an empty chunk: %s", tw_last_error());
  CHECK(tw_stream_flush(stream, buffer, 64, &written) == TW_OK, "%s", tw_last_error());
  check_refused(tw_stream_flush(stream, buffer, 64, &written), TW_ERROR_ARGUMENT, "flushed before");
  tw_stream_destroy(stream);
  tw_stream_destroy(nullptr);
  tw_model_close(nullptr);
}

Samples streamed(const tw_model *model, const Samples &mixture, const Samples &voiceprint, size_t chunk) {
  Samples out(mixture.size() + 4096);
  size_t total = 0, written = 0;
  tw_stream *stream = tw_stream_create(model, voiceprint.data());
  for (size_t at = 0; at < mixture.size(); at += chunk) {
    const size_t count = chunk < mixture.size() - at ? chunk : mixture.size() - at;
    CHECK(tw_stream_process(stream, mixture.data() + at, count, out.data() + total, out.size() - total, &written) == TW_OK, "%s", tw_last_error());
    total += written;
  }
  CHECK(tw_stream_flush(stream, out.data() + total, out.size() - total, &written) == TW_OK, "%s", tw_last_error());
  tw_stream_destroy(stream);
  out.resize(total + written);
  return out;
}

// A model opened from bytes that are gone by then is the one opened from their file.
void test_level() {
  Samples samples = noise(8000, 5), same;
  for (float &sample : samples) sample += 0.25f;
  samples[7] = std::numeric_limits<float>::quiet_NaN();
  const float factor = tw_set_level(samples.data(), samples.size());
  double sum = 0, squares = 0;
  for (const float sample : samples) sum += sample, squares += double(sample) * sample;
  CHECK(std::fabs(sum / 8000) < 1e-6 && std::fabs(std::sqrt(squares / 8000) - TW_WORKING_RMS) < 1e-6, "mean %g", sum / 8000);
  CHECK(std::fabs(factor - TW_WORKING_RMS / (0.1f / std::sqrt(3.0f))) < 0.02f, "a factor of %g", factor);
  for (const float faint : {0.0f, 1e-41f, 0.5f}) {
    same.assign(100, faint);
    CHECK(tw_set_level(same.data(), 100) == 1, "a constant of %g has a level", faint);
  }
  CHECK(tw_set_level(nullptr, 0) == 1, "nothing has a level");
}

// An estimate may take the place of its mixture.
void test_in_place(const tw_model *model, const Samples &voiceprint) {
  Samples samples = noise(9001, 11), estimate(samples.size());
  CHECK(tw_extract(model, samples.data(), samples.size(), voiceprint.data(), estimate.data(), nullptr, 0) == TW_OK, "%s", tw_last_error());
  CHECK(tw_extract(model, samples.data(), samples.size(), voiceprint.data(), samples.data(), nullptr, 0) == TW_OK, "%s", tw_last_error());
  CHECK(samples == estimate, "in place something else comes out");
}

void test_memory(const char *path, const tw_model *model, const Samples &voiceprint) {
  std::ifstream stream(path, std::ios::binary);
  std::vector<char> bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  for (size_t size = 0; size < bytes.size(); size += 1 + bytes.size() / 50)
    CHECK(!tw_model_open_memory(bytes.data(), size), "opened %zu bytes of %zu", size, bytes.size());
  tw_model *same = tw_model_open_memory(bytes.data(), bytes.size());
  CHECK(same, "%s", tw_last_error());
  std::fill(bytes.begin(), bytes.end(), 0);
  const Samples mixture = noise(2000, 7);
  Samples one(mixture.size()), other(mixture.size());
  CHECK(tw_extract(model, mixture.data(), mixture.size(), voiceprint.data(), one.data(), nullptr, 0) == TW_OK, "%s", tw_last_error());
  CHECK(same && tw_extract(same, mixture.data(), mixture.size(), voiceprint.data(), other.data(), nullptr, 0) == TW_OK, "%s", tw_last_error());
  CHECK(one == other, "a model from memory computes something else");
  tw_model_close(same);
}

void test_threads(const tw_model *causal, const tw_model *offline, const Samples &voiceprint) {
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; seed++)
    threads.emplace_back([=, &voiceprint] {
      const Samples mixture = noise(1500 + 100 * seed, seed);
      Samples whole(mixture.size()), other(mixture.size()), vector(voiceprint.size());
      CHECK(tw_extract(causal, mixture.data(), mixture.size(), voiceprint.data(), whole.data(), nullptr, 0) == TW_OK, "%s", tw_last_error());
      CHECK(streamed(causal, mixture, voiceprint, 50 + seed) == whole, "thread %u: a stream differs", seed);
      CHECK(tw_extract(offline, mixture.data(), mixture.size(), voiceprint.data(), other.data(), nullptr, 0) == TW_OK, "%s", tw_last_error());
      CHECK(tw_enroll(causal, mixture.data(), mixture.size(), vector.data()) == TW_OK, "%s", tw_last_error());
    });
  for (std::thread &thread : threads) thread.join();
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 3) return std::printf("test_api CAUSAL.twase OFFLINE.twase\n"), 2;
  tw_model *causal = tw_model_open(argv[1]), *offline = tw_model_open(argv[2]);
  tw_info info;
  if (!causal || !offline || tw_model_info(causal, &info) != TW_OK) return std::printf("%s\n", tw_last_error()), 1;
  const Samples voiceprint(static_cast<size_t>(info.voiceprint_count), 0.5f);
  test_refusals(causal, offline, voiceprint);
  test_level();
  test_in_place(causal, voiceprint);
  test_in_place(offline, voiceprint);
  test_memory(argv[1], causal, voiceprint);
  test_memory(argv[2], offline, voiceprint);
  test_threads(causal, offline, voiceprint);
  tw_model_close(causal);
  tw_model_close(offline);
  std::printf("tinywase %s: %s\n", tw_version(), failures ? "FAILED" : "passed");
  return failures != 0;
}
