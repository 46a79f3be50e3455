// Which training kernels this processor can run.
#include "stack.h"

namespace tinywase {
namespace training {

namespace avx512bf16 {
extern const StackKernels kStack;
}
namespace avx512 {
extern const StackKernels kStack;
}

std::vector<const StackKernels *> stack_kernels() {
  std::vector<const StackKernels *> found;
  const bool avx512_here = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#ifdef TINYWASE_TRAINING_BF16
  if (avx512_here && __builtin_cpu_supports("avx512bf16")) found.push_back(&avx512bf16::kStack);
#endif
  if (avx512_here) found.push_back(&avx512::kStack);
  return found;
}

}  // namespace training
}  // namespace tinywase
