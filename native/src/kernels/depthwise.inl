// Convolutions of every channel by itself, with the PReLU after it.

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
