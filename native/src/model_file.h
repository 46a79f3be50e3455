// The .twase model file, parsed and validated: src/tinywase/format.py holds the specification.
//
// Every refusal throws FileError with its own message; nothing is trusted, least of all sizes and offsets.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tensor.h"

namespace tinywase {

enum class Cues : uint8_t { both, voiceprint, activity };
enum class VoiceprintKind : uint32_t { lstm, tcn };

struct VoiceprintConfig {
  VoiceprintKind kind;
  int dimensions, filters, window, hop, hidden, layers, bottleneck;
  bool mel;  // the filterbank is that of filters.h, not a tensor
};

// Fields as in src/tinywase/config.py.
struct Config {
  int sample_rate_hz, filters, window, overlap, bottleneck, hidden, kernel, blocks, stacks, distinct_stacks, lookahead_frames, norm_memory_frames;
  bool causal, mean_skip;
  Cues cues;
  bool fourier;    // encoder and decoder are the transform of filters.h, not tensors
  bool log_power;  // what the separator hears: the log power of the latent's filter pairs, else the latent
  VoiceprintConfig voiceprint;
  std::string name;

  // From the header's 256 bytes. Throws FileError for what makes no network.
  static Config read(const uint8_t *header);
  int hop() const { return window / overlap; }
  int early_frames() const { return overlap / 2 - 1; }  // centred before a signal begins
  int feature_channels() const { return log_power ? filters / 2 : filters; }
  int block_count() const { return blocks * (distinct_stacks ? distinct_stacks : stacks); }
  // What is left of a causal norm's sums from one frame to the next.
  double norm_keeps() const { return norm_memory_frames ? 1.0 - 1.0 / norm_memory_frames : 1.0; }
  bool voiceprint_cue() const { return cues != Cues::activity; }
  bool activity_cue() const { return cues != Cues::voiceprint; }
};

// Where activations are quantized: x becomes (clip(rint(x / scale) + zero_point, 0, 2^bits - 1) - zero_point) * scale.
struct ActivationPoint {
  bool present = false;
  float scale = 1;
  int zero_point = 0;
  int bits = 0;
  int top() const { return (1 << bits) - 1; }
};

// Where a model's bytes come from: read piece by piece, so that the file is never in memory as a whole.
class Source {
 public:
  virtual ~Source() = default;
  virtual size_t size() const = 0;
  // Throws FileError where the bytes cannot be had.
  virtual void read(size_t offset, size_t count, uint8_t *to) const = 0;
  std::vector<uint8_t> bytes(size_t offset, size_t count) const {
    std::vector<uint8_t> result(count);
    read(offset, count, result.data());
    return result;
  }
};

class ModelFile {
 public:
  // Checks everything but the tensors' contents. `source` must stay as long as the object, which reads tensors by `kernels`.
  ModelFile(const Source &source, const Kernels &kernels);

  const Config &config() const { return config_; }
  // Reads the tensor: only what is being packed is in memory twice. Throws FileError for contents that are not possible.
  Tensor tensor(const std::string &name) const;
  ActivationPoint point(const std::string &name) const;

 private:
  void check_names(const std::vector<Record> &records) const;

  const Source &source_;
  const Kernels &kernels_;
  Config config_;
  std::map<std::string, Record> records_;
};

// layout.cpp: which tensors a configuration has, and where its activations may be quantized.
using Shapes = std::map<std::string, std::vector<uint32_t>>;
Shapes expected_tensors(const Config &config);
std::vector<std::string> activation_points(const Config &config);

}  // namespace tinywase
