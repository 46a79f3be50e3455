// The kernels for neondot; see kernels.inl.
#include "simd_neondot.h"

namespace tinywase {
namespace neondot {
namespace {
#include "kernels.inl"
}  // namespace
extern const Kernels kernels;
constexpr Kernels kernels = table("neondot");
}  // namespace neondot
}  // namespace tinywase
