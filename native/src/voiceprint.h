// From an enrollment to a voiceprint (models/voiceprint.py): the paper's LSTM encoder and the convolutional one.
#pragma once

#include <memory>

#include "block.h"

namespace tinywase {

class VoiceprintEncoder {
 public:
  virtual ~VoiceprintEncoder() = default;
  // Enrollment [count], count >= 1 -> voiceprint [dimensions].
  virtual void run(const Kernels &kernels, const float *enrollment, size_t count, float *voiceprint) const = 0;
  virtual void count(WeightCount &count) const = 0;

  static std::unique_ptr<VoiceprintEncoder> load(const ModelFile &file, const Kernels &kernels);
};

}  // namespace tinywase
