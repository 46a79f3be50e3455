// The integers' tile of instruction sets whose products of bytes come in pairs, added in 16 bits: AVX2 and SSE4.1. A panel is two
// vectors of four weights a column.

constexpr int kColumns = kPanel / 2;  // of a vector

inline void add_to(int32_t *sums, Bytes more) { store_sums(sums, add_sums(load_sums(sums), more)); }

// Two 16-bit sums of two products per column; `flush` of them add up without overflow, then they are widened to 32 bits. With 3-bit
// weights that is every 21 steps, which is what makes this path fast.
template <int Rows>
[[gnu::noinline]] void narrow_tile(const GemmInt8 &g, const uint8_t *input, const int8_t *panel, int32_t *out) {
  for (int k = 0; k < g.depth;) {
    const int end = k + 4 * g.flush < g.depth ? k + 4 * g.flush : g.depth;
    Bytes acc[Rows][2];
#pragma GCC unroll 8
    for (int r = 0; r < Rows; r++) acc[r][0] = acc[r][1] = zero();
    for (; k < end; k += 4, panel += kPanel * 4) {
      const Bytes w0 = load_weights(panel), w1 = load_weights(panel + kColumns * 4);
#pragma GCC unroll 8
      for (int r = 0; r < Rows; r++) {
        const Bytes codes = four_codes(input + r * g.input_stride + k);
        multiply_add(acc[r][0], codes, w0);
        multiply_add(acc[r][1], codes, w1);
      }
    }
    __asm__("" : : "r"(out) : "memory");  // the 32-bit sums stay in memory: the registers belong to the loop above
#pragma GCC unroll 8
    for (int r = 0; r < Rows; r++)
#pragma GCC unroll 2
      for (int j = 0; j < 2; j++) add_to(out + r * kPanel + kColumns * j, widened_pairs(acc[r][j]));
  }
}

// 8-bit weights overflow 16 bits at once: both sides are widened to 16 bits and multiplied into 32. A vector holds half as many
// columns, two sums per column, joined at the end.
template <int Rows>
inline void wide_rows(const GemmInt8 &g, const uint8_t *input, const int8_t *panel, int32_t *out) {
  Bytes acc[Rows][4];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; r++) acc[r][0] = acc[r][1] = acc[r][2] = acc[r][3] = zero();
  for (int k = 0; k < g.depth; k += 4, panel += kPanel * 4) {
    Bytes codes[Rows];
#pragma GCC unroll 8
    for (int r = 0; r < Rows; r++) codes[r] = widened_codes(four_codes(input + r * g.input_stride + k));
#pragma GCC unroll 4
    for (int part = 0; part < 4; part++) {
      const Bytes w = load_widened(panel + kPanel * part);
#pragma GCC unroll 8
      for (int r = 0; r < Rows; r++) multiply_add_wide(acc[r][part], codes[r], w);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) add_to(out + r * kPanel + kColumns * half, joined(acc[r][2 * half], acc[r][2 * half + 1]));
}

template <int Rows>
[[gnu::noinline]] void wide_tile(const GemmInt8 &g, const uint8_t *input, const int8_t *panel, int32_t *out) {
  for (int r = 0; r + 1 < Rows; r += 2) wide_rows<2>(g, input + r * g.input_stride, panel, out + r * kPanel);
  if (Rows % 2) wide_rows<1>(g, input + (Rows - 1) * g.input_stride, panel, out + (Rows - 1) * kPanel);
}

template <int Rows>
[[gnu::noinline]] void int_tile(const GemmInt8 &g, const uint8_t *input, const int8_t *panel, const int32_t *start, int32_t *out) {
  for (int r = 0; r < Rows; r++) __builtin_memcpy(out + r * kPanel, start, kPanel * sizeof *start);
  g.flush ? narrow_tile<Rows>(g, input, panel, out) : wide_tile<Rows>(g, input, panel, out);
}
