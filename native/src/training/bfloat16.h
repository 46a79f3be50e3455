// What AVX-512's bfloat16 instructions do, with them or, on processors without, by shifts and float32 products: rounding, and
// the inner loops of matrix products. A number is the upper half of a float, so widening one is exact.
#pragma once

#include <cstring>

#include "vectors.h"

namespace tinywase {
namespace training {
namespace TINYWASE_TRAINING_ISA {

#ifdef __AVX512BF16__

inline __m512i rounded(Pair a) { return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(a.high, a.low)); }

// Numbers of the lower half of each vector of 32 and, side by side with them, those of the upper.
inline __m512i paired(__m256i first, __m256i second) {
  return _mm512_or_si512(_mm512_cvtepu16_epi32(first), _mm512_slli_epi32(_mm512_cvtepu16_epi32(second), 16));
}
// Two rows of 32 channels -> 32 pairs (first, second), what a dot product over frames wants.
inline void store_pairs(bf16 *out, Pair first, Pair second) {
  const __m512i a = rounded(first), b = rounded(second);
  _mm512_storeu_si512(out, paired(_mm512_castsi512_si256(a), _mm512_castsi512_si256(b)));
  _mm512_storeu_si512(out + kGroup, paired(_mm512_extracti64x4_epi64(a, 1), _mm512_extracti64x4_epi64(b, 1)));
}

inline __m512bh pairs_at(const bf16 *p) { return reinterpret_cast<__m512bh>(_mm512_loadu_si512(p)); }
inline __m512bh pair_everywhere(const bf16 *p) {
  int32_t both;
  std::memcpy(&both, p, sizeof both);
  return reinterpret_cast<__m512bh>(_mm512_set1_epi32(both));
}

// acc[Rows][2] += `Rows` frames of one group of 32 channels times their 32 rows of a panel.
template <int Rows>
inline void multiply_group(const bf16 *in, const bf16 *panel, __m512 (&acc)[Rows][2]) {
  for (int k = 0; k < kGroup; k += 2, panel += 2 * kGroup) {
    const __m512bh w0 = pairs_at(panel), w1 = pairs_at(panel + kGroup);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      const __m512bh x = pair_everywhere(in + r * kGroup + k);
      acc[r][0] = _mm512_dpbf16_ps(acc[r][0], w0, x);
      acc[r][1] = _mm512_dpbf16_ps(acc[r][1], w1, x);
    }
  }
}

// acc[Rows][2] += sum over frame pairs of `Rows` channels on the left times 32 on the right.
template <int Rows>
inline void multiply_pairs(const bf16 *left, const bf16 *right, int pairs, __m512 (&acc)[Rows][2]) {
  for (int p = 0; p < pairs; p++, left += 2 * kGroup, right += 2 * kGroup) {
    const __m512bh b0 = pairs_at(right), b1 = pairs_at(right + kGroup);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      const __m512bh x = pair_everywhere(left + 2 * r);
      acc[r][0] = _mm512_dpbf16_ps(acc[r][0], b0, x);
      acc[r][1] = _mm512_dpbf16_ps(acc[r][1], b1, x);
    }
  }
}

#else

// The nearest number is in the upper halves then; what lies just between two goes away from zero, where the instruction takes
// the even one. A NaN that no arithmetic makes, with all of its lower bits set, may become a zero.
inline __m512i at_nearest(__m512 x) { return _mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(0x8000)); }

inline __m512i rounded(Pair a) {
  alignas(64) static constexpr uint16_t upper_halves[32] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31,
                                                            33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
  return _mm512_permutex2var_epi16(at_nearest(a.low), _mm512_load_si512(upper_halves), at_nearest(a.high));
}

inline void store_pairs(bf16 *out, Pair first, Pair second) {
  const auto paired = [](__m512 a, __m512 b) {
    return _mm512_mask_blend_epi16(0xAAAAAAAA, _mm512_srli_epi32(at_nearest(a), 16), at_nearest(b));
  };
  _mm512_storeu_si512(out, paired(first.low, second.low));
  _mm512_storeu_si512(out + kGroup, paired(first.high, second.high));
}

// Pairs of numbers: the first and the second of each, as floats.
inline __m512 firsts(__m512i pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)); }
inline __m512 seconds(__m512i pairs) { return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-65536))); }

// The left side is widened into memory once, from where every multiplication takes one number for all lanes.
template <int Rows>
inline void multiply_group(const bf16 *in, const bf16 *panel, __m512 (&acc)[Rows][2]) {
  alignas(64) float wide[Rows][kGroup];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++) store(wide[r], load(in + r * kGroup));
  for (int k = 0; k < kGroup; k += 2, panel += 2 * kGroup) {
    const __m512i w0 = _mm512_loadu_si512(panel), w1 = _mm512_loadu_si512(panel + kGroup);
    const __m512 first0 = firsts(w0), first1 = firsts(w1), second0 = seconds(w0), second1 = seconds(w1);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      const __m512 x = _mm512_set1_ps(wide[r][k]), y = _mm512_set1_ps(wide[r][k + 1]);
      acc[r][0] = _mm512_fmadd_ps(first0, x, acc[r][0]);
      acc[r][1] = _mm512_fmadd_ps(first1, x, acc[r][1]);
      acc[r][0] = _mm512_fmadd_ps(second0, y, acc[r][0]);
      acc[r][1] = _mm512_fmadd_ps(second1, y, acc[r][1]);
    }
  }
}

template <int Rows>
inline void multiply_pairs(const bf16 *left, const bf16 *right, int pairs, __m512 (&acc)[Rows][2]) {
  static_assert(Rows == 8, "a row of pairs fills one vector");
  constexpr int together = 16;
  alignas(64) float wide[together][2 * Rows];
  for (int begin = 0; begin < pairs; begin += together) {
    const int count = pairs - begin < together ? pairs - begin : together;
    for (int p = 0; p < count; p++, left += 2 * kGroup)
      _mm512_store_ps(wide[p], widened(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(left))));
    for (int p = 0; p < count; p++, right += 2 * kGroup) {
      const __m512i b0 = _mm512_loadu_si512(right), b1 = _mm512_loadu_si512(right + kGroup);
      const __m512 first0 = firsts(b0), first1 = firsts(b1), second0 = seconds(b0), second1 = seconds(b1);
#pragma GCC unroll 16
      for (int r = 0; r < Rows; r++) {
        const __m512 x = _mm512_set1_ps(wide[p][2 * r]), y = _mm512_set1_ps(wide[p][2 * r + 1]);
        acc[r][0] = _mm512_fmadd_ps(first0, x, acc[r][0]);
        acc[r][1] = _mm512_fmadd_ps(first1, x, acc[r][1]);
        acc[r][0] = _mm512_fmadd_ps(second0, y, acc[r][0]);
        acc[r][1] = _mm512_fmadd_ps(second1, y, acc[r][1]);
      }
    }
  }
}

#endif

inline void store(bf16 *p, Pair a) { _mm512_storeu_si512(p, rounded(a)); }

}  // namespace TINYWASE_TRAINING_ISA
}  // namespace training
}  // namespace tinywase
