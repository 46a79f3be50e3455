// A stack of convolution blocks over a batch of segments: what training calls, forward and backward.
// Tensors outside: [segments][frames][channels]; skip is the sum over the blocks.
#pragma once

#include <cstddef>
#include <vector>

#include "conv_block.h"

namespace tinywase {
namespace training {

// Whether this processor has the instructions (AVX-512 with bfloat16 dot products).
bool supported();

struct StackShape {
  int segments, frames, channels, hidden;
  bool causal;
  double norm_keeps;
  std::vector<int> dilations;  // one a block

  BlockShape block(int index) const { return {frames, channels, hidden, dilations[index], causal, norm_keeps}; }
};

// Bytes that `stack_forward` fills for `stack_backward`.
size_t saved_bytes(const StackShape &shape);

// A block's parameters and the ranges of its activations.
struct BlockInput {
  BlockTensors<const float> tensors;
  BlockRanges ranges;
};

void stack_forward(const StackShape &shape, const std::vector<BlockInput> &blocks, const float *x, float *x_out, float *skip,
                   char *saved);

// Gradients of parameters and scales [blocks][3] are added to what is there.
void stack_backward(const StackShape &shape, const std::vector<BlockInput> &blocks, const char *saved, const float *grad_out,
                    const float *grad_skip, float *grad_x, const std::vector<BlockTensors<float>> &gradients, float *to_scales);

}  // namespace training
}  // namespace tinywase
