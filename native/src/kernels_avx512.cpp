// The kernels for avx512; see kernels.inl.
#include "simd_avx512.h"

namespace tinywase {
namespace avx512 {
namespace {
#include "kernels.inl"
}  // namespace
extern const Kernels kernels;
constexpr Kernels kernels = table("avx512");
}  // namespace avx512
}  // namespace tinywase
