// Which kernels this processor runs: the best, or those that TINYWASE_ISA names.
#include <cstdlib>
#include <cstring>
#include <string>

#if defined(TINYWASE_AVXVNNI)
#include <cpuid.h>
#endif
#if defined(TINYWASE_NEON) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "kernels.h"
#include "model_file.h"

namespace tinywase {

namespace scalar {
extern const Kernels kernels;
}
#if defined(TINYWASE_AVX512)
namespace avx512 {
extern const Kernels kernels;
}
#endif
#if defined(TINYWASE_NEON)
namespace neondot {
extern const Kernels kernels;
}
namespace neon {
extern const Kernels kernels;
}
#endif
#if defined(TINYWASE_WASM)
namespace wasm {
extern const Kernels kernels;
}
#endif
#if defined(TINYWASE_AVXVNNI)
namespace avxvnni {
extern const Kernels kernels;
}
#endif
#if defined(TINYWASE_AVX2)
namespace avx2 {
extern const Kernels kernels;
}
namespace sse41 {
extern const Kernels kernels;
}
#endif

namespace {

#if defined(TINYWASE_NEON)
bool has_dot_products() {
#if defined(__linux__)
  return getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
#elif defined(__APPLE__)
  return true;  // every processor of this architecture there
#else
  return false;  // not known how to ask
#endif
}
#endif

#if defined(TINYWASE_AVX2)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

#if defined(TINYWASE_AVXVNNI)
bool has_avxvnni() {
#if defined(TINYWASE_AVXVNNI_BY_AVX512)
  return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
#else
  static const bool found = [] {  // asked once: a virtual machine answers slowly
    unsigned eax = 0, ebx, ecx, edx;  // not every compiler's builtin knows the name
    return has_avx2() && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & 1 << 4);
  }();
  return found;
#endif
}
#endif

struct Candidate {
  const Kernels *kernels;
  bool (*runs)();
};

// Best first.
const Candidate candidates[] = {
#if defined(TINYWASE_AVX512)
    {&avx512::kernels,
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
     }},
#endif
#if defined(TINYWASE_NEON)
    {&neondot::kernels, has_dot_products},
    {&neon::kernels, [] { return true; }},  // every processor of this architecture
#endif
#if defined(TINYWASE_WASM)
    {&wasm::kernels, [] { return true; }},  // where it does not run, nothing of the module does
#endif
#if defined(TINYWASE_AVXVNNI)
    {&avxvnni::kernels, has_avxvnni},
#endif
#if defined(TINYWASE_AVX2)
    {&avx2::kernels, has_avx2},
    {&sse41::kernels, [] { return bool(__builtin_cpu_supports("sse4.1")); }},
#endif
    {&scalar::kernels, [] { return true; }},
};

}  // namespace

std::string kernel_names(const char *separator) {
  std::string names;
  for (const Candidate &candidate : candidates)
    if (candidate.runs()) names += std::string(names.empty() ? "" : separator) + candidate.kernels->name;
  return names;
}

const Kernels *find_kernels(const char *name) {
  for (const Candidate &candidate : candidates)
    if (std::strcmp(candidate.kernels->name, name) == 0 && candidate.runs()) return candidate.kernels;
  return nullptr;
}

const Kernels &choose_kernels() {
  const char *name = std::getenv("TINYWASE_ISA");
  if (name && *name) {
    if (const Kernels *kernels = find_kernels(name)) return *kernels;
    throw FileError("TINYWASE_ISA is '" + std::string(name) + "': this processor runs " + kernel_names(", ") +
                    ". Name one of these, or none.");
  }
  for (const Candidate &candidate : candidates)
    if (candidate.runs()) return *candidate.kernels;
  return scalar::kernels;
}

}  // namespace tinywase
