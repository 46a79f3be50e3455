// Vectors of eight floats with AVX2 and FMA. Two instruction sets compile this, each its own copy (the unnamed namespace).
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels.h"
#include "range_coder.h"

namespace tinywase {
namespace avx2 {
namespace {

// 6 x 16 float accumulators, two weights and one input fill the 16 registers.
constexpr int kPanel = 16, kRows = 6, kIntRows = 6, kGroup = 2, kNormGroup = 1, kCodes = kLane, kCodeOffset = 0;

struct F32 {
  static constexpr int width = 8;
  __m256 v;
};

struct I32 {
  __m256i v;
};

inline F32 set(float x) { return {_mm256_set1_ps(x)}; }
inline F32 load(const float *p) { return {_mm256_load_ps(p)}; }
inline void store(float *p, F32 a) { _mm256_store_ps(p, a.v); }
inline F32 add(F32 a, F32 b) { return {_mm256_add_ps(a.v, b.v)}; }
inline F32 sub(F32 a, F32 b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline F32 mul(F32 a, F32 b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline F32 div(F32 a, F32 b) { return {_mm256_div_ps(a.v, b.v)}; }
inline F32 fma(F32 a, F32 b, F32 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline F32 min(F32 a, F32 b) { return {_mm256_min_ps(a.v, b.v)}; }
inline F32 max(F32 a, F32 b) { return {_mm256_max_ps(a.v, b.v)}; }
inline F32 prelu(F32 x, F32 slope) { return {_mm256_blendv_ps(x.v, _mm256_mul_ps(x.v, slope.v), x.v)}; }
inline F32 round(F32 a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
inline F32 power_of_two(F32 a) {
  const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(a.v), _mm256_set1_epi32(127));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23))};
}
inline F32 to_float(I32 a) { return {_mm256_cvtepi32_ps(a.v)}; }
inline I32 load(const int32_t *p) { return {_mm256_load_si256(reinterpret_cast<const __m256i *>(p))}; }
inline I32 load_16(const int16_t *p) { return {_mm256_cvtepi16_epi32(_mm_load_si128(reinterpret_cast<const __m128i *>(p)))}; }
inline void store_16(int16_t *p, I32 a) {
  const __m128i eight = _mm_packs_epi32(_mm256_castsi256_si128(a.v), _mm256_extracti128_si256(a.v, 1));
  _mm_store_si128(reinterpret_cast<__m128i *>(p), eight);
}
inline float sum(F32 a) {
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_shuffle_ps(four, four, 1)));
}

// Which of the next words a lane takes that runs out: how many lanes before it do, a byte for each of eight lanes.
struct WordOrder {
  uint64_t of[256] = {};
  constexpr WordOrder() {
    for (int lanes = 0; lanes < 256; lanes++)
      for (int lane = 0, rank = 0; lane < 8; rank += lanes >> lane & 1, lane++) of[lanes] |= uint64_t(rank) << 8 * lane;
  }
};
constexpr WordOrder kWordOrder;

// The next codes of eight lanes: those that run out take the next words in their order.
constexpr int kCoderLanes = 8;
inline void next_group(const uint32_t *slots, uint32_t *states, const uint8_t *&words, uint8_t *codes) {
  const __m256i state = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(states)), low = _mm256_set1_epi32(kSlots - 1);
  const __m256i slot = _mm256_i32gather_epi32(reinterpret_cast<const int *>(slots), _mm256_and_si256(state, low), 4);
  const __m256i frequency = _mm256_add_epi32(_mm256_and_si256(_mm256_srli_epi32(slot, 12), low), _mm256_set1_epi32(1));
  const __m256i part = _mm256_mullo_epi32(frequency, _mm256_srli_epi32(state, kSlotBits));
  const __m256i moved = _mm256_add_epi32(part, _mm256_and_si256(slot, low));
  const __m256i out = _mm256_cmpeq_epi32(_mm256_srli_epi32(moved, kWordBits), _mm256_setzero_si256());
  const int lanes = _mm256_movemask_ps(_mm256_castsi256_ps(out));
  const __m256i next = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(words)));
  const __m256i order = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(kWordOrder.of + lanes)));
  const __m256i filled = _mm256_or_si256(_mm256_slli_epi32(moved, kWordBits), _mm256_permutevar8x32_epi32(next, order));
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(states), _mm256_blendv_epi8(moved, filled, out));
  const __m256i found = _mm256_srli_epi32(slot, 24);
  const __m128i eight = _mm_packus_epi32(_mm256_castsi256_si128(found), _mm256_extracti128_si256(found, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i *>(codes), _mm_packus_epi16(eight, eight));
  words += 2 * _mm_popcnt_u32(static_cast<unsigned>(lanes));
}

