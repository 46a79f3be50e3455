// Filters that a file need not hold: the twin of src/tinywase/filters.py.
#pragma once

#include <vector>

namespace tinywase {

// The odd-frequency Fourier transform under a square-root Hann window, times `gain`: window / 2 cosines, then their sines.
// [window][window].
std::vector<float> fourier_filters(int window, double gain);

// Cosines and sines of `bands` mel-spaced frequencies under a Hann window. [2 bands][window].
std::vector<float> mel_filters(int bands, int window, int sample_rate_hz);

}  // namespace tinywase
