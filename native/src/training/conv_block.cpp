#include "conv_block.h"

#include <algorithm>

#include "products.h"

namespace tinywase {
namespace training {
namespace TINYWASE_TRAINING_ISA {
namespace {

size_t at(int frame) { return static_cast<size_t>(frame) * kGroup; }

// A norm as a frame and a group of channels see it.
struct GroupNorm {
  Statistics statistics;
  Pair gain, offset;

  GroupNorm(Statistics statistics, const float *gains, const float *offsets)
      : statistics(statistics), gain(load(gains)), offset(load(offsets)) {}
  Pair normalized(Pair x, int frame) const {
    return fms(x, set(statistics.scale[frame]), set(statistics.shift[frame]));
  }
  Pair operator()(Pair x, int frame) const { return fma(normalized(x, frame), gain, offset); }
  // The gradient before the norm, from that after it.
  Pair backward(Pair grad, Pair x, int frame, const Scratch &scratch) const {
    const Pair rest = fma(set(scratch.linear[frame]), x, set(scratch.constant[frame]));
    return fma(grad * gain, set(statistics.scale[frame]), rest);
  }
};

void add_to(float *sums, Pair value) { store(sums, load(sums) + value); }

}  // namespace

void PackedBlock::pack(const BlockTensors<const float> &from, int channels, int hidden, bool backward) {
  const size_t size = static_cast<size_t>(channels) * hidden;
  expand.resize(size);
  output.resize(2 * size);
  TINYWASE_TRAINING_ISA::pack(from.expand_weight, hidden, channels, expand.data());
  TINYWASE_TRAINING_ISA::pack(from.residual_weight, channels, hidden, output.data());
  TINYWASE_TRAINING_ISA::pack(from.skip_weight, channels, hidden, output.data() + size);
  taps.resize(3 * static_cast<size_t>(hidden));
  for (int c = 0; c < hidden; c++)
    for (int k = 0; k < 3; k++) taps[static_cast<size_t>(k) * hidden + c] = from.depthwise_weight[3 * c + k];
  if (!backward) return;
  expand_transposed.resize(size);
  TINYWASE_TRAINING_ISA::pack_transposed(from.expand_weight, channels, hidden, expand_transposed.data());
  Vector<float> both(2 * size);
  std::copy_n(from.residual_weight, size, both.begin());
  std::copy_n(from.skip_weight, size, both.begin() + size);
  output_transposed.resize(2 * size);
  TINYWASE_TRAINING_ISA::pack_transposed(both.data(), hidden, 2 * channels, output_transposed.data());
}

size_t Saved::bytes(const BlockShape &shape) {
  const size_t bytes = sizeof(bf16) * (shape.narrow() + 2 * shape.wide()) + sizeof(float) * 4 * shape.frames;
  return (bytes + 63) / 64 * 64;
}

Saved::Saved(char *memory, const BlockShape &shape) {
  input = reinterpret_cast<bf16 *>(memory);
  expanded = input + shape.narrow();
  filtered = expanded + shape.wide();
  float *statistics = reinterpret_cast<float *>(filtered + shape.wide());
  expand = {statistics, statistics + shape.frames};
  depthwise = {statistics + 2 * shape.frames, statistics + 3 * shape.frames};
}

void Scratch::fit(const BlockShape &shape) {
  columns.resize(at(shape.frames));
  padded.resize(at(shape.frames + shape.span()));
  constant.resize(shape.frames);
  linear.resize(shape.frames);
  narrow.resize(shape.narrow());
  wide.resize(shape.wide());
  narrow_pairs.resize(static_cast<size_t>(shape.pairs()) * 2 * shape.channels);
  wide_pairs.resize(static_cast<size_t>(shape.pairs()) * 2 * kGroup);
}

void forward(const BlockShape &shape, const BlockInput &block, const PackedBlock &packed, float *x, float *skip, Saved saved,
             Scratch &scratch) {
  const BlockTensors<const float> &tensors = block.tensors;
  const BlockRanges ranges(block);
  const int frames = shape.frames, narrow_groups = shape.channels / kGroup, wide_groups = shape.hidden / kGroup;
  const size_t group = at(frames);
  float *columns = scratch.columns.data();
  for (size_t i = 0; i < shape.narrow(); i += kGroup) {
    store(saved.input + i, load(x + i));
    if (ranges.expand.on()) store(&scratch.narrow[i], ranges.expand(load(saved.input + i)));
  }
  const bf16 *input = ranges.expand.on() ? scratch.narrow.data() : saved.input;

  scratch.sums.begin(frames);
  const Pair expand_slope = set(*tensors.expand_slope);
  for (int g = 0; g < wide_groups; g++) {
    product(input, frames, narrow_groups, &packed.expand[static_cast<size_t>(g) * kGroup * shape.channels], columns);
    const Pair bias = load(tensors.expand_bias + g * kGroup);
    bf16 *out = saved.expanded + g * group;
    for (int f = 0; f < frames; f++) {
      const Pair value = load(columns + at(f)) + bias, bent = prelu(value, expand_slope);
      store(out + at(f), value);
      scratch.sums.add(f, bent, bent * bent);
    }
  }
  finish(scratch.sums, frames, shape.hidden, shape.causal, shape.norm_keeps, saved.expand);

  scratch.sums.begin(frames);
  const Pair depthwise_slope = set(*tensors.depthwise_slope);
  float *padded = scratch.padded.data(), *middle = padded + at(shape.left());
  std::fill(padded, middle, 0.0f);
  std::fill(middle + group, padded + at(frames + shape.span()), 0.0f);
  for (int g = 0; g < wide_groups; g++) {
    const int c = g * kGroup;
    const GroupNorm norm(saved.expand, tensors.expand_gain + c, tensors.expand_offset + c);
    const bf16 *in = saved.expanded + g * group;
    for (int f = 0; f < frames; f++) store(middle + at(f), ranges.depthwise(norm(prelu(load(in + at(f)), expand_slope), f)));
    const float *taps = packed.taps.data() + c;
    const Pair w0 = load(taps), w1 = load(taps + shape.hidden), w2 = load(taps + 2 * shape.hidden);
    const Pair bias = load(tensors.depthwise_bias + c);
    bf16 *out = saved.filtered + g * group;
    for (int f = 0; f < frames; f++) {
      const float *first = padded + at(f);
      Pair value = fma(w0, load(first), bias);
      value = fma(w1, load(first + at(shape.dilation)), value);
      value = fma(w2, load(first + at(shape.span())), value);
      const Pair bent = prelu(value, depthwise_slope);
      store(out + at(f), value);
      scratch.sums.add(f, bent, bent * bent);
    }
  }
  finish(scratch.sums, frames, shape.hidden, shape.causal, shape.norm_keeps, saved.depthwise);

  for (int g = 0; g < wide_groups; g++) {
    const int c = g * kGroup;
    const GroupNorm norm(saved.depthwise, tensors.depthwise_gain + c, tensors.depthwise_offset + c);
    for (int f = 0; f < frames; f++) {
      const size_t i = g * group + at(f);
      store(&scratch.wide[i], ranges.output(norm(prelu(load(saved.filtered + i), depthwise_slope), f)));
    }
  }
  for (int g = 0; g < 2 * narrow_groups; g++) {
    product(scratch.wide.data(), frames, wide_groups, &packed.output[static_cast<size_t>(g) * kGroup * shape.hidden], columns);
    const bool residual = g < narrow_groups;
    const int own = residual ? g : g - narrow_groups;
    const Pair bias = load((residual ? tensors.residual_bias : tensors.skip_bias) + own * kGroup);
    float *out = (residual ? x : skip) + own * group;
    for (int f = 0; f < frames; f++) add_to(out + at(f), load(columns + at(f)) + bias);
  }
}

void round_gradient(const float *values, int frames, int groups, bf16 *rows, bf16 *pairs, float *sums) {
  for (int g = 0; g < groups; g++) {
    Pair total = zero();
    for (int f = 0; f < frames; f += 2, pairs += 2 * kGroup) {
      const Pair first = load(values + at(f)), second = f + 1 < frames ? load(values + at(f + 1)) : zero();
      store_pairs(pairs, first, second);
      if (rows) {
        store(rows + at(f), first);
        if (f + 1 < frames) store(rows + at(f + 1), second);
      }
      total = total + first + second;
    }
    values += at(frames);
    if (rows) rows += at(frames);
    if (sums) add_to(sums + g * kGroup, total);
  }
}

namespace {

// Through residual, skip and the second norm. Leaves the gradient after the norm in `scratch.wide`, what reaches the norm's
// statistics in `scratch`.
void output_backward(const BlockShape &shape, const BlockTensors<const float> &tensors, const Range &range,
                     const PackedBlock &packed, const Saved &saved, OutputGradient output,
                     const BlockTensors<float> &gradients, float *to_scale, Scratch &scratch) {
  const int frames = shape.frames, narrow_groups = shape.channels / kGroup, wide_groups = shape.hidden / kGroup;
  const size_t group = at(frames), pair_group = static_cast<size_t>(shape.pairs()) * 2 * kGroup;
  const float *columns = scratch.columns.data();
  const Pair slope = set(*tensors.depthwise_slope);
  Pair scale_gradient = zero();
  scratch.sums.begin(frames);
  for (int g = 0; g < wide_groups; g++) {
    const int c = g * kGroup;
    product(output.rows, frames, 2 * narrow_groups, &packed.output_transposed[static_cast<size_t>(c) * 2 * shape.channels],
            scratch.columns.data());
    const GroupNorm norm(saved.depthwise, tensors.depthwise_gain + c, tensors.depthwise_offset + c);
    const bf16 *filtered = saved.filtered + g * group;
    bf16 *grads = scratch.wide.data() + g * group;
    Pair gain = zero(), offset = zero();
    auto row = [&](int f) {
      const Pair x = norm.normalized(prelu(load(filtered + at(f)), slope), f), y = fma(x, norm.gain, norm.offset);
      const Pair grad = range.backward(load(columns + at(f)), y, scale_gradient);
      store(grads + at(f), grad);
      offset = offset + grad;
      gain = fma(grad, x, gain);
      const Pair inner = grad * norm.gain;
      scratch.sums.add(f, inner, inner * x);
      return range(y);
    };
    for (int f = 0; f < frames; f += 2) {
      const Pair first = row(f), second = f + 1 < frames ? row(f + 1) : zero();
      store_pairs(&scratch.wide_pairs[at(f)], first, second);
    }
    add_to(gradients.depthwise_gain + c, gain);
    add_to(gradients.depthwise_offset + c, offset);
    for (int o = 0; o < 2 * narrow_groups; o++) {
      const bool residual = o < narrow_groups;
      float *weight = residual ? gradients.residual_weight : gradients.skip_weight;
      const size_t first_row = static_cast<size_t>(residual ? o : o - narrow_groups) * kGroup;
      add_outer_products(output.pairs + o * pair_group, scratch.wide_pairs.data(), shape.pairs(),
                         weight + first_row * shape.hidden + c, shape.hidden);
    }
  }
  *to_scale += sum(scale_gradient);
  finish_backward(scratch.sums, frames, shape.hidden, shape.causal, shape.norm_keeps, saved.depthwise, scratch.constant.data(),
                  scratch.linear.data());
}

// Through the second PReLU, the depthwise convolution and the first norm; from and to `scratch.wide` as above.
void depthwise_backward(const BlockShape &shape, const BlockTensors<const float> &tensors, const Range &range,
                        const PackedBlock &packed, const Saved &saved, const BlockTensors<float> &gradients,
                        float *to_scale, Scratch &scratch) {
  const int frames = shape.frames, span = shape.span();
  const size_t group = at(frames);
  const Pair one = set(1.0f), outer_slope = set(*tensors.depthwise_slope), inner_slope = set(*tensors.expand_slope);
  // Tap k of frame f + left - k d read frame f, so the gradients stand behind a margin of what is right of a frame.
  float *padded = scratch.padded.data(), *middle = padded + at(span - shape.left());
  std::fill(padded, middle, 0.0f);
  std::fill(middle + group, padded + at(frames + span), 0.0f);
  scratch.sums.begin(frames);
  Pair to_slope = zero(), scale_gradient = zero();
  for (int g = 0; g < shape.hidden / kGroup; g++) {
    const int c = g * kGroup;
    const GroupNorm outer(saved.depthwise, tensors.depthwise_gain + c, tensors.depthwise_offset + c);
    const bf16 *filtered = saved.filtered + g * group;
    bf16 *grads = scratch.wide.data() + g * group;
    Pair bias = zero();
    for (int f = 0; f < frames; f++) {
      const Pair value = load(filtered + at(f));
      const Pair grad = outer.backward(load(grads + at(f)), prelu(value, outer_slope), f, scratch);
      to_slope = fma(grad, negative(value), to_slope);
      const Pair before = grad * where_positive(value, one, outer_slope);
      bias = bias + before;
      store(middle + at(f), before);
    }
    add_to(gradients.depthwise_bias + c, bias);

    const GroupNorm inner(saved.expand, tensors.expand_gain + c, tensors.expand_offset + c);
    const bf16 *expanded = saved.expanded + g * group;
    const float *taps = packed.taps.data() + c;
    const Pair w0 = load(taps), w1 = load(taps + shape.hidden), w2 = load(taps + 2 * shape.hidden);
    Pair t0 = zero(), t1 = zero(), t2 = zero(), gain = zero(), offset = zero();
    for (int f = 0; f < frames; f++) {
      const Pair x = inner.normalized(prelu(load(expanded + at(f)), inner_slope), f);
      const Pair y = fma(x, inner.gain, inner.offset), quantized = range(y);
      const float *last = padded + at(f);
      const Pair d0 = load(last + at(span)), d1 = load(last + at(shape.dilation)), d2 = load(last);
      t0 = fma(d0, quantized, t0);
      t1 = fma(d1, quantized, t1);
      t2 = fma(d2, quantized, t2);
      const Pair grad = range.backward(fma(w0, d0, fma(w1, d1, w2 * d2)), y, scale_gradient);
      store(grads + at(f), grad);
      offset = offset + grad;
      gain = fma(grad, x, gain);
      const Pair scaled = grad * inner.gain;
      scratch.sums.add(f, scaled, scaled * x);
    }
    add_to(gradients.expand_gain + c, gain);
    add_to(gradients.expand_offset + c, offset);
    float of_tap[3][kGroup];
    store(of_tap[0], t0);
    store(of_tap[1], t1);
    store(of_tap[2], t2);
    for (int j = 0; j < kGroup; j++)
      for (int k = 0; k < 3; k++) gradients.depthwise_weight[3 * (c + j) + k] += of_tap[k][j];
  }
  *gradients.depthwise_slope += sum(to_slope);
  *to_scale += sum(scale_gradient);
  finish_backward(scratch.sums, frames, shape.hidden, shape.causal, shape.norm_keeps, saved.expand, scratch.constant.data(),
                  scratch.linear.data());
}

// Through the first PReLU and the expanding convolution.
void expand_backward(const BlockShape &shape, const BlockTensors<const float> &tensors, const Range &range,
                     const PackedBlock &packed, const Saved &saved, float *grad, const BlockTensors<float> &gradients,
                     float *to_scale, Scratch &scratch) {
  const int frames = shape.frames, narrow_groups = shape.channels / kGroup, wide_groups = shape.hidden / kGroup;
  const size_t group = at(frames), pair_group = static_cast<size_t>(shape.pairs()) * 2 * kGroup;
  const Pair one = set(1.0f), slope = set(*tensors.expand_slope);
  Pair to_slope = zero(), scale_gradient = zero();
  for (int g = 0; g < narrow_groups; g++)
    for (int f = 0; f < frames; f += 2) {
      const bf16 *row = saved.input + g * group + at(f);
      const Pair second = f + 1 < frames ? range(load(row + kGroup)) : zero();
      store_pairs(&scratch.narrow_pairs[g * pair_group + at(f)], range(load(row)), second);
    }
  for (int g = 0; g < wide_groups; g++) {
    const int c = g * kGroup;
    const GroupNorm norm(saved.expand, tensors.expand_gain + c, tensors.expand_offset + c);
    const bf16 *expanded = saved.expanded + g * group;
    bf16 *grads = scratch.wide.data() + g * group;
    Pair bias = zero();
    auto row = [&](int f) {
      const Pair value = load(expanded + at(f));
      const Pair after = norm.backward(load(grads + at(f)), prelu(value, slope), f, scratch);
      to_slope = fma(after, negative(value), to_slope);
      const Pair before = after * where_positive(value, one, slope);
      bias = bias + before;
      store(grads + at(f), before);
      return before;
    };
    for (int f = 0; f < frames; f += 2) {
      const Pair first = row(f), second = f + 1 < frames ? row(f + 1) : zero();
      store_pairs(&scratch.wide_pairs[at(f)], first, second);
    }
    add_to(gradients.expand_bias + c, bias);
    for (int n = 0; n < narrow_groups; n++)
      add_outer_products(scratch.wide_pairs.data(), &scratch.narrow_pairs[n * pair_group], shape.pairs(),
                         gradients.expand_weight + static_cast<size_t>(c) * shape.channels + n * kGroup, shape.channels);
  }
  *gradients.expand_slope += sum(to_slope);
  for (int g = 0; g < narrow_groups; g++) {
    product(scratch.wide.data(), frames, wide_groups,
            &packed.expand_transposed[static_cast<size_t>(g) * kGroup * shape.hidden], scratch.columns.data());
    float *out = grad + g * group;
    const bf16 *input = saved.input + g * group;
    for (int f = 0; f < frames; f++)
      add_to(out + at(f), range.backward(load(&scratch.columns[at(f)]), load(input + at(f)), scale_gradient));
  }
  *to_scale += sum(scale_gradient);
}

}  // namespace

void backward(const BlockShape &shape, const BlockInput &block, const PackedBlock &packed, Saved saved, OutputGradient output,
              float *grad, const BlockTensors<float> &gradients, float *to_scales, Scratch &scratch) {
  const BlockTensors<const float> &tensors = block.tensors;
  const BlockRanges ranges(block);
  round_gradient(grad, shape.frames, shape.channels / kGroup, output.rows, output.pairs, gradients.residual_bias);
  output_backward(shape, tensors, ranges.output, packed, saved, output, gradients, to_scales + 2, scratch);
  depthwise_backward(shape, tensors, ranges.depthwise, packed, saved, gradients, to_scales + 1, scratch);
  expand_backward(shape, tensors, ranges.expand, packed, saved, grad, gradients, to_scales, scratch);
}

}  // namespace TINYWASE_TRAINING_ISA
}  // namespace training
}  // namespace tinywase
