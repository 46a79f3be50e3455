// Every kernel of every instruction set that this processor runs, against the formulas of kernels.h written as plain loops:
// integer sums exactly, floats within rounding, and no row changed by which other rows are in the call.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "../src/buffer.h"
#include "../src/norm.h"
#include "../src/quantized.h"
#include "check.h"

using namespace tinywase;

namespace {

std::mt19937 generator(1);

int random_int(int low, int high) { return std::uniform_int_distribution<int>(low, high)(generator); }

Buffer<float> random_floats(size_t count, float low = -1, float high = 1) {
  Buffer<float> result(count);
  std::uniform_real_distribution<float> values(low, high);
  for (size_t i = 0; i < count; i++) result[i] = values(generator);
  return result;
}

bool close(float got, double expected, double scale) { return std::fabs(got - expected) <= 2e-6 * scale + 1e-6 * std::fabs(expected); }

double prelu(double x, double slope) { return x > 0 ? x : slope * x; }

constexpr Epilogue kEpilogues[] = {Epilogue::store, Epilogue::prelu_sums, Epilogue::store_sums, Epilogue::accumulate, Epilogue::mask};

// Everything around a product: rows, columns, outputs and what they should be.
struct Case {
  int rows, depth, columns, split;
  Buffer<float> bias, latent, out, second, before, row_sums, gain, shift, weight_sum;
  Buffer<int16_t> kept;
  GemmOutput output;

  Case(int rows_in, int depth_in, int columns_in, Epilogue kind)
      : rows(rows_in), depth(depth_in), columns(columns_in), split(columns / 64 * 32), bias(random_floats(columns)),
        latent(random_floats(size_t(rows) * columns)), out(random_floats(size_t(rows) * columns)),
        second(random_floats(size_t(rows) * columns)), before(size_t(rows) * columns * 2), row_sums(2 * rows),
        gain(random_floats(rows)), shift(random_floats(rows)), weight_sum(random_floats(columns)), kept(size_t(rows) * columns) {
    std::copy_n(out.data(), out.size(), before.data());
    std::copy_n(second.data(), second.size(), before.data() + out.size());
    output.kind = kind;
    output.bias = bias.data();
    output.out = out.data();
    output.second = second.data();
    output.out_stride = output.latent_stride = columns;
    output.split = split;
    output.latent = latent.data();
    output.row_sums = row_sums.data();
    output.kept = kept.data();
    output.slope = 0.3f;
  }

  // The value at (f, c) after the epilogue, from the one before it; `got` is where the kernel put it.
  double expected(int f, int c, double v, const float **got) const {
    const size_t at = size_t(f) * columns + c;
    *got = &out[at];
    switch (output.kind) {
      case Epilogue::prelu_sums: return prelu(v, double(output.slope));
      case Epilogue::mask: return double(latent[at]) / (1 + std::exp(-v));
      case Epilogue::accumulate:
        if (c < split) return double(before[at]) + v;
        *got = &second[at - split];
        return double(before[out.size() + at - split]) + v;
      default: return v;
    }
  }

