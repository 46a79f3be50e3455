// The kernels for sse41; see kernels.inl.
#include "simd_sse41.h"

namespace tinywase {
namespace sse41 {
namespace {
#include "kernels.inl"
}  // namespace
extern const Kernels kernels;
constexpr Kernels kernels = table("sse41");
}  // namespace sse41
}  // namespace tinywase
