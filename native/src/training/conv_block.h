// Forward and backward pass of a convolution block (docs/model.md 3) over one segment, with everything it keeps in cache.
// 1x1 expand, PReLU, norm, depthwise of kernel 3, PReLU, norm, then 1x1 residual and skip. Tensors: [channels / 32][frames][32].
#pragma once

#include <cstddef>
#include <vector>

#include "bfloat16.h"
#include "stack.h"
#include "statistics.h"

namespace tinywase {
namespace training {
namespace TINYWASE_TRAINING_ISA {

struct BlockShape {
  int frames, channels, hidden, dilation;
  bool causal;
  double norm_keeps;  // from frame to frame; 1 if not causal

  int span() const { return 2 * dilation; }                          // frames from the first tap to the last
  int left() const { return causal ? span() : dilation; }            // frames of it before the current one
  int pairs() const { return (frames + 1) / 2; }
  size_t narrow() const { return static_cast<size_t>(frames) * channels; }  // values of the input
  size_t wide() const { return static_cast<size_t>(frames) * hidden; }      // values within
};

// An activation on 2^bits steps around an integer zero point, straight-through (docs/quantization.md); scale 0: left alone.
struct Range : RangeValues {
  Range(const RangeValues &values) : RangeValues(values) {}
  bool on() const { return scale > 0; }
  Pair operator()(Pair x) const { return on() ? steps(clipped(ratio(x))) : x; }
  // The gradient before the quantizer; what the scale gets, but for a constant, is added to `to_scale`.
  Pair backward(Pair grad, Pair x, Pair &to_scale) const {
    if (!on()) return grad;
    const Pair exact = ratio(x), whole = clipped(exact), inside_grad = where_equal(whole, round(exact), grad, zero());
    to_scale = fma(grad, whole, to_scale) - inside_grad * exact;
    return inside_grad;
  }

 private:
  Pair ratio(Pair x) const { return x * set(1 / scale); }
  Pair clipped(Pair ratio) const { return min(max(round(ratio), set(-zero_point)), set(top - zero_point)); }
  Pair steps(Pair whole) const { return whole * set(scale); }
};

// The three activation points of a block.
struct BlockRanges {
  Range expand, depthwise, output;
  explicit BlockRanges(const BlockInput &block) : expand(block.expand), depthwise(block.depthwise), output(block.output) {}
};

// Weights in bfloat16, as the products want them.
struct PackedBlock {
  Vector<bf16> expand, output;                      // forward; output is residual and skip side by side
  Vector<bf16> expand_transposed, output_transposed;  // backward
  Vector<float> taps;                               // [3][hidden]

  void pack(const BlockTensors<const float> &from, int channels, int hidden, bool backward);
};

// What the forward pass leaves for the backward pass, in memory of the caller.
struct Saved {
  bf16 *input, *expanded, *filtered;  // before the PReLUs
  Statistics expand, depthwise;

  static size_t bytes(const BlockShape &shape);
  Saved(char *memory, const BlockShape &shape);
};

// Room for what lives only within one pass; grows to the largest segment.
class Scratch {
 public:
  Vector<float> columns, padded, constant, linear;
  Vector<bf16> narrow, wide, narrow_pairs, wide_pairs;
  FrameSums sums;

  void fit(const BlockShape &shape);
};

// The gradient that comes to residual and skip, side by side, as rows and as pairs of rows.
struct OutputGradient {
  bf16 *rows;   // [2 channels / 32][frames][32], skip in the upper half
  bf16 *pairs;  // [2 channels / 32][pairs][32][2]
};

// x += residual, skip += skip path.
void forward(const BlockShape &shape, const BlockInput &block, const PackedBlock &packed, float *x, float *skip, Saved saved,
             Scratch &scratch);

// `grad` comes as the gradient of x after the block and leaves as that before it; gradients of the parameters are added to.
// `to_scales` [3] are of the ranges, but for a constant.
// The caller filled the upper half of `output` and adds the skip bias's gradient itself: both are the same for all blocks.
void backward(const BlockShape &shape, const BlockInput &block, const PackedBlock &packed, Saved saved, OutputGradient output,
              float *grad, const BlockTensors<float> &gradients, float *to_scales, Scratch &scratch);

// Rounds [groups][frames][32] floats into pairs of rows and, unless `rows` is null, into rows; adds the sums over frames.
void round_gradient(const float *values, int frames, int groups, bf16 *rows, bf16 *pairs, float *sums);

}  // namespace TINYWASE_TRAINING_ISA
}  // namespace training
}  // namespace tinywase