  // Compares everything; `value(f, c)` is the product with scale, norm and bias.
  template <class Value>
  void check(const char *isa, const char *what, Value value) const {
    for (int f = 0; f < rows; f++) {
      double total = 0, squares = 0;
      for (int c = 0; c < columns; c++) {
        const float *got;
        const double v = expected(f, c, value(f, c), &got);
        CHECK(close(*got, v, depth), "%s %s rows %d depth %d columns %d epilogue %d at %d,%d: %g, expected %g", isa, what, rows,
              depth, columns, int(output.kind), f, c, double(*got), v);
        total += v;
        squares += v * v;
      }
      if (output.kind != Epilogue::prelu_sums && output.kind != Epilogue::store_sums) continue;
      CHECK(close(row_sums[2 * f], total, double(depth) * columns), "%s sum %g %g", isa, double(row_sums[2 * f]), total);
      CHECK(close(row_sums[2 * f + 1], squares, squares * 10), "%s squares %g %g", isa, double(row_sums[2 * f + 1]), squares);
    }
  }
};

void test_gemm_f32(const Kernels &k, int rows, int depth, int columns, Epilogue kind, bool normed) {
  Case test(rows, depth, columns, kind);
  const auto input = random_floats(size_t(rows) * depth), weight = random_floats(size_t(depth) * columns);
  Buffer<float> panels(weight.size());
  for (int c = 0; c < columns; c++)
    for (int i = 0; i < depth; i++) panels[(size_t(c / k.panel) * depth + i) * k.panel + c % k.panel] = weight[size_t(i) * columns + c];
  if (normed) {
    test.output.row_gain = test.gain.data();
    test.output.row_shift = test.shift.data();
    test.output.weight_sum = test.weight_sum.data();
  }
  GemmF32 gemm;
  gemm.input = input.data();
  gemm.input_stride = depth;
  gemm.panels = panels.data();
  gemm.rows = rows;
  gemm.depth = depth;
  gemm.columns = columns;
  gemm.output = test.output;
  k.gemm_f32(gemm);
  test.check(k.name, "float", [&](int f, int c) {
    double sum = 0;
    for (int i = 0; i < depth; i++) sum += double(input[size_t(f) * depth + i]) * double(weight[size_t(i) * columns + c]);
    return normed ? test.gain[f] * sum + test.shift[f] * test.weight_sum[c] + test.bias[c] : sum + test.bias[c];
  });
}

// Codes and levels at the ends of their ranges are as frequent as all others together: overflow would show.
// Codes are 0..code_top.
void test_gemm_int8(const Kernels &k, int bits, int rows, int depth, int columns, Epilogue kind, int code_top = 255) {
  const int top = bits == 1 ? 1 : (1 << (bits - 1)) - 1, padded_depth = padded(depth);
  Case test(rows, depth, columns, kind);
  std::vector<int> codes(size_t(rows) * padded_depth), levels(size_t(padded_depth) * columns), sums(columns);
  Buffer<uint8_t> input(codes.size());
  Buffer<int8_t> panels(levels.size());
  Buffer<int32_t> start(columns);
  const auto scale = random_floats(columns, 1e-4f, 2e-4f);
  for (int f = 0; f < rows; f++)
    for (int i = 0; i < depth; i++) {
      int &code = codes[size_t(f) * padded_depth + i];
      code = random_int(0, 1) ? code_top * random_int(0, 1) : random_int(0, code_top);
      input[size_t(f) * padded_depth + i] = static_cast<uint8_t>(code - k.code_offset);
    }
  for (int c = 0; c < columns; c++) {
    const int zero_point = 100;
    for (int i = 0; i < depth; i++) {
      int &level = levels[size_t(i) * columns + c];
      level = random_int(0, 1) || bits == 1 ? top * (2 * random_int(0, 1) - 1) : random_int(-top, top);
      panels[(size_t(c / k.panel) * padded_depth / 4 + i / 4) * k.panel * 4 + c % k.panel * 4 + i % 4] = static_cast<int8_t>(level);
      sums[c] += level;
    }
    start[c] = -(zero_point - k.code_offset) * sums[c];
  }
  GemmInt8 gemm;
  gemm.input = input.data();
  gemm.input_stride = padded_depth;
  gemm.panels = panels.data();
  gemm.start = start.data();
  gemm.rows = rows;
  gemm.depth = padded_depth;
  gemm.columns = columns;
  gemm.flush = steps_in_16_bits(panels.data(), padded_depth, columns, k.panel, std::max(code_top, k.code_offset));
  test.output.scale = scale.data();
  gemm.output = test.output;
  const auto total = [&](int f, int c) {
    int64_t sum = 0;
    for (int i = 0; i < depth; i++) sum += int64_t(codes[size_t(f) * padded_depth + i] - 100) * levels[size_t(i) * columns + c];
    return sum;
  };
  gemm.ahead[0] = {panels.data(), panels.bytes()};
  k.gemm_int8(gemm);
  test.check(k.name, "integer", [&](int f, int c) { return double(total(f, c)) * double(scale[c]) + test.bias[c]; });
  if (kind != Epilogue::store) return;
  std::fill_n(test.bias.data(), columns, 0.0f);
  Buffer<float> ones(columns);
  std::fill_n(ones.data(), columns, 1.0f);
  gemm.output.scale = ones.data();
  k.gemm_int8(gemm);
  for (int f = 0; f < rows; f++)
    for (int c = 0; c < columns; c++)
      CHECK(test.out[size_t(f) * columns + c] == static_cast<float>(total(f, c)), "%s %d bits, depth %d, row %d of %d: %.1f, exactly %lld",
            k.name, bits, depth, f, rows, double(test.out[size_t(f) * columns + c]), static_cast<long long>(total(f, c)));
}

// A row must be the same, bit for bit, alone and in the middle of others.
void test_rows_are_independent(const Kernels &k) {
  const int rows = 53, depth = 37, columns = 64;
  const auto input = random_floats(size_t(rows) * depth), panels = random_floats(size_t(depth) * columns), bias = random_floats(columns);
  Buffer<float> together(size_t(rows) * columns), alone(columns), sums(2 * rows), sum(2);
  GemmF32 gemm;
  gemm.panels = panels.data();
  gemm.depth = depth;
  gemm.columns = columns;
  gemm.output.kind = Epilogue::prelu_sums;
  gemm.output.bias = bias.data();
  gemm.output.out_stride = columns;
  gemm.input = input.data();
  gemm.input_stride = depth;
  gemm.rows = rows;
  gemm.output.out = together.data();
  gemm.output.row_sums = sums.data();
  k.gemm_f32(gemm);
  for (int f = 0; f < rows; f++) {
    gemm.input = input.data() + f * depth;
    gemm.rows = 1;
    gemm.output.out = alone.data();
    gemm.output.row_sums = sum.data();
    k.gemm_f32(gemm);
    CHECK(std::memcmp(alone.data(), together.data() + f * columns, alone.bytes()) == 0, "%s row %d differs when alone", k.name, f);
    CHECK(sum[0] == sums[2 * f] && sum[1] == sums[2 * f + 1], "%s sums of row %d differ when alone", k.name, f);
  }
}

// Sums that fit 16 bits, kept: exact, and their row's sums are those of the floats they stand for.
void test_kept_sums(const Kernels &k, int rows) {
  const int depth = 64, columns = 64;
  Case floats(rows, depth, columns, Epilogue::prelu_sums), kept(rows, depth, columns, Epilogue::keep_sums);
  Buffer<uint8_t> input(size_t(rows) * depth);
  Buffer<int8_t> panels(size_t(depth) * columns);
  Buffer<int32_t> start(columns);
  const auto scale = random_floats(columns, 1e-3f, 2e-3f);
  for (size_t i = 0; i < input.size(); i++) input[i] = static_cast<uint8_t>(random_int(0, 255));
  for (size_t i = 0; i < panels.size(); i++) panels[i] = static_cast<int8_t>(random_int(-1, 1));
  for (int c = 0; c < columns; c++) start[c] = random_int(-16000, 16000);
  GemmInt8 gemm{input.data(), size_t(depth), panels.data(), start.data(), rows, depth, columns, 1, {}, floats.output};
  gemm.output.bias = kept.output.bias = floats.bias.data();
  gemm.output.scale = kept.output.scale = scale.data();
  k.gemm_int8(gemm);
  gemm.output = kept.output;
  k.gemm_int8(gemm);
  for (int f = 0; f < rows; f++)
    for (int c = 0; c < columns; c++) {
      const double value = prelu(kept.kept[size_t(f) * columns + c] * double(scale[c]) + double(floats.bias[c]), double(0.3f));
      CHECK(close(floats.out[size_t(f) * columns + c], value, 1), "%s kept sum %d of row %d: %g", k.name, c, f, value);
    }
  CHECK(std::memcmp(floats.row_sums.data(), kept.row_sums.data(), kept.row_sums.bytes()) == 0, "%s sums of %d rows differ", k.name, rows);
}

void test_depthwise_f32(const Kernels &k, int kernel, int channels) {
  const auto weights = random_floats(size_t(kernel) * channels), bias = random_floats(channels), rows = random_floats(size_t(kernel) * channels);
  Buffer<float> out(channels), row_sums(2);
  std::vector<const float *> taps;
  for (int t = 0; t < kernel; t++) taps.push_back(rows.data() + size_t(t) * channels);
  k.depthwise_f32({taps.data(), weights.data(), bias.data(), kernel, channels, channels, 1.2f, out.data(), row_sums.data()});
  for (int c = 0; c < channels; c++) {
    double v = double(bias[c]);
    for (int t = 0; t < kernel; t++) v += double(weights[size_t(t) * channels + c]) * double(taps[t][c]);
    CHECK(close(out[c], prelu(v, double(1.2f)), 1 + kernel / 10), "%s depthwise %d channel %d", k.name, kernel, c);
  }
}

// Any number of rows at once; the sums themselves (kept, exact) and what they stand for.
void test_depthwise_int8(const Kernels &k, int kernel, int channels, int rows, int top) {
  const auto bias = random_floats(channels), scale = random_floats(channels);
  Buffer<float> out(size_t(rows) * channels), row_sums(2 * rows), kept_row_sums(2 * rows);
  Buffer<int16_t> pairs(size_t(kernel + 1) / 2 * channels * 2), kept(out.size());
  Buffer<uint8_t> codes(size_t(rows) * kernel * channels);
  Buffer<int32_t> start(channels);
  std::vector<const uint8_t *> taps;
  for (size_t i = 0; i < codes.size(); i++) codes[i] = static_cast<uint8_t>(random_int(0, 255) - k.code_offset);
  for (int t = 0; t < rows * kernel; t++) taps.push_back(codes.data() + size_t(t) * channels);
  for (int c = 0; c < channels; c++) {
    int sum = 0;
    for (int t = 0; t < kernel; t++) sum += pairs[(size_t(t / 2) * channels + c) * 2 + t % 2] = static_cast<int16_t>(random_int(-top, top));
    start[c] = k.code_offset * sum;
  }
  DepthwiseInt8 depthwise{taps.data(), pairs.data(), start.data(), scale.data(), bias.data(), rows, kernel, channels, channels, -0.5f,
                          out.data(), nullptr, size_t(channels), row_sums.data()};
  k.depthwise_int8(depthwise);
  depthwise.kept = kept.data();
  depthwise.row_sums = kept_row_sums.data();
  k.depthwise_int8(depthwise);
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < channels; c++) {
      int v = 0;
      for (int t = 0; t < kernel; t++)
        v += pairs[(size_t(t / 2) * channels + c) * 2 + t % 2] * static_cast<uint8_t>(taps[r * kernel + t][c] + k.code_offset);
      const size_t at = size_t(r) * channels + c;
      CHECK(close(out[at], prelu(v * double(scale[c]) + bias[c], -0.5), 1), "%s integer depthwise %d channel %d", k.name, kernel, c);
      CHECK(std::abs(v) > 32767 || kept[at] == v, "%s kept %d at row %d channel %d: %d", k.name, kernel, r, c, kept[at]);
    }
  CHECK(std::memcmp(row_sums.data(), kept_row_sums.data(), row_sums.bytes()) == 0, "%s sums of %d rows differ", k.name, rows);
  if (channels == kLane) return;
  // Channels from the second lane on: the same values, nothing else touched.
  Buffer<int16_t> part(kept.size());
  for (const uint8_t *&tap : taps) tap += kLane;
  k.depthwise_int8({taps.data(), pairs.data() + 2 * kLane, start.data() + kLane, scale.data() + kLane, bias.data() + kLane, rows, kernel,
                    channels - kLane, channels, -0.5f, nullptr, part.data() + kLane, size_t(channels), kept_row_sums.data()});
  for (size_t i = 0; i < part.size(); i++)
    CHECK(part[i] == (i % channels < kLane ? 0 : kept[i]), "%s kept %d of part of the channels at %zu: %d", k.name, kernel, i, part[i]);
}

