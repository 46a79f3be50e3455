// The arithmetic of the network, once per instruction set: a table of functions that dispatch.cpp chooses at run time.
//
// Letters: F frames (rows), C channels. Tensors are frame-major, [F, C] with the channels contiguous. Channel counts are padded
// to a multiple of kLane, and whatever lies in the padding of weights, biases, gains and activations is zero, so no kernel has
// a tail. Pointers to channels are aligned to 64 bytes unless said otherwise. Inputs and outputs may not overlap unless said.
//
// Every row's result is computed in one fixed order, whatever other rows are in the call: chunking never changes a bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace tinywase {

constexpr int kLane = 32;       // channels are padded to a multiple of this
constexpr int kTileFrames = 48;  // frames that the layers handle at a time
constexpr int kRowGroup = 4;     // rows that a call of a row kernel takes at most: they share the loads of what is per channel

constexpr int padded(int channels) { return (channels + kLane - 1) / kLane * kLane; }

// What a matrix product does with the value v of row f, column c before it goes to memory.
enum class Epilogue {
  store,       // out[f, c] = v
  prelu_sums,  // out[f, c] = p = max(v, 0) + slope * min(v, 0); row_sums[f] = sum of p and of p * p over c
  store_sums,  // the same without PReLU
  keep_sums,   // integers only: kept[f, c] = the accumulated product, which fits 16 bits; row_sums as prelu_sums has them
  accumulate,  // out[f, c] += v for c < split, second[f, c - split] += v beyond
  mask,        // out[f, c] = latent[f, c] / (1 + exp(-v))
};

// v from the accumulated product a: float32 v = a + bias[c], integers v = a * scale[c] + bias[c]. With row_gain (float32 only)
// the product's input is a norm's input and the norm is applied here: v = row_gain[f] a + (bias[c] + row_shift[f] weight_sum[c]).
struct GemmOutput {
  Epilogue kind = Epilogue::store;
  const float *bias = nullptr;        // [columns]
  const float *scale = nullptr;       // [columns], integers only
  const float *row_gain = nullptr;    // [rows] or null
  const float *row_shift = nullptr;   // [rows]
  const float *weight_sum = nullptr;  // [columns]
  float slope = 0;
  float *out = nullptr;  // row f at out + f * out_stride
  size_t out_stride = 0;
  float *second = nullptr;  // same stride
  int split = 0;            // a multiple of kLane
  const float *latent = nullptr;
  size_t latent_stride = 0;
  float *row_sums = nullptr;  // [rows, 2]: sum, sum of squares
  int16_t *kept = nullptr;    // keep_sums: row f at kept + f * out_stride
};

// out[f, c] = epilogue(sum_k input[f, k] * weight[k, c]).
// input: row f at input + f * input_stride, no alignment needed (the encoder's rows overlap).
// panels: [columns / panel][depth][panel], see Kernels::panel. columns is a multiple of kLane.
struct GemmF32 {
  const float *input = nullptr;
  size_t input_stride = 0;
  const float *panels = nullptr;
  int rows = 0, depth = 0, columns = 0;
  GemmOutput output;
};

// Memory that is needed after a product, brought near while the product runs: reading a long clip's tensors and multiplying
// overlap instead of taking turns.
struct Ahead {
  const void *begin = nullptr;
  size_t bytes = 0;
};

// The same on integers: the sum of code * level, exact in 32 bits, begins at start[c] (which holds -zero_point * sum of levels).
// input: stored codes (quantize_row), rows padded to a multiple of kLane bytes; panels: [columns / panel][depth / 4][panel][4].
// flush: how many products of four 16-bit sums (of pairs, where the processor adds them) hold without overflow; 0 if not even one.
struct GemmInt8 {
  const uint8_t *input = nullptr;
  size_t input_stride = 0;
  const int8_t *panels = nullptr;
  const int32_t *start = nullptr;  // [columns]
  int rows = 0, depth = 0, columns = 0, flush = 0;
  Ahead ahead[2];
  GemmOutput output;
};

// One frame of a depthwise convolution and its PReLU: out[c] = prelu(bias[c] + sum_k weights[k, c] * taps[k][c]), and its sums.
// Channels do not see each other: all pointers may begin at any multiple of kLane of them; the weights' rows are weight_channels
// apart.
struct DepthwiseF32 {
  const float *const *taps = nullptr;  // [kernel]
  const float *weights = nullptr;      // [kernel, weight_channels]
  const float *bias = nullptr;
  int kernel = 0, channels = 0, weight_channels = 0;
  float slope = 0;
  float *out = nullptr;
  float *row_sums = nullptr;  // [2]
};

