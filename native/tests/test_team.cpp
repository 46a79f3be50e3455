// Threads that share a clip: every item is done once, and helpers never change a bit of what comes out.
//   test_team OFFLINE.twase...
#include <atomic>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "../src/frames.h"
#include "../src/model.h"
#include "check.h"

using namespace tinywase;

namespace {

constexpr int kMostThreads = 4;

class Memory : public Source {
 public:
  explicit Memory(const char *path) {
    std::ifstream stream(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  }
  size_t size() const override { return bytes_.size(); }
  void read(size_t offset, size_t count, uint8_t *to) const override { std::copy_n(bytes_.begin() + offset, count, to); }

 private:
  std::vector<uint8_t> bytes_;
};

void test_items(int threads, bool judged) {
  Team team(threads, judged);
  CHECK(team.size() >= 1 && team.size() <= threads, "%d of %d threads", team.size(), threads);
  for (int pass = 0; pass < 2000; pass++) {
    const int count = pass % 7;
    std::vector<int> times(count);  // no atomics: a pass that ends is seen by the caller, and the next one sees what it did
    team.each(count, [&](int item, int worker) {
      CHECK(worker >= 0 && worker < team.size(), "worker %d", worker);
      times[item]++;
    });
    for (int item = 0; item < count; item++) CHECK(times[item] == 1, "item %d of pass %d was done %d times", item, pass, times[item]);
  }
}

void test_clip(const char *path) {
  const Memory source(path);
  const Kernels &kernels = choose_kernels();
  const Model model(ModelFile(source, kernels), kernels);
  const size_t count = 20011, frames = Framing(model.config).frames(count);
  std::vector<float> mixture(count), voiceprint(model.config.voiceprint.dimensions, 0.5f);
  for (size_t i = 0; i < count; i++) mixture[i] = 0.1f * (static_cast<float>(i * 7919 % 2003) / 1001.5f - 1);
  std::vector<float> expected(count), activity(frames);
  Team alone(1);
  extract_clip(model, mixture.data(), count, voiceprint.data(), expected.data(), activity.data(), alone);
  for (int threads = 2; threads <= kMostThreads; threads++)
    for (int turn = 0; turn < 3; turn++) {
      std::vector<float> estimate(count), active(frames);
      Team team(threads, false);
      extract_clip(model, mixture.data(), count, voiceprint.data(), estimate.data(), active.data(), team);
      CHECK(estimate == expected && active == activity, "%s: %d threads give another estimate", path, threads);
    }
}

}  // namespace

int main(int argc, char **argv) {
  for (int threads = 1; threads <= kMostThreads; threads++) test_items(threads, true), test_items(threads, false);
  for (int i = 1; i < argc; i++) test_clip(argv[i]);
  std::printf("%s\n", failures ? "FAILED" : "passed");
  return failures != 0;
}
