#include "preparation.h"

#include <algorithm>
#include <cmath>

#include "../include/tinywase.h"

namespace tinywase {
namespace {

constexpr double kFrameS = 0.032;
constexpr double kActiveBelowPeak = 0.01;  // of the loudest frame's power: 20 dB
constexpr double kRounding = 1e-6;         // of float32, next to an offset
constexpr double kFaintest = 1e-30;        // mean power, 300 dB below full scale: silence

double power(const float *samples, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += static_cast<double>(samples[i]) * samples[i];
  return sum;
}

// No offset; what rounding leaves of one alone is silence.
void remove_mean(float *samples, size_t count) {
  double sum = 0;
  float peak = 0, peak_around = 0;
  for (size_t i = 0; i < count; i++) {
    if (!std::isfinite(samples[i])) samples[i] = 0;
    sum += samples[i];
    peak = std::max(peak, std::fabs(samples[i]));
  }
  const float mean = static_cast<float>(sum / static_cast<double>(count));
  for (size_t i = 0; i < count; i++) peak_around = std::max(peak_around, std::fabs(samples[i] -= mean));
  if (peak_around <= peak * kRounding) std::fill_n(samples, count, 0.0f);
}

// Returns the factor, which is 1 for silence.
float scale_to_working_rms(float *samples, size_t count) {
  const double mean_power = power(samples, count) / static_cast<double>(count);
  if (mean_power < kFaintest) return 1;
  const float scale = static_cast<float>(TW_WORKING_RMS / std::sqrt(mean_power));
  for (size_t i = 0; i < count; i++) samples[i] *= scale;
  return scale;
}

}  // namespace

float set_level(float *samples, size_t count) {
  if (!count) return 1;
  remove_mean(samples, count);
  return scale_to_working_rms(samples, count);
}

size_t prepare_enrollment(float *samples, size_t count, int rate_hz) {
  if (!count) return 0;
  remove_mean(samples, count);
  const size_t frame = std::max<size_t>(1, static_cast<size_t>(std::lround(kFrameS * rate_hz)));
  double loudest = 0;
  for (size_t at = 0; at < count; at += frame) loudest = std::max(loudest, power(samples + at, std::min(frame, count - at)));
  size_t kept = 0;
  for (size_t at = 0; at < count; at += frame) {
    const size_t size = std::min(frame, count - at);
    if (power(samples + at, size) <= loudest * kActiveBelowPeak) continue;
    std::copy_n(samples + at, size, samples + kept);
    kept += size;
  }
  if (!kept || power(samples, kept) < kFaintest * static_cast<double>(kept)) return 0;
  scale_to_working_rms(samples, kept);
  return kept;
}

}  // namespace tinywase
