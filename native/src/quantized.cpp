#include "quantized.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace tinywase {
namespace {

constexpr int kMaxZeroPoint = 1024;

// The levels as integers, or nothing if they are no small integers.
std::vector<int8_t> integer_levels(const Tensor &tensor) {
  std::vector<int8_t> result;
  for (const float level : tensor.levels()) {
    if (level != std::nearbyint(level) || std::fabs(level) > 127) return {};
    result.push_back(static_cast<int8_t>(level));
  }
  return result;
}

}  // namespace

IntegerWeight IntegerWeight::from(const Tensor &tensor) {
  IntegerWeight result;
  if (tensor.kind() != TensorKind::codes) return result;
  const auto levels = integer_levels(tensor);
  if (levels.empty()) return result;
  for (const int level : levels) result.largest = std::max(result.largest, std::abs(level));
  for (const uint8_t code : tensor.codes()) result.levels.push_back(levels[code]);
  result.scales = tensor.scales();
  if (result.scales.size() == 1) result.scales.assign(tensor.shape()[0], result.scales[0]);
  result.found = true;
  return result;
}

InputMode input_mode(const ActivationPoint &point, const IntegerWeight &weight, int inputs) {
  if (!point.present) return InputMode::plain;
  const int64_t largest_sum = static_cast<int64_t>(inputs) * std::max(weight.largest, 1) * (255 + kMaxZeroPoint);
  const bool fits = point.bits <= 8 && std::abs(point.zero_point) <= kMaxZeroPoint && largest_sum < int64_t{1} << 31;
  return weight.found && fits ? InputMode::integer : InputMode::fake_quantized;
}

void fake_quantize(const ActivationPoint &point, float *x, int count) {
  const float zero = static_cast<float>(point.zero_point), top = static_cast<float>(point.top());
  for (int i = 0; i < count; i++) {
    const float code = std::nearbyint(x[i] / point.scale) + zero;
    x[i] = (std::min(std::max(code, 0.0f), top) - zero) * point.scale;
  }
}

}  // namespace tinywase
