// Quantized numbers as the layers see them: weights whose levels are small integers, and activations at a point.
#pragma once

#include <cstdint>
#include <vector>

#include "model_file.h"

namespace tinywase {

// How a layer's input is treated.
enum class InputMode {
  plain,           // float32 as it comes
  fake_quantized,  // float32, rounded to the point's steps: any weights, slow
  integer,         // codes times integer levels
};

// weight = level * scale of its output, with levels that fit into a signed byte.
struct IntegerWeight {
  bool found = false;
  std::vector<int8_t> levels;  // [outputs, inputs]
  std::vector<float> scales;   // [outputs]
  int largest = 0;             // magnitude of a level

  static IntegerWeight from(const Tensor &tensor);
};

// integer where codes fit into a byte, no sum of `inputs` products can leave 32 bits and the PReLU that follows is one that the
// integer kernels have; plain without a point.
InputMode input_mode(const ActivationPoint &point, const IntegerWeight &weight, int inputs, float slope);

// How many steps of four inputs 16-bit sums of two products each hold whatever the codes are (0..top), for packed weights
// [columns / panel][depth / 4][panel][4]; 0 if not even one.
int steps_in_16_bits(const int8_t *panels, int depth, int columns, int panel, int top);

// Whether `level` times any code of the point, less its zero point, added up over [inputs] levels, stays within 16 bits.
bool sum_fits_16_bits(const ActivationPoint &point, const int8_t *levels, int inputs);

// x = (clip(rint(x / scale) + zero_point) - zero_point) * scale, in place.
void fake_quantize(const ActivationPoint &point, float *x, int count);

}  // namespace tinywase
