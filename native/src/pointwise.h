// 1x1 convolutions, and every other product of a row with a matrix: encoder, decoder, the gates of an LSTM.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "norm.h"
#include "quantized.h"

namespace tinywase {

// Weights of some outputs, before packing.
struct Columns {
  int outputs = 0;
  std::vector<float> weight;     // [outputs, inputs], or as
  std::optional<Tensor> tensor;  // the file has it
  std::vector<float> bias;       // [outputs]
  IntegerWeight integer;         // where the tensor is quantized so

  static Columns load(const ModelFile &file, const std::string &name, int outputs);  // name.weight, name.bias
  std::vector<float> floats() && { return tensor ? tensor->values() : std::move(weight); }
};

// Rows of a layer's input: float32, or the kept sums of the layer before it.
struct InputRows {
  InputRows(const float *input_in, size_t stride_in) : input(input_in), stride(stride_in) {}
  InputRows(const Kept &kept_in, size_t stride_in, const Lines &lines_in = {}) : kept(kept_in), stride(stride_in), lines(lines_in) {}

  const float *input = nullptr;
  Kept kept;
  size_t stride;  // in elements
  Lines lines;    // of the norm that follows, instead of its statistics

  // Rows from `row` on, for a row kernel; of their channels those from `first` on.
  NormRows from(int row, int rows, int first, int channels, const Norm &norm, const RowStatistics &statistics) const;
};

// Packed weights of one or several convolutions of the same input: each one's outputs begin at a multiple of kLane.
class Pointwise {
 public:
  Pointwise() = default;
  // `norm`: the input is this norm's output, and run() takes the norm's input and statistics. `slope`: of the PReLU after it.
  Pointwise(const Kernels &kernels, std::vector<Columns> parts, int inputs, const ActivationPoint &point = {},
            const Norm *norm = nullptr, float slope = 0);

  // At most kTileFrames rows; output says where to and what happens on the way (its bias and scale are set here).
  // `scratch` holds scratch_bytes(). Quantized input needs rows of padded(inputs) elements; kept sums need InputMode::integer.
  void run(const Kernels &kernels, const InputRows &input, int rows, GemmOutput output, uint8_t *scratch,
           const RowStatistics &statistics = {}, Ahead ahead = {}, Ahead more_ahead = {}) const;

  size_t scratch_bytes() const { return static_cast<size_t>(kTileFrames) * padded(inputs_) * sizeof(float); }
  int columns() const { return columns_; }
  InputMode mode() const { return mode_; }
  // Whether Epilogue::keep_sums may be asked for; what its sums stand for, with the epilogue's slope.
  bool keeps_sums() const { return keeps_sums_; }
  Kept kept(const int16_t *sums, float slope) const { return {sums, scale_.data(), bias_.data(), slope}; }
  const Norm &norm() const { return norm_; }  // before the convolution, with its quantizer
  size_t bytes() const;

 private:
  void pack_floats(const std::vector<float> &weights, int first, int outputs, int panel, const Norm *norm);
  void pack_integers(const Columns &part, int first, const Kernels &kernels);
  void quantize(const Kernels &kernels, const InputRows &input, int rows, uint8_t *codes, const RowStatistics &statistics) const;
  const float *fake_quantized(const Kernels &kernels, const InputRows &input, int rows, uint8_t *scratch,
                              const RowStatistics &statistics) const;

  InputMode mode_ = InputMode::plain;
  bool through_norm_ = false, keeps_sums_ = false;
  int inputs_ = 0, columns_ = 0, flush_ = 0;
  ActivationPoint point_;
  Norm norm_;                  // plain: unused, its gain and bias are folded into the weights
  Buffer<float> bias_;         // [columns]
  Buffer<float> panels_;       // float weights, [columns / panel][inputs][panel]
  Buffer<float> weight_sum_;   // [columns], of weights with a folded norm
  Buffer<int8_t> levels_;      // integer weights, [columns / panel][padded(inputs) / 4][panel][4]
  Buffer<int32_t> start_;      // [columns]
  Buffer<float> scale_;        // [columns]
};

}  // namespace tinywase
