// Which kernels this processor runs: the best, or those that TINYWASE_ISA names.
#include <cstdlib>
#include <cstring>
#include <string>

#include "kernels.h"
#include "model_file.h"

namespace tinywase {

namespace scalar {
extern const Kernels kernels;
}
#if defined(TINYWASE_AVX2)
namespace avx2 {
extern const Kernels kernels;
}
#endif

namespace {

struct Candidate {
  const Kernels *kernels;
  bool (*runs)();
};

// Best first.
const Candidate candidates[] = {
#if defined(TINYWASE_AVX2)
    {&avx2::kernels, [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }},
#endif
    {&scalar::kernels, [] { return true; }},
};

}  // namespace

const Kernels *find_kernels(const char *name) {
  for (const Candidate &candidate : candidates)
    if (std::strcmp(candidate.kernels->name, name) == 0 && candidate.runs()) return candidate.kernels;
  return nullptr;
}

const Kernels &choose_kernels() {
  const char *name = std::getenv("TINYWASE_ISA");
  if (name && *name) {
    if (const Kernels *kernels = find_kernels(name)) return *kernels;
    std::string known;
    for (const Candidate &candidate : candidates)
      if (candidate.runs()) known += std::string(known.empty() ? "" : ", ") + candidate.kernels->name;
    throw FileError("TINYWASE_ISA is '" + std::string(name) + "': this processor runs " + known + ". Name one of these, or none.");
  }
  for (const Candidate &candidate : candidates)
    if (candidate.runs()) return *candidate.kernels;
  return scalar::kernels;
}

}  // namespace tinywase
