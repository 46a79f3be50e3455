#include "filters.h"

#include <cmath>
#include <cstddef>

namespace tinywase {
namespace {

constexpr double kPi = 3.14159265358979323846;

double mel(double frequency_hz) { return 2595 * std::log10(1 + frequency_hz / 700); }

}  // namespace

std::vector<float> fourier_filters(int window, double gain) {
  const int pairs = window / 2;
  const size_t wide = window, period = 4 * wide;  // phases are multiples of 2 pi / period
  std::vector<double> cosine(period);
  for (size_t i = 0; i < period; i++) cosine[i] = std::cos(2 * kPi * static_cast<double>(i) / static_cast<double>(period));
  std::vector<float> weight(wide * wide);
  for (int k = 0; k < pairs; k++)
    for (int i = 0; i < window; i++) {
      const size_t phase = 2 * (2 * static_cast<size_t>(k) + 1) * i % period;
      const double root_hann = gain * std::sin(kPi * i / window) / std::sqrt(pairs);
      weight[k * wide + i] = static_cast<float>(cosine[phase] * root_hann);
      weight[(k + pairs) * wide + i] = static_cast<float>(cosine[(phase + 3 * wide) % period] * root_hann);
    }
  return weight;
}

std::vector<float> mel_filters(int bands, int window, int sample_rate_hz) {
  const double lowest = mel(60), highest = mel(sample_rate_hz / 2.0 * 0.95);
  const size_t wide = window;
  std::vector<float> weight(2 * static_cast<size_t>(bands) * wide);
  for (int band = 0; band < bands; band++) {
    const double at = bands > 1 ? lowest + (highest - lowest) * band / (bands - 1) : lowest;
    const double turns = 700 * (std::pow(10, at / 2595) - 1) / sample_rate_hz;
    for (int i = 0; i < window; i++) {
      const double phase = 2 * kPi * turns * (i - window / 2.0), root = std::sin(kPi * i / window);
      const double hann = root * root * std::sqrt(2.0 / window);
      weight[band * wide + i] = static_cast<float>(std::cos(phase) * hann);
      weight[(band + static_cast<size_t>(bands)) * wide + i] = static_cast<float>(std::sin(phase) * hann);
    }
  }
  return weight;
}

}  // namespace tinywase