// A norm and a quantizer on several rows, of floats and of kept sums.
void test_rows(const Kernels &k, int channels, int rows) {
  const auto input = random_floats(size_t(rows) * channels, -3, 3), gain = random_floats(channels), bias = random_floats(channels);
  const auto row_gain = random_floats(rows), row_shift = random_floats(rows), scale = random_floats(channels, 1e-4f, 2e-4f);
  Buffer<float> out(input.size()), ones(channels), special(input.size()), zero(channels);
  Buffer<uint8_t> codes(input.size());
  Buffer<int16_t> kept(input.size());
  std::vector<float *> rows_out;
  std::vector<uint8_t *> rows_codes;
  for (int r = 0; r < rows; r++) {
    rows_out.push_back(out.data() + size_t(r) * channels);
    rows_codes.push_back(codes.data() + size_t(r) * channels);
  }
  const size_t stride = channels;
  NormRows norm{input.data(), {}, stride, rows, channels, row_gain.data(), row_shift.data(), gain.data(), bias.data()};
  k.normalize_rows(norm, rows_out.data());
  for (size_t i = 0; i < out.size(); i++) {
    const double expected = (input[i] * double(row_gain[i / stride]) + double(row_shift[i / stride])) * gain[i % stride] + bias[i % stride];
    CHECK(close(out[i], expected, 4), "%s normalize %zu", k.name, i);
  }
  std::fill_n(ones.data(), channels, 1.0f);
  const float values[] = {-1e30f, -1, -0.5f, 0.5f, 1.5f, 2.5f, 254.5f, 255, 255.5f, 1e30f, NAN, INFINITY, -INFINITY, 7};
  const int expected[] = {0, 0, 0, 0, 2, 2, 254, 255, 255, 255, 0, 255, 0, 7};
  for (size_t i = 0; i < special.size(); i++) special[i] = values[i % 14];
  const float plain_gain[kRowGroup] = {1, 1, 1, 1}, plain_shift[kRowGroup] = {};
  for (const int top : {255, 15}) {
    k.quantize_rows({special.data(), {}, stride, rows, channels, plain_gain, plain_shift, ones.data(), zero.data()}, top, rows_codes.data());
    for (size_t i = 0; i < codes.size(); i++)
      CHECK(codes[i] == static_cast<uint8_t>(std::min(expected[i % 14], top) - k.code_offset), "%s code of %g is %d", k.name,
            double(special[i]), codes[i]);
  }
  // Kept sums make the codes that their values would make.
  for (size_t i = 0; i < kept.size(); i++) {
    kept[i] = static_cast<int16_t>(i % 5 ? random_int(-32768, 32767) : 32767 * (random_int(0, 1) * 2 - 1));
    out[i] = static_cast<float>(prelu(std::fma(float(kept[i]), scale[i % stride], bias[i % stride]), 0.25));
  }
  Buffer<uint8_t> from_floats(codes.size());
  norm = {out.data(), {}, stride, rows, channels, row_gain.data(), row_shift.data(), ones.data(), zero.data()};
  for (int c = 0; c < channels; c++) ones[c] = 20, zero[c] = 100;
  for (int r = 0; r < rows; r++) rows_codes[r] = from_floats.data() + size_t(r) * channels;
  k.quantize_rows(norm, 255, rows_codes.data());
  norm.kept = {kept.data(), scale.data(), bias.data(), 0.25f};
  for (int r = 0; r < rows; r++) rows_codes[r] = codes.data() + size_t(r) * channels;
  k.quantize_rows(norm, 255, rows_codes.data());
  for (size_t i = 0; i < codes.size(); i++)  // a fused product or two may round to the other side
    CHECK(std::abs(int(codes[i] ^ k.code_offset) - int(from_floats[i] ^ k.code_offset)) <= 1, "%s code %zu: %d from floats, %d from sums",
          k.name, i, from_floats[i], codes[i]);
  // The same by lines, where all rows have the statistics of the first.
  Norm after{Buffer<float>(channels), Buffer<float>(channels)};
  std::copy_n(ones.data(), channels, after.gain.data());
  std::copy_n(zero.data(), channels, after.bias.data());
  RowStatistics statistics;
  for (int r = 0; r < rows; r++) statistics.gain[r] = std::abs(row_gain[0]), statistics.shift[r] = row_shift[0];
  Buffer<float> memory(4 * channels);
  norm.row_gain = statistics.gain;
  norm.row_shift = statistics.shift;
  k.quantize_rows(norm, 255, rows_codes.data());
  norm.lines = after.lines(norm.kept, statistics, memory.data());
  for (int r = 0; r < rows; r++) rows_codes[r] = from_floats.data() + size_t(r) * channels;
  k.quantize_rows(norm, 255, rows_codes.data());
  for (size_t i = 0; i < codes.size(); i++)
    CHECK(std::abs(int(codes[i] ^ k.code_offset) - int(from_floats[i] ^ k.code_offset)) <= 1, "%s code %zu: %d by lines, %d from sums",
          k.name, i, from_floats[i], codes[i]);
  after.gain[channels - 1] = -1;
  CHECK(!after.lines(norm.kept, statistics, memory.data()).above_scale, "%s: lines for a negative gain", k.name);
}

