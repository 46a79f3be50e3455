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

// integer where codes fit into a byte and no sum of `inputs` products can leave 32 bits; plain without a point.
InputMode input_mode(const ActivationPoint &point, const IntegerWeight &weight, int inputs);

// x = (clip(rint(x / scale) + zero_point) - zero_point) * scale, in place.
void fake_quantize(const ActivationPoint &point, float *x, int count);

}  // namespace tinywase
