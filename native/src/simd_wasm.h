// Vectors of four floats of WebAssembly. It has no products of bytes: codes and weights are widened to 16 bits, whose products are
// added in pairs. It has no fused multiply-add either, and its conversion to integers takes many instructions on x86: where numbers
// are small, adding 1.5 * 2^23 leaves the nearest integer in the low bits.
#pragma once

#include <wasm_simd128.h>

#include <cstdint>

#include "kernels.h"
#include "range_coder.h"

namespace tinywase {
namespace wasm {

// 2 x 8 sums are 8 accumulators, because every sum is two until the end; browsers on x86 have 16 registers.
constexpr int kPanel = 8, kRows = 4, kIntRows = 2, kGroup = 2, kNormGroup = 1, kCodes = 16, kCodeOffset = 0;

struct F32 {
  static constexpr int width = 4;
  v128_t v;
};

struct I32 {
  v128_t v;
};

inline F32 set(float x) { return {wasm_f32x4_splat(x)}; }
inline F32 load(const float *p) { return {wasm_v128_load(p)}; }
inline void store(float *p, F32 a) { wasm_v128_store(p, a.v); }
inline F32 add(F32 a, F32 b) { return {wasm_f32x4_add(a.v, b.v)}; }
inline F32 sub(F32 a, F32 b) { return {wasm_f32x4_sub(a.v, b.v)}; }
inline F32 mul(F32 a, F32 b) { return {wasm_f32x4_mul(a.v, b.v)}; }
inline F32 div(F32 a, F32 b) { return {wasm_f32x4_div(a.v, b.v)}; }
inline F32 fma(F32 a, F32 b, F32 c) { return add(mul(a, b), c); }
// a < b ? a : b and a > b ? a : b, one instruction on x86: the second where one is NaN.
inline F32 min(F32 a, F32 b) { return {wasm_f32x4_pmin(b.v, a.v)}; }
inline F32 max(F32 a, F32 b) { return {wasm_f32x4_pmax(b.v, a.v)}; }
inline F32 prelu(F32 x, F32 slope) {
  return {wasm_v128_bitselect(wasm_f32x4_mul(x.v, slope.v), x.v, wasm_i32x4_shr(x.v, 31))};
}
inline F32 round(F32 a) { return {wasm_f32x4_nearest(a.v)}; }

constexpr float kRounder = 12582912.0f;       // 1.5 * 2^23, whose
constexpr int32_t kRounderBits = 0x4B400000;  // bits these are
inline v128_t nearest_int(F32 a) { return wasm_i32x4_sub(add(a, set(kRounder)).v, wasm_i32x4_splat(kRounderBits)); }  // |a| < 2^22

inline F32 power_of_two(F32 a) { return {wasm_i32x4_shl(wasm_i32x4_add(nearest_int(a), wasm_i32x4_splat(127)), 23)}; }
inline F32 to_float(I32 a) { return {wasm_f32x4_convert_i32x4(a.v)}; }
inline I32 load(const int32_t *p) { return {wasm_v128_load(p)}; }
inline I32 load_16(const int16_t *p) { return {wasm_i32x4_load16x4(p)}; }
inline void store_16(int16_t *p, I32 a) { wasm_v128_store64_lane(p, wasm_i16x8_narrow_i32x4(a.v, a.v), 0); }
inline float sum(F32 a) {
  const F32 pairs = add(a, {wasm_i32x4_shuffle(a.v, a.v, 2, 3, 0, 1)});
  return wasm_f32x4_extract_lane(pairs.v, 0) + wasm_f32x4_extract_lane(pairs.v, 1);
}

// 16 floats up to 255 -> the nearest bytes, even ones in the middle; below 0 and NaN become 0.
inline void store_codes(const F32 (&v)[kCodes / F32::width], uint8_t *out) {
  v128_t four[4];
  for (int i = 0; i < 4; i++) four[i] = nearest_int(max(v[i], set(0)));
  wasm_v128_store(out, wasm_u8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(four[0], four[1]), wasm_i16x8_narrow_i32x4(four[2], four[3])));
}

// start + the sums over taps of four channels, two taps at a time; see DepthwiseInt8.
template <int Kernel>
struct Taps {
  const DepthwiseInt8 &d;
  int channel;

