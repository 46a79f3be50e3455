// The kernels for avx2; see kernels.inl.
#include "simd_avx2.h"

namespace tinywase {
namespace avx2 {
namespace {
#include "kernels.inl"
}  // namespace
extern const Kernels kernels;
constexpr Kernels kernels = table("avx2");
}  // namespace avx2
}  // namespace tinywase
