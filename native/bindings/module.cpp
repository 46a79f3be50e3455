// The Python module tinywase._native: nanobind around the C interface, no arithmetic.
#include <nanobind/nanobind.h>

NB_MODULE(_native, module) { module.doc() = "tinywase's native part"; }
