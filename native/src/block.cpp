#include "block.h"

#include <algorithm>

namespace tinywase {
namespace {

constexpr int kFetchedRows = 16;  // how far ahead of the convolution memory is fetched

void fetch(const void *memory, size_t bytes) {
  const char *begin = static_cast<const char *>(memory);
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

NormSums ConvBlock::expand(const Kernels &kernels, const float *x, Tile tile, const Workspace &work, Tile next,
                           const float *skips) const {
  GemmOutput output;
  output.kind = keeps_ ? Epilogue::keep_sums : Epilogue::prelu_sums;
  output.slope = expand_slope_;
  output.out = floats(work, tile.first);
  output.kept = sums(work, tile.first);
  output.out_stride = row_elements(work);
  output.row_sums = work.row_sums;
  const size_t ahead = next.first * x_stride_, bytes = next.rows * x_stride_ * sizeof(float);
  expand_.run(kernels, {x + tile.first * x_stride_, x_stride_}, tile.rows, output, work.scratch, {}, {x + ahead, bytes},
              {skips + ahead, skips ? bytes : 0});
  NormSums result;
  for (int row = 0; row < tile.rows; row++) result.add(work.row_sums + 2 * row);
  return result;
}

void ConvBlock::add_outputs(const Kernels &kernels, Tile tile, const ClipNorm &norm, float *x, float *skips,
                            const Workspace &work, Tile next) const {
  GemmOutput output;
  output.kind = Epilogue::accumulate;
  output.out = x + tile.first * x_stride_;
  output.second = skips + tile.first * x_stride_;
  output.out_stride = output.split = x_stride_;
  const InputRows input = keeps_ ? InputRows(depthwise_.kept(sums(work, tile.first)), row_elements(work), norm.lines)
                                 : InputRows(floats(work, tile.first), row_elements(work));
  output_.run(kernels, input, tile.rows, output, work.scratch, norm.statistics,
              {work.hidden + next.first * work.row_bytes, next.rows * work.row_bytes});
}

// What expand() left, from a frame on.
InputRows ConvBlock::expanded(const Workspace &work, int frame, const Lines &lines) const {
  if (keeps_) return {expand_.kept(sums(work, frame), expand_slope_), row_elements(work), lines};
  return {floats(work, frame), row_elements(work)};
}

void ConvBlock::emit(const Kernels &kernels, const RowRing &ring, int frame, int rows, float *row_sums,
                     const Workspace &work) const {
  depthwise_.emit(kernels, ring, rows, floats(work, frame), keeps_ ? sums(work, frame) : nullptr, row_elements(work), row_sums);
}

void ConvBlock::run_chunk(const Kernels &kernels, float *x, float *skips, int rows, BlockMemory &memory,
                          const Workspace &work) const {
  const Tile all{0, rows};
  expand(kernels, x, all, work);
  RowStatistics statistics;
  for (int row = 0; row < rows; row++) {
    memory.expand.add(work.row_sums + 2 * row, memory.norm_keeps);
    memory.expand.statistics(hidden_, &statistics.gain[row], &statistics.shift[row]);
  }
  for (int row = 0; row < rows; row += kRowGroup) {
    const int group = std::min(kRowGroup, rows - row);
    depthwise_.push(kernels, memory.past, expanded(work, 0), row, group, statistics);
    emit(kernels, memory.past, row, group, work.row_sums + 2 * row, work);
  }
  for (int row = 0; row < rows; row++) {
    memory.depthwise.add(work.row_sums + 2 * row, memory.norm_keeps);
    memory.depthwise.statistics(hidden_, &statistics.gain[row], &statistics.shift[row]);
  }
  add_outputs(kernels, all, {statistics, {}}, x, skips, work);
}

NormSums ConvBlock::convolve(const Kernels &kernels, int part, int frames, const ClipNorm &norm, const Workspace &work) const {
  const int first_channel = part * kPartChannels;
  RowRing ring{work.ring, first_channel, std::min<int>(kPartChannels, hidden_stride_ - first_channel)};
  const size_t element = keeps_ ? sizeof(int16_t) : sizeof(float);
  const uint8_t *ahead = work.hidden + first_channel * element;
  depthwise_.clear(ring);
  // In place: the rows that overwrite others come `side` rows after these are in the ring. The first `side` rows only fill it.
  const int side = depthwise_.side();
  NormSums result;
  const auto step = [&](int frame, int rows) {
    const int heard = std::clamp(frames - frame, 0, rows);
    if (heard) depthwise_.push(kernels, ring, expanded(work, frame, norm.lines), 0, heard, norm.statistics);
    depthwise_.push_silence(ring, rows - heard);
  };
  for (int frame = 0; frame < side; frame += kRowGroup) step(frame, std::min(kRowGroup, side - frame));
  for (int frame = 0; frame < frames; frame += kRowGroup) {
    const int rows = std::min(kRowGroup, frames - frame);
    if (const int far = frame + side + kFetchedRows; far + kRowGroup <= frames)
      for (int row = far; row < far + kRowGroup; row++) fetch(ahead + row * work.row_bytes, ring.channels * element);
    float row_sums[2 * kRowGroup];
    step(frame + side, rows);
    emit(kernels, ring, frame, rows, row_sums, work);
    for (int row = 0; row < rows; row++) result.add(row_sums + 2 * row);
  }
  return result;
}

ClipNorm ConvBlock::expanded_norm(const NormSums &sums, float *memory) const {
  const RowStatistics statistics(sums, hidden_);
  if (!keeps_) return {statistics, {}};
  return {statistics, depthwise_.norm().lines(expand_.kept(nullptr, expand_slope_), statistics, memory)};
}

ClipNorm ConvBlock::convolved_norm(const NormSums &sums, float *memory) const {
  const RowStatistics statistics(sums, hidden_);
  if (!keeps_) return {statistics, {}};
  return {statistics, output_.norm().lines(depthwise_.kept(nullptr), statistics, memory)};
}

void ConvBlock::run_clip(const Kernels &kernels, float *x, float *skips, int frames, const Workspace &work) const {
  NormSums expanded, convolved;
  Buffer<float> lines(4 * hidden_stride_);
  for (int tile = 0; tile < tile_count(frames); tile++) expanded.add(expand(kernels, x, tile_of(tile, frames), work));
  const ClipNorm expanded_norm = this->expanded_norm(expanded, lines.data());
  for (int part = 0; part < parts(); part++) convolved.add_channels(convolve(kernels, part, frames, expanded_norm, work));
  convolved.rows = frames;
  const ClipNorm convolved_norm = this->convolved_norm(convolved, lines.data());
  for (int tile = 0; tile < tile_count(frames); tile++) add_outputs(kernels, tile_of(tile, frames), convolved_norm, x, skips, work);
}

void ConvBlock::count(WeightCount &count) const {
  count.add(expand_);
  count.add(output_);
  count.bytes += depthwise_.bytes();
}

}  // namespace tinywase
