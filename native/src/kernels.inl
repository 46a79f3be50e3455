// The kernels' bodies, compiled once per instruction set: kernels_<isa>.cpp includes its vectors (simd_<isa>.h), then this file
// inside its own namespace.

#include "kernels/arithmetic.inl"
#include "kernels/depthwise.inl"
#include "kernels/entropy.inl"
#include "kernels/product.inl"
#include "kernels/rows.inl"

constexpr Kernels table(const char *name) {  // constant: no code of this instruction set may run before dispatch
  return {name, kPanel, kCodeOffset, gemm<FloatProduct>, gemm<IntProduct>, depthwise_f32, depthwise_int8, normalize_rows,
          quantize_rows, prelu_row, scale_row, multiply_adds, lstm_step, next_codes};
}
