// Pace of the products on the shapes of the paper's network, in multiply-adds per nanosecond, beside the limit of the processor.
//   bench_kernels [ISA...]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include "../src/buffer.h"
#include "../src/kernels.h"

using namespace tinywase;

namespace {

// The shortest of many turns: what nothing disturbed.
template <class Function>
double shortest_s(Function function, int turns = 40) {
  double best = 1e9;
  for (int turn = 0; turn < turns; turn++) {
    const auto begin = std::chrono::steady_clock::now();
    function();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

struct Shape {
  const char *name;
  int depth, columns;
  Epilogue kind;
};

constexpr Shape kShapes[] = {{"expand 128->512, kept", 128, 512, Epilogue::keep_sums},
                             {"expand 128->512, floats", 128, 512, Epilogue::prelu_sums},
                             {"outputs 512->256", 512, 256, Epilogue::accumulate},
                             {"mask 128->512", 128, 512, Epilogue::mask}};
constexpr int kRows[] = {48, 8, 1};
constexpr int kMostRows = 48;

// Operands of one shape, filled with numbers of no meaning.
struct Operands {
  Buffer<float> input, panels, bias, scale, out, latent, row_sums;
  Buffer<uint8_t> codes;
  Buffer<int8_t> levels;
  Buffer<int32_t> start;
  Buffer<int16_t> kept;
  GemmOutput output;

  explicit Operands(const Shape &s)
      : input(size_t(kMostRows) * s.depth), panels(size_t(s.depth) * s.columns), bias(s.columns), scale(s.columns),
        out(size_t(kMostRows) * s.columns * 2), latent(size_t(kMostRows) * s.columns), row_sums(2 * kMostRows), codes(input.size()),
        levels(panels.size()), start(s.columns), kept(latent.size()) {
    for (size_t i = 0; i < input.size(); i++) input[i] = float(codes[i] = static_cast<uint8_t>(i * 7919 % 256)) / 256;
    for (size_t i = 0; i < panels.size(); i++) panels[i] = levels[i] = static_cast<int8_t>(int(i * 104729 % 7) - 3);
    output.kind = s.kind;
    output.bias = bias.data();
    output.scale = scale.data();
    output.out = out.data();
    output.second = out.data() + latent.size();
    output.out_stride = output.latent_stride = s.columns;
    output.split = s.columns / 2;
    output.latent = latent.data();
    output.row_sums = row_sums.data();
    output.kept = kept.data();
  }
};

void measure(const Kernels &k, const Shape &shape, int rows) {
  Operands o(shape);
  const double products = double(rows) * shape.depth * shape.columns;
  const int calls = std::max(1, int(2e7 / products));
  const auto pace = [&](auto call) { return 1e-9 * products * calls / shortest_s([&] { for (int i = 0; i < calls; i++) call(); }); };
  const auto integers = [&](int flush) {
    const GemmInt8 gemm{o.codes.data(), size_t(shape.depth), o.levels.data(), o.start.data(), rows, shape.depth, shape.columns, flush, {}, o.output};
    return pace([&] { k.gemm_int8(gemm); });
  };
  std::printf("%-8s %-24s %4d rows: %6.1f", k.name, shape.name, rows, integers(shape.depth / 4));
  if (std::string(k.name) == "avx2") std::printf("  (16-bit sums of 4 steps %.1f, none %.1f)", integers(4), integers(0));
  if (shape.kind != Epilogue::keep_sums) {
    const GemmF32 gemm{o.input.data(), size_t(shape.depth), o.panels.data(), rows, shape.depth, shape.columns, o.output};
    std::printf("  float32 %.1f", pace([&] { k.gemm_f32(gemm); }));
  }
  std::printf("\n");
}

double peak(const Kernels &k) {
  int64_t count = 0;
  const double seconds = shortest_s([&] { count = k.multiply_adds(20000); });
  return 1e-9 * double(count) / seconds;
}

// Row kernels: nanoseconds per row of 512 channels.
void measure_rows(const Kernels &k) {
  constexpr int channels = 512, rows = kRowGroup, kernel = 3, calls = 2000;
  Buffer<float> floats(size_t(rows) * channels), gain(channels), bias(channels), row_sums(2 * rows);
  Buffer<int16_t> kept(floats.size()), weights(2 * 2 * channels);
  Buffer<uint8_t> codes(size_t(rows) * channels);
  Buffer<int32_t> start(channels);
  const float row_gain[rows] = {1, 1, 1, 1}, row_shift[rows] = {};
  std::vector<uint8_t *> to;
  std::vector<const uint8_t *> taps;
  for (int r = 0; r < rows; r++) {
    to.push_back(codes.data() + r * channels);
    for (int t = 0; t < kernel; t++) taps.push_back(codes.data() + (r + t) % rows * channels);
  }
  NormRows norm{floats.data(), {}, channels, rows, channels, row_gain, row_shift, gain.data(), bias.data()};
  const auto per_row = [&](auto call) { return 1e9 / rows / calls * shortest_s([&] { for (int i = 0; i < calls; i++) call(); }); };
  const double from_floats = per_row([&] { k.quantize_rows(norm, 255, to.data()); });
  norm.kept = {kept.data(), gain.data(), bias.data(), 0.25f};
  const double from_kept = per_row([&] { k.quantize_rows(norm, 255, to.data()); });
  const DepthwiseInt8 depthwise{taps.data(), weights.data(), start.data(), gain.data(), bias.data(), rows, kernel, channels, channels, 0.25f,
                                nullptr, kept.data(), channels, row_sums.data()};
  const double convolve = per_row([&] { k.depthwise_int8(depthwise); });
  std::printf("%-8s rows of %d channels, ns each: quantize floats %.1f, kept sums %.1f, depthwise %.1f\n", k.name, channels, from_floats,
              from_kept, convolve);
}

}  // namespace

int main(int argc, char **argv) {
  std::vector<std::string> names(argv + 1, argv + argc);
  if (names.empty()) {
    std::istringstream all(kernel_names(" "));
    for (std::string name; all >> name;) names.push_back(name);
  }
  for (const std::string &name : names) {
    const Kernels *kernels = find_kernels(name.c_str());
    if (!kernels) return std::printf("this processor runs %s, not %s\n", kernel_names(", ").c_str(), name.c_str()), 2;
    std::printf("%-8s limit: %.1f multiply-adds of bytes per nanosecond\n", kernels->name, peak(*kernels));
    for (const Shape &shape : kShapes)
      for (const int rows : kRows) measure(*kernels, shape, rows);
    measure_rows(*kernels);
  }
  return 0;
}
