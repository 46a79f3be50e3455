// The kernels' bodies, compiled once per instruction set: kernels_<isa>.cpp includes its vectors (simd_<isa>.h), then this file
// inside its own namespace. Accumulators live in registers: tiles are unrolled at compile time, and test_native_kernels.py
// looks at the disassembly for spills.

constexpr int kVectors = kPanel / F32::width;
constexpr int kRowBlock = 48;                // most rows that a panel of weights passes over at a time, and
constexpr size_t kRowBlockBytes = 12 << 10;  // most bytes of their inputs: with the panel they stay in the first-level cache

struct RowSums {
  F32 total[kRowBlock], squares[kRowBlock];
};

// PReLU for slopes of at most 1, which is what integer layers have.
inline F32 gentle_prelu(F32 x, F32 slope) { return max(mul(x, slope), x); }

// The value that a kept sum stands for.
inline F32 kept_value(I32 sum, F32 scale, F32 bias, F32 slope) { return gentle_prelu(fma(to_float(sum), scale, bias), slope); }

// exp by 2^n * exp(r), |r| <= ln 2 / 2, the latter by its series to r^7 (the next term is below 5e-9).
inline F32 exponential(F32 x) {
  x = min(max(x, set(-87)), set(87));
  const F32 n = round(mul(x, set(1.44269504f)));
  F32 r = fma(n, set(-0.693359375f), x);  // ln 2 in two parts, so that n ln 2 loses nothing
  r = fma(n, set(2.12194440e-4f), r);
  F32 series = fma(set(1.0f / 5040), r, set(1.0f / 720));
  series = fma(series, r, set(1.0f / 120));
  series = fma(series, r, set(1.0f / 24));
  series = fma(series, r, set(1.0f / 6));
  series = fma(series, r, set(0.5f));
  series = fma(series, r, set(1));
  series = fma(series, r, set(1));
  return mul(series, power_of_two(n));
}

inline F32 sigmoid(F32 x) { return div(set(1), add(set(1), exponential(sub(set(0), x)))); }

// Where the epilogue wants the values of one row, columns `column` and on; returns them as the sums need them.
template <Epilogue kind, bool integers>
inline F32 emit(const GemmOutput &o, int row, int column, F32 v) {
  float *out = o.out + row * o.out_stride + column;
  if (kind == Epilogue::accumulate) {
    if (column >= o.split) out = o.second + row * o.out_stride + (column - o.split);
    v = add(load(out), v);
  }
  if (kind == Epilogue::mask) v = mul(sigmoid(v), load(o.latent + row * o.latent_stride + column));
  if (kind == Epilogue::prelu_sums || kind == Epilogue::keep_sums) v = integers ? gentle_prelu(v, set(o.slope)) : prelu(v, set(o.slope));
  if (kind != Epilogue::keep_sums) store(out, v);
  return v;
}

constexpr bool wants_sums(Epilogue kind) {
  return kind == Epilogue::prelu_sums || kind == Epilogue::store_sums || kind == Epilogue::keep_sums;
}

constexpr int kMostRows = kRows > kIntRows ? kRows : kIntRows;

