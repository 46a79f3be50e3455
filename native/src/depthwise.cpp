#include "depthwise.h"

#include <algorithm>
#include <cstring>

namespace tinywase {
namespace {

constexpr int kMaxKernel = 255;  // as the model file's header has it

}  // namespace

Depthwise::Depthwise(const ModelFile &file, const Kernels &kernels, const std::string &name, int channels, int kernel,
                     int dilation, const ActivationPoint &point, const Norm &norm, float slope)
    : channels_(padded(channels)), kernel_(kernel), dilation_(dilation), slope_(slope), point_(point) {
  const Tensor &tensor = file.tensor(name + ".weight");
  const IntegerWeight integer = IntegerWeight::from(tensor);
  mode_ = input_mode(point, integer, kernel, slope);
  // Silence must have a code of its own.
  if (mode_ == InputMode::integer && (point.zero_point < 0 || point.zero_point > point.top())) mode_ = InputMode::fake_quantized;
  bias_ = load_padded(file, name + ".bias", channels);
  norm_ = mode_ == InputMode::integer ? norm.quantized(point) : norm.copy();
  if (mode_ == InputMode::integer)
    load_integers(integer, channels, kernels.code_offset);
  else
    load_floats(tensor.values(), channels);
}

void Depthwise::load_floats(const std::vector<float> &weight, int channels) {
  weights_ = Buffer<float>(static_cast<size_t>(kernel_) * channels_);
  for (int c = 0; c < channels; c++)
    for (int k = 0; k < kernel_; k++) weights_[static_cast<size_t>(k) * channels_ + c] = weight[static_cast<size_t>(c) * kernel_ + k];
}

void Depthwise::load_integers(const IntegerWeight &weight, int channels, int code_offset) {
  levels_ = Buffer<int16_t>(static_cast<size_t>(kernel_ + 1) / 2 * channels_ * 2);
  start_ = Buffer<int32_t>(channels_);
  scale_ = Buffer<float>(channels_);
  keeps_sums_ = true;
  silence_ = static_cast<uint8_t>(point_.zero_point - code_offset);
  for (int c = 0; c < channels; c++) {
    int sum = 0;
    for (int k = 0; k < kernel_; k++) {
      const int level = weight.levels[static_cast<size_t>(c) * kernel_ + k];
      levels_[(static_cast<size_t>(k / 2) * channels_ + c) * 2 + k % 2] = static_cast<int16_t>(level);
      sum += level;
    }
    keeps_sums_ = keeps_sums_ && sum_fits_16_bits(point_, weight.levels.data() + static_cast<size_t>(c) * kernel_, kernel_);
    start_[c] = -(point_.zero_point - code_offset) * sum;
    scale_[c] = weight.scales[c] * point_.scale;
  }
}

void Depthwise::clear(RowRing &ring) const {
  std::memset(ring.rows, silence_, ring_bytes(ring.channels));
  ring.head = 0;
}

uint8_t *Depthwise::advance(RowRing &ring) const {
  ring.head = ring.head + 1 < ring_rows() ? ring.head + 1 : 0;
  return ring.rows + ring.head * row_bytes(ring);
}

// Where the row `rows` before the newest lies.
int Depthwise::past(const RowRing &ring, int rows) const { return ring.head >= rows ? ring.head - rows : ring.head - rows + ring_rows(); }

void Depthwise::push_silence(RowRing &ring, int rows) const {
  while (rows--) std::memset(advance(ring), silence_, row_bytes(ring));
}

void Depthwise::push(const Kernels &kernels, RowRing &ring, const InputRows &input, int row, int rows,
                     const RowStatistics &statistics) const {
  uint8_t *to[kRowGroup];
  for (int r = 0; r < rows; r++) to[r] = advance(ring);
  const NormRows group = input.from(row, rows, ring.first, ring.channels, norm_, statistics);
  if (mode_ == InputMode::integer) return kernels.quantize_rows(group, point_.top(), to);
  float *floats[kRowGroup];
  for (int r = 0; r < rows; r++) floats[r] = reinterpret_cast<float *>(to[r]);
  kernels.normalize_rows(group, floats);
  if (mode_ == InputMode::fake_quantized)
    for (int r = 0; r < rows; r++) fake_quantize(point_, floats[r], ring.channels);
}

void Depthwise::emit(const Kernels &kernels, const RowRing &ring, int rows, float *out, int16_t *kept, size_t out_stride,
                     float *row_sums) const {
  const uint8_t *taps[kRowGroup * kMaxKernel];
  for (int r = 0; r < rows; r++)
    for (int k = 0; k < kernel_; k++)
      taps[r * kernel_ + k] = ring.rows + past(ring, rows - 1 - r + (kernel_ - 1 - k) * dilation_) * row_bytes(ring);
  const int c = ring.first;
  if (mode_ == InputMode::integer)
    return kernels.depthwise_int8({taps, levels_.data() + 2 * c, start_.data() + c, scale_.data() + c, bias_.data() + c, rows, kernel_,
                                   ring.channels, channels_, slope_, out + c, kept ? kept + c : nullptr, out_stride, row_sums});
  const float *float_taps[kRowGroup * kMaxKernel];
  for (int i = 0; i < rows * kernel_; i++) float_taps[i] = reinterpret_cast<const float *>(taps[i]);
  for (int r = 0; r < rows; r++)
    kernels.depthwise_f32({float_taps + r * kernel_, weights_.data() + c, bias_.data() + c, kernel_, ring.channels, channels_, slope_,
                           out + r * out_stride + c, row_sums + 2 * r});
}

size_t Depthwise::bytes() const {
  return bias_.bytes() + weights_.bytes() + levels_.bytes() + start_.bytes() + scale_.bytes() + 2 * norm_.gain.bytes();
}

}  // namespace tinywase
