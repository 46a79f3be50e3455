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

// Zeros after a signal of `count` samples, so that hop + count + tail + hop samples are whole windows (docs/model.md 1).
inline size_t tail_samples(size_t count, size_t window, size_t hop) { return window - (hop + count % window) % window; }

inline size_t frame_count(size_t count, size_t window, size_t hop) {
  return (count + tail_samples(count, window, hop) + 2 * hop - window) / hop + 1;
}

// Frames are counted in int: what a recording may have, with room for a tile.
constexpr size_t kMostFrames = INT_MAX - 2 * kTileFrames;

// Raise if a recording has more frames than that. The samples themselves may be too many to count with their padding.
inline void check_length(size_t count, size_t window, size_t hop) {
  if (count > SIZE_MAX - 4 * window || frame_count(count, window, hop) > kMostFrames)
    throw std::bad_alloc();
}

// A sample as the network may see it: a NaN would stay in a stream's running sums for ever, an infinity likewise.
inline float safe_sample(float sample) {
  constexpr float most = 1e6f;
  return std::isfinite(sample) ? std::fmin(std::fmax(sample, -most), most) : 0.0f;
}

// The signal with its padding in front and behind.
inline Buffer<float> framed(const float *samples, size_t count, size_t window, size_t hop) {
  Buffer<float> result(count + tail_samples(count, window, hop) + 2 * hop);
  for (size_t i = 0; i < count; i++) result[hop + i] = safe_sample(samples[i]);
  return result;
}

// log(1 + power / floor) of cosine and sine filters, which `out` may overwrite (models/filterbank.py).
inline void log_power(const float *real, const float *imaginary, int pairs, float *out) {
  constexpr float floor = 1e-5f;
  for (int i = 0; i < pairs; i++) out[i] = std::log(1 + (real[i] * real[i] + imaginary[i] * imaginary[i]) / floor);
}

// A convolution over samples as a product: one row of `window` samples per frame, weight [filters, window] as in the file.
// The filters are split into `parts` of equal size, each padded on its own.
inline Pointwise load_filterbank(const ModelFile &file, const Kernels &kernels, const std::string &name, int filters, int window,
                                 int parts = 1) {
  const auto weight = file.tensor(name).values();
  std::vector<Columns> columns(parts);
  for (int part = 0; part < parts; part++) {
    const int count = filters / parts;
    const auto first = weight.begin() + static_cast<std::ptrdiff_t>(part) * count * window;
    columns[part].outputs = count;
    columns[part].weight.assign(first, first + static_cast<std::ptrdiff_t>(count) * window);
    columns[part].bias.assign(count, 0.0f);
  }
  return Pointwise(kernels, std::move(columns), window);
}

}  // namespace tinywase
