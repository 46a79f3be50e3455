#include "quantized.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "kernels.h"

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
  result.levels.resize(tensor.codes().size());
  std::transform(tensor.codes().begin(), tensor.codes().end(), result.levels.begin(), [&](uint8_t code) { return levels[code]; });
  result.scales = tensor.scales();
  if (result.scales.size() == 1) result.scales.resize(tensor.shape()[0], float{result.scales[0]});  // a copy: no reference into itself
  result.found = true;
  return result;
}

InputMode input_mode(const ActivationPoint &point, const IntegerWeight &weight, int inputs, float slope) {
  if (!point.present) return InputMode::plain;
  const int64_t largest_sum = static_cast<int64_t>(inputs) * std::max(weight.largest, 1) * (255 + kMaxZeroPoint);
  const bool fits = point.bits <= 8 && slope <= kMostIntegerSlope && std::abs(point.zero_point) <= kMaxZeroPoint && largest_sum < int64_t{1} << 31;
  return weight.found && fits ? InputMode::integer : InputMode::fake_quantized;
}

namespace {

// The first column of the first panel in which sums that begin anew every `steps` steps leave 16 bits; panels are looked at from the
// one at `column` on, around. None: `columns`. Positive and negative weights of a lane are counted apart, because codes may be 0
// wherever the other sign is.
int column_beyond_16_bits(const int8_t *panels, int depth, int columns, int panel, int top, int steps, int column) {
  const int lanes = 2 * panel, limit = 32767 / top;
  std::vector<int> above(lanes), below(lanes);
  for (int seen = 0; seen < columns; seen += panel, column = column + panel < columns ? column + panel : 0) {
    const int8_t *at = panels + static_cast<size_t>(column) * depth;
    for (int step = 0; step < depth / 4; step++, at += 2 * lanes) {
      if (step % steps == 0) {
        std::fill(above.begin(), above.end(), 0);
        std::fill(below.begin(), below.end(), 0);
      }
      int most = 0;
      for (int lane = 0; lane < lanes; lane++) {
        const int first = at[2 * lane], second = at[2 * lane + 1];
        above[lane] += std::max(first, 0) + std::max(second, 0);
        below[lane] -= std::min(first, 0) + std::min(second, 0);
        most = std::max(most, std::max(above[lane], below[lane]));
      }
      if (most > limit) return column;
    }
  }
  return columns;
}

}  // namespace

int steps_in_16_bits(const int8_t *panels, int depth, int columns, int panel, int top) {
  const int all = depth / 4;
  int beyond = 0;  // the panel that failed last most likely fails again
  const auto fit = [&](int steps) {
    const int found = column_beyond_16_bits(panels, depth, columns, panel, top, steps, beyond);
    if (found < columns) beyond = found;
    return found == columns;
  };
  if (!fit(1)) return 0;
  for (int pieces = 1, steps = all; steps > 1; pieces++) {
    if (fit(steps)) return steps;
    const int next = (all + pieces) / (pieces + 1);
    steps = next < steps ? next : steps - 1;
  }
  return 1;
}

bool sum_fits_16_bits(const ActivationPoint &point, const int8_t *levels, int inputs) {
  const int lowest = -point.zero_point, highest = point.top() - point.zero_point;
  int64_t least = 0, most = 0;
  for (int k = 0; k < inputs; k++) {
    least += std::min(levels[k] * lowest, levels[k] * highest);
    most += std::max(levels[k] * lowest, levels[k] * highest);
  }
  return least >= -32768 && most <= 32767;
}

void fake_quantize(const ActivationPoint &point, float *x, int count) {
  const float zero = static_cast<float>(point.zero_point), top = static_cast<float>(point.top());
  for (int i = 0; i < count; i++) {
    const float code = std::nearbyint(x[i] / point.scale) + zero;
    x[i] = (std::min(std::max(code, 0.0f), top) - zero) * point.scale;
  }
}

}  // namespace tinywase