// Rows x kPanel sums: accumulated in registers step k by step k, then put into `out` [Rows, kPanel]. Not inlined, so that all
// registers are free for it.
template <int Rows>
[[gnu::noinline]] void multiply(const GemmF32 &g, const float *input, const float *panel, float *out) {
  F32 acc[Rows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 16
    for (int j = 0; j < kVectors; j++) acc[r][j] = set(0);
  for (int k = 0; k < g.depth; k++, panel += kPanel) {
    F32 w[kVectors];
#pragma GCC unroll 16
    for (int j = 0; j < kVectors; j++) w[j] = load(panel + j * F32::width);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      const F32 x = set(input[r * g.input_stride + k]);
#pragma GCC unroll 16
      for (int j = 0; j < kVectors; j++) acc[r][j] = fma(x, w[j], acc[r][j]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 16
    for (int j = 0; j < kVectors; j++) store(out + r * kPanel + j * F32::width, acc[r][j]);
}

// Calls the instance of a tile that is unrolled for `rows` <= Most rows.
template <int Most>
inline void float_rows(const GemmF32 &g, int rows, const float *input, const float *panel, float *out) {
  if (rows == Most)
    multiply<Most>(g, input, panel, out);
  else if constexpr (Most > 1)
    float_rows<Most - 1>(g, rows, input, panel, out);
}

template <int Most>
inline void int_rows(const GemmInt8 &g, int rows, const uint8_t *input, const int8_t *panel, const int32_t *start, int32_t *out) {
  if (rows == Most)
    int_tile<Most>(g, input, panel, start, out);
  else if constexpr (Most > 1)
    int_rows<Most - 1>(g, rows, input, panel, start, out);
}

struct FloatProduct {
  using Gemm = GemmF32;
  using Sum = float;
  static constexpr int rows = kRows;
  static constexpr bool integers = false;
  static Ahead ahead(const GemmF32 &, int) { return {}; }

  static void sums(const GemmF32 &g, int count, int row, int column, float *out) {
    float_rows<kRows>(g, count, g.input + row * g.input_stride, g.panels + static_cast<size_t>(column) * g.depth, out);
  }

  // What one vector of columns needs for every row.
  struct Columns {
    F32 bias, weight_sum;
    void fetch(const GemmOutput &o, int column) {
      bias = load(o.bias + column);
      weight_sum = o.row_gain ? load(o.weight_sum + column) : set(0);
    }
    F32 value(const GemmOutput &o, const float *sum, int row) const {
      if (!o.row_gain) return add(load(sum), bias);
      return fma(set(o.row_gain[row]), load(sum), fma(set(o.row_shift[row]), weight_sum, bias));
    }
  };
};

struct IntProduct {
  using Gemm = GemmInt8;
  using Sum = int32_t;
  static constexpr int rows = kIntRows;
  static constexpr bool integers = true;
  static const Ahead &ahead(const GemmInt8 &g, int which) { return g.ahead[which]; }

  static void sums(const GemmInt8 &g, int count, int row, int column, int32_t *out) {
    const int8_t *panel = g.panels + static_cast<size_t>(column) * g.depth;
    int_rows<kIntRows>(g, count, g.input + row * g.input_stride, panel, g.start + column, out);
  }

  struct Columns {
    F32 bias, scale;
    void fetch(const GemmOutput &o, int column) {
      bias = load(o.bias + column);
      scale = load(o.scale + column);
    }
    F32 value(const GemmOutput &, const int32_t *sum, int) const { return fma(to_float(load(sum)), scale, bias); }
  };
};

// The next tile's rows when `left` are to do: full tiles, and the last two of about equal size.
inline int tile_rows(int left, int most) { return left >= 2 * most || left <= most ? (left < most ? left : most) : (left + 1) / 2; }

// The epilogue of `rows` rows from `row` on, one panel wide; `place` is the first row's in the sums.
template <class Product, Epilogue kind>
inline void emit_tile(const GemmOutput &o, const typename Product::Sum *products, int row, int rows, int column, RowSums &sums,
                      int place) {
  constexpr bool with_sums = wants_sums(kind);
  typename Product::Columns columns[kVectors];
#pragma GCC unroll 16
  for (int j = 0; j < kVectors; j++) columns[j].fetch(o, column + j * F32::width);
  for (int r = 0; r < rows; r++, products += kPanel) {
    F32 total = set(0), squares = set(0);
    if (with_sums) total = sums.total[place + r], squares = sums.squares[place + r];
#pragma GCC unroll 16
    for (int j = 0; j < kVectors; j++) {
      const F32 value = columns[j].value(o, products + j * F32::width, row + r);
      const F32 v = emit<kind, Product::integers>(o, row + r, column + j * F32::width, value);
      if constexpr (kind == Epilogue::keep_sums)
        store_16(o.kept + (row + r) * o.out_stride + column + j * F32::width, load(products + j * F32::width));
      total = add(total, v);
      squares = fma(v, v, squares);
    }
    if (with_sums) sums.total[place + r] = total, sums.squares[place + r] = squares;
  }
}

// Fetches the memory ahead in `calls` pieces, one a call.
class Fetcher {
 public:
  Fetcher(const Ahead &ahead, int calls)
      : next_(static_cast<const char *>(ahead.begin)), end_(next_ + ahead.bytes),
        piece_((ahead.bytes / kLine + calls - 1) / calls * kLine) {}

  inline void fetch() {
    const char *stop = next_ + piece_ < end_ ? next_ + piece_ : end_;
    for (; next_ < stop; next_ += kLine) __builtin_prefetch(next_, 1, 2);
  }

 private:
  static constexpr size_t kLine = 64;
  const char *next_, *end_;
  size_t piece_;
};

template <class Product, Epilogue kind>
void gemm_blocks(const typename Product::Gemm &g) {
  RowSums sums;
  const int calls = (g.rows + Product::rows - 1) / Product::rows * (g.columns / kPanel);
  Fetcher first_fetcher(Product::ahead(g, 0), calls), second_fetcher(Product::ahead(g, 1), calls);
  const int near_tiles = static_cast<int>(kRowBlockBytes / (sizeof *g.input * g.depth) / Product::rows);
  const int most = near_tiles < 1 ? Product::rows : near_tiles * Product::rows < kRowBlock ? near_tiles * Product::rows : kRowBlock;
  for (int block = 0, count; block < g.rows; block += count) {
    count = g.rows - block < most ? g.rows - block : most;
    if (wants_sums(kind))
      for (int r = 0; r < count; r++) sums.total[r] = sums.squares[r] = set(0);
    for (int column = 0; column < g.columns; column += kPanel)
      for (int first = 0; first < count;) {
        const int rows = tile_rows(count - first, Product::rows);
        alignas(64) typename Product::Sum products[kMostRows * kPanel];
        first_fetcher.fetch();
        second_fetcher.fetch();
        Product::sums(g, rows, block + first, column, products);
        emit_tile<Product, kind>(g.output, products, block + first, rows, column, sums, first);
        first += rows;
      }
    if (wants_sums(kind))
      for (int r = 0; r < count; r++) {
        g.output.row_sums[(block + r) * 2] = sum(sums.total[r]);
        g.output.row_sums[(block + r) * 2 + 1] = sum(sums.squares[r]);
      }
  }
}

template <class Product>
void gemm(const typename Product::Gemm &g) {
  switch (g.output.kind) {
    case Epilogue::store: return gemm_blocks<Product, Epilogue::store>(g);
    case Epilogue::prelu_sums: return gemm_blocks<Product, Epilogue::prelu_sums>(g);
    case Epilogue::store_sums: return gemm_blocks<Product, Epilogue::store_sums>(g);
    case Epilogue::keep_sums:
      if constexpr (Product::integers) gemm_blocks<Product, Epilogue::keep_sums>(g);
      return;
    case Epilogue::accumulate: return gemm_blocks<Product, Epilogue::accumulate>(g);
    case Epilogue::mask: return gemm_blocks<Product, Epilogue::mask>(g);
  }
}

template <int Kernel>  // 0: any
void depthwise_taps(const DepthwiseF32 &d) {
  const int kernel = Kernel ? Kernel : d.kernel;
  const F32 slope = set(d.slope);
  F32 total = set(0), squares = set(0);
  for (int c = 0; c < d.channels; c += F32::width) {
    F32 v = load(d.bias + c);
#pragma GCC unroll 4
    for (int k = 0; k < kernel; k++) v = fma(load(d.weights + static_cast<size_t>(k) * d.weight_channels + c), load(d.taps[k] + c), v);
    v = prelu(v, slope);
    total = add(total, v);
    squares = fma(v, v, squares);
    store(d.out + c, v);
  }
  d.row_sums[0] = sum(total);
  d.row_sums[1] = sum(squares);
}

void depthwise_f32(const DepthwiseF32 &d) { d.kernel == 3 ? depthwise_taps<3>(d) : depthwise_taps<0>(d); }

// Rows that are worked on together: what is per channel is loaded once for all of them.
template <int Rows, int Kernel, bool keep>
void depthwise_rows(const DepthwiseInt8 &d, int first) {
  const F32 slope = set(d.slope);
  F32 total[Rows], squares[Rows];
#pragma GCC unroll 4
  for (int r = 0; r < Rows; r++) total[r] = squares[r] = set(0);
  for (int c = 0; c < d.channels; c += F32::width) {
    const Taps<Kernel> taps(d, c);
    const F32 scale = load(d.scale + c), bias = load(d.bias + c);
#pragma GCC unroll 4
    for (int r = 0; r < Rows; r++) {
      const I32 sums = taps.sums(d.taps + (first + r) * d.kernel);
      const F32 v = kept_value(sums, scale, bias, slope);
      if (keep)
        store_16(d.kept + (first + r) * d.out_stride + c, sums);
      else
        store(d.out + (first + r) * d.out_stride + c, v);
      total[r] = add(total[r], v);
      squares[r] = fma(v, v, squares[r]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < Rows; r++) {
    d.row_sums[2 * (first + r)] = sum(total[r]);
    d.row_sums[2 * (first + r) + 1] = sum(squares[r]);
  }
}

template <int Kernel, bool keep>
void depthwise_group(const DepthwiseInt8 &d) {
  int row = 0;
  for (; row + kGroup <= d.rows; row += kGroup) depthwise_rows<kGroup, Kernel, keep>(d, row);
  for (; row < d.rows; row++) depthwise_rows<1, Kernel, keep>(d, row);
}

void depthwise_int8(const DepthwiseInt8 &d) {
  if (d.kernel == 3)
    d.kept ? depthwise_group<3, true>(d) : depthwise_group<3, false>(d);
  else
    d.kept ? depthwise_group<0, true>(d) : depthwise_group<0, false>(d);
}

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

inline F32 hyperbolic_tangent(F32 x) { return fma(set(2), sigmoid(add(x, x)), set(-1)); }

void lstm_step(const float *gates, int hidden, float *cell, float *out) {
  for (int c = 0; c < hidden; c += F32::width) {
    const F32 input = sigmoid(load(gates + c)), forget = sigmoid(load(gates + hidden + c));
    const F32 candidate = hyperbolic_tangent(load(gates + 2 * hidden + c)), open = sigmoid(load(gates + 3 * hidden + c));
    const F32 next = fma(forget, load(cell + c), mul(input, candidate));
    store(cell + c, next);
    store(out + c, mul(open, hyperbolic_tangent(next)));
  }
}

constexpr Kernels table(const char *name) {  // constant: no code of this instruction set may run before dispatch
  return {name, kPanel, kCodeOffset, gemm<FloatProduct>, gemm<IntProduct>, depthwise_f32, depthwise_int8, normalize_rows,
          quantize_rows, prelu_row, scale_row, multiply_adds, lstm_step};
}
