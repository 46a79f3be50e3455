// Time of a whole model without Python, for profilers: bench_model FILE [SECONDS [REPEATS]]
#include <tinywase.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

namespace {

// Processor time, so that a busy machine disturbs less; the clock on the wall says the same on an idle one.
double now_s() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace

int main(int argc, char **argv) {
  if (argc < 2) return std::printf("bench_model FILE [SECONDS [REPEATS]]\n"), 2;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 4;
  const int repeats = argc > 3 ? std::atoi(argv[3]) : 10;
  const double begin = now_s();
  tw_model *model = tw_model_open(argv[1]);
  tw_info info;
  if (!model || tw_model_info(model, &info) != TW_OK) return std::printf("%s\n", tw_last_error()), 1;
  std::printf("int8 peak %.1f GMAC/s\n", 1e-9 * tw_int8_peak());
  std::printf("%s, %s, open %.1f ms, weights %.1f MB, %d integer and %d float layers\n", info.name, info.isa, 1e3 * (now_s() - begin),
              1e-6 * static_cast<double>(info.weight_bytes), info.integer_layers, info.float_layers);
  const size_t count = static_cast<size_t>(seconds * info.sample_rate_hz);
  std::vector<float> mixture(count), estimate(count), voiceprint(static_cast<size_t>(info.voiceprint_count), 0.5f);
  for (size_t i = 0; i < count; i++) mixture[i] = 0.1f * static_cast<float>(std::rand() % 2001 - 1000) / 1000;
  std::vector<double> times;
  for (int i = 0; i < repeats; i++) {
    const double start = now_s();
    if (tw_extract(model, mixture.data(), count, voiceprint.data(), estimate.data(), nullptr, 0) != TW_OK) return 1;
    times.push_back(now_s() - start);
  }
  std::sort(times.begin(), times.end());
  std::printf("RTF minimum %.4f, median %.4f\n", times.front() / seconds, times[times.size() / 2] / seconds);
  tw_model_close(model);
  return 0;
}
