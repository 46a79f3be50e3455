#include "separator.h"

#include <cmath>

namespace tinywase {
namespace {

Pointwise load_bottleneck(const ModelFile &file, const Kernels &kernels, const Config &c) {
  const Norm norm = Norm::load(file, "separator.norm", c.feature_channels());
  return {kernels, {Columns::load(file, "separator.bottleneck", c.bottleneck)}, c.feature_channels(),
          file.point("separator.bottleneck_input"), &norm};
}

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

Separator::Separator(const ModelFile &file, const Kernels &kernels)
    : config(file.config()), stacks_(config.stacks), blocks_per_stack_(config.blocks),
      bottleneck_(load_bottleneck(file, kernels, config)), output_slope_(load_scalar(file, "separator.output_slope.weight")),
      mask_(kernels, {Columns::load(file, "separator.mask", config.filters)}, config.bottleneck,
            file.point("separator.mask_input")) {
  for (int i = 0; i < config.block_count(); i++)
    blocks_.emplace_back(file, kernels, "separator.blocks." + std::to_string(i) + ".", config.bottleneck, config.hidden,
                         config.kernel, 1 << i % config.blocks);
  for (int place = 0; place < places(); place++) {
    if (config.voiceprint_cue())
      cue_projections_.emplace_back(
          kernels,
          std::vector<Columns>{Columns::load(file, "separator.cue_projections." + std::to_string(place), config.bottleneck)},
          config.voiceprint.dimensions, file.point("separator.voiceprint_input"));
    if (config.activity_cue())
      activities_.emplace_back(kernels, std::vector<Columns>{Columns::load(file, "separator.activity", 1)}, config.bottleneck,
                               file.point("separator.activity_inputs." + std::to_string(place)));
  }
}

void Separator::project(const Kernels &kernels, const float *voiceprint, float *cues, uint8_t *scratch) const {
  const int stride = padded(config.bottleneck);
  for (int place = 0; place < places(); place++, cues += stride) {
    GemmOutput output;
    output.out = cues;
    output.out_stride = stride;
    if (config.voiceprint_cue())
      cue_projections_[place].run(kernels, {voiceprint, 0}, 1, output, scratch);
    else
      std::fill_n(cues, config.bottleneck, 1.0f);
    if (config.mean_skip && place == stacks_) kernels.scale_row(cues, stride, nullptr, 1.0f / static_cast<float>(uses()));
  }
}

void Separator::enter(const Kernels &kernels, const float *features, int rows, const RowStatistics &statistics, float *x,
                      uint8_t *scratch) const {
  GemmOutput output;
  output.out = x;
  output.out_stride = padded(config.bottleneck);
  bottleneck_.run(kernels, {features, static_cast<size_t>(padded(config.filters))}, rows, output, scratch, statistics);
}

void Separator::apply_cues(const Kernels &kernels, int place, const float *cues, float *x, int rows, float *logit_sums,
                           uint8_t *scratch) const {
  const int stride = padded(config.bottleneck);
  for (int row = 0; row < rows; row++) kernels.scale_row(x + static_cast<size_t>(row) * stride, stride, cues + place * stride, 1);
  if (!config.activity_cue()) return;
  alignas(kAlignment) float logits[kTileFrames * kLane];
  GemmOutput output;
  output.out = logits;
  output.out_stride = kLane;
  activities_[place].run(kernels, {x, static_cast<size_t>(stride)}, rows, output, scratch);
  for (int row = 0; row < rows; row++) {
    const float logit = logits[row * kLane];
    logit_sums[row] += logit;
    kernels.scale_row(x + static_cast<size_t>(row) * stride, stride, nullptr, sigmoid(logit));
  }
}

void Separator::mask(const Kernels &kernels, float *skips, const float *latent, int rows, float *masked,
                     uint8_t *scratch) const {
  const int stride = padded(config.bottleneck);
  for (int row = 0; row < rows; row++) kernels.prelu_row(skips + static_cast<size_t>(row) * stride, stride, output_slope_);
  GemmOutput output;
  output.kind = Epilogue::mask;
  output.latent = latent;
  output.out = masked;
  output.latent_stride = output.out_stride = padded(config.filters);
  mask_.run(kernels, {skips, static_cast<size_t>(stride)}, rows, output, scratch);
}

float Separator::activity(float logit_sum) const {
  return config.activity_cue() ? sigmoid(logit_sum / static_cast<float>(places())) : 1.0f;
}

size_t Separator::scratch_bytes() const {
  size_t most = std::max(bottleneck_.scratch_bytes(), mask_.scratch_bytes());
  for (const ConvBlock &block : blocks_) most = std::max(most, block.scratch_bytes());
  for (const Pointwise &layer : cue_projections_) most = std::max(most, layer.scratch_bytes());
  return most;  // the activity's input is as wide as the mask's
}

size_t Separator::hidden_row_bytes() const {
  size_t most = 0;
  for (const ConvBlock &block : blocks_) most = std::max(most, block.row_bytes());
  return most;
}

size_t Separator::ring_bytes() const {
  size_t most = 0;
  for (const ConvBlock &block : blocks_) most = std::max(most, block.ring_bytes());
  return most;
}

void Separator::count(WeightCount &count) const {
  for (const ConvBlock &block : blocks_) block.count(count);
  for (const Pointwise &layer : cue_projections_) count.add(layer);
  for (const Pointwise &layer : activities_) count.add(layer);
  count.add(bottleneck_);
  count.add(mask_);
}

}  // namespace tinywase
