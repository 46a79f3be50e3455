#include "stack.h"

#include <algorithm>

#include "conv_block.h"

#define TINYWASE_TEXT(x) #x
#define TINYWASE_NAME_OF(x) TINYWASE_TEXT(x)

namespace tinywase {
namespace training {
namespace TINYWASE_TRAINING_ISA {
namespace {

// [frames][channels] -> [channels / 32][frames][32]
void into_groups(const float *from, int frames, int channels, float *to) {
  for (int c = 0; c < channels; c += kGroup)
    for (int f = 0; f < frames; f++, to += kGroup) store(to, load(from + static_cast<size_t>(f) * channels + c));
}

void out_of_groups(const float *from, int frames, int channels, float *to) {
  for (int c = 0; c < channels; c += kGroup)
    for (int f = 0; f < frames; f++, from += kGroup) store(to + static_cast<size_t>(f) * channels + c, load(from));
}

BlockShape block_shape(const StackShape &shape, int index) {
  return {shape.frames, shape.channels, shape.hidden, shape.dilations[index], shape.causal, shape.norm_keeps};
}

// Segments of one block, then the next block: its weights and their gradients stay in cache meanwhile.
Saved saved_of(const StackShape &shape, char *memory, int segment, int block) {
  const BlockShape own = block_shape(shape, block);
  return Saved(memory + (static_cast<size_t>(block) * shape.segments + segment) * Saved::bytes(own), own);
}

size_t saved_bytes(const StackShape &shape) {
  return shape.segments * shape.dilations.size() * Saved::bytes(block_shape(shape, 0));
}

void stack_forward(const StackShape &shape, const std::vector<BlockInput> &blocks, const float *x, float *x_out, float *skip,
                   char *saved) {
  const size_t narrow = block_shape(shape, 0).narrow();
  Vector<float> own(shape.segments * narrow), skips(shape.segments * narrow, 0.0f);
  PackedBlock weights;
  Scratch scratch;
  for (int s = 0; s < shape.segments; s++) into_groups(x + s * narrow, shape.frames, shape.channels, &own[s * narrow]);
  for (int i = 0; i < static_cast<int>(blocks.size()); i++) {
    const BlockShape block = block_shape(shape, i);
    weights.pack(blocks[i].tensors, shape.channels, shape.hidden, false);
    scratch.fit(block);
    for (int s = 0; s < shape.segments; s++)
      forward(block, blocks[i], weights, &own[s * narrow], &skips[s * narrow], saved_of(shape, saved, s, i), scratch);
  }
  for (int s = 0; s < shape.segments; s++) {
    out_of_groups(&own[s * narrow], shape.frames, shape.channels, x_out + s * narrow);
    out_of_groups(&skips[s * narrow], shape.frames, shape.channels, skip + s * narrow);
  }
}

void stack_backward(const StackShape &shape, const std::vector<BlockInput> &blocks, const char *saved, const float *grad_out,
                    const float *grad_skip, float *grad_x, const std::vector<BlockTensors<float>> &gradients, float *to_scales) {
  const BlockShape first = block_shape(shape, 0);
  const size_t narrow = first.narrow(), pairs = static_cast<size_t>(first.pairs()) * 2 * shape.channels;
  Vector<float> own(shape.segments * narrow), skips(narrow), skip_bias(shape.channels, 0.0f);
  Vector<bf16> rows(shape.segments * 2 * narrow), row_pairs(shape.segments * 2 * pairs);
  PackedBlock weights;
  Scratch scratch;
  auto output = [&](int s) { return OutputGradient{&rows[s * 2 * narrow], &row_pairs[s * 2 * pairs]}; };
  for (int s = 0; s < shape.segments; s++) {
    into_groups(grad_out + s * narrow, shape.frames, shape.channels, &own[s * narrow]);
    into_groups(grad_skip + s * narrow, shape.frames, shape.channels, skips.data());
    round_gradient(skips.data(), shape.frames, shape.channels / kGroup, output(s).rows + narrow, output(s).pairs + pairs,
                   skip_bias.data());
  }
  for (int i = static_cast<int>(blocks.size()) - 1; i >= 0; i--) {
    const BlockShape block = block_shape(shape, i);
    weights.pack(blocks[i].tensors, shape.channels, shape.hidden, true);
    scratch.fit(block);
    for (int c = 0; c < shape.channels; c++) gradients[i].skip_bias[c] += skip_bias[c];
    for (int s = 0; s < shape.segments; s++)
      backward(block, blocks[i], weights, saved_of(shape, const_cast<char *>(saved), s, i), output(s),
               &own[s * narrow], gradients[i], to_scales + 3 * i, scratch);
  }
  for (int s = 0; s < shape.segments; s++)
    out_of_groups(&own[s * narrow], shape.frames, shape.channels, grad_x + s * narrow);
}

}  // namespace

extern const StackKernels kStack;
const StackKernels kStack = {TINYWASE_NAME_OF(TINYWASE_TRAINING_ISA), saved_bytes, stack_forward, stack_backward};

}  // namespace TINYWASE_TRAINING_ISA
}  // namespace training
}  // namespace tinywase
