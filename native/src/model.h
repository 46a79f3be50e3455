// A whole model, open: every layer's weights, and the passes that need all frames at once.
#pragma once

#include <cstdint>
#include <memory>

#include "separator.h"
#include "team.h"
#include "voiceprint.h"

namespace tinywase {

struct Model {
  Model(const ModelFile &file, const Kernels &kernels);

  const Config config;
  const Kernels &kernels;
  const Pointwise encoder;  // [window] -> latent [filters]
  const Separator separator;
  const Pointwise decoder;  // latent -> wave [window]
  const std::unique_ptr<VoiceprintEncoder> voiceprint_encoder;

  // Samples at frame 0 -> latent [rows, padded(filters)], with sums for the norm if row_sums is given.
  void encode(const float *samples, int rows, float *latent, float *row_sums = nullptr) const;
  // The same as the separator hears it, in place: the latent, or its log power in the first half of each row.
  void hear(const float *samples, int rows, float *features, float *row_sums = nullptr) const;
  // Masked latent -> rows * hop samples; `overlap` [window - hop] carries on what later frames complete.
  void decode(const float *masked, int rows, float *wave, float *overlap, float *out) const;
  WeightCount weights() const;
  mutable Spare clip_memory;
};

// Whole recording through an offline model: mixture [count] -> estimate [count], activity [frames] or null. Who is in the team never
// changes a bit.
void extract_clip(const Model &model, const float *mixture, size_t count, const float *voiceprint, float *estimate,
                  float *activity, Team &team);
// Of `most` threads, how many such a recording keeps busy.
int useful_threads(const Model &model, size_t count, int most);

}  // namespace tinywase
