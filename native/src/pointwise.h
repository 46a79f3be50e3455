// 1x1 convolutions, and every other product of a row with a matrix: encoder, decoder, the gates of an LSTM.
#pragma once

#include <string>
#include <vector>

#include "norm.h"
#include "quantized.h"

namespace tinywase {

// Weights of some outputs, before packing.
struct Columns {
  int outputs = 0;
  std::vector<float> weight;  // [outputs, inputs]
  std::vector<float> bias;    // [outputs]
  IntegerWeight integer;      // where the tensor is quantized so

  static Columns load(const ModelFile &file, const std::string &name, int outputs);  // name.weight, name.bias
};

// Packed weights of one or several convolutions of the same input: each one's outputs begin at a multiple of kLane.
class Pointwise {
 public:
  Pointwise() = default;
  // `norm`: the input is this norm's output, and run() takes the norm's input and statistics.
  Pointwise(const Kernels &kernels, std::vector<Columns> parts, int inputs, const ActivationPoint &point = {},
            const Norm *norm = nullptr);

  // At most kTileFrames rows; output says where to and what happens on the way (its bias and scale are set here).
  // `scratch` holds scratch_bytes(). Quantized input needs rows of padded(inputs) floats.
  void run(const Kernels &kernels, const float *input, size_t input_stride, int rows, GemmOutput output, uint8_t *scratch,
           const RowStatistics *statistics = nullptr) const;

  size_t scratch_bytes() const { return static_cast<size_t>(kTileFrames) * padded(inputs_) * sizeof(float); }
  int columns() const { return columns_; }
  InputMode mode() const { return mode_; }
  size_t bytes() const;

 private:
  void pack_floats(const Columns &part, int first, int panel, const Norm *norm);
  void pack_integers(const Columns &part, int first, const Kernels &kernels);
  void run_integers(const Kernels &kernels, const float *input, size_t input_stride, int rows, GemmOutput output,
                    uint8_t *scratch, const RowStatistics *statistics) const;
  const float *fake_quantized(const Kernels &kernels, const float *input, size_t input_stride, int rows, uint8_t *scratch,
                              const RowStatistics *statistics) const;
  NormRow norm_row(const float *row, const RowStatistics *statistics, int index) const;

  InputMode mode_ = InputMode::plain;
  bool through_norm_ = false;
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
