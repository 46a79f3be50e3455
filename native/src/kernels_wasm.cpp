// The kernels for wasm; see kernels.inl.
#include "simd_wasm.h"

namespace tinywase {
namespace wasm {
namespace {
#include "kernels.inl"
}  // namespace
extern const Kernels kernels;
constexpr Kernels kernels = table("wasm");
}  // namespace wasm
}  // namespace tinywase
