// Vectors of sixteen floats with AVX-512 (F, BW, DQ, VL) and its integer dot products (VNNI).
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels.h"
#include "range_coder.h"

namespace tinywase {
namespace avx512 {

// 12 x 32 accumulators fill 24 of the 32 registers.
constexpr int kPanel = 32, kRows = 12, kIntRows = 12, kGroup = 4, kNormGroup = 4, kCodes = kLane, kCodeOffset = 0;

struct F32 {
  static constexpr int width = 16;
  __m512 v;
};

struct I32 {
  __m512i v;
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
inline F32 prelu(F32 x, F32 slope) {
  return {_mm512_mask_mul_ps(x.v, _mm512_movepi32_mask(_mm512_castps_si512(x.v)), x.v, slope.v)};
}
inline F32 round(F32 a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
inline F32 power_of_two(F32 a) {
  const __m512i exponent = _mm512_add_epi32(_mm512_cvtps_epi32(a.v), _mm512_set1_epi32(127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23))};
}
inline F32 to_float(I32 a) { return {_mm512_cvtepi32_ps(a.v)}; }
inline I32 load(const int32_t *p) { return {_mm512_load_si512(p)}; }
inline I32 load_16(const int16_t *p) {
  return {_mm512_cvtepi16_epi32(_mm256_load_si256(reinterpret_cast<const __m256i *>(p)))};
}
inline void store_16(int16_t *p, I32 a) { _mm256_store_si256(reinterpret_cast<__m256i *>(p), _mm512_cvtepi32_epi16(a.v)); }
inline float sum(F32 a) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_shuffle_ps(four, four, 1)));
}

// The next codes of sixteen lanes: those that run out take the next words in their order.
constexpr int kCoderLanes = 16;
inline void next_group(const uint32_t *slots, uint32_t *states, const uint8_t *&words, uint8_t *codes) {
  const __m512i state = _mm512_loadu_si512(states), low = _mm512_set1_epi32(kSlots - 1);
  const __m512i slot = _mm512_i32gather_epi32(_mm512_and_si512(state, low), slots, 4);
  const __m512i frequency = _mm512_add_epi32(_mm512_and_si512(_mm512_srli_epi32(slot, 12), low), _mm512_set1_epi32(1));
  const __m512i part = _mm512_mullo_epi32(frequency, _mm512_srli_epi32(state, kSlotBits));
  const __m512i moved = _mm512_add_epi32(part, _mm512_and_si512(slot, low));
  const __mmask16 out = _mm512_cmplt_epu32_mask(moved, _mm512_set1_epi32(kLowestState));
  const __m512i next = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(words)));
  const __m512i taken = _mm512_maskz_expand_epi32(out, next);
  _mm512_storeu_si512(states, _mm512_mask_or_epi32(moved, out, _mm512_slli_epi32(moved, kWordBits), taken));
  _mm_storeu_si128(reinterpret_cast<__m128i *>(codes), _mm512_cvtepi32_epi8(_mm512_srli_epi32(slot, 24)));
  words += 2 * _mm_popcnt_u32(out);
}

// 32 floats up to 255 -> the nearest bytes, even ones in the middle; below 0 and NaN become 0, because conversion makes them
// negative and packing saturates. The packs work within quarters: their result is in the order 0 4 2 6 1 5 3 7 of four bytes each.
inline void store_codes(const F32 (&v)[kCodes / F32::width], uint8_t *out) {
  const __m512i words = _mm512_packs_epi32(_mm512_cvtps_epi32(v[0].v), _mm512_cvtps_epi32(v[1].v));
  const __m256i bytes = _mm256_packus_epi16(_mm512_castsi512_si256(words), _mm512_extracti64x4_epi64(words, 1));
  const __m256i order = _mm256_setr_epi32(0, 4, 2, 6, 1, 5, 3, 7);
  _mm256_store_si256(reinterpret_cast<__m256i *>(out), _mm256_permutevar8x32_epi32(bytes, order));
}

inline __m512i sixteen_codes(const uint8_t *p) {
  return _mm512_cvtepu8_epi32(_mm_load_si128(reinterpret_cast<const __m128i *>(p)));
}

// start + the sums over pairs of taps of sixteen channels: two codes in the halves of 32 bits, times two int16 weights.
template <int Kernel>
struct Taps {
  const DepthwiseInt8 &d;
  int channel;
  __m512i start, first, second;  // of kernels of three taps, in registers

  Taps(const DepthwiseInt8 &d_in, int channel_in)
      : d(d_in), channel(channel_in), start(_mm512_load_si512(d.start + channel)), first(weights(0)), second(weights(d.kernel / 2)) {}

  I32 sums(const uint8_t *const *taps) const {
    if (Kernel == 3) return {_mm512_dpwssd_epi32(_mm512_dpwssd_epi32(start, pair(taps), first), sixteen_codes(taps[2] + channel), second)};
    __m512i total = start;
    int k = 0;
    for (; k + 1 < d.kernel; k += 2) total = _mm512_dpwssd_epi32(total, pair(taps + k), weights(k / 2));
    return {_mm512_dpwssd_epi32(total, sixteen_codes(taps[k] + channel), second)};  // kernels are odd
  }

 private:
  __m512i weights(int pair) const { return _mm512_load_si512(d.weights + (static_cast<size_t>(pair) * d.weight_channels + channel) * 2); }
  __m512i pair(const uint8_t *const *taps) const {
    return _mm512_or_si512(sixteen_codes(taps[0] + channel), _mm512_slli_epi32(sixteen_codes(taps[1] + channel), 16));
  }
};

// Multiply-adds of bytes at the best pace there is: products of registers, nothing else. Returns how many.
inline int64_t multiply_adds(int64_t steps) {
  __m512i acc[24];
#pragma GCC unroll 24
  for (int i = 0; i < 24; i++) acc[i] = _mm512_set1_epi32(i);
  __m512i codes = _mm512_set1_epi8(3), weights = _mm512_set1_epi8(1);
  for (int64_t step = 0; step < steps; step++) {
    __asm__ volatile("" : "+v"(codes), "+v"(weights));  // so that every step is done
#pragma GCC unroll 24
    for (int i = 0; i < 24; i++) acc[i] = _mm512_dpbusd_epi32(acc[i], codes, weights);
  }
#pragma GCC unroll 24
  for (int i = 0; i < 24; i++) __asm__ volatile("" : : "v"(acc[i]));
  return steps * 24 * 64;
}

template <int Rows>
[[gnu::noinline]] void int_tile(const GemmInt8 &g, const uint8_t *input, const int8_t *panel, const int32_t *start, int32_t *out) {
  __m512i acc[Rows][2];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++) {
    acc[r][0] = _mm512_load_si512(start);
    acc[r][1] = _mm512_load_si512(start + 16);
  }
  // A pointer for every fourth row: with one base for all, their offsets overflow the general registers.
  constexpr int groups = (Rows + 3) / 4;
  const uint8_t *codes_of[groups];
#pragma GCC unroll 4
  for (int i = 0; i < groups; i++) {
    codes_of[i] = input + 4 * i * g.input_stride;
    __asm__("" : "+r"(codes_of[i]));
  }
  const size_t stride = g.input_stride;
  for (const int8_t *end = panel + kPanel * g.depth; panel != end; panel += kPanel * 4) {
    const __m512i w0 = _mm512_load_si512(panel), w1 = _mm512_load_si512(panel + 64);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      int32_t four;
      __builtin_memcpy(&four, codes_of[r / 4] + r % 4 * stride, 4);
      if (r % 4 == 3 || r == Rows - 1) codes_of[r / 4] += 4;
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
