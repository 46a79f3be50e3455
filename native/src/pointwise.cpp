#include "pointwise.h"

#include <algorithm>

namespace tinywase {

Columns Columns::load(const ModelFile &file, const std::string &name, int outputs) {
  Tensor weight = file.tensor(name + ".weight");
  IntegerWeight integer = IntegerWeight::from(weight);
  return {outputs, {}, std::move(weight), file.tensor(name + ".bias").values(), std::move(integer)};
}

Pointwise::Pointwise(const Kernels &kernels, std::vector<Columns> parts, int inputs, const ActivationPoint &point,
                     const Norm *norm, float slope)
    : mode_(point.present ? InputMode::integer : InputMode::plain), through_norm_(norm), inputs_(inputs), point_(point) {
  for (const Columns &part : parts) {
    columns_ += padded(part.outputs);
    if (mode_ == InputMode::integer) mode_ = input_mode(point, part.integer, inputs, slope);
  }
  bias_ = Buffer<float>(columns_);
  if (mode_ == InputMode::integer) {
    keeps_sums_ = true;
    levels_ = Buffer<int8_t>(static_cast<size_t>(padded(inputs)) * columns_);
    start_ = Buffer<int32_t>(columns_);
    scale_ = Buffer<float>(columns_);
  } else {
    panels_ = Buffer<float>(static_cast<size_t>(inputs) * columns_);
    weight_sum_ = Buffer<float>(columns_);
  }
  int first = 0;
  for (Columns &part : parts) {
    std::copy(part.bias.begin(), part.bias.end(), bias_.data() + first);
    if (mode_ == InputMode::integer)
      pack_integers(part, first, kernels);
    else
      pack_floats(std::move(part).floats(), first, part.outputs, kernels.panel, mode_ == InputMode::plain ? norm : nullptr);
    first += padded(part.outputs);
  }
  if (mode_ == InputMode::plain) return;
  if (mode_ == InputMode::integer) {
    const int largest = std::max(point.top(), kernels.code_offset);  // of the codes as they are stored, either side of 0
    flush_ = steps_in_16_bits(levels_.data(), padded(inputs), columns_, kernels.panel, largest);
  }
  const Norm none = Norm::identity(inputs);
  const Norm &input_norm = norm ? *norm : none;
  norm_ = mode_ == InputMode::integer ? input_norm.quantized(point) : input_norm.copy();
}

void Pointwise::pack_floats(const std::vector<float> &weights, int first, int outputs, int panel, const Norm *norm) {
  for (int o = 0; o < outputs; o++) {
    const int column = first + o;
    float *to = panels_.data() + static_cast<size_t>(column / panel * panel) * inputs_ + column % panel;
    const float *weight = weights.data() + static_cast<size_t>(o) * inputs_;
    if (!norm) {
      for (int k = 0; k < inputs_; k++) to[static_cast<size_t>(k) * panel] = weight[k];
      continue;
    }
    double sum = 0, from_bias = 0;
    for (int k = 0; k < inputs_; k++) {
      const float w = weight[k] * norm->gain[k];
      to[static_cast<size_t>(k) * panel] = w;
      sum += w;
      from_bias += static_cast<double>(weight[k]) * norm->bias[k];
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
    keeps_sums_ = keeps_sums_ && sum_fits_16_bits(point_, level, inputs_);
  }
}

NormRows InputRows::from(int row, int rows, int first, int channels, const Norm &norm, const RowStatistics &statistics) const {
  NormRows result;
  if (kept.sums) {
    result.kept = kept;
    result.kept.sums += row * stride + first;
    result.kept.scale += first;
    result.kept.bias += first;
  } else {
    result.input = input + row * stride + first;
  }
  result.stride = stride;
  result.rows = rows;
  result.channels = channels;
  result.row_gain = statistics.gain + row;
  result.row_shift = statistics.shift + row;
  result.gain = norm.gain.data() + first;
  result.bias = norm.bias.data() + first;
  if (lines.above_scale)
    result.lines = {lines.above_scale + first, lines.above_bias + first, lines.below_scale + first, lines.below_bias + first};
  return result;
}

void Pointwise::run(const Kernels &kernels, const InputRows &input, int rows, GemmOutput output, uint8_t *scratch,
                    const RowStatistics &statistics, Ahead ahead, Ahead more_ahead) const {
  output.bias = bias_.data();
  if (mode_ == InputMode::integer) {
    quantize(kernels, input, rows, scratch, statistics);
    output.scale = scale_.data();
    return kernels.gemm_int8({scratch, static_cast<size_t>(padded(inputs_)), levels_.data(), start_.data(), rows, padded(inputs_), columns_,
                              flush_, {ahead, more_ahead}, output});
  }
  GemmF32 gemm;
  if (mode_ == InputMode::fake_quantized) {
    gemm.input = fake_quantized(kernels, input, rows, scratch, statistics);
    gemm.input_stride = padded(inputs_);
  } else {
    gemm.input = input.input;
    gemm.input_stride = input.stride;
    if (through_norm_) {
      output.row_gain = statistics.gain;
      output.row_shift = statistics.shift;
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

void Pointwise::quantize(const Kernels &kernels, const InputRows &input, int rows, uint8_t *codes,
                         const RowStatistics &statistics) const {
  const size_t stride = padded(inputs_);
  for (int row = 0; row < rows; row += kRowGroup) {
    uint8_t *to[kRowGroup];
    for (int r = 0; r < kRowGroup; r++) to[r] = codes + (row + r) * stride;
    const NormRows group = input.from(row, std::min(kRowGroup, rows - row), 0, static_cast<int>(stride), norm_, statistics);
    kernels.quantize_rows(group, point_.top(), to);
  }
}

const float *Pointwise::fake_quantized(const Kernels &kernels, const InputRows &input, int rows, uint8_t *scratch,
                                       const RowStatistics &statistics) const {
  float *result = reinterpret_cast<float *>(scratch);
  for (int row = 0; row < rows; row++) {
    float *to = result + static_cast<size_t>(row) * padded(inputs_);
    kernels.normalize_rows(input.from(row, 1, 0, padded(inputs_), norm_, statistics), &to);
    fake_quantize(point_, to, inputs_);
  }
  return result;
}

size_t Pointwise::bytes() const {
  return bias_.bytes() + panels_.bytes() + weight_sum_.bytes() + levels_.bytes() + start_.bytes() + scale_.bytes();
}

}  // namespace tinywase
