// The convolution block of Conv-TasNet (models/layers.py, ConvBlock): 1x1 expand, PReLU, norm, depthwise, PReLU, norm, then
// residual (added to x) and skip (added to the skips). The second norm is folded into the last product where that is float32.
// Between its products the hidden channels are float32, or 16-bit integers where all three layers are integer and sums fit.
#pragma once

#include <algorithm>
#include <string>

#include "depthwise.h"
#include "pointwise.h"

namespace tinywase {

// Rows that layers handle together; at most kTileFrames.
struct Tile {
  int first = 0, rows = 0;
};

inline int tile_count(int frames) { return (frames + kTileFrames - 1) / kTileFrames; }
// Empty before the first and beyond the last.
inline Tile tile_of(int number, int frames) {
  if (number < 0) return {};
  const int first = number * kTileFrames;
  return {first, std::clamp(frames - first, 0, kTileFrames)};
}

// A norm over a whole clip.
struct ClipNorm {
  RowStatistics statistics;
  Lines lines;  // where it comes between kept sums and a quantizer
};

// What a causal block remembers between chunks.
struct BlockMemory {
  RowRing past;
  double norm_keeps;  // from row to row
  NormSums expand, depthwise;
};

// Working space that blocks share.
struct Workspace {
  uint8_t *hidden = nullptr;   // [frames], row_bytes each: where one block ends on a tile, the next begins. All threads' alike
  size_t row_bytes = 0;        // the most of ConvBlock::row_bytes
  float *row_sums = nullptr;   // [kTileFrames, 2]
  uint8_t *scratch = nullptr;  // ConvBlock::scratch_bytes
  uint8_t *ring = nullptr;     // centred blocks only: ConvBlock::ring_bytes
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

  // Centred, with norms over the whole clip, in three passes over its frames: expand every tile of kTileFrames frames, convolve
  // every part of the channels, add the outputs of every tile. Tiles and parts may be done in any order, and at the same time with
  // a workspace each. x, skips and work.hidden hold all frames. `next` is a tile that comes soon: it is fetched meanwhile, x and
  // skips by expand(), the hidden channels by add_outputs().
  NormSums expand(const Kernels &kernels, const float *x, Tile tile, const Workspace &work, Tile next = {},
                  const float *skips = nullptr) const;
  int parts() const { return (static_cast<int>(hidden_stride_) + kPartChannels - 1) / kPartChannels; }
  NormSums convolve(const Kernels &kernels, int part, int frames, const ClipNorm &norm, const Workspace &work) const;
  void add_outputs(const Kernels &kernels, Tile tile, const ClipNorm &norm, float *x, float *skips, const Workspace &work,
                   Tile next = {}) const;
  // The norms after the first two, from the sums of all tiles and parts; they last as long as `memory` [4, hidden].
  ClipNorm expanded_norm(const NormSums &sums, float *memory) const;
  ClipNorm convolved_norm(const NormSums &sums, float *memory) const;
  // The three of them, for x and skips of all frames.
  void run_clip(const Kernels &kernels, float *x, float *skips, int frames, const Workspace &work) const;

  const Depthwise &depthwise() const { return depthwise_; }
  size_t row_bytes() const { return hidden_stride_ * (keeps_ ? sizeof(int16_t) : sizeof(float)); }  // of a frame's hidden channels
  size_t scratch_bytes() const { return std::max(expand_.scratch_bytes(), output_.scratch_bytes()); }
  size_t ring_bytes() const { return depthwise_.ring_bytes(std::min<int>(hidden_stride_, kPartChannels)); }
  void count(WeightCount &count) const;

 private:
  ConvBlock(const ModelFile &file, const Kernels &kernels, const std::string &prefix, int bottleneck, int hidden, int kernel,
            int dilation, const Norm &expand_norm, const Norm &depthwise_norm);
  static constexpr int kPartChannels = 256;  // a ring of the longest dilation stays in the second-level cache; a multiple of kLane

  size_t row_elements(const Workspace &work) const { return work.row_bytes / (keeps_ ? sizeof(int16_t) : sizeof(float)); }
  float *floats(const Workspace &work, int frame) const { return reinterpret_cast<float *>(work.hidden + frame * work.row_bytes); }
  int16_t *sums(const Workspace &work, int frame) const { return reinterpret_cast<int16_t *>(work.hidden + frame * work.row_bytes); }
  InputRows expanded(const Workspace &work, int frame, const Lines &lines = {}) const;
  void emit(const Kernels &kernels, const RowRing &ring, int frame, int rows, float *row_sums, const Workspace &work) const;

  int hidden_;
  size_t x_stride_, hidden_stride_;
  float expand_slope_;
  Pointwise expand_, output_;
  Depthwise depthwise_;
  bool keeps_;  // hidden channels are kept as sums
};

}  // namespace tinywase
