// Matrix products in bfloat16 with sums in float32: over channels (layers, their input gradients) and over frames (weight
// gradients). Weights are packed once a step into panels of 32 columns: [columns / 32][depth / 2][32][2].
#pragma once

#include <cstring>

#include "bfloat16.h"

namespace tinywase {
namespace training {
namespace TINYWASE_TRAINING_ISA {

// `Rows` frames of one panel: accumulators stay in registers (12 rows fill 24 of 32).
template <int Rows>
inline void product_tile(const bf16 *in, size_t group_stride, int groups, const bf16 *panel, float *out) {
  __m512 acc[Rows][2];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++) acc[r][0] = acc[r][1] = _mm512_setzero_ps();
  for (int g = 0; g < groups; g++, in += group_stride, panel += kGroup * kGroup) multiply_group<Rows>(in, panel, acc);
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++) store(out + r * kGroup, {acc[r][0], acc[r][1]});
}

// out[frames][32] = in [groups][frames][32] times one panel of 32 columns. Tiles are of nearly equal height.
inline void product(const bf16 *in, int frames, int groups, const bf16 *panel, float *out) {
  const size_t stride = static_cast<size_t>(frames) * kGroup;
  const int tiles = (frames + 11) / 12;
  for (int t = 0, f = 0; t < tiles; t++) {
    const int rows = frames / tiles + (t < frames % tiles);
    const bf16 *from = in + static_cast<size_t>(f) * kGroup;
    float *to = out + static_cast<size_t>(f) * kGroup;
    switch (rows) {
#define TINYWASE_TILE(n) \
  case n: product_tile<n>(from, stride, groups, panel, to); break;
      TINYWASE_TILE(1) TINYWASE_TILE(2) TINYWASE_TILE(3) TINYWASE_TILE(4) TINYWASE_TILE(5) TINYWASE_TILE(6)
      TINYWASE_TILE(7) TINYWASE_TILE(8) TINYWASE_TILE(9) TINYWASE_TILE(10) TINYWASE_TILE(11) TINYWASE_TILE(12)
#undef TINYWASE_TILE
    }
    f += rows;
  }
}

// out[32][stride, of which 32] += sum over frame pairs of left[pairs][32][2] times right[pairs][32][2].
inline void add_outer_products(const bf16 *left, const bf16 *right, int pairs, float *out, size_t stride) {
  constexpr int rows = 8;
  for (int first = 0; first < kGroup; first += rows, left += 2 * rows) {
    __m512 acc[rows][2];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) acc[r][0] = acc[r][1] = _mm512_setzero_ps();
    multiply_pairs<rows>(left, right, pairs, acc);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
      float *row = out + (first + r) * stride;
      store(row, load(row) + Pair{acc[r][0], acc[r][1]});
    }
  }
}

// weight [columns][depth] -> panels for x times its transpose, as a layer does.
inline void pack(const float *weight, int columns, int depth, bf16 *panels) {
  Vector<bf16> rows(static_cast<size_t>(kGroup) * depth);
  for (int c = 0; c < columns; c += kGroup, weight += rows.size(), panels += rows.size()) {
    for (size_t i = 0; i < rows.size(); i += kGroup) store(&rows[i], load(weight + i));
    for (int k = 0; k < depth; k += 2)
      for (int j = 0; j < kGroup; j++)
        std::memcpy(panels + static_cast<size_t>(k) * kGroup + 2 * j, &rows[static_cast<size_t>(j) * depth + k], 2 * sizeof(bf16));
  }
}

// weight [depth][columns] -> panels for gradient times it, as a layer's backward pass does.
inline void pack_transposed(const float *weight, int columns, int depth, bf16 *panels) {
  for (int c = 0; c < columns; c += kGroup)
    for (int k = 0; k < depth; k += 2, panels += 2 * kGroup)
      store_pairs(panels, load(weight + static_cast<size_t>(k) * columns + c),
                  load(weight + static_cast<size_t>(k + 1) * columns + c));
}

}  // namespace TINYWASE_TRAINING_ISA
}  // namespace training
}  // namespace tinywase
