// Vectors of four floats with NEON as every Armv8 processor has it (Raspberry Pi 3, 4 and Zero 2). The products are signed by signed,
// so codes are stored minus 128.
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "kernels.h"
#include "range_coder.h"

namespace tinywase {
namespace neon {
namespace {

// 5 x 16 floats are 20 of the 32 registers, four weights and the inputs the rest: with six rows GCC 12 spills. The integers' tile has
// eight registers of sums a row.
constexpr int kPanel = 16, kRows = 5, kIntRows = 3, kGroup = 4, kNormGroup = 2, kCodes = 16, kCodeOffset = 128;

struct F32 {
  static constexpr int width = 4;
  float32x4_t v;
};

struct I32 {
  int32x4_t v;
};

inline F32 set(float x) { return {vdupq_n_f32(x)}; }
inline F32 load(const float *p) { return {vld1q_f32(p)}; }
inline void store(float *p, F32 a) { vst1q_f32(p, a.v); }
inline F32 add(F32 a, F32 b) { return {vaddq_f32(a.v, b.v)}; }
inline F32 sub(F32 a, F32 b) { return {vsubq_f32(a.v, b.v)}; }
inline F32 mul(F32 a, F32 b) { return {vmulq_f32(a.v, b.v)}; }
inline F32 div(F32 a, F32 b) { return {vdivq_f32(a.v, b.v)}; }
inline F32 fma(F32 a, F32 b, F32 c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
inline F32 min(F32 a, F32 b) { return {vminq_f32(a.v, b.v)}; }
inline F32 max(F32 a, F32 b) { return {vmaxq_f32(a.v, b.v)}; }
inline F32 prelu(F32 x, F32 slope) {
  const uint32x4_t negative = vreinterpretq_u32_s32(vshrq_n_s32(vreinterpretq_s32_f32(x.v), 31));
  return {vbslq_f32(negative, vmulq_f32(x.v, slope.v), x.v)};
}
inline F32 round(F32 a) { return {vrndnq_f32(a.v)}; }
inline F32 power_of_two(F32 a) { return {vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(a.v), vdupq_n_s32(127)), 23))}; }
inline F32 to_float(I32 a) { return {vcvtq_f32_s32(a.v)}; }
inline I32 load(const int32_t *p) { return {vld1q_s32(p)}; }
inline I32 load_16(const int16_t *p) { return {vmovl_s16(vld1_s16(p))}; }
inline void store_16(int16_t *p, I32 a) { vst1_s16(p, vmovn_s32(a.v)); }
inline float sum(F32 a) { return vaddvq_f32(a.v); }

// 16 floats up to 255 -> the nearest bytes, even ones in the middle, minus 128; below 0 and NaN count as 0.
inline void store_codes(const F32 (&v)[kCodes / F32::width], uint8_t *out) {
  uint16x4_t four[4];
  for (int i = 0; i < 4; i++) four[i] = vqmovun_s32(vcvtnq_s32_f32(v[i].v));
  const uint8x8_t low = vqmovn_u16(vcombine_u16(four[0], four[1])), high = vqmovn_u16(vcombine_u16(four[2], four[3]));
  vst1q_u8(out, veorq_u8(vcombine_u8(low, high), vdupq_n_u8(128)));
}

// start + the sums over taps of four channels.
template <int Kernel>
struct Taps {
  const DepthwiseInt8 &d;
  int channel;

  Taps(const DepthwiseInt8 &d_in, int channel_in) : d(d_in), channel(channel_in) {}
  I32 sums(const uint8_t *const *taps) const {
    int32x4_t total = vld1q_s32(d.start + channel);
    for (int k = 0; k < (Kernel ? Kernel : d.kernel); k++) {
      const int16x4x2_t pair = vld2_s16(d.weights + (static_cast<size_t>(k / 2) * d.weight_channels + channel) * 2);
      uint32_t four;
      __builtin_memcpy(&four, taps[k] + channel, 4);
      const int16x4_t codes = vget_low_s16(vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(four))));
      total = vmlal_s16(total, codes, pair.val[k % 2]);
    }
    return {total};
  }
};

// The codes of four inputs, for every column. Shape: -> [4 columns, 4].
inline int8x16_t four_codes(const uint8_t *input) {
  int32_t four;
  __builtin_memcpy(&four, input, 4);
  return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

// Multiply-adds of bytes at the best pace there is: products of registers, `step(sums, weights, codes)`, nothing else. Returns how
// many steps.
template <class Sums, class Bytes, class Step>
inline int64_t multiply_adds_by(int64_t steps, Sums first, Bytes codes, Bytes weights, Step step) {
  Sums acc[24];
#pragma GCC unroll 24
  for (int i = 0; i < 24; i++) acc[i] = first;
  for (int64_t done = 0; done < steps; done++) {
    __asm__ volatile("" : "+w"(codes), "+w"(weights));  // so that every step is done
#pragma GCC unroll 24
    for (int i = 0; i < 24; i++) {
      acc[i] = step(acc[i], weights, codes);
      __asm__ volatile("" : "+w"(acc[i]));  // and none for another
    }
  }
#pragma GCC unroll 24
  for (int i = 0; i < 24; i++) __asm__ volatile("" : : "w"(acc[i]));
  return steps * 24;
}

inline int64_t multiply_adds(int64_t steps) {
  const auto step = [](int16x8_t sums, int8x8_t weights, int8x8_t codes) { return vmlal_s8(sums, weights, codes); };
  return 8 * multiply_adds_by(steps, vdupq_n_s16(0), vdup_n_s8(3), vdup_n_s8(1), step);
}

// Products are added up in 16 bits, as many as AVX2's pairs may be (GemmInt8), here one a lane; two always fit, 2 * 128 * 127. Then
// to the 32 bits in `out`.
template <int Rows>
[[gnu::noinline]] void int_tile(const GemmInt8 &g, const uint8_t *input, const int8_t *panel, const int32_t *start, int32_t *out) {
  for (int r = 0; r < Rows; r++) __builtin_memcpy(out + r * kPanel, start, kPanel * sizeof *start);
  const int most = 4 * (g.flush > 2 ? g.flush : 2);
  for (int k = 0; k < g.depth;) {
    const int stop = k + most < g.depth ? k + most : g.depth;
    int16x8_t acc[Rows][8];
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++)
#pragma GCC unroll 16
      for (int j = 0; j < 8; j++) acc[r][j] = vdupq_n_s16(0);
    for (; k < stop; k += 4, panel += kPanel * 4) {
      int8x16_t w[4];
#pragma GCC unroll 16
      for (int j = 0; j < 4; j++) w[j] = vld1q_s8(panel + 16 * j);
#pragma GCC unroll 16
      for (int r = 0; r < Rows; r++) {
        const int8x16_t codes = four_codes(input + r * g.input_stride + k);
#pragma GCC unroll 16
        for (int j = 0; j < 4; j++) {
          acc[r][2 * j] = vmlal_s8(acc[r][2 * j], vget_low_s8(w[j]), vget_low_s8(codes));
          acc[r][2 * j + 1] = vmlal_high_s8(acc[r][2 * j + 1], w[j], codes);
        }
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++)
#pragma GCC unroll 16
      for (int j = 0; j < 4; j++) {
        int32_t *sums = out + r * kPanel + 4 * j;
        vst1q_s32(sums, vaddq_s32(vld1q_s32(sums), vpaddq_s32(vpaddlq_s16(acc[r][2 * j]), vpaddlq_s16(acc[r][2 * j + 1]))));
      }
  }
}

}  // namespace
}  // namespace neon
}  // namespace tinywase
