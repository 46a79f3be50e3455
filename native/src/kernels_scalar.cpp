// The kernels for scalar; see kernels.inl.
#include "simd_scalar.h"

namespace tinywase {
namespace scalar {
namespace {
#include "kernels.inl"
}  // namespace
extern const Kernels kernels;
constexpr Kernels kernels = table("scalar");
}  // namespace scalar
}  // namespace tinywase
