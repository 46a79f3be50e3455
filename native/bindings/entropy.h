// The range coder's part of the Python module.
#pragma once

#include <nanobind/nanobind.h>

void bind_entropy(nanobind::module_ &module);
