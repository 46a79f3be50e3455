// Thirty-two channels as two AVX-512 vectors of floats, kept in memory as float32 or as bfloat16.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "stack.h"

namespace tinywase {
namespace training {
namespace TINYWASE_TRAINING_ISA {

using bf16 = uint16_t;

// What is compiled for AVX-512 must not define functions that the rest of the library uses too: the linker keeps one copy, and a
// processor without AVX-512 could get this one. With an allocator of its own a vector's functions are its own.
template <class T>
struct Allocator : std::allocator<T> {
  template <class U>
  struct rebind {
    using other = Allocator<U>;
  };
  Allocator() = default;
  template <class U>
  Allocator(const Allocator<U> &) {}
};
template <class T>
using Vector = std::vector<T, Allocator<T>>;

struct Pair {
  __m512 low, high;
};

inline Pair set(float x) { return {_mm512_set1_ps(x), _mm512_set1_ps(x)}; }
inline Pair zero() { return set(0.0f); }
inline Pair load(const float *p) { return {_mm512_loadu_ps(p), _mm512_loadu_ps(p + 16)}; }
inline void store(float *p, Pair a) {
  _mm512_storeu_ps(p, a.low);
  _mm512_storeu_ps(p + 16, a.high);
}

inline __m512 widened(__m256i half) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}
inline Pair load(const bf16 *p) {
  return {widened(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(p))),
          widened(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(p + 16)))};
}

inline Pair operator+(Pair a, Pair b) { return {_mm512_add_ps(a.low, b.low), _mm512_add_ps(a.high, b.high)}; }
inline Pair operator-(Pair a, Pair b) { return {_mm512_sub_ps(a.low, b.low), _mm512_sub_ps(a.high, b.high)}; }
inline Pair operator*(Pair a, Pair b) { return {_mm512_mul_ps(a.low, b.low), _mm512_mul_ps(a.high, b.high)}; }
inline Pair fma(Pair a, Pair b, Pair c) {
  return {_mm512_fmadd_ps(a.low, b.low, c.low), _mm512_fmadd_ps(a.high, b.high, c.high)};
}
// a * b - c
inline Pair fms(Pair a, Pair b, Pair c) {
  return {_mm512_fmsub_ps(a.low, b.low, c.low), _mm512_fmsub_ps(a.high, b.high, c.high)};
}
inline Pair positive(Pair a) {
  return {_mm512_max_ps(a.low, _mm512_setzero_ps()), _mm512_max_ps(a.high, _mm512_setzero_ps())};
}
inline Pair negative(Pair a) {
  return {_mm512_min_ps(a.low, _mm512_setzero_ps()), _mm512_min_ps(a.high, _mm512_setzero_ps())};
}
// Where x > 0 a, else b.
inline Pair where_positive(Pair x, Pair a, Pair b) {
  const __mmask16 low = _mm512_cmp_ps_mask(x.low, _mm512_setzero_ps(), _CMP_GT_OQ);
  const __mmask16 high = _mm512_cmp_ps_mask(x.high, _mm512_setzero_ps(), _CMP_GT_OQ);
  return {_mm512_mask_blend_ps(low, b.low, a.low), _mm512_mask_blend_ps(high, b.high, a.high)};
}
inline Pair min(Pair a, Pair b) { return {_mm512_min_ps(a.low, b.low), _mm512_min_ps(a.high, b.high)}; }
inline Pair max(Pair a, Pair b) { return {_mm512_max_ps(a.low, b.low), _mm512_max_ps(a.high, b.high)}; }
inline Pair round(Pair a) {
  constexpr int mode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm512_roundscale_ps(a.low, mode), _mm512_roundscale_ps(a.high, mode)};
}
// Where x == y a, else b.
inline Pair where_equal(Pair x, Pair y, Pair a, Pair b) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(x.low, y.low, _CMP_EQ_OQ), b.low, a.low),
          _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x.high, y.high, _CMP_EQ_OQ), b.high, a.high)};
}
inline float sum(Pair a) { return _mm512_reduce_add_ps(_mm512_add_ps(a.low, a.high)); }
// max(x, 0) + slope min(x, 0)
inline Pair prelu(Pair x, Pair slope) { return fma(slope, negative(x), positive(x)); }

}  // namespace TINYWASE_TRAINING_ISA
}  // namespace training
}  // namespace tinywase
