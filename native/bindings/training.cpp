// Training kernels for Python: arrays in, arrays filled. Checks and the GIL; no arithmetic.
#include "training.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>

#ifdef TINYWASE_TRAINING
#include "../src/training/stack.h"

namespace nb = nanobind;
using namespace tinywase::training;

namespace {

// By name; every call names the kernels, so that a test can run all that a processor has.
const StackKernels &kernels_named(const std::string &name) {
  for (const StackKernels *kernels : stack_kernels())
    if (kernels->name == name) return *kernels;
  throw std::invalid_argument("training kernels '" + name + "': not on this processor.");
}

constexpr int kLongestDilation = 1 << 16;

using Array = nb::ndarray<float, nb::c_contig, nb::device::cpu>;
using Bytes = nb::ndarray<uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

StackShape shape_of(const Array &x, int hidden, bool causal, double norm_keeps, const std::vector<int> &dilations) {
  if (x.ndim() != 3) throw std::invalid_argument("x has " + std::to_string(x.ndim()) + " axes, expected [segments, frames, channels].");
  StackShape shape{static_cast<int>(x.shape(0)), static_cast<int>(x.shape(1)), static_cast<int>(x.shape(2)), hidden, causal, norm_keeps, dilations};
  bool possible = shape.segments > 0 && shape.frames > 0 && shape.channels > 0 && hidden > 0;
  for (const int dilation : dilations) possible = possible && dilation > 0 && dilation <= kLongestDilation;
  if (!possible)
    throw std::invalid_argument("segments, frames, channels, hidden and dilations: expected 1 and more, dilations up to " +
                                std::to_string(kLongestDilation) + ".");
  if (shape.channels % kGroup || hidden % kGroup || dilations.empty())
    throw std::invalid_argument("channels " + std::to_string(shape.channels) + " and hidden " + std::to_string(hidden) +
                                ": expected multiples of " + std::to_string(kGroup) + ", and one block or more.");
  return shape;
}

// The tensors of all blocks, in the order of BlockTensors, each of the size its shape asks for.
template <typename Float>
std::vector<BlockTensors<Float>> blocks_of(const StackShape &shape, const std::vector<Array> &tensors) {
  if (tensors.size() != kBlockTensors * shape.dilations.size())
    throw std::invalid_argument(std::to_string(tensors.size()) + " tensors for " + std::to_string(shape.dilations.size()) + " blocks.");
  const size_t narrow = shape.channels, wide = shape.hidden;
  const size_t sizes[kBlockTensors] = {wide * narrow, wide, 1, wide, wide, wide * 3, wide, 1, wide, wide, narrow * wide, narrow, narrow * wide, narrow};
  std::vector<BlockTensors<Float>> blocks(shape.dilations.size());
  for (size_t i = 0; i < tensors.size(); i++) {
    if (tensors[i].size() != sizes[i % kBlockTensors])
      throw std::invalid_argument("tensor " + std::to_string(i) + " has " + std::to_string(tensors[i].size()) + " values, expected " +
                                  std::to_string(sizes[i % kBlockTensors]) + ".");
    reinterpret_cast<Float **>(&blocks[i / kBlockTensors])[i % kBlockTensors] = tensors[i].data();
  }
  return blocks;
}

// `ranges` [blocks][3][scale, zero point, top].
std::vector<BlockInput> inputs_of(const StackShape &shape, const std::vector<Array> &tensors, const Array &ranges) {
  const std::vector<BlockTensors<const float>> blocks = blocks_of<const float>(shape, tensors);
  if (ranges.size() != 9 * blocks.size()) throw std::invalid_argument("ranges: expected [blocks, 3, 3] values.");
  std::vector<BlockInput> inputs(blocks.size());
  for (size_t i = 0; i < blocks.size(); i++) {
    const float *r = ranges.data() + 9 * i;
    inputs[i] = {blocks[i], {r[0], r[1], r[2]}, {r[3], r[4], r[5]}, {r[6], r[7], r[8]}};
  }
  return inputs;
}

void same_size(const Array &array, const Array &x) {
  if (array.size() != x.size()) throw std::invalid_argument("arrays of one stack differ in size.");
}

}  // namespace

void bind_training(nb::module_ &module) {
  module.def("training_kernels", [] {
    std::vector<std::string> names;
    for (const StackKernels *kernels : stack_kernels()) names.emplace_back(kernels->name);
    return names;
  });
  module.def("stack_saved_bytes", [](const std::string &kernels, const Array &x, int hidden, bool causal, double norm_keeps, const std::vector<int> &dilations) {
    return kernels_named(kernels).saved_bytes(shape_of(x, hidden, causal, norm_keeps, dilations));
  });
  module.def("stack_forward", [](const std::string &name, const Array &x, int hidden, bool causal, double norm_keeps, const std::vector<int> &dilations,
                                 const std::vector<Array> &tensors, const Array &ranges, const Array &x_out, const Array &skip, const Bytes &saved) {
    const StackKernels &kernels = kernels_named(name);
    const StackShape shape = shape_of(x, hidden, causal, norm_keeps, dilations);
    const auto blocks = inputs_of(shape, tensors, ranges);
    same_size(x_out, x);
    same_size(skip, x);
    if (saved.size() < kernels.saved_bytes(shape)) throw std::invalid_argument("too little room for what the backward pass needs.");
    nb::gil_scoped_release release;
    kernels.forward(shape, blocks, x.data(), x_out.data(), skip.data(), reinterpret_cast<char *>(saved.data()));
  });
  module.def("stack_backward", [](const std::string &name, const Array &grad_out, const Array &grad_skip, int hidden, bool causal, double norm_keeps, const std::vector<int> &dilations,
                                  const std::vector<Array> &tensors, const Array &ranges, const Bytes &saved, const Array &grad_x,
                                  const std::vector<Array> &gradients, const Array &to_scales) {
    const StackKernels &kernels = kernels_named(name);
    const StackShape shape = shape_of(grad_out, hidden, causal, norm_keeps, dilations);
    const auto blocks = inputs_of(shape, tensors, ranges);
    if (to_scales.size() != 3 * blocks.size()) throw std::invalid_argument("to_scales: expected [blocks, 3] values.");
    const auto to = blocks_of<float>(shape, gradients);
    same_size(grad_skip, grad_out);
    same_size(grad_x, grad_out);
    if (saved.size() < kernels.saved_bytes(shape)) throw std::invalid_argument("what the forward pass saved is missing.");
    nb::gil_scoped_release release;
    kernels.backward(shape, blocks, reinterpret_cast<const char *>(saved.data()), grad_out.data(), grad_skip.data(), grad_x.data(), to, to_scales.data());
  });
}

#else

void bind_training(nanobind::module_ &module) {
  module.def("training_kernels", [] { return std::vector<std::string>(); });
}

#endif
