// Vectors of four floats with SSE4.1: Intel's Atoms and its Celerons and Pentiums until 2021 have no AVX.
#pragma once

#include <smmintrin.h>

#include <cstdint>

#include "kernels.h"
#include "range_coder.h"

namespace tinywase {
namespace sse41 {
namespace {

// 5 x 8 floats are ten of the 16 registers, two weights, an input and its products the rest; 6 x 8 integers with theirs fill them.
constexpr int kPanel = 8, kRows = 5, kIntRows = 6, kGroup = 2, kNormGroup = 1, kCodes = 16, kCodeOffset = 0;

struct F32 {
  static constexpr int width = 4;
  __m128 v;
};

struct I32 {
  __m128i v;
};

inline F32 set(float x) { return {_mm_set1_ps(x)}; }
inline F32 load(const float *p) { return {_mm_load_ps(p)}; }
inline void store(float *p, F32 a) { _mm_store_ps(p, a.v); }
inline F32 add(F32 a, F32 b) { return {_mm_add_ps(a.v, b.v)}; }
inline F32 sub(F32 a, F32 b) { return {_mm_sub_ps(a.v, b.v)}; }
inline F32 mul(F32 a, F32 b) { return {_mm_mul_ps(a.v, b.v)}; }
inline F32 div(F32 a, F32 b) { return {_mm_div_ps(a.v, b.v)}; }
inline F32 fma(F32 a, F32 b, F32 c) { return add(mul(a, b), c); }
inline F32 min(F32 a, F32 b) { return {_mm_min_ps(a.v, b.v)}; }
inline F32 max(F32 a, F32 b) { return {_mm_max_ps(a.v, b.v)}; }
inline F32 prelu(F32 x, F32 slope) { return {_mm_blendv_ps(x.v, _mm_mul_ps(x.v, slope.v), x.v)}; }
inline F32 round(F32 a) { return {_mm_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
inline F32 power_of_two(F32 a) {
  return {_mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(_mm_cvtps_epi32(a.v), _mm_set1_epi32(127)), 23))};
}
inline F32 to_float(I32 a) { return {_mm_cvtepi32_ps(a.v)}; }
inline __m128i bytes(const void *p) { return _mm_load_si128(static_cast<const __m128i *>(p)); }
inline __m128i eight_bytes(const void *p) { return _mm_loadl_epi64(static_cast<const __m128i *>(p)); }
inline I32 load(const int32_t *p) { return {bytes(p)}; }
inline I32 load_16(const int16_t *p) { return {_mm_cvtepi16_epi32(eight_bytes(p))}; }
inline void store_16(int16_t *p, I32 a) { _mm_storel_epi64(reinterpret_cast<__m128i *>(p), _mm_packs_epi32(a.v, a.v)); }
inline float sum(F32 a) {
  const __m128 pairs = _mm_add_ps(a.v, _mm_movehl_ps(a.v, a.v));
  return _mm_cvtss_f32(_mm_add_ss(pairs, _mm_shuffle_ps(pairs, pairs, 1)));
}

// 16 floats up to 255 -> the nearest bytes, even ones in the middle; below 0 and NaN become 0, because conversion makes them
// negative and packing saturates.
inline void store_codes(const F32 (&v)[kCodes / F32::width], uint8_t *out) {
  const __m128i low = _mm_packs_epi32(_mm_cvtps_epi32(v[0].v), _mm_cvtps_epi32(v[1].v));
  const __m128i high = _mm_packs_epi32(_mm_cvtps_epi32(v[2].v), _mm_cvtps_epi32(v[3].v));
  _mm_store_si128(reinterpret_cast<__m128i *>(out), _mm_packus_epi16(low, high));
}

// Four codes, for every column.
inline __m128i four_codes(const uint8_t *p) {
  int32_t four;
  __builtin_memcpy(&four, p, 4);
  return _mm_set1_epi32(four);
}

// start + the sums over pairs of taps of four channels: two codes in the halves of 32 bits, times two int16 weights.
template <int Kernel>
struct Taps {
  const DepthwiseInt8 &d;
  int channel;

  Taps(const DepthwiseInt8 &d_in, int channel_in) : d(d_in), channel(channel_in) {}
  I32 sums(const uint8_t *const *taps) const {
    const int kernel = Kernel ? Kernel : d.kernel;
    __m128i total = bytes(d.start + channel);
    for (int k = 0; k < kernel; k += 2) {
      const __m128i first = four_codes(taps[k] + channel);
      const __m128i second = k + 1 < kernel ? four_codes(taps[k + 1] + channel) : first;  // its weights are zero
      const __m128i pairs = _mm_cvtepu8_epi16(_mm_unpacklo_epi8(first, second));
      const __m128i weights = bytes(d.weights + (static_cast<size_t>(k / 2) * d.weight_channels + channel) * 2);
      total = _mm_add_epi32(total, _mm_madd_epi16(pairs, weights));
    }
    return {total};
  }
};

// acc += the sums of pairs of products. Written as assembly because compilers otherwise keep two copies of every accumulator.
inline void multiply_add(__m128i &acc, __m128i codes, __m128i weights) {
  __m128i products;
  __asm__("movdqa %2, %1\n\tpmaddubsw %3, %1\n\tpaddw %1, %0" : "+x"(acc), "=&x"(products) : "x"(codes), "x"(weights));
}

// The same for 16-bit factors and 32-bit sums.
inline void multiply_add_wide(__m128i &acc, __m128i codes, __m128i weights) {
  __m128i products;
  __asm__("movdqa %2, %1\n\tpmaddwd %3, %1\n\tpaddd %1, %0" : "+x"(acc), "=&x"(products) : "x"(codes), "x"(weights));
}

// Multiply-adds of bytes at the best pace there is: products of registers, nothing else. Returns how many.
inline int64_t multiply_adds(int64_t steps) {
  __m128i acc[12];
#pragma GCC unroll 12
  for (int i = 0; i < 12; i++) acc[i] = _mm_set1_epi16(static_cast<int16_t>(i));
  __m128i codes = _mm_set1_epi8(3), weights = _mm_set1_epi8(1);
  for (int64_t done = 0; done < steps; done++) {
    __asm__ volatile("" : "+x"(codes), "+x"(weights));  // so that every step is done
#pragma GCC unroll 12
    for (int i = 0; i < 12; i++) multiply_add(acc[i], codes, weights);
  }
#pragma GCC unroll 12
  for (int i = 0; i < 12; i++) __asm__ volatile("" : : "x"(acc[i]));
  return steps * 12 * 16;
}

// What pairs.inl is made of.
using Bytes = __m128i;
inline Bytes zero() { return _mm_setzero_si128(); }
inline Bytes load_weights(const int8_t *p) { return bytes(p); }
inline Bytes load_sums(const int32_t *p) { return bytes(p); }
inline void store_sums(int32_t *p, Bytes sums) { _mm_store_si128(reinterpret_cast<__m128i *>(p), sums); }
inline Bytes add_sums(Bytes a, Bytes b) { return _mm_add_epi32(a, b); }
inline Bytes widened_pairs(Bytes pairs) { return _mm_madd_epi16(pairs, _mm_set1_epi16(1)); }
inline Bytes widened_codes(Bytes codes) { return _mm_cvtepu8_epi16(codes); }
inline Bytes load_widened(const int8_t *p) { return _mm_cvtepi8_epi16(eight_bytes(p)); }
inline Bytes joined(Bytes low, Bytes high) { return _mm_hadd_epi32(low, high); }

#include "kernels/pairs.inl"

}  // namespace
}  // namespace sse41
}  // namespace tinywase
