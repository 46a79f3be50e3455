// Norms: their parameters, and the sums that mean and variance come from (models/layers.py, Norm).
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include "buffer.h"
#include "kernels.h"
#include "model_file.h"

namespace tinywase {

struct RowStatistics;

// Gain and bias per channel, padded with zeros.
struct Norm {
  Buffer<float> gain, bias;

  static Norm load(const ModelFile &file, const std::string &name, int channels);
  static Norm identity(int channels);
  Norm copy() const;
  // The same followed by a quantizer: n / scale + zero_point, ready for Kernels::quantize_rows.
  Norm quantized(const ActivationPoint &point) const;
  // What kept sums and this norm come to, with statistics that are the same for all rows; none if a gain is negative. They are put
  // into `memory`, 4 times as long as the gain.
  Lines lines(const Kept &kept, const RowStatistics &statistics, float *memory) const;
};

// Sums over the rows so far, in float64 so that hours do not drift.
struct NormSums {
  double total = 0, squares = 0;
  double rows = 0;  // each by how much of it is left

  void add(const float *row_sums) {
    total += static_cast<double>(row_sums[0]);
    squares += static_cast<double>(row_sums[1]);
    rows++;
  }
  // One more after the others have faded.
  void add(const float *row_sums, double keeps) {
    total *= keeps;
    squares *= keeps;
    rows *= keeps;
    add(row_sums);
  }
  // More rows.
  void add(const NormSums &other) {
    add_channels(other);
    rows += other.rows;
  }
  // Other channels of the same rows.
  void add_channels(const NormSums &other) {
    total += other.total;
    squares += other.squares;
  }
  void statistics(int channels, float *gain, float *shift) const {
    constexpr double epsilon = 1e-8;  // docs/model.md
    const double count = rows * channels, mean = total / count;
    const double variance = std::fmax(squares / count - mean * mean, 0.0);
    const double inverse = 1 / std::sqrt(variance + epsilon);
    *gain = static_cast<float>(inverse);
    *shift = static_cast<float>(-mean * inverse);
  }
};

// What a norm does to a row, x * gain + shift, for up to kTileFrames rows; nothing, as it is made.
struct RowStatistics {
  float gain[kTileFrames], shift[kTileFrames];

  RowStatistics() { fill(1, 0); }
  // The same for every row: that of a whole clip.
  RowStatistics(const NormSums &sums, int channels) {
    float one_gain, one_shift;
    sums.statistics(channels, &one_gain, &one_shift);
    fill(one_gain, one_shift);
  }

 private:
  void fill(float one_gain, float one_shift) {
    for (int row = 0; row < kTileFrames; row++) gain[row] = one_gain, shift[row] = one_shift;
  }
};

float load_scalar(const ModelFile &file, const std::string &name);
Buffer<float> load_padded(const ModelFile &file, const std::string &name, int count);

}  // namespace tinywase
