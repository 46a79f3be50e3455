#include "block.h"

#include <algorithm>

namespace tinywase {
namespace {

constexpr int kFetchedRows = 16;  // how far ahead of the convolution memory is fetched

void fetch(const uint8_t *begin, size_t bytes) {
  for (size_t i = 0; i < bytes; i += kAlignment) __builtin_prefetch(begin + i, 1, 2);
}

}  // namespace

ConvBlock::ConvBlock(const ModelFile &file, const Kernels &kernels, const std::string &prefix, int bottleneck, int hidden,
                     int kernel, int dilation)
    : ConvBlock(file, kernels, prefix, bottleneck, hidden, kernel, dilation, Norm::load(file, prefix + "expand_norm", hidden),
                Norm::load(file, prefix + "depthwise_norm", hidden)) {}

ConvBlock::ConvBlock(const ModelFile &file, const Kernels &kernels, const std::string &prefix, int bottleneck, int hidden,
                     int kernel, int dilation, const Norm &expand_norm, const Norm &depthwise_norm)
    : hidden_(hidden), x_stride_(padded(bottleneck)), hidden_stride_(padded(hidden)),
      expand_slope_(load_scalar(file, prefix + "expand_slope.weight")),
      expand_(kernels, {Columns::load(file, prefix + "expand", hidden)}, bottleneck, file.point(prefix + "expand_input"), nullptr,
              expand_slope_),
      output_(kernels, {Columns::load(file, prefix + "residual", bottleneck), Columns::load(file, prefix + "skip", bottleneck)},
              hidden, file.point(prefix + "output_input"), &depthwise_norm),
      depthwise_(file, kernels, prefix + "depthwise", hidden, kernel, dilation, file.point(prefix + "depthwise_input"),
                 expand_norm, load_scalar(file, prefix + "depthwise_slope.weight")),
      keeps_(expand_.keeps_sums() && depthwise_.keeps_sums() && output_.mode() == InputMode::integer) {}

void ConvBlock::expand(const Kernels &kernels, const float *x, int first, int rows, NormSums &sums_of_rows,
                       const Workspace &work, int next, const float *skips) const {
  GemmOutput output;
  output.kind = keeps_ ? Epilogue::keep_sums : Epilogue::prelu_sums;
  output.slope = expand_slope_;
  output.out = floats(work, first);
  output.kept = sums(work, first);
  output.out_stride = row_elements(work);
  output.row_sums = work.row_sums;
  const size_t size = rows * x_stride_, next_bytes = next * x_stride_ * sizeof(float);
  expand_.run(kernels, {x, x_stride_}, rows, output, work.scratch, {}, {x + size, next_bytes}, {skips + size, skips ? next_bytes : 0});
  for (int row = 0; row < rows; row++) sums_of_rows.add(work.row_sums + 2 * row);
}

void ConvBlock::add_outputs(const Kernels &kernels, int first, int rows, const RowStatistics &statistics, float *x, float *skips,
                            const Workspace &work, int next) const {
  GemmOutput output;
  output.kind = Epilogue::accumulate;
  output.out = x;
  output.second = skips;
  output.out_stride = output.split = x_stride_;
  const InputRows input = keeps_ ? InputRows(depthwise_.kept(sums(work, first)), row_elements(work))
                                 : InputRows(floats(work, first), row_elements(work));
  output_.run(kernels, input, rows, output, work.scratch, statistics, {work.hidden + (first + rows) * work.row_bytes, next * work.row_bytes});
}

// What expand() left, from a frame on.
InputRows ConvBlock::expanded(const Workspace &work, int frame) const {
  if (keeps_) return {expand_.kept(sums(work, frame), expand_slope_), row_elements(work)};
  return {floats(work, frame), row_elements(work)};
}

void ConvBlock::emit(const Kernels &kernels, const RowRing &ring, int frame, int rows, float *row_sums,
                     const Workspace &work) const {
  depthwise_.emit(kernels, ring, rows, floats(work, frame), keeps_ ? sums(work, frame) : nullptr, row_elements(work), row_sums);
}

void ConvBlock::run_chunk(const Kernels &kernels, float *x, float *skips, int rows, BlockMemory &memory,
                          const Workspace &work) const {
  NormSums none;
  expand(kernels, x, 0, rows, none, work);
  RowStatistics statistics;
  for (int row = 0; row < rows; row++) {
    memory.expand.add(work.row_sums + 2 * row);
    memory.expand.statistics(hidden_, &statistics.gain[row], &statistics.shift[row]);
  }
  for (int row = 0; row < rows; row += kRowGroup) {
    const int group = std::min(kRowGroup, rows - row);
    depthwise_.push(kernels, memory.past, expanded(work, 0), row, group, statistics);
    emit(kernels, memory.past, row, group, work.row_sums + 2 * row, work);
  }
  for (int row = 0; row < rows; row++) {
    memory.depthwise.add(work.row_sums + 2 * row);
    memory.depthwise.statistics(hidden_, &statistics.gain[row], &statistics.shift[row]);
  }
  add_outputs(kernels, 0, rows, statistics, x, skips, work);
}

RowStatistics ConvBlock::convolve(const Kernels &kernels, int frames, const NormSums &sums_of_rows, const Workspace &work) const {
  RowStatistics statistics;
  float gain, shift;
  sums_of_rows.statistics(hidden_, &gain, &shift);
  statistics.fill(gain, shift);
  RowRing ring{work.ring};
  depthwise_.clear(ring);
  // In place: the rows that overwrite others come `side` rows after these are in the ring. The first `side` rows only fill it.
  const int side = depthwise_.side();
  NormSums out_sums;
  const auto step = [&](int frame, int rows) {
    const int heard = std::clamp(frames - frame, 0, rows);
    if (heard) depthwise_.push(kernels, ring, expanded(work, frame), 0, heard, statistics);
    depthwise_.push_silence(ring, rows - heard);
  };
  for (int frame = 0; frame < side; frame += kRowGroup) step(frame, std::min(kRowGroup, side - frame));
  for (int frame = 0; frame < frames; frame += kRowGroup) {
    const int rows = std::min(kRowGroup, frames - frame);
    if (frame + side + kFetchedRows + kRowGroup <= frames)
      fetch(work.hidden + (frame + side + kFetchedRows) * work.row_bytes, kRowGroup * work.row_bytes);
    float row_sums[2 * kRowGroup];
    step(frame + side, rows);
    emit(kernels, ring, frame, rows, row_sums, work);
    for (int row = 0; row < rows; row++) out_sums.add(row_sums + 2 * row);
  }
  out_sums.statistics(hidden_, &gain, &shift);
  statistics.fill(gain, shift);
  return statistics;
}

void ConvBlock::run_clip(const Kernels &kernels, float *x, float *skips, int frames, const Workspace &work) const {
  const auto each_tile = [frames](auto function) {
    for (int first = 0; first < frames; first += kTileFrames) function(first, std::min(kTileFrames, frames - first));
  };
  NormSums sums_of_rows;
  each_tile([&](int first, int rows) {
    expand(kernels, x + static_cast<size_t>(first) * x_stride_, first, rows, sums_of_rows, work);
  });
  const RowStatistics statistics = convolve(kernels, frames, sums_of_rows, work);
  each_tile([&](int first, int rows) {
    const size_t at = static_cast<size_t>(first) * x_stride_;
    add_outputs(kernels, first, rows, statistics, x + at, skips + at, work);
  });
}

void ConvBlock::count(WeightCount &count) const {
  count.add(expand_);
  count.add(output_);
  count.bytes += depthwise_.bytes();
}

}  // namespace tinywase
