// A stack of convolution blocks over a batch of segments, forward and backward: what training calls. Plain data, no vectors of
// any instruction set; the kernels behind it are compiled once for each set (dispatch.cpp).
// Tensors outside: [segments][frames][channels]; skip is the sum over the blocks.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace tinywase {
namespace training {

constexpr int kGroup = 32;  // channels that lie side by side within: tensors are [channels / 32][frames][32]

struct StackShape {
  int segments, frames, channels, hidden;
  bool causal;
  double norm_keeps;           // from frame to frame; 1 if not causal
  std::vector<int> dilations;  // one a block
};

// Pointers to the parameters of a block, or to their gradients.
template <typename Float>
struct BlockTensors {
  Float *expand_weight, *expand_bias;        // [hidden][channels], [hidden]
  Float *expand_slope;                       // [1]
  Float *expand_gain, *expand_offset;        // [hidden], norm
  Float *depthwise_weight, *depthwise_bias;  // [hidden][3], [hidden]
  Float *depthwise_slope;                    // [1]
  Float *depthwise_gain, *depthwise_offset;  // [hidden], norm
  Float *residual_weight, *residual_bias;    // [channels][hidden], [channels]
  Float *skip_weight, *skip_bias;            // [channels][hidden], [channels]
};
constexpr int kBlockTensors = 14;

// Steps of an activation: an integer zero point among 0..top; scale 0: left alone.
struct RangeValues {
  float scale = 0, zero_point = 0, top = 0;
};

// A block's parameters and the ranges of what goes into expand, the depthwise convolution, residual and skip.
struct BlockInput {
  BlockTensors<const float> tensors;
  RangeValues expand, depthwise, output;
};

// One instruction set's way of doing it.
struct StackKernels {
  const char *name;
  // Bytes that `forward` fills for `backward`.
  size_t (*saved_bytes)(const StackShape &shape);
  void (*forward)(const StackShape &shape, const std::vector<BlockInput> &blocks, const float *x, float *x_out, float *skip,
                  char *saved);
  // Gradients of parameters and scales [blocks][3] are added to what is there.
  void (*backward)(const StackShape &shape, const std::vector<BlockInput> &blocks, const char *saved, const float *grad_out,
                   const float *grad_skip, float *grad_x, const std::vector<BlockTensors<float>> &gradients, float *to_scales);
};

// Those that this processor can run, the fastest first.
std::vector<const StackKernels *> stack_kernels();

}  // namespace training
}  // namespace tinywase
