// The kernels for avxvnni; see kernels.inl.
#include "simd_avxvnni.h"

namespace tinywase {
namespace avxvnni {
namespace {
#include "kernels.inl"
}  // namespace
extern const Kernels kernels;
constexpr Kernels kernels = table("avxvnni");
}  // namespace avxvnni
}  // namespace tinywase
