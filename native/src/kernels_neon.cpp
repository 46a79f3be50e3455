// The kernels for neon; see kernels.inl.
#include "simd_neon.h"

namespace tinywase {
namespace neon {
namespace {
#include "kernels.inl"
}  // namespace
extern const Kernels kernels;
constexpr Kernels kernels = table("neon");
}  // namespace neon
}  // namespace tinywase
