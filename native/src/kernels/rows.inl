// What happens to whole rows: norms and quantizers, of floats and of kept sums; PReLU, gains, an LSTM's step.

// n of kCodes channels of `Rows` rows, given to `take(row, c, vectors)`.
template <int Rows, bool kept, class Take>
inline void normalize_group(const NormRows &n, int first, Take take) {
  constexpr int vectors = kCodes / F32::width;
  F32 row_gain[Rows], row_shift[Rows];
#pragma GCC unroll 4
  for (int r = 0; r < Rows; r++) row_gain[r] = set(n.row_gain[first + r]), row_shift[r] = set(n.row_shift[first + r]);
  const F32 slope = set(n.kept.slope);
  for (int c = 0; c < n.channels; c += kCodes) {
    F32 gain[vectors], bias[vectors], scale[vectors], sum_bias[vectors];
#pragma GCC unroll 16
    for (int j = 0; j < vectors; j++) {
      gain[j] = load(n.gain + c + j * F32::width);
      bias[j] = load(n.bias + c + j * F32::width);
      if (!kept) continue;
      scale[j] = load(n.kept.scale + c + j * F32::width);
      sum_bias[j] = load(n.kept.bias + c + j * F32::width);
    }
#pragma GCC unroll 4
    for (int r = 0; r < Rows; r++) {
      const size_t at = (first + r) * n.stride + c;
      F32 v[vectors];
#pragma GCC unroll 16
      for (int j = 0; j < vectors; j++) {
        const size_t here = at + j * F32::width;
        const F32 x = kept ? kept_value(load_16(n.kept.sums + here), scale[j], sum_bias[j], slope) : load(n.input + here);
        v[j] = fma(fma(x, row_gain[r], row_shift[r]), gain[j], bias[j]);
      }
      take(first + r, c, v);
    }
  }
}

// The same by lines.
template <int Rows, class Take>
inline void lines_group(const NormRows &n, int first, Take take) {
  constexpr int vectors = kCodes / F32::width;
  for (int c = 0; c < n.channels; c += kCodes) {
    F32 above_scale[vectors], above_bias[vectors], below_scale[vectors], below_bias[vectors];
#pragma GCC unroll 16
    for (int j = 0; j < vectors; j++) {
      above_scale[j] = load(n.lines.above_scale + c + j * F32::width);
      above_bias[j] = load(n.lines.above_bias + c + j * F32::width);
      below_scale[j] = load(n.lines.below_scale + c + j * F32::width);
      below_bias[j] = load(n.lines.below_bias + c + j * F32::width);
    }
#pragma GCC unroll 4
    for (int r = 0; r < Rows; r++) {
      const int16_t *sums = n.kept.sums + (first + r) * n.stride + c;
      F32 v[vectors];
#pragma GCC unroll 16
      for (int j = 0; j < vectors; j++) {
        const F32 x = to_float(load_16(sums + j * F32::width));
        v[j] = max(fma(x, above_scale[j], above_bias[j]), fma(x, below_scale[j], below_bias[j]));
      }
      take(first + r, c, v);
    }
  }
}

enum class Rows { floats, kept, lines };

template <int count, Rows kind, class Take>
inline void group(const NormRows &n, int first, Take take) {
  if constexpr (kind == Rows::lines)
    lines_group<count>(n, first, take);
  else
    normalize_group<count, kind == Rows::kept>(n, first, take);
}

template <Rows kind, class Take>
inline void each_group(const NormRows &n, Take take) {
  int row = 0;
  for (; row + kNormGroup <= n.rows; row += kNormGroup) group<kNormGroup, kind>(n, row, take);
  for (; row < n.rows; row++) group<1, kind>(n, row, take);
}

using Channels = F32[kCodes / F32::width];

void normalize_rows(const NormRows &n, float *const *out) {
  each_group<Rows::floats>(n, [out](int row, int c, const Channels &v) {
#pragma GCC unroll 16
    for (int j = 0; j < kCodes / F32::width; j++) store(out[row] + c + j * F32::width, v[j]);
  });
}

void quantize_rows(const NormRows &n, int top, uint8_t *const *out) {
  const F32 limit = set(static_cast<float>(top));
  const auto take = [out, limit](int row, int c, Channels &v) {
    // The limits are integers, so clipping before rounding is the same. A NaN stays one.
#pragma GCC unroll 16
    for (int j = 0; j < kCodes / F32::width; j++) v[j] = min(limit, v[j]);
    store_codes(v, out[row] + c);
  };
  if (n.lines.above_scale) return each_group<Rows::lines>(n, take);
  n.kept.sums ? each_group<Rows::kept>(n, take) : each_group<Rows::floats>(n, take);
}

void prelu_row(float *x, int channels, float slope) {
  for (int c = 0; c < channels; c += F32::width) store(x + c, prelu(load(x + c), set(slope)));
}

void scale_row(float *x, int channels, const float *factor, float gain) {
  for (int c = 0; c < channels; c += F32::width)
    store(x + c, mul(load(x + c), factor ? mul(load(factor + c), set(gain)) : set(gain)));
}

void lstm_step(const float *gates, int hidden, float *cell, float *out) {
  for (int c = 0; c < hidden; c += F32::width) {
    const F32 input = sigmoid(load(gates + c)), forget = sigmoid(load(gates + hidden + c));
    const F32 candidate = hyperbolic_tangent(load(gates + 2 * hidden + c)), open = sigmoid(load(gates + 3 * hidden + c));
    const F32 next = fma(forget, load(cell + c), mul(input, candidate));
    store(cell + c, next);
    store(out + c, mul(open, hyperbolic_tangent(next)));
  }
}
