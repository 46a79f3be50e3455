// Time of a whole model without Python, for profilers: bench_model FILE [SECONDS [REPEATS [THREADS...]]]
// Several numbers of threads take turns; then the time is that on the wall, else the process's.
#include <tinywase.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

namespace {

// Processor time, so that a busy machine disturbs less; the clock on the wall says the same on an idle one.
double now_s() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double wall_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

int main(int argc, char **argv) {
  if (argc < 2) return std::printf("bench_model FILE [SECONDS [REPEATS [THREADS...]]]\n"), 2;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 4;
  const int repeats = argc > 3 ? std::atoi(argv[3]) : 10;
  std::vector<int> counts;
  for (int i = 4; i < argc; i++) counts.push_back(std::atoi(argv[i]));
  if (counts.empty()) counts.push_back(1);
  const auto clock = counts.size() > 1 ? wall_s : now_s;
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
  std::vector<std::vector<double>> times(counts.size());
  for (int turn = 0; turn < repeats; turn++)
    for (size_t i = 0; i < counts.size(); i++) {
      const double start = clock();
      if (tw_extract_threads(model, mixture.data(), count, voiceprint.data(), estimate.data(), nullptr, 0, counts[i]) != TW_OK) return 1;
      times[i].push_back(clock() - start);
    }
  for (size_t i = 0; i < counts.size(); i++) {
    std::vector<double> ratios;
    for (int turn = 0; turn < repeats; turn++) ratios.push_back(times[0][turn] / times[i][turn]);
    std::sort(times[i].begin(), times[i].end());
    std::sort(ratios.begin(), ratios.end());
    std::printf("%d threads: RTF minimum %.4f, median %.4f; times faster than the first: median %.3f, least %.3f\n", counts[i],
                times[i].front() / seconds, times[i][repeats / 2] / seconds, ratios[repeats / 2], ratios[0]);
  }
  tw_model_close(model);
  return 0;
}
