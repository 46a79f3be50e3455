#include "depthwise.h"

#include <cstring>

namespace tinywase {

Depthwise::Depthwise(const ModelFile &file, const Kernels &kernels, const std::string &name, int channels, int kernel,
                     int dilation, const ActivationPoint &point, const Norm &norm, float slope)
    : channels_(padded(channels)), kernel_(kernel), dilation_(dilation), slope_(slope), point_(point) {
  const Tensor &tensor = file.tensor(name + ".weight");
  const IntegerWeight integer = IntegerWeight::from(tensor);
  mode_ = input_mode(point, integer, kernel);
  // Silence must have a code of its own.
  if (mode_ == InputMode::integer && (point.zero_point < 0 || point.zero_point > point.top())) mode_ = InputMode::fake_quantized;
  bias_ = load_padded(file, name + ".bias", channels);
  norm_ = mode_ == InputMode::integer ? norm.quantized(point) : norm.copy();
  row_bytes_ = static_cast<size_t>(channels_) * (mode_ == InputMode::integer ? 1 : sizeof(float));
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
  silence_ = static_cast<uint8_t>(point_.zero_point - code_offset);
  for (int c = 0; c < channels; c++) {
    int sum = 0;
    for (int k = 0; k < kernel_; k++) {
      const int level = weight.levels[static_cast<size_t>(c) * kernel_ + k];
      levels_[(static_cast<size_t>(k / 2) * channels_ + c) * 2 + k % 2] = static_cast<int16_t>(level);
      sum += level;
    }
    start_[c] = -(point_.zero_point - code_offset) * sum;
    scale_[c] = weight.scales[c] * point_.scale;
  }
}

void Depthwise::clear(RowRing &ring) const {
  std::memset(ring.rows, silence_, ring_bytes());
  ring.head = 0;
}

uint8_t *Depthwise::advance(RowRing &ring) const {
  ring.head = ring.head + 1 < ring_rows() ? ring.head + 1 : 0;
  return ring.rows + ring.head * row_bytes_;
}

void Depthwise::push_silence(RowRing &ring) const { std::memset(advance(ring), silence_, row_bytes_); }

void Depthwise::push(const Kernels &kernels, RowRing &ring, const float *row, float gain, float shift) const {
  const NormRow norm{row, gain, shift, norm_.gain.data(), norm_.bias.data(), channels_};
  uint8_t *to = advance(ring);
  if (mode_ == InputMode::integer) return kernels.quantize_row(norm, point_.top(), to);
  kernels.normalize_row(norm, reinterpret_cast<float *>(to));
  if (mode_ == InputMode::fake_quantized) fake_quantize(point_, reinterpret_cast<float *>(to), channels_);
}

void Depthwise::emit(const Kernels &kernels, const RowRing &ring, float *out, float *row_sums) const {
  const uint8_t *taps[256];  // kernels have at most 255
  int row = ring.head + 1 < ring_rows() ? ring.head + 1 : 0;  // the oldest
  for (int k = 0; k < kernel_; k++) {
    taps[k] = ring.rows + row * row_bytes_;
    row += dilation_;
    if (row >= ring_rows()) row -= ring_rows();
  }
  if (mode_ == InputMode::integer)
    return kernels.depthwise_int8({taps, levels_.data(), start_.data(), scale_.data(), bias_.data(), kernel_, channels_, slope_,
                                   out, row_sums});
  const float *float_taps[256];
  for (int k = 0; k < kernel_; k++) float_taps[k] = reinterpret_cast<const float *>(taps[k]);
  kernels.depthwise_f32({float_taps, weights_.data(), bias_.data(), kernel_, channels_, slope_, out, row_sums});
}

size_t Depthwise::bytes() const {
  return bias_.bytes() + weights_.bytes() + levels_.bytes() + start_.bytes() + scale_.bytes() + 2 * norm_.gain.bytes();
}

}  // namespace tinywase
