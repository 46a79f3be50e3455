// The separator (models/separator.py): norm, bottleneck, R stacks of X blocks with the cues before each stack and after the last,
// mask. Weights only; Clip and Stream hold what changes.
#pragma once

#include <vector>

#include "block.h"

namespace tinywase {

class Separator {
 public:
  Separator(const ModelFile &file, const Kernels &kernels);

  int places() const { return static_cast<int>(stacks_) + 1; }
  int uses() const { return stacks_ * blocks_per_stack_; }  // blocks in the order they run, stored ones in turn
  const ConvBlock &block(int use) const { return blocks_[use % blocks_.size()]; }

  // Voiceprint [D] -> what the features are multiplied by at each place, cues [places, padded(bottleneck)].
  void project(const Kernels &kernels, const float *voiceprint, float *cues, uint8_t *scratch) const;
  // Features [rows, padded(filters)], not normalised, and their norm's statistics -> x [rows, padded(bottleneck)].
  void enter(const Kernels &kernels, const float *features, int rows, const RowStatistics &statistics, float *x,
             uint8_t *scratch) const;
  // Both cues at a place, on x in place; the activity's logits are added to logit_sums [rows].
  void apply_cues(const Kernels &kernels, int place, const float *cues, float *x, int rows, float *logit_sums,
                  uint8_t *scratch) const;
  // Skips (changed) and the latent of the same frames -> latent * mask.
  void mask(const Kernels &kernels, float *skips, const float *latent, int rows, float *masked, uint8_t *scratch) const;
  // 0..1 from the sum of a frame's logits; 1 where the model has no activity cue.
  float activity(float logit_sum) const;

  size_t scratch_bytes() const;
  size_t hidden_row_bytes() const;  // of the block that needs most
  size_t ring_bytes() const;        // likewise
  void count(WeightCount &count) const;
  const Config config;

 private:
  int stacks_, blocks_per_stack_;
  Pointwise bottleneck_;
  std::vector<ConvBlock> blocks_;
  std::vector<Pointwise> cue_projections_;  // one per place, none without the voiceprint cue
  std::vector<Pointwise> activities_;       // the same weights at every place, each with its own activation point
  float output_slope_;
  Pointwise mask_;
};

}  // namespace tinywase
