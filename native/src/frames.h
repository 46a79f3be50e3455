// Cutting signals into overlapping frames, as models/voiceprint.py pad_to_frames and models/wase.py do it.
#pragma once

#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <new>

#include "buffer.h"
#include "model_file.h"
#include "pointwise.h"

namespace tinywase {

// How a signal is cut (docs/model.md 1): windows that begin a hop after each other, with `edge` zeros before the signal and
// behind it, besides those that complete its last window.
struct Framing {
  size_t window, hop, edge;

  explicit Framing(const Config &c) : window(c.window), hop(c.hop()), edge(window - hop) {}
  explicit Framing(const VoiceprintConfig &c) : window(c.window), hop(c.hop), edge(hop) {}

  size_t tail(size_t count) const { return window - (hop + count % window) % window; }
  size_t padded(size_t count) const { return count + tail(count) + 2 * edge; }
  size_t frames(size_t count) const { return (padded(count) - window) / hop + 1; }
};

// Frames are counted in int: what a recording may have, with room for a tile.
constexpr size_t kMostFrames = INT_MAX - 2 * kTileFrames;

// Raise if a recording has more frames than that. The samples themselves may be too many to count with their padding.
inline void check_length(size_t count, const Framing &framing) {
  if (count > SIZE_MAX - 2 * framing.window - 2 * framing.edge || framing.frames(count) > kMostFrames) throw std::bad_alloc();
}

// A sample as the network may see it: a NaN would stay in a stream's running sums for ever, an infinity likewise.
inline float safe_sample(float sample) {
  constexpr float most = 1e6f;
  return std::isfinite(sample) ? std::fmin(std::fmax(sample, -most), most) : 0.0f;
}

// The signal with its padding in front and behind.
inline Buffer<float> framed(const float *samples, size_t count, const Framing &framing) {
  Buffer<float> result(framing.padded(count));
  for (size_t i = 0; i < count; i++) result[framing.edge + i] = safe_sample(samples[i]);
  return result;
}

// log(1 + power / floor) of cosine and sine filters, which `out` may overwrite (models/filterbank.py).
inline void log_power(const float *real, const float *imaginary, int pairs, float *out) {
  constexpr float floor = 1e-5f;
  for (int i = 0; i < pairs; i++) out[i] = std::log(1 + (real[i] * real[i] + imaginary[i] * imaginary[i]) / floor);
}

// A convolution over samples as a product: one row of `window` samples per frame, weight [filters, window].
// The filters are split into `parts` of equal size, each padded on its own.
inline Pointwise filterbank(const Kernels &kernels, const std::vector<float> &weight, int window, int parts = 1) {
  std::vector<Columns> columns(parts);
  const size_t values = weight.size() / parts;
  for (int part = 0; part < parts; part++) {
    const auto first = weight.begin() + static_cast<std::ptrdiff_t>(part * values);
    columns[part].outputs = static_cast<int>(values / window);
    columns[part].weight.assign(first, first + static_cast<std::ptrdiff_t>(values));
    columns[part].bias.assign(values / window, 0.0f);
  }
  return Pointwise(kernels, std::move(columns), window);
}

}  // namespace tinywase