  Taps(const DepthwiseInt8 &d_in, int channel_in) : d(d_in), channel(channel_in) {}
  I32 sums(const uint8_t *const *taps) const {
    const int kernel = Kernel ? Kernel : d.kernel;
    v128_t total = wasm_v128_load(d.start + channel);
    for (int k = 0; k < kernel; k += 2) {
      const v128_t first = wasm_v128_load32_zero(taps[k] + channel);
      const v128_t second = k + 1 < kernel ? wasm_v128_load32_zero(taps[k + 1] + channel) : first;  // its weights are zero
      const v128_t codes = wasm_i8x16_shuffle(first, second, 0, 16, 1, 17, 2, 18, 3, 19, 4, 4, 4, 4, 4, 4, 4, 4);
      const v128_t weights = wasm_v128_load(d.weights + (static_cast<size_t>(k / 2) * d.weight_channels + channel) * 2);
      total = wasm_i32x4_add(total, wasm_i32x4_dot_i16x8(wasm_u16x8_extend_low_u8x16(codes), weights));
    }
    return {total};
  }
};

// Multiply-adds of bytes, widened before, at the best pace there is: products of registers, nothing else. Returns how many.
// A browser's compiler heeds no empty assembly: codes change at every step, and no two products are alike, so that all are done.
inline int64_t multiply_adds(int64_t steps) {
  v128_t acc[8], codes[2], weights[4];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) acc[i] = wasm_i32x4_splat(i);
  for (int i = 0; i < 2; i++) codes[i] = wasm_i16x8_splat(static_cast<int16_t>(3 + i));
  for (int i = 0; i < 4; i++) weights[i] = wasm_i16x8_splat(static_cast<int16_t>(5 + i));
  for (int64_t step = 0; step < steps; step++) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) acc[i] = wasm_i32x4_add(acc[i], wasm_i32x4_dot_i16x8(codes[i / 4], weights[i % 4]));
    for (int i = 0; i < 2; i++) codes[i] = wasm_v128_xor(codes[i], weights[i]);
  }
#pragma GCC unroll 8
  for (int i = 1; i < 8; i++) acc[0] = wasm_i32x4_add(acc[0], acc[i]);
  [[maybe_unused]] volatile int32_t kept = wasm_i32x4_extract_lane(acc[0], 0);
  return steps * 8 * 8;
}

// An accumulator holds two columns of a row, two sums each: those of the inputs 0, 1 and of 2, 3 of every four.
template <int Rows>
[[gnu::noinline]] void int_tile(const GemmInt8 &g, const uint8_t *input, const int8_t *panel, const int32_t *start, int32_t *out) {
  v128_t acc[Rows][4];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 16
    for (int j = 0; j < 4; j++) acc[r][j] = wasm_i32x4_splat(0);
  for (int k = 0; k < g.depth; k += 4, panel += kPanel * 4) {
    v128_t w[4];
#pragma GCC unroll 16
    for (int j = 0; j < 4; j++) w[j] = wasm_i16x8_load8x8(panel + 8 * j);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      const v128_t codes = wasm_u16x8_extend_low_u8x16(wasm_v128_load32_splat(input + r * g.input_stride + k));
#pragma GCC unroll 16
      for (int j = 0; j < 4; j++) acc[r][j] = wasm_i32x4_add(acc[r][j], wasm_i32x4_dot_i16x8(codes, w[j]));
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 16
    for (int j = 0; j < 4; j += 2) {
      const v128_t even = wasm_i32x4_shuffle(acc[r][j], acc[r][j + 1], 0, 2, 4, 6);
      const v128_t odd = wasm_i32x4_shuffle(acc[r][j], acc[r][j + 1], 1, 3, 5, 7);
      const v128_t sums = wasm_i32x4_add(wasm_i32x4_add(even, odd), wasm_v128_load(start + 2 * j));
      wasm_v128_store(out + r * kPanel + 2 * j, sums);
    }
}

}  // namespace wasm
}  // namespace tinywase
