// The kernels' bodies, compiled once per instruction set: kernels_<isa>.cpp includes its vectors (simd_<isa>.h), then this file
// inside its own namespace. Accumulators live in registers: tiles are unrolled at compile time, and test_native_kernels.py
// looks at the disassembly for spills.

constexpr int kVectors = kPanel / F32::width;
constexpr int kRowBlock = 48;  // rows whose inputs stay in the first-level cache while a panel of weights passes over them

struct RowSums {
  F32 total[kRowBlock], squares[kRowBlock];
};

inline F32 prelu(F32 x, F32 slope) { return where_negative(x, mul(x, slope), x); }

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
template <Epilogue kind>
inline F32 emit(const GemmOutput &o, int row, int column, F32 v) {
  float *out = o.out + row * o.out_stride + column;
  if (kind == Epilogue::accumulate) {
    if (column >= o.split) out = o.second + row * o.out_stride + (column - o.split);
    v = add(load(out), v);
  }
  if (kind == Epilogue::mask) v = mul(sigmoid(v), load(o.latent + row * o.latent_stride + column));
  if (kind == Epilogue::prelu_sums) v = prelu(v, set(o.slope));
  store(out, v);
  return v;
}

constexpr int kMostRows = kRows > kIntRows ? kRows : kIntRows;

// Rows x kPanel sums: accumulated in registers step k by step k, then put into `out` [Rows, kPanel].
template <int Rows>
void multiply(const GemmF32 &g, const float *input, const float *panel, float *out) {
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
    F32 value(const GemmOutput &, const int32_t *sum, int) const { return fma(from_int(sum), scale, bias); }
  };
};

// The next tile's rows when `left` are to do: full tiles, and the last two of about equal size.
inline int tile_rows(int left, int most) { return left >= 2 * most || left <= most ? (left < most ? left : most) : (left + 1) / 2; }

// The epilogue of `rows` rows from `row` on, one panel wide; `place` is the first row's in the sums.
template <class Product, Epilogue kind>
inline void emit_tile(const GemmOutput &o, const typename Product::Sum *products, int row, int rows, int column, RowSums &sums,
                      int place) {
  constexpr bool with_sums = kind == Epilogue::prelu_sums || kind == Epilogue::store_sums;
  typename Product::Columns columns[kVectors];
#pragma GCC unroll 16
  for (int j = 0; j < kVectors; j++) columns[j].fetch(o, column + j * F32::width);
  for (int r = 0; r < rows; r++, products += kPanel) {
    F32 total = set(0), squares = set(0);
    if (with_sums) total = sums.total[place + r], squares = sums.squares[place + r];
#pragma GCC unroll 16
    for (int j = 0; j < kVectors; j++) {
      const F32 v = emit<kind>(o, row + r, column + j * F32::width, columns[j].value(o, products + j * F32::width, row + r));
      total = add(total, v);
      squares = fma(v, v, squares);
    }
    if (with_sums) sums.total[place + r] = total, sums.squares[place + r] = squares;
  }
}

template <class Product, Epilogue kind>
void gemm_blocks(const typename Product::Gemm &g) {
  RowSums sums;
  for (int block = 0; block < g.rows; block += kRowBlock) {
    const int count = g.rows - block < kRowBlock ? g.rows - block : kRowBlock;
    if (kind == Epilogue::prelu_sums || kind == Epilogue::store_sums)
      for (int r = 0; r < count; r++) sums.total[r] = sums.squares[r] = set(0);
    for (int column = 0; column < g.columns; column += kPanel)
      for (int first = 0; first < count;) {
        const int rows = tile_rows(count - first, Product::rows);
        alignas(64) typename Product::Sum products[kMostRows * kPanel];
        Product::sums(g, rows, block + first, column, products);
        emit_tile<Product, kind>(g.output, products, block + first, rows, column, sums, first);
        first += rows;
      }
    if (kind == Epilogue::prelu_sums || kind == Epilogue::store_sums)
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
    case Epilogue::accumulate: return gemm_blocks<Product, Epilogue::accumulate>(g);
    case Epilogue::mask: return gemm_blocks<Product, Epilogue::mask>(g);
  }
}

// The tail that both depthwise kernels share: PReLU, store, sums.
struct DepthwiseTail {
  F32 slope, total = set(0), squares = set(0);

  inline void emit(F32 v, float *out) {
    v = prelu(v, slope);
    total = add(total, v);
    squares = fma(v, v, squares);
    store(out, v);
  }
  inline void finish(float *row_sums) const {
    row_sums[0] = sum(total);
    row_sums[1] = sum(squares);
  }
};

template <int Kernel>  // 0: any
void depthwise_taps(const DepthwiseF32 &d) {
  const int kernel = Kernel ? Kernel : d.kernel;
  DepthwiseTail tail{set(d.slope)};
  for (int c = 0; c < d.channels; c += F32::width) {
    F32 v = load(d.bias + c);
#pragma GCC unroll 4
    for (int k = 0; k < kernel; k++) v = fma(load(d.weights + static_cast<size_t>(k) * d.channels + c), load(d.taps[k] + c), v);
    tail.emit(v, d.out + c);
  }
  tail.finish(d.row_sums);
}

void depthwise_f32(const DepthwiseF32 &d) { d.kernel == 3 ? depthwise_taps<3>(d) : depthwise_taps<0>(d); }

void depthwise_int8(const DepthwiseInt8 &d) {
  DepthwiseTail tail{set(d.slope)};
  for (int c = 0; c < d.channels; c += F32::width) {
    tail.emit(fma(depthwise_sums(d, c), load(d.scale + c), load(d.bias + c)), d.out + c);
  }
  tail.finish(d.row_sums);
}

inline F32 normalized(const NormRow &n, int c, F32 row_gain, F32 row_shift) {
  return fma(fma(load(n.input + c), row_gain, row_shift), load(n.gain + c), load(n.bias + c));
}

void normalize_row(const NormRow &n, float *out) {
  const F32 row_gain = set(n.row_gain), row_shift = set(n.row_shift);
  for (int c = 0; c < n.channels; c += F32::width) store(out + c, normalized(n, c, row_gain, row_shift));
}

void quantize_row(const NormRow &n, int top, uint8_t *out) {
  const F32 row_gain = set(n.row_gain), row_shift = set(n.row_shift), limit = set(static_cast<float>(top));
  for (int c = 0; c < n.channels; c += kLane) {
    F32 v[kLane / F32::width];
#pragma GCC unroll 16
    for (int j = 0; j < kLane / F32::width; j++) {
      // The limits are integers, so clipping before rounding is the same. A NaN stays one.
      v[j] = min(limit, normalized(n, c + j * F32::width, row_gain, row_shift));
    }
    store_codes(v, out + c);
  }
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
  return {name, kPanel, kCodeOffset, gemm<FloatProduct>, gemm<IntProduct>, depthwise_f32, depthwise_int8, normalize_row,
          quantize_row, prelu_row, scale_row, lstm_step};
}
