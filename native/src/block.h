// The convolution block of Conv-TasNet (models/layers.py, ConvBlock): 1x1 expand, PReLU, norm, depthwise, PReLU, norm, then
// residual (added to x) and skip (added to the skips). The second norm is folded into the last product where that is float32.
#pragma once

#include <algorithm>
#include <string>

#include "depthwise.h"
#include "pointwise.h"

namespace tinywase {

// What a causal block remembers between chunks.
struct BlockMemory {
  RowRing past;
  NormSums expand, depthwise;
};

// Working space that blocks share.
struct Workspace {
  float *hidden = nullptr;     // [frames, padded(hidden)]
  float *row_sums = nullptr;   // [kTileFrames, 2]
  uint8_t *scratch = nullptr;  // ConvBlock::scratch_bytes
  uint8_t *ring = nullptr;     // centred blocks only: Depthwise::ring_bytes
};

// Running totals for tw_model_info.
struct WeightCount {
  int integer_layers = 0, float_layers = 0;
  size_t bytes = 0;
  void add(const Pointwise &layer) {
    (layer.mode() == InputMode::integer ? integer_layers : float_layers)++;
    bytes += layer.bytes();
  }
};

class ConvBlock {
 public:
  ConvBlock(const ModelFile &file, const Kernels &kernels, const std::string &prefix, int bottleneck, int hidden, int kernel,
            int dilation);

  // Causal: rows <= kTileFrames of x [rows, padded(bottleneck)] and skips of the same shape.
  void run_chunk(const Kernels &kernels, float *x, float *skips, int rows, BlockMemory &memory, const Workspace &work) const;
  // Centred, with norms over the whole clip: any number of frames, work.hidden holds them all.
  void run_clip(const Kernels &kernels, float *x, float *skips, int frames, const Workspace &work) const;

  const Depthwise &depthwise() const { return depthwise_; }
  size_t scratch_bytes() const { return std::max(expand_.scratch_bytes(), output_.scratch_bytes()); }
  void count(WeightCount &count) const;

 private:
  ConvBlock(const ModelFile &file, const Kernels &kernels, const std::string &prefix, int bottleneck, int hidden, int kernel,
            int dilation, const Norm &expand_norm, const Norm &depthwise_norm);
  void expand(const Kernels &kernels, const float *x, int rows, float *hidden, const Workspace &work) const;
  void add_outputs(const Kernels &kernels, const float *hidden, int rows, const RowStatistics &statistics, float *x,
                   float *skips, uint8_t *scratch) const;

  int hidden_, x_stride_, hidden_stride_;
  float expand_slope_;
  Pointwise expand_, output_;
  Depthwise depthwise_;
};

}  // namespace tinywase