void test_row_functions(const Kernels &k, int channels) {
  const auto input = random_floats(channels, -3, 3), gain = random_floats(channels);
  Buffer<float> out(channels);
  std::copy_n(input.data(), channels, out.data());
  k.prelu_row(out.data(), channels, -0.5f);
  for (int c = 0; c < channels; c++) CHECK(close(out[c], prelu(double(input[c]), -0.5), 1), "%s prelu", k.name);
  k.scale_row(out.data(), channels, gain.data(), 2);
  k.scale_row(out.data(), channels, nullptr, 0.5f);
  for (int c = 0; c < channels; c++) CHECK(close(out[c], prelu(double(input[c]), -0.5) * gain[c], 1), "%s scale", k.name);
}

// The bound for 16-bit sums is the largest number of steps that no codes make overflow.
void test_steps_in_16_bits() {
  const int panel = 16, depth = 64;
  Buffer<int8_t> panels(size_t(panel) * depth);
  CHECK(steps_in_16_bits(panels.data(), depth, panel, panel, 255) == depth / 4, "no weights, no limit");
  std::fill_n(panels.data(), panels.size(), int8_t{127});
  CHECK(steps_in_16_bits(panels.data(), depth, panel, panel, 255) == 0, "two products of 255 and 127 are too much");
  std::fill_n(panels.data(), panels.size(), int8_t{64});
  CHECK(steps_in_16_bits(panels.data(), depth, panel, panel, 255) == 1, "one step of 64");
  CHECK(steps_in_16_bits(panels.data(), depth, panel, panel, 15) == depth / 4, "codes of 4 bits");
  for (size_t i = 0; i < panels.size(); i++) panels[i] = i % 2 ? 64 : -64;
  CHECK(steps_in_16_bits(panels.data(), depth, panel, panel, 255) == 2, "signs are counted apart: codes may be 0 where one of them is");
  std::fill_n(panels.data(), panels.size(), int8_t{0});
  panels[size_t(panel) * 4 * 15 + 5] = -128;
  panels[size_t(panel) * 4 * 3 + 5] = -1;
  CHECK(steps_in_16_bits(panels.data(), depth, panel, panel, 255) == 8, "129 in one lane is too much, in two halves it is not");
}

