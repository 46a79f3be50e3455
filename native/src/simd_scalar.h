// Vectors of eight floats in plain C++: what every processor runs, and what the other instruction sets are tested against.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels.h"
#include "range_coder.h"

namespace tinywase {
namespace scalar {

constexpr int kPanel = 16, kRows = 2, kIntRows = 2, kGroup = 1, kNormGroup = 1, kCodes = kLane, kCodeOffset = 0;

struct F32 {
  static constexpr int width = 8;
  float v[width];
};

struct I32 {
  int32_t v[F32::width];
};

template <class Function>
inline F32 each(Function function) {
  F32 result;
  for (int i = 0; i < F32::width; i++) result.v[i] = function(i);
  return result;
}

inline F32 set(float x) { return each([&](int) { return x; }); }
inline F32 load(const float *p) { return each([&](int i) { return p[i]; }); }
inline void store(float *p, F32 a) {
  for (int i = 0; i < F32::width; i++) p[i] = a.v[i];
}
inline F32 add(F32 a, F32 b) { return each([&](int i) { return a.v[i] + b.v[i]; }); }
inline F32 sub(F32 a, F32 b) { return each([&](int i) { return a.v[i] - b.v[i]; }); }
inline F32 mul(F32 a, F32 b) { return each([&](int i) { return a.v[i] * b.v[i]; }); }
inline F32 div(F32 a, F32 b) { return each([&](int i) { return a.v[i] / b.v[i]; }); }
inline F32 fma(F32 a, F32 b, F32 c) { return each([&](int i) { return a.v[i] * b.v[i] + c.v[i]; }); }
inline F32 min(F32 a, F32 b) { return each([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; }); }
inline F32 max(F32 a, F32 b) { return each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; }); }
inline F32 prelu(F32 x, F32 slope) { return each([&](int i) { return std::signbit(x.v[i]) ? x.v[i] * slope.v[i] : x.v[i]; }); }
inline F32 round(F32 a) { return each([&](int i) { return std::nearbyint(a.v[i]); }); }
inline F32 power_of_two(F32 a) { return each([&](int i) { return std::ldexp(1.0f, static_cast<int>(a.v[i])); }); }
inline F32 to_float(I32 a) { return each([&](int i) { return static_cast<float>(a.v[i]); }); }
inline I32 load(const int32_t *p) {
  I32 result;
  for (int i = 0; i < F32::width; i++) result.v[i] = p[i];
  return result;
}
inline I32 load_16(const int16_t *p) {
  I32 result;
  for (int i = 0; i < F32::width; i++) result.v[i] = p[i];
  return result;
}
inline void store_16(int16_t *p, I32 a) {
  for (int i = 0; i < F32::width; i++) p[i] = static_cast<int16_t>(a.v[i]);
}
inline float sum(F32 a) {
  float total = 0;
  for (int i = 0; i < F32::width; i++) total += a.v[i];
  return total;
}

// 32 floats up to 255 -> the nearest bytes, even ones in the middle; below 0 and NaN become 0.
inline void store_codes(const F32 (&v)[kCodes / F32::width], uint8_t *out) {
  for (int i = 0; i < kCodes; i++) {
    const float x = v[i / F32::width].v[i % F32::width];
    out[i] = x > 0 ? static_cast<uint8_t>(std::nearbyint(x)) : uint8_t{0};
  }
}

// start + the sums over taps of eight channels; see DepthwiseInt8.
template <int Kernel>
struct Taps {
  const DepthwiseInt8 &d;
  int channel;

  Taps(const DepthwiseInt8 &d_in, int channel_in) : d(d_in), channel(channel_in) {}
  I32 sums(const uint8_t *const *taps) const {
    I32 total = load(d.start + channel);
    for (int k = 0; k < d.kernel; k++)
      for (int i = 0; i < F32::width; i++)
        total.v[i] += d.weights[(static_cast<size_t>(k / 2) * d.weight_channels + channel + i) * 2 + k % 2] * taps[k][channel + i];
    return total;
  }
};

// Multiply-adds of bytes at the pace of this code: products of registers, nothing else. Returns how many.
inline int64_t multiply_adds(int64_t steps) {
  int32_t acc[16] = {};
  uint8_t codes[16];
  for (int i = 0; i < 16; i++) codes[i] = static_cast<uint8_t>(i);
  for (int64_t step = 0; step < steps; step++) {
    __asm__ volatile("" : : "r"(codes) : "memory");  // so that every step is done
    for (int i = 0; i < 16; i++) acc[i] += codes[i] * static_cast<int8_t>(i - 8);
  }
  __asm__ volatile("" : : "r"(acc) : "memory");
  return steps * 16;
}

template <int Rows>
[[gnu::noinline]] void int_tile(const GemmInt8 &g, const uint8_t *input, const int8_t *panel, const int32_t *start, int32_t *out) {
  for (int r = 0; r < Rows; r++)
    for (int j = 0; j < kPanel; j++) out[r * kPanel + j] = start[j];
  for (int k = 0; k < g.depth; k += 4, panel += kPanel * 4)
    for (int r = 0; r < Rows; r++) {
      const uint8_t *codes = input + r * g.input_stride + k;
      for (int j = 0; j < kPanel; j++)
        for (int i = 0; i < 4; i++) out[r * kPanel + j] += codes[i] * panel[j * 4 + i];
    }
}

}  // namespace scalar
}  // namespace tinywase
