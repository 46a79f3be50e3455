// The training kernels' part of the Python module.
#pragma once

#include <nanobind/nanobind.h>

void bind_training(nanobind::module_ &module);
