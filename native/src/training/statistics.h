// Mean and deviation of a norm, the same for all frames (global) or of everything up to each frame (cumulative), and what
// reaches them on the way back.
#pragma once

#include <algorithm>
#include <cmath>

#include "vectors.h"

namespace tinywase {
namespace training {
namespace TINYWASE_TRAINING_ISA {

constexpr double kEpsilon = 1e-8;  // of the network (docs/model.md)

// Per frame: a normalized value is x * scale - shift (shift = mean * scale).
struct Statistics {
  float *scale, *shift;  // [frames] each
};

// Two sums over channels for every frame, kept as vectors until all channels are in.
class FrameSums {
 public:
  void begin(int frames) { sums_.assign(static_cast<size_t>(frames) * 32, 0.0f); }
  void add(int frame, Pair first, Pair second) {
    float *at = sums_.data() + static_cast<size_t>(frame) * 32;
    store(at, load(at) + Pair{_mm512_add_ps(first.low, first.high), _mm512_add_ps(second.low, second.high)});
  }
  double first(int frame) const { return _mm512_reduce_add_ps(load(at(frame)).low); }
  double second(int frame) const { return _mm512_reduce_add_ps(load(at(frame)).high); }

 private:
  const float *at(int frame) const { return sums_.data() + static_cast<size_t>(frame) * 32; }
  Vector<float> sums_;
};

// From sums of values and of squares; `keeps` of them is left from one frame to the next (1 if not causal).
inline void finish(const FrameSums &sums, int frames, int channels, bool causal, double keeps, Statistics out) {
  double total = 0, squares = 0, rows = 0;
  auto write = [&](int frame, double count) {
    const double mean = total / count;
    const double scale = 1 / std::sqrt(std::max(0.0, squares / count - mean * mean) + kEpsilon);
    out.scale[frame] = static_cast<float>(scale);
    out.shift[frame] = static_cast<float>(mean * scale);
  };
  for (int f = 0; f < frames; f++) {
    total = total * keeps + sums.first(f);
    squares = squares * keeps + sums.second(f);
    rows = rows * keeps + 1;
    if (causal) write(f, rows * channels);
  }
  if (causal) return;
  write(0, rows * channels);
  std::fill_n(out.scale, frames, out.scale[0]);
  std::fill_n(out.shift, frames, out.shift[0]);
}

// From sums of g (the gradient at the normalized values) and of g times the normalized values: constant[f] + linear[f] * x is
// what the gradient at x gets beside g * scale. With sums S1, S2 of x and x^2 over n values, mean = S1 / n and
// variance = S2 / n - mean^2; a frame contributes to the sums of all frames after it.
inline void finish_backward(const FrameSums &sums, int frames, int channels, bool causal, double keeps, Statistics forward,
                            float *constant, float *linear) {
  const auto rows_at = [&](int f) { return keeps < 1 ? (1 - std::pow(keeps, f + 1)) / (1 - keeps) : f + 1.0; };
  double to_first = 0, to_second = 0;
  for (int f = frames - 1; f >= 0; f--) {
    const double scale = forward.scale[f], mean = forward.shift[f] / scale;
    const double count = rows_at(causal ? f : frames - 1) * channels;
    const double to_mean = -scale * sums.first(f), to_variance = -0.5 * scale * scale * sums.second(f);
    to_first = to_first * keeps + (to_mean - 2 * mean * to_variance) / count;
    to_second = to_second * keeps + to_variance / count;
    constant[f] = static_cast<float>(to_first);
    linear[f] = static_cast<float>(2 * to_second);
  }
  if (causal) return;
  std::fill_n(constant, frames, constant[0]);
  std::fill_n(linear, frames, linear[0]);
}

}  // namespace TINYWASE_TRAINING_ISA
}  // namespace training
}  // namespace tinywase
