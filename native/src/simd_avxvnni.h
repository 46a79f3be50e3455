// AVX2 with the dot products of bytes that AVX-VNNI adds: processors that have them have no AVX-512 (most of Intel's since 2021).
#pragma once

#include "simd_avx2.h"

namespace tinywase {
namespace avxvnni {
namespace {

using namespace avx2;
using avx2::kCoderLanes;
using avx2::next_group;

// acc += the sums of four products, in 32 bits.
inline __m256i multiply_add(__m256i acc, __m256i codes, __m256i weights) {
#if defined(__AVXVNNI__)
  return _mm256_dpbusd_avx_epi32(acc, codes, weights);
#else  // the same of AVX-512, so that tests can run it there (TINYWASE_AVXVNNI_BY_AVX512)
  return _mm256_dpbusd_epi32(acc, codes, weights);
#endif
}

inline int64_t multiply_adds(int64_t steps) {
  return multiply_adds_by(steps, [](__m256i &acc, __m256i codes, __m256i weights) { acc = multiply_add(acc, codes, weights); });
}

template <int Rows>
[[gnu::noinline]] void int_tile(const GemmInt8 &g, const uint8_t *input, const int8_t *panel, const int32_t *start, int32_t *out) {
  __m256i acc[Rows][2];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) acc[r][j] = _mm256_load_si256(reinterpret_cast<const __m256i *>(start + 8 * j));
  for (int k = 0; k < g.depth; k += 4, panel += kPanel * 4) {
    const __m256i w0 = load_weights(panel), w1 = load_weights(panel + 32);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; r++) {
      const __m256i codes = four_codes(input + r * g.input_stride + k);
      acc[r][0] = multiply_add(acc[r][0], codes, w0);
      acc[r][1] = multiply_add(acc[r][1], codes, w1);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) _mm256_store_si256(reinterpret_cast<__m256i *>(out + r * kPanel + 8 * j), acc[r][j]);
}

}  // namespace
}  // namespace avxvnni
}  // namespace tinywase
