#include "model.h"

#include <algorithm>

#include "filters.h"
#include "frames.h"

namespace tinywase {
namespace {

std::vector<float> encoder_weight(const ModelFile &file) {
  return file.config().fourier ? fourier_filters(file.config().window, 1) : file.tensor("encoder.weight").values();
}

std::vector<float> decoder_weight(const ModelFile &file) {
  return file.config().fourier ? fourier_filters(file.config().window, 2.0 / file.config().overlap) : file.tensor("decoder.weight").values();
}

// Weight [filters, 1, window] of a transposed convolution: its rows are the decoder's inputs.
Pointwise transposed(const Kernels &kernels, const std::vector<float> &weight, int filters, int window) {
  Columns columns;
  columns.outputs = window;
  columns.bias.assign(window, 0.0f);
  columns.weight.resize(weight.size());
  for (int n = 0; n < filters; n++)
    for (int i = 0; i < window; i++) columns.weight[static_cast<size_t>(i) * filters + n] = weight[static_cast<size_t>(n) * window + i];
  return Pointwise(kernels, {columns}, filters);
}

}  // namespace

Model::Model(const ModelFile &file, const Kernels &kernels_in)
    : config(file.config()), kernels(kernels_in), encoder(filterbank(kernels, encoder_weight(file), config.window)),
      separator(file, kernels), decoder(transposed(kernels, decoder_weight(file), config.filters, config.window)),
      voiceprint_encoder(VoiceprintEncoder::load(file, kernels)) {}

void Model::encode(const float *samples, int rows, float *latent, float *row_sums) const {
  GemmOutput output;
  output.kind = row_sums ? Epilogue::store_sums : Epilogue::store;
  output.out = latent;
  output.out_stride = padded(config.filters);
  output.row_sums = row_sums;
  encoder.run(kernels, {samples, static_cast<size_t>(config.hop())}, rows, output, nullptr);
}

void Model::hear(const float *samples, int rows, float *features, float *row_sums) const {
  encode(samples, rows, features, config.log_power ? nullptr : row_sums);
  if (!config.log_power) return;
  const int stride = padded(config.filters), pairs = config.feature_channels();
  for (int row = 0; row < rows; row++, features += stride) {
    log_power(features, features + pairs, pairs, features);
    std::fill(features + pairs, features + stride, 0.0f);
    if (!row_sums) continue;
    float *sums = row_sums + 2 * row;
    sums[0] = sums[1] = 0;
    for (int pair = 0; pair < pairs; pair++) {
      sums[0] += features[pair];
      sums[1] += features[pair] * features[pair];
    }
  }
}

void Model::decode(const float *masked, int rows, float *wave, float *overlap, float *out) const {
  const int stride = padded(config.window), hop = config.hop(), edge = config.window - hop;
  GemmOutput output;
  output.out = wave;
  output.out_stride = stride;
  decoder.run(kernels, {masked, static_cast<size_t>(padded(config.filters))}, rows, output, nullptr);
  for (int row = 0; row < rows; row++, wave += stride, out += hop) {
    for (int i = 0; i < hop; i++) out[i] = overlap[i] + wave[i];
    for (int i = 0; i < edge; i++) overlap[i] = (i + hop < edge ? overlap[i + hop] : 0.0f) + wave[hop + i];
  }
}

WeightCount Model::weights() const {
  WeightCount count;
  separator.count(count);
  voiceprint_encoder->count(count);
  count.bytes += encoder.bytes() + decoder.bytes();
  return count;
}

}  // namespace tinywase
