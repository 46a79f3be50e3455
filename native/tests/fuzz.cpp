// Hostile files and hostile audio: mutates model files and runs whatever still opens. A crash, a sanitizer's report or a NaN in
// the output is a failure.
//   fuzz SECONDS FILE...
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "../src/frames.h"
#include "../src/stream.h"
#include "check.h"

using namespace tinywase;

namespace {

using Bytes = std::vector<uint8_t>;

std::mt19937 generator;

size_t below(size_t count) { return std::uniform_int_distribution<size_t>(0, count - 1)(generator); }

void put_u32(Bytes &bytes, size_t at, uint32_t value) {
  for (int i = 0; i < 4; i++) bytes[at + i] = static_cast<uint8_t>(value >> 8 * i);
}

// Exactly these bytes on the heap, each piece that is asked for checked to lie within them.
class Memory : public Source {
 public:
  explicit Memory(const Bytes &bytes) : bytes_(bytes.begin(), bytes.end()) {}
  size_t size() const override { return bytes_.size(); }
  void read(size_t offset, size_t count, uint8_t *to) const override {
    CHECK(offset <= bytes_.size() && count <= bytes_.size() - offset, "%zu bytes at %zu of %zu", count, offset, bytes_.size());
    if (count) std::memcpy(to, bytes_.data() + offset, count);
  }

 private:
  const Bytes bytes_;
};

// So that most mutations get past the checksum to the code behind it.
void fix_checksum(Bytes &bytes) {
  if (bytes.size() < 256) return;
  uint32_t crc = ~0u;
  for (size_t i = 0; i < bytes.size(); i++) {
    if (i >= 28 && i < 32) continue;
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
  }
  put_u32(bytes, 28, ~crc);
}

void mutate(Bytes &bytes) {
  const uint32_t interesting[] = {0, 1, 2, 127, 128, 255, 256, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fc00000, 0x7f800000};
  for (size_t i = below(4) + 1; i > 0; i--) {
    const size_t area = below(3) ? std::min<size_t>(bytes.size(), 256 + 96 * 40) : bytes.size();
    const size_t at = below(area);
    switch (below(5)) {
      case 0: bytes[at] ^= static_cast<uint8_t>(1u << below(8)); break;
      case 1: bytes[at] = static_cast<uint8_t>(below(256)); break;
      case 2: if (at + 4 <= bytes.size()) put_u32(bytes, at / 4 * 4, interesting[below(14)]); break;
      case 3: if (below(4) == 0) bytes.resize(below(bytes.size()) + 1); break;
      case 4: if (at + 4 <= bytes.size()) put_u32(bytes, at / 4 * 4, read_u32(bytes.data() + at / 4 * 4) + static_cast<uint32_t>(below(9)) - 4); break;
    }
  }
  if (bytes.size() >= 256 && below(4)) put_u32(bytes, 8, static_cast<uint32_t>(bytes.size()));
  if (below(8)) fix_checksum(bytes);
}

std::vector<float> hostile_audio(size_t count) {
  std::vector<float> samples(count);
  const float extremes[] = {0, 1, -1, 1e-40f, 1e30f, -3e38f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()};
  const size_t kind = below(4);
  for (float &sample : samples)
    sample = kind == 0 ? extremes[below(8)] : kind == 1 ? 0 : std::uniform_real_distribution<float>(-1, 1)(generator);
  return samples;
}

// Values may be huge where weights are, but never NaN for weights as they were trained.
void check_numbers(const std::vector<float> &values, bool trained) {
  for (const float value : values) CHECK(!trained || std::isfinite(value), "the output is %g", double(value));
}

void hear_voice(const Model &model, bool trained) {
  const VoiceprintConfig &config = model.config.voiceprint;
  if (config.window > 4096 || config.hidden > 1024 || config.filters > 1024) return;  // legal, and long
  const auto audio = hostile_audio(below(3000) + 1);
  std::vector<float> voiceprint(config.dimensions);
  model.voiceprint_encoder->run(model.kernels, audio.data(), audio.size(), voiceprint.data());
  check_numbers(voiceprint, trained);
}

void run_model(const Model &model, bool trained) {
  const Config &config = model.config;
  const size_t count = below(400) + 1;
  const auto audio = hostile_audio(count);
  std::vector<float> voiceprint(config.voiceprint.dimensions, 0.1f), estimate(count);
  const size_t frames = Framing(config).frames(count);
  std::vector<float> activity(frames);
  if (!config.causal) {
    Team alone(1);
    extract_clip(model, audio.data(), count, voiceprint.data(), estimate.data(), activity.data(), alone);
    return check_numbers(estimate, trained);
  }
  Stream stream(model, voiceprint.data());
  size_t written = 0;
  std::vector<float> out(count + 4 * config.window);
  for (size_t fed = 0; fed < count;) {
    const size_t size = std::min(below(70), count - fed);
    const size_t got = stream.process(audio.data() + fed, size, out.data());
    CHECK(got <= stream.output_bound(size), "%zu samples for %zu", got, size);
    std::copy_n(out.data(), got, estimate.data() + written);
    written += got;
    fed += size;
  }
  written += stream.flush(estimate.data() + written);
  CHECK(written == count, "%zu samples out for %zu in", written, count);
  check_numbers(estimate, trained);
}

}  // namespace

int main(int argc, char **argv) {
  if (argc < 3) return std::printf("fuzz SECONDS FILE...\n"), 2;
  const double seconds = std::atof(argv[1]);
  const unsigned seed = std::getenv("FUZZ_SEED") ? std::strtoul(std::getenv("FUZZ_SEED"), nullptr, 10) : std::random_device()();
  generator.seed(seed);
  std::vector<Bytes> files;
  for (int i = 2; i < argc; i++) {
    std::ifstream stream(argv[i], std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
    CHECK(!files.back().empty(), "cannot read %s", argv[i]);
  }
  if (failures) return 1;
  size_t runs = 0, opened = 0;
  const auto begin = std::chrono::steady_clock::now();
  const Kernels &kernels = choose_kernels();
  while (std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() < seconds && !failures) {
    Bytes bytes = files[below(files.size())];
    const bool trained = below(10) == 0;
    if (!trained) mutate(bytes);
    runs++;
    const Memory source(bytes);
    try {
      const ModelFile file(source, kernels);
      const Config &c = file.config();
      const Model model(file, kernels);
      opened++;
      CHECK(c.causal == 0 || Stream::state_bytes(model) > 0, "a state of no bytes");
      hear_voice(model, trained);
      if (c.lookahead_frames > 1000 || c.blocks > 10) continue;  // legal, but minutes of work
      run_model(model, trained);
    } catch (const FileError &) {
    } catch (const std::bad_alloc &) {
    }
  }
  std::printf("seed %u: %zu files, %zu of them opened and run, %d failures\n", seed, runs, opened, failures);
  return failures != 0;
}
