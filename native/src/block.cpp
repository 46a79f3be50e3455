#include "block.h"

#include <algorithm>

namespace tinywase {

ConvBlock::ConvBlock(const ModelFile &file, const Kernels &kernels, const std::string &prefix, int bottleneck, int hidden,
                     int kernel, int dilation)
    : ConvBlock(file, kernels, prefix, bottleneck, hidden, kernel, dilation, Norm::load(file, prefix + "expand_norm", hidden),
                Norm::load(file, prefix + "depthwise_norm", hidden)) {}

ConvBlock::ConvBlock(const ModelFile &file, const Kernels &kernels, const std::string &prefix, int bottleneck, int hidden,
                     int kernel, int dilation, const Norm &expand_norm, const Norm &depthwise_norm)
    : hidden_(hidden), x_stride_(padded(bottleneck)), hidden_stride_(padded(hidden)),
      expand_slope_(load_scalar(file, prefix + "expand_slope.weight")),
      expand_(kernels, {Columns::load(file, prefix + "expand", hidden)}, bottleneck, file.point(prefix + "expand_input")),
      output_(kernels, {Columns::load(file, prefix + "residual", bottleneck), Columns::load(file, prefix + "skip", bottleneck)},
              hidden, file.point(prefix + "output_input"), &depthwise_norm),
      depthwise_(file, kernels, prefix + "depthwise", hidden, kernel, dilation, file.point(prefix + "depthwise_input"),
                 expand_norm, load_scalar(file, prefix + "depthwise_slope.weight")) {}

void ConvBlock::expand(const Kernels &kernels, const float *x, int rows, float *hidden, const Workspace &work) const {
  GemmOutput output;
  output.kind = Epilogue::prelu_sums;
  output.slope = expand_slope_;
  output.out = hidden;
  output.out_stride = hidden_stride_;
  output.row_sums = work.row_sums;
  expand_.run(kernels, x, x_stride_, rows, output, work.scratch);
}

void ConvBlock::add_outputs(const Kernels &kernels, const float *hidden, int rows, const RowStatistics &statistics, float *x,
                            float *skips, uint8_t *scratch) const {
  GemmOutput output;
  output.kind = Epilogue::accumulate;
  output.out = x;
  output.second = skips;
  output.out_stride = output.split = x_stride_;
  output_.run(kernels, hidden, hidden_stride_, rows, output, scratch, &statistics);
}

void ConvBlock::run_chunk(const Kernels &kernels, float *x, float *skips, int rows, BlockMemory &memory,
                          const Workspace &work) const {
  expand(kernels, x, rows, work.hidden, work);
  RowStatistics statistics;
  for (int row = 0; row < rows; row++) {
    float *hidden = work.hidden + static_cast<size_t>(row) * hidden_stride_;
    float gain, shift, row_sums[2];
    memory.expand.add(work.row_sums + 2 * row);
    memory.expand.statistics(hidden_, &gain, &shift);
    depthwise_.push(kernels, memory.past, hidden, gain, shift);
    depthwise_.emit(kernels, memory.past, hidden, row_sums);
    memory.depthwise.add(row_sums);
    memory.depthwise.statistics(hidden_, &statistics.gain[row], &statistics.shift[row]);
  }
  add_outputs(kernels, work.hidden, rows, statistics, x, skips, work.scratch);
}

void ConvBlock::run_clip(const Kernels &kernels, float *x, float *skips, int frames, const Workspace &work) const {
  const auto hidden = [&](int frame) { return work.hidden + static_cast<size_t>(frame) * hidden_stride_; };
  NormSums expand_sums, depthwise_sums;
  for (int first = 0; first < frames; first += kTileFrames) {
    const int rows = std::min(kTileFrames, frames - first);
    expand(kernels, x + static_cast<size_t>(first) * x_stride_, rows, hidden(first), work);
    for (int row = 0; row < rows; row++) expand_sums.add(work.row_sums + 2 * row);
  }
  float gain, shift;
  expand_sums.statistics(hidden_, &gain, &shift);
  RowRing ring{work.ring};
  depthwise_.clear(ring);
  for (int frame = 0; frame < frames + depthwise_.side(); frame++) {  // in place: a row is in the ring before it is overwritten
    if (frame < frames)
      depthwise_.push(kernels, ring, hidden(frame), gain, shift);
    else
      depthwise_.push_silence(ring);
    if (frame < depthwise_.side()) continue;
    float row_sums[2];
    depthwise_.emit(kernels, ring, hidden(frame - depthwise_.side()), row_sums);
    depthwise_sums.add(row_sums);
  }
  depthwise_sums.statistics(hidden_, &gain, &shift);
  RowStatistics statistics;
  statistics.fill(gain, shift);
  for (int first = 0; first < frames; first += kTileFrames) {
    const size_t at = static_cast<size_t>(first) * x_stride_;
    add_outputs(kernels, hidden(first), std::min(kTileFrames, frames - first), statistics, x + at, skips + at, work.scratch);
  }
}

void ConvBlock::count(WeightCount &count) const {
  count.add(expand_);
  count.add(output_);
  count.bytes += depthwise_.bytes();
}

}  // namespace tinywase
