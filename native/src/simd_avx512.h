// Vectors of sixteen floats with AVX-512 (F, BW, DQ, VL) and its integer dot products (VNNI).
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels.h"

namespace tinywase {
namespace avx512 {

// 12 x 32 accumulators fill 24 of the 32 registers.
constexpr int kPanel = 32, kRows = 12, kIntRows = 12, kCodeOffset = 0;

struct F32 {
  static constexpr int width = 16;
  __m512 v;
};

inline F32 set(float x) { return {_mm512_set1_ps(x)}; }
inline F32 load(const float *p) { return {_mm512_load_ps(p)}; }
inline void store(float *p, F32 a) { _mm512_store_ps(p, a.v); }
inline F32 add(F32 a, F32 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F32 sub(F32 a, F32 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F32 mul(F32 a, F32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F32 div(F32 a, F32 b) { return {_mm512_div_ps(a.v, b.v)}; }
inline F32 fma(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline F32 min(F32 a, F32 b) { return {_mm512_min_ps(a.v, b.v)}; }
inline F32 max(F32 a, F32 b) { return {_mm512_max_ps(a.v, b.v)}; }
// Where x < 0 (or -0) a, else b.
inline F32 where_negative(F32 x, F32 a, F32 b) {
  return {_mm512_mask_blend_ps(_mm512_movepi32_mask(_mm512_castps_si512(x.v)), b.v, a.v)};
}
inline F32 round(F32 a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
inline F32 power_of_two(F32 a) {
  const __m512i exponent = _mm512_add_epi32(_mm512_cvtps_epi32(a.v), _mm512_set1_epi32(127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23))};
}
inline F32 from_int(const int32_t *p) { return {_mm512_cvtepi32_ps(_mm512_load_si512(p))}; }
inline float sum(F32 a) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_shuffle_ps(four, four, 1)));
}

// 32 floats up to 255 -> the nearest bytes, even ones in the middle; below 0 and NaN become 0: conversion makes them negative.
inline void store_codes(const F32 (&v)[kLane / F32::width], uint8_t *out) {
  for (int j = 0; j < kLane / F32::width; j++) {
    const __m512i whole = _mm512_max_epi32(_mm512_cvtps_epi32(v[j].v), _mm512_setzero_si512());
    _mm_store_si128(reinterpret_cast<__m128i *>(out + j * F32::width), _mm512_cvtusepi32_epi8(whole));
  }
}

// Two taps' bytes side by side, widened, for `depthwise_sums`.
inline __m512i pair_of_taps(const uint8_t *first, const uint8_t *second) {
  const __m128i a = _mm_load_si128(reinterpret_cast<const __m128i *>(first));
  const __m128i b = second ? _mm_load_si128(reinterpret_cast<const __m128i *>(second)) : _mm_setzero_si128();
  const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_unpacklo_epi8(a, b)), _mm_unpackhi_epi8(a, b), 1);
  return _mm512_cvtepu8_epi16(both);
}

// start + the sums over pairs of taps of sixteen channels; kernels are odd, so the last tap stands alone.
inline F32 depthwise_sums(const DepthwiseInt8 &d, int channel) {
  __m512i total = _mm512_load_si512(d.start + channel);
  for (int k = 0; k < d.kernel; k += 2) {
    const uint8_t *second = k + 1 < d.kernel ? d.taps[k + 1] + channel : nullptr;
    const __m512i weights = _mm512_load_si512(d.weights + (static_cast<size_t>(k / 2) * d.channels + channel) * 2);
    total = _mm512_add_epi32(total, _mm512_madd_epi16(pair_of_taps(d.taps[k] + channel, second), weights));
  }
  return {_mm512_cvtepi32_ps(total)};
}

template <int Rows>
void int_tile(const GemmInt8 &g, const uint8_t *input, const int8_t *panel, const int32_t *start, int32_t *out) {
  __m512i acc[Rows][2];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++) {
    acc[r][0] = _mm512_load_si512(start);
    acc[r][1] = _mm512_load_si512(start + 16);
  }
  for (int k = 0; k < g.depth; k += 4, panel += kPanel * 4) {
    const __m512i w0 = _mm512_load_si512(panel), w1 = _mm512_load_si512(panel + 64);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      int32_t four;
      __builtin_memcpy(&four, input + r * g.input_stride + k, 4);
      const __m512i codes = _mm512_set1_epi32(four);
      acc[r][0] = _mm512_dpbusd_epi32(acc[r][0], codes, w0);
      acc[r][1] = _mm512_dpbusd_epi32(acc[r][1], codes, w1);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++) {
    _mm512_store_si512(out + r * kPanel, acc[r][0]);
    _mm512_store_si512(out + r * kPanel + 16, acc[r][1]);
  }
}

}  // namespace avx512
}  // namespace tinywase