// 32 floats up to 255 -> the nearest bytes, even ones in the middle; below 0 and NaN become 0, because conversion makes them
// negative and packing saturates. The packs work within halves: their result is in the order 0 4 1 5 2 6 3 7 of four bytes each.
inline void store_codes(const F32 (&v)[kCodes / F32::width], uint8_t *out) {
  const __m256i low = _mm256_packs_epi32(_mm256_cvtps_epi32(v[0].v), _mm256_cvtps_epi32(v[1].v));
  const __m256i high = _mm256_packs_epi32(_mm256_cvtps_epi32(v[2].v), _mm256_cvtps_epi32(v[3].v));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high), order);
  _mm256_store_si256(reinterpret_cast<__m256i *>(out), bytes);
}

inline __m256i eight_codes(const uint8_t *p) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(p)));
}

// start + the sums over pairs of taps of eight channels: two codes in the halves of 32 bits, times two int16 weights.
template <int Kernel>
struct Taps {
  const DepthwiseInt8 &d;
  int channel;

  Taps(const DepthwiseInt8 &d_in, int channel_in) : d(d_in), channel(channel_in) {}
  I32 sums(const uint8_t *const *taps) const {
    __m256i total = _mm256_load_si256(reinterpret_cast<const __m256i *>(d.start + channel));
    int k = 0;
#pragma GCC unroll 1
    for (; k + 1 < (Kernel ? Kernel : d.kernel); k += 2) {
      const __m256i second = _mm256_slli_epi32(eight_codes(taps[k + 1] + channel), 16);
      const __m256i pair = _mm256_or_si256(eight_codes(taps[k] + channel), second);
      total = _mm256_add_epi32(total, _mm256_madd_epi16(pair, weights(k / 2)));
    }
    return {_mm256_add_epi32(total, _mm256_madd_epi16(eight_codes(taps[k] + channel), weights(k / 2)))};  // kernels are odd
  }

 private:
  __m256i weights(int pair) const {
    const int16_t *at = d.weights + (static_cast<size_t>(pair) * d.weight_channels + channel) * 2;
    return _mm256_load_si256(reinterpret_cast<const __m256i *>(at));
  }
};

inline __m256i four_codes(const uint8_t *p) {
  int32_t four;
  __builtin_memcpy(&four, p, 4);
  return _mm256_set1_epi32(four);
}

inline __m256i load_weights(const int8_t *p) { return _mm256_load_si256(reinterpret_cast<const __m256i *>(p)); }

// acc += the sums of pairs of products. Written as assembly because compilers otherwise keep two copies of every accumulator
// and spill some of them, which costs more than half of the speed.
inline void multiply_add(__m256i &acc, __m256i codes, __m256i weights) {
  __m256i products;
  __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+x"(acc), "=&x"(products) : "x"(codes), "x"(weights));
}

// The same for 16-bit factors and 32-bit sums.
inline void multiply_add_wide(__m256i &acc, __m256i codes, __m256i weights) {
  __m256i products;
  __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(acc), "=&x"(products) : "x"(codes), "x"(weights));
}

// Multiply-adds of bytes at the best pace there is: products of registers, `step(sums, codes, weights)`, nothing else. Returns
// how many.
template <class Step>
inline int64_t multiply_adds_by(int64_t steps, Step step) {
  __m256i acc[12];
#pragma GCC unroll 12
  for (int i = 0; i < 12; i++) acc[i] = _mm256_set1_epi16(static_cast<int16_t>(i));
  __m256i codes = _mm256_set1_epi8(3), weights = _mm256_set1_epi8(1);
  for (int64_t done = 0; done < steps; done++) {
    __asm__ volatile("" : "+x"(codes), "+x"(weights));  // so that every step is done
#pragma GCC unroll 12
    for (int i = 0; i < 12; i++) step(acc[i], codes, weights);
  }
#pragma GCC unroll 12
  for (int i = 0; i < 12; i++) __asm__ volatile("" : : "x"(acc[i]));
  return steps * 12 * 32;
}

inline int64_t multiply_adds(int64_t steps) {
  return multiply_adds_by(steps, [](__m256i &acc, __m256i codes, __m256i weights) { multiply_add(acc, codes, weights); });
}

// What pairs.inl is made of.
using Bytes = __m256i;
inline Bytes zero() { return _mm256_setzero_si256(); }
inline Bytes load_sums(const int32_t *p) { return load(p).v; }
inline void store_sums(int32_t *p, Bytes sums) { _mm256_store_si256(reinterpret_cast<__m256i *>(p), sums); }
inline Bytes add_sums(Bytes a, Bytes b) { return _mm256_add_epi32(a, b); }
inline Bytes widened_pairs(Bytes pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }
inline Bytes widened_codes(Bytes codes) { return _mm256_cvtepu8_epi16(_mm256_castsi256_si128(codes)); }
inline Bytes load_widened(const int8_t *p) { return _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i *>(p))); }
inline Bytes joined(Bytes low, Bytes high) {
  const __m256i order = _mm256_setr_epi32(0, 1, 4, 5, 2, 3, 6, 7);  // horizontal adds work within halves
  return _mm256_permutevar8x32_epi32(_mm256_hadd_epi32(low, high), order);
}

#include "kernels/pairs.inl"

}  // namespace
}  // namespace avx2
}  // namespace tinywase
