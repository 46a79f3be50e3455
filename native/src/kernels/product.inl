// Products of frames and weights, [rows, depth] x [depth, columns], with an epilogue: floats, and codes with integer weights.
// Accumulators live in registers: tiles are unrolled at compile time, and test_native_build.py looks at the disassembly for
// spills.

constexpr int kVectors = kPanel / F32::width;
constexpr int kRowBlock = 48;                // most rows that a panel of weights passes over at a time, and
constexpr size_t kRowBlockBytes = 12 << 10;  // most bytes of their inputs: with the panel they stay in the first-level cache

struct RowSums {
  F32 total[kRowBlock], squares[kRowBlock];
};

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