void test_lstm(const Kernels &k, int hidden) {
  const auto gates = random_floats(4 * hidden, -90, 90);
  auto cell = random_floats(hidden, -2, 2), out = random_floats(hidden);
  const auto before = [&] { std::vector<float> copy(cell.data(), cell.data() + hidden); return copy; }();
  k.lstm_step(gates.data(), hidden, cell.data(), out.data());
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  for (int c = 0; c < hidden; c++) {
    const double next = sigmoid(gates[hidden + c]) * before[c] + sigmoid(gates[c]) * std::tanh(double(gates[2 * hidden + c]));
    CHECK(close(cell[c], next, 1), "%s cell %g %g", k.name, double(cell[c]), next);
    CHECK(close(out[c], sigmoid(gates[3 * hidden + c]) * std::tanh(next), 1), "%s hidden", k.name);
  }
}

void test_all(const Kernels &k) {
  for (const Epilogue kind : kEpilogues) {
    for (int rows = 1; rows <= 30; rows++) test_gemm_f32(k, rows, rows * 7 % 33 + 1, 64, kind, rows % 2);
    test_gemm_f32(k, 100, 130, 128, kind, false);
    for (int bits = 1; bits <= 8; bits++)
      for (int rows = 1; rows <= 30; rows++) test_gemm_int8(k, bits, rows, (rows * 29 + bits * 53) % 257 + 1, 64, kind);
  }
  for (int depth = 1; depth <= 257; depth++)
    for (int bits = 1; bits <= 8; bits++) test_gemm_int8(k, bits, 2, depth, 32, Epilogue::store);
  test_gemm_int8(k, 3, 100, 512, 256, Epilogue::store);
  for (const int code_top : {1, 15, 63})
    for (const int bits : {1, 3, 8}) test_gemm_int8(k, bits, 7, 352, 64, Epilogue::store, code_top);
  test_rows_are_independent(k);
  for (int rows = 1; rows <= 30; rows++) test_kept_sums(k, rows);
  for (const int kernel : {1, 3, 5, 7, 255})
    for (const int channels : {32, 96, 512}) {
      test_depthwise_f32(k, kernel, channels);
      for (int rows = 1; rows <= kRowGroup; rows++)
        for (const int top : {1, 3, 127}) test_depthwise_int8(k, kernel, channels, rows, top);
    }
  for (const int channels : {32, 64, 512}) {
    for (int rows = 1; rows <= kRowGroup; rows++) test_rows(k, channels, rows);
    test_row_functions(k, channels);
    test_lstm(k, channels);
  }
}

}  // namespace

int main() {
  test_steps_in_16_bits();
  for (const char *name : {"scalar", "sse41", "avx2", "avxvnni", "avx512", "neondot", "neon", "wasm"})
    if (const Kernels *kernels = find_kernels(name)) {
      const int before = failures;
      test_all(*kernels);
      std::printf("%s: %s\n", name, failures == before ? "passed" : "FAILED");
    } else {
      std::printf("%s: not on this processor or in this build\n", name);
    }
  return failures != 0;
}
