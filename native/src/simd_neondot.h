// NEON with the signed dot products of bytes that Armv8.2 adds: telephones since 2018, Raspberry Pi 5, Apple's processors.
#pragma once

#include "simd_neon.h"

namespace tinywase {
namespace neondot {
namespace {

using namespace neon;

constexpr int kIntRows = 5;  // x 16 sums are 20 of the 32 registers

// Multiply-adds of bytes at the best pace there is: products of registers, nothing else. Returns how many.
inline int64_t multiply_adds(int64_t steps) {
  int32x4_t acc[24];
#pragma GCC unroll 24
  for (int i = 0; i < 24; i++) acc[i] = vdupq_n_s32(i);
  int8x16_t codes = vdupq_n_s8(3), weights = vdupq_n_s8(1);
  for (int64_t step = 0; step < steps; step++) {
    __asm__ volatile("" : "+w"(codes), "+w"(weights));  // so that every step is done
#pragma GCC unroll 24
    for (int i = 0; i < 24; i++) acc[i] = vdotq_s32(acc[i], weights, codes);
  }
#pragma GCC unroll 24
  for (int i = 0; i < 24; i++) __asm__ volatile("" : : "w"(acc[i]));
  return steps * 24 * 16;
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
