#include "pointwise.h"

#include <algorithm>

namespace tinywase {

Columns Columns::load(const ModelFile &file, const std::string &name, int outputs) {
  const Tensor &weight = file.tensor(name + ".weight");
  return {outputs, weight.values(), file.tensor(name + ".bias").values(), IntegerWeight::from(weight)};
}

Pointwise::Pointwise(const Kernels &kernels, std::vector<Columns> parts, int inputs, const ActivationPoint &point,
                     const Norm *norm)
    : mode_(point.present ? InputMode::integer : InputMode::plain), through_norm_(norm), inputs_(inputs), point_(point) {
  int largest = 1;
  for (const Columns &part : parts) {
    columns_ += padded(part.outputs);
    largest = std::max(largest, part.integer.largest);
    if (mode_ == InputMode::integer) mode_ = input_mode(point, part.integer, inputs);
  }
  // One multiply-add of a pair of codes is at most 2 * 255 * largest, and 16 bits hold 32767.
  flush_ = 32767 / (2 * 255 * largest);
  bias_ = Buffer<float>(columns_);
  if (mode_ == InputMode::integer) {
    levels_ = Buffer<int8_t>(static_cast<size_t>(padded(inputs)) * columns_);
    start_ = Buffer<int32_t>(columns_);
    scale_ = Buffer<float>(columns_);
  } else {
    panels_ = Buffer<float>(static_cast<size_t>(inputs) * columns_);
    weight_sum_ = Buffer<float>(columns_);
  }
  int first = 0;
  for (const Columns &part : parts) {
    std::copy(part.bias.begin(), part.bias.end(), bias_.data() + first);
    if (mode_ == InputMode::integer)
      pack_integers(part, first, kernels);
    else
      pack_floats(part, first, kernels.panel, mode_ == InputMode::plain ? norm : nullptr);
    first += padded(part.outputs);
  }
  if (mode_ == InputMode::plain) return;
  const Norm none = Norm::identity(inputs);
  const Norm &input_norm = norm ? *norm : none;
  norm_ = mode_ == InputMode::integer ? input_norm.quantized(point) : input_norm.copy();
}

void Pointwise::pack_floats(const Columns &part, int first, int panel, const Norm *norm) {
  for (int o = 0; o < part.outputs; o++) {
    const int column = first + o;
    float *to = panels_.data() + static_cast<size_t>(column / panel * panel) * inputs_ + column % panel;
    const float *weight = part.weight.data() + static_cast<size_t>(o) * inputs_;
    double sum = 0, from_bias = 0;
    for (int k = 0; k < inputs_; k++) {
      const float w = norm ? weight[k] * norm->gain[k] : weight[k];
      to[static_cast<size_t>(k) * panel] = w;
      sum += w;
      if (norm) from_bias += static_cast<double>(weight[k]) * norm->bias[k];
    }
    weight_sum_[column] = static_cast<float>(sum);
    bias_[column] += static_cast<float>(from_bias);
  }
}

void Pointwise::pack_integers(const Columns &part, int first, const Kernels &kernels) {
  const int panel = kernels.panel;
  for (int o = 0; o < part.outputs; o++) {
    const int column = first + o;
    int8_t *to = levels_.data() + static_cast<size_t>(column / panel * panel) * padded(inputs_) + column % panel * 4;
    const int8_t *level = part.integer.levels.data() + static_cast<size_t>(o) * inputs_;
    int sum = 0;
    for (int k = 0; k < inputs_; k++) {
      to[static_cast<size_t>(k / 4) * panel * 4 + k % 4] = level[k];
      sum += level[k];
    }
    start_[column] = -(point_.zero_point - kernels.code_offset) * sum;
    scale_[column] = part.integer.scales[o] * point_.scale;
  }
}

NormRow Pointwise::norm_row(const float *row, const RowStatistics *statistics, int index) const {
  const float gain = statistics ? statistics->gain[index] : 1, shift = statistics ? statistics->shift[index] : 0;
  return {row, gain, shift, norm_.gain.data(), norm_.bias.data(), padded(inputs_)};
}

void Pointwise::run(const Kernels &kernels, const float *input, size_t input_stride, int rows, GemmOutput output,
                    uint8_t *scratch, const RowStatistics *statistics) const {
  output.bias = bias_.data();
  if (mode_ == InputMode::integer) return run_integers(kernels, input, input_stride, rows, output, scratch, statistics);
  GemmF32 gemm;
  if (mode_ == InputMode::fake_quantized) {
    gemm.input = fake_quantized(kernels, input, input_stride, rows, scratch, statistics);
    gemm.input_stride = padded(inputs_);
  } else {
    gemm.input = input;
    gemm.input_stride = input_stride;
    if (through_norm_) {
      output.row_gain = statistics->gain;
      output.row_shift = statistics->shift;
      output.weight_sum = weight_sum_.data();
    }
  }
  gemm.panels = panels_.data();
  gemm.rows = rows;
  gemm.depth = inputs_;
  gemm.columns = columns_;
  gemm.output = output;
  kernels.gemm_f32(gemm);
}

void Pointwise::run_integers(const Kernels &kernels, const float *input, size_t input_stride, int rows, GemmOutput output,
                             uint8_t *scratch, const RowStatistics *statistics) const {
  const size_t stride = padded(inputs_);
  for (int row = 0; row < rows; row++)
    kernels.quantize_row(norm_row(input + row * input_stride, statistics, row), point_.top(), scratch + row * stride);
  output.scale = scale_.data();
  GemmInt8 gemm;
  gemm.input = scratch;
  gemm.input_stride = stride;
  gemm.panels = levels_.data();
  gemm.start = start_.data();
  gemm.rows = rows;
  gemm.depth = static_cast<int>(stride);
  gemm.columns = columns_;
  gemm.flush = flush_;
  gemm.output = output;
  kernels.gemm_int8(gemm);
}

const float *Pointwise::fake_quantized(const Kernels &kernels, const float *input, size_t input_stride, int rows,
                                       uint8_t *scratch, const RowStatistics *statistics) const {
  float *result = reinterpret_cast<float *>(scratch);
  for (int row = 0; row < rows; row++) {
    float *to = result + static_cast<size_t>(row) * padded(inputs_);
    kernels.normalize_row(norm_row(input + row * input_stride, statistics, row), to);
    fake_quantize(point_, to, inputs_);
  }
  return result;
}

size_t Pointwise::bytes() const {
  return bias_.bytes() + panels_.bytes() + weight_sum_.bytes() + levels_.bytes() + start_.bytes() + scale_.bytes();
}

}  // namespace tinywase