// Slopes of PReLU after integers are at most 1 (kMostIntegerSlope): there a maximum does it.
constexpr float kMostIntegerSlope = 1;

// Integer sums kept as they are, in half the bytes of the floats they stand for: x[c] = prelu(sums[c] * scale[c] + bias[c]).
struct Kept {
  const int16_t *sums = nullptr;
  const float *scale = nullptr;
  const float *bias = nullptr;
  float slope = 0;
};

// rows <= kRowGroup frames of a depthwise convolution on stored codes, each with its taps and its row_sums:
// out[c] = prelu(bias[c] + scale[c] * sum[c]), sum[c] = start[c] + sum_k weights[k, c] * taps[k][c]; with `kept` the sums instead.
// weights: int16, taps in pairs: [(kernel + 1) / 2][weight_channels][2], the odd one out paired with zero.
struct DepthwiseInt8 {
  const uint8_t *const *taps = nullptr;  // [rows][kernel]
  const int16_t *weights = nullptr;
  const int32_t *start = nullptr;
  const float *scale = nullptr;
  const float *bias = nullptr;
  int rows = 0, kernel = 0, channels = 0, weight_channels = 0;
  float slope = 0;
  float *out = nullptr;     // row r at out + r * out_stride, or
  int16_t *kept = nullptr;  // at kept + r * out_stride
  size_t out_stride = 0;
  float *row_sums = nullptr;  // [rows, 2]
};

// What PReLU and a norm make of kept sums where the norm's statistics are a whole clip's: the larger of two straight lines,
// n[c] = max(sums[c] * above_scale[c] + above_bias[c], sums[c] * below_scale[c] + below_bias[c]).
struct Lines {
  const float *above_scale = nullptr, *above_bias = nullptr;
  const float *below_scale = nullptr, *below_bias = nullptr;
};

// rows <= kRowGroup rows through a norm whose statistics are known: n[c] = (x[c] * row_gain[r] + row_shift[r]) * gain[c] + bias[c].
// x is row r of input, at input + r * stride, or of the kept sums. With lines (quantize_rows only) n[c] is theirs.
struct NormRows {
  const float *input = nullptr;
  Kept kept;
  size_t stride = 0;
  int rows = 0, channels = 0;
  const float *row_gain = nullptr, *row_shift = nullptr;  // [rows]
  const float *gain = nullptr;
  const float *bias = nullptr;
  Lines lines;
};

struct Kernels {
  const char *name;
  int panel;  // columns of a weight panel; divides kLane
  // Codes are stored minus this: 0 where the kernels multiply unsigned by signed bytes, 128 where both are signed.
  int code_offset;

  void (*gemm_f32)(const GemmF32 &);
  void (*gemm_int8)(const GemmInt8 &);
  void (*depthwise_f32)(const DepthwiseF32 &);
  void (*depthwise_int8)(const DepthwiseInt8 &);
  // out[r][c] = n[c]; floats only, may work in place.
  void (*normalize_rows)(const NormRows &, float *const *out);
  // out[r][c] = clip(rint(n[c]), 0, top) - code_offset: gain and bias carry the step and the zero point. top <= 255.
  void (*quantize_rows)(const NormRows &, int top, uint8_t *const *out);
  // x[c] = max(x[c], 0) + slope * min(x[c], 0)
  void (*prelu_row)(float *x, int channels, float slope);
  // x[c] *= factor[c] * gain; factor may be null (ones).
  void (*scale_row)(float *x, int channels, const float *factor, float gain);
  // Does nothing but multiply and add bytes, in registers, `steps` times: the limit of the processor. Returns how many products.
  int64_t (*multiply_adds)(int64_t steps);
  // One step of an LSTM: gates [4, padded hidden] in torch's order input, forget, cell, output -> cell, hidden [hidden].
  void (*lstm_step)(const float *gates, int hidden, float *cell, float *out);
  // The next code of each lane of a range coder (range_coder.h), its states [lanes]; at most 2 * lanes bytes of words are read.
  void (*next_codes)(const uint32_t *slots, uint32_t *states, int lanes, const uint8_t *&words, uint8_t *codes);
};

// The kernels named by TINYWASE_ISA, or the best that this processor runs. Throws FileError for a name it cannot run.
const Kernels &choose_kernels();
// All that this build and processor have, best first.
std::string kernel_names(const char *separator);
// By name; null if this build or processor lacks them.
const Kernels *find_kernels(const char *name);

}  // namespace tinywase
