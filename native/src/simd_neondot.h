// NEON with the signed dot products of bytes that Armv8.2 adds: telephones since 2018, Raspberry Pi 5, Apple's processors.
#pragma once

#include "simd_neon.h"

namespace tinywase {
namespace neondot {
namespace {

using namespace neon;

constexpr int kIntRows = 5;  // x 16 sums are 20 of the 32 registers

inline int64_t multiply_adds(int64_t steps) {
  const auto step = [](int32x4_t sums, int8x16_t weights, int8x16_t codes) { return vdotq_s32(sums, weights, codes); };
  return 16 * multiply_adds_by(steps, vdupq_n_s32(0), vdupq_n_s8(3), vdupq_n_s8(1), step);
}

template <int Rows>
[[gnu::noinline]] void int_tile(const GemmInt8 &g, const uint8_t *input, const int8_t *panel, const int32_t *start, int32_t *out) {
  int32x4_t acc[Rows][4];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 16
    for (int j = 0; j < 4; j++) acc[r][j] = vld1q_s32(start + 4 * j);
  for (int k = 0; k < g.depth; k += 4, panel += kPanel * 4) {
    int8x16_t w[4];
#pragma GCC unroll 16
    for (int j = 0; j < 4; j++) w[j] = vld1q_s8(panel + 16 * j);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      const int8x16_t codes = four_codes(input + r * g.input_stride + k);
#pragma GCC unroll 16
      for (int j = 0; j < 4; j++) acc[r][j] = vdotq_s32(acc[r][j], w[j], codes);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 16
    for (int j = 0; j < 4; j++) vst1q_s32(out + r * kPanel + 4 * j, acc[r][j]);
}

}  // namespace
}  // namespace neondot
}  // namespace tinywase
