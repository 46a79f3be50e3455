#include "norm.h"

#include <algorithm>

namespace tinywase {

float load_scalar(const ModelFile &file, const std::string &name) { return file.tensor(name).values()[0]; }

Buffer<float> load_padded(const ModelFile &file, const std::string &name, int count) {
  const auto values = file.tensor(name).values();
  Buffer<float> result(padded(count));
  std::copy(values.begin(), values.end(), result.data());
  return result;
}

Norm Norm::load(const ModelFile &file, const std::string &name, int channels) {
  return {load_padded(file, name + ".weight", channels), load_padded(file, name + ".bias", channels)};
}

Norm Norm::identity(int channels) {
  Norm result{Buffer<float>(padded(channels)), Buffer<float>(padded(channels))};
  std::fill_n(result.gain.data(), channels, 1.0f);
  return result;
}

Norm Norm::copy() const {
  Norm result{Buffer<float>(gain.size()), Buffer<float>(bias.size())};
  std::copy_n(gain.data(), gain.size(), result.gain.data());
  std::copy_n(bias.data(), bias.size(), result.bias.data());
  return result;
}

Norm Norm::quantized(const ActivationPoint &point) const {
  Norm result{Buffer<float>(gain.size()), Buffer<float>(bias.size())};
  for (size_t c = 0; c < gain.size(); c++) {
    result.gain[c] = gain[c] / point.scale;
    result.bias[c] = bias[c] / point.scale + static_cast<float>(point.zero_point);
  }
  return result;
}

Lines Norm::lines(const Kept &kept, const RowStatistics &statistics, float *memory) const {
  const size_t channels = gain.size();
  float *above_scale = memory, *above_bias = above_scale + channels, *below_scale = above_bias + channels, *below_bias = below_scale + channels;
  for (size_t c = 0; c < channels; c++) {
    if (gain[c] < 0) return {};
    const double slope = kept.slope, factor = static_cast<double>(statistics.gain[0]) * gain[c];
    const double shift = static_cast<double>(statistics.shift[0]) * gain[c] + bias[c];
    above_scale[c] = static_cast<float>(kept.scale[c] * factor);
    above_bias[c] = static_cast<float>(kept.bias[c] * factor + shift);
    below_scale[c] = static_cast<float>(kept.scale[c] * factor * slope);
    below_bias[c] = static_cast<float>(kept.bias[c] * factor * slope + shift);
  }
  return {above_scale, above_bias, below_scale, below_bias};
}

}  // namespace tinywase
