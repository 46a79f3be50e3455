#include "voiceprint.h"

#include <algorithm>
#include <cmath>

#include "filters.h"
#include "frames.h"

namespace tinywase {
namespace {

const std::string kPrefix = "voiceprint_encoder.";

// Runs a layer over any number of frames.
void run_all(const Pointwise &layer, const Kernels &kernels, const float *input, size_t input_stride, size_t frames, float *out,
             uint8_t *scratch, const RowStatistics &statistics = {}) {
  for (size_t first = 0; first < frames; first += kTileFrames) {
    GemmOutput output;
    output.out = out + first * layer.columns();
    output.out_stride = layer.columns();
    const int rows = static_cast<int>(std::min<size_t>(kTileFrames, frames - first));
    layer.run(kernels, {input + first * input_stride, input_stride}, rows, output, scratch, statistics);
  }
}

// The last linear layer: features [inputs] -> voiceprint [dimensions].
void run_linear(const Pointwise &linear, const Kernels &kernels, const float *features, int dimensions, float *voiceprint) {
  Buffer<float> padded_out(linear.columns());
  GemmOutput output;
  output.out = padded_out.data();
  output.out_stride = padded_out.size();
  linear.run(kernels, {features, 0}, 1, output, nullptr);
  std::copy_n(padded_out.data(), dimensions, voiceprint);
}

std::vector<float> filters_of(const ModelFile &file) {
  const VoiceprintConfig &config = file.config().voiceprint;
  if (config.mel) return mel_filters(config.filters / 2, config.window, file.config().sample_rate_hz);
  return file.tensor(kPrefix + "filterbank.weight").values();
}

class TcnEncoder : public VoiceprintEncoder {
 public:
  TcnEncoder(const ModelFile &file, const Kernels &kernels)
      : config_(file.config().voiceprint), bands_(config_.filters / 2), norm_(Norm::load(file, kPrefix + "norm", bands_)),
        filterbank_(filterbank(kernels, filters_of(file), config_.window, 2)),
        bottleneck_(kernels, {Columns::load(file, kPrefix + "bottleneck", config_.bottleneck)}, bands_, {}, &norm_),
        linear_(kernels, {Columns::load(file, kPrefix + "linear", config_.dimensions)}, 2 * config_.bottleneck) {
    for (int i = 0; i < config_.layers; i++)
      blocks_.emplace_back(file, kernels, kPrefix + "blocks." + std::to_string(i) + ".", config_.bottleneck, config_.hidden, 3,
                           1 << i);
  }

  void run(const Kernels &kernels, const float *enrollment, size_t count, float *voiceprint) const override {
    const size_t frames = Framing(config_).frames(count), x_stride = padded(config_.bottleneck);
    Buffer<float> x(area(frames, x_stride));
    enter(kernels, enrollment, count, frames, x.data());
    Buffer<float> skips(area(frames, x_stride));  // not before: of a minute these are megabytes, and enter has its own
    size_t scratch_bytes = 0, ring_bytes = 0, row_bytes = 0;
    for (const ConvBlock &block : blocks_) {
      scratch_bytes = std::max(scratch_bytes, block.scratch_bytes());
      ring_bytes = std::max(ring_bytes, block.ring_bytes());
      row_bytes = std::max(row_bytes, block.row_bytes());
    }
    Buffer<uint8_t> scratch(scratch_bytes), ring(ring_bytes), hidden(area(frames, row_bytes));
    Buffer<float> row_sums(2 * kTileFrames);
    for (const ConvBlock &block : blocks_)
      block.run_clip(kernels, x.data(), skips.data(), static_cast<int>(frames),
                     {hidden.data(), row_bytes, row_sums.data(), scratch.data(), ring.data()});
    const auto features = moments(skips.data(), frames, x_stride);
    run_linear(linear_, kernels, features.data(), config_.dimensions, voiceprint);
    double squares = 0;  // every voiceprint has the length sqrt(D), so that all modulate the separator equally strongly
    for (int i = 0; i < config_.dimensions; i++) squares += static_cast<double>(voiceprint[i]) * voiceprint[i];
    const double scale = std::sqrt(static_cast<double>(config_.dimensions)) / std::max(std::sqrt(squares), 1e-12);
    for (int i = 0; i < config_.dimensions; i++) voiceprint[i] = static_cast<float>(voiceprint[i] * scale);
  }

  void count(WeightCount &count) const override {
    for (const ConvBlock &block : blocks_) block.count(count);
    count.add(bottleneck_);
    count.add(linear_);
    count.bytes += filterbank_.bytes();
  }

 private:
  // Log power of the filterbank's pairs, norm, bottleneck: x [frames, padded(bottleneck)].
  void enter(const Kernels &kernels, const float *enrollment, size_t count, size_t frames, float *x) const {
    const Buffer<float> signal = framed(enrollment, count, Framing(config_));
    const size_t stride = padded(bands_);
    Buffer<float> pairs(kTileFrames * 2 * stride), power(area(frames, stride));
    NormSums sums;
    for (size_t frame = 0; frame < frames; frame++) {
      const size_t row = frame % kTileFrames;
      if (row == 0)
        run_all(filterbank_, kernels, signal.data() + frame * config_.hop, config_.hop, std::min<size_t>(kTileFrames, frames - frame),
                pairs.data(), nullptr);
      const float *real = pairs.data() + row * 2 * stride, *imaginary = real + stride;
      log_power(real, imaginary, bands_, power.data() + frame * stride);
      for (int band = 0; band < bands_; band++) {
        const float value = power[frame * stride + band];
        sums.total += value;
        sums.squares += static_cast<double>(value) * value;
      }
    }
    sums.rows = static_cast<int64_t>(frames);
    run_all(bottleneck_, kernels, power.data(), stride, frames, x, nullptr, {sums, bands_});
  }

  // Mean and deviation over the frames, side by side.
  std::vector<float> moments(const float *skips, size_t frames, size_t stride) const {
    const int channels = config_.bottleneck;
    std::vector<float> features(2 * channels);
    for (int c = 0; c < channels; c++) {
      double mean = 0, variance = 0;
      for (size_t frame = 0; frame < frames; frame++) mean += skips[frame * stride + c];
      mean /= static_cast<double>(frames);
      for (size_t frame = 0; frame < frames; frame++) variance += (skips[frame * stride + c] - mean) * (skips[frame * stride + c] - mean);
      features[c] = static_cast<float>(mean);
      features[channels + c] = static_cast<float>(std::sqrt(variance / static_cast<double>(frames) + 1e-6));
    }
    return features;
  }

  VoiceprintConfig config_;
  int bands_;
  Norm norm_;
  Pointwise filterbank_, bottleneck_, linear_;
  std::vector<ConvBlock> blocks_;
};

// One direction of one LSTM layer. Its gates stand side by side, each padded: input, forget, cell, output.
class LstmDirection {
 public:
  // `inputs` come as `groups` of padded(inputs / groups) channels: the outputs of the layer before, or the filterbank's.
  LstmDirection(const ModelFile &file, const Kernels &kernels, const std::string &suffix, int inputs, int groups, int hidden)
      : hidden_(hidden) {
    const std::string rnn = kPrefix + "rnn.";
    const auto bias = file.tensor(rnn + "bias_ih" + suffix).values(), more = file.tensor(rnn + "bias_hh" + suffix).values();
    auto from_input = gates(spread(file.tensor(rnn + "weight_ih" + suffix).values(), inputs, groups), padded(inputs / groups) * groups);
    auto from_hidden = gates(file.tensor(rnn + "weight_hh" + suffix).values(), hidden);
    for (int gate = 0; gate < 4; gate++)
      for (int i = 0; i < hidden; i++) from_input[gate].bias[i] = bias[gate * hidden + i] + more[gate * hidden + i];
    input_ = Pointwise(kernels, std::move(from_input), padded(inputs / groups) * groups);
    recurrent_ = Pointwise(kernels, std::move(from_hidden), hidden);
  }

  // input [frames, stride] -> out, hidden values of frame f at out + f * out_stride.
  void run(const Kernels &kernels, const float *input, size_t stride, size_t frames, bool reverse, float *out,
           size_t out_stride) const {
    Buffer<float> gates(area(frames, input_.columns())), cell(padded(hidden_)), silence(padded(hidden_));
    run_all(input_, kernels, input, stride, frames, gates.data(), nullptr);
    const float *last = silence.data();
    for (size_t step = 0; step < frames; step++) {
      const size_t frame = reverse ? frames - 1 - step : step;
      GemmOutput output;
      output.kind = Epilogue::accumulate;
      output.out = gates.data() + frame * input_.columns();
      output.out_stride = output.split = input_.columns();
      recurrent_.run(kernels, {last, 0}, 1, output, nullptr);
      kernels.lstm_step(output.out, padded(hidden_), cell.data(), out + frame * out_stride);
      last = out + frame * out_stride;
    }
  }

  size_t bytes() const { return input_.bytes() + recurrent_.bytes(); }

 private:
  // Weight [4 hidden, inputs] in four parts.
  std::vector<Columns> gates(const std::vector<float> &weight, int inputs) const {
    std::vector<Columns> parts(4);
    const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(hidden_) * inputs;
    for (int gate = 0; gate < 4; gate++) {
      parts[gate].outputs = hidden_;
      parts[gate].weight.assign(weight.begin() + gate * size, weight.begin() + (gate + 1) * size);
      parts[gate].bias.assign(hidden_, 0.0f);
    }
    return parts;
  }

  // Weight with its inputs moved to where padded groups of channels put them.
  static std::vector<float> spread(std::vector<float> weight, int inputs, int groups) {
    const int group = inputs / groups, stride = padded(group);
    if (stride == group) return weight;
    const size_t rows = weight.size() / inputs;
    std::vector<float> result(rows * groups * stride);
    for (size_t row = 0; row < rows; row++)
      for (int k = 0; k < inputs; k++) result[(row * groups + k / group) * stride + k % group] = weight[row * inputs + k];
    return result;
  }

  int hidden_;
  Pointwise input_, recurrent_;
};

class LstmEncoder : public VoiceprintEncoder {
 public:
  LstmEncoder(const ModelFile &file, const Kernels &kernels)
      : config_(file.config().voiceprint),
        filterbank_(filterbank(kernels, file.tensor(kPrefix + "filterbank.weight").values(), config_.window)),
        linear_(kernels, {Columns::load(file, kPrefix + "linear", config_.dimensions)}, 2 * config_.hidden) {
    for (int layer = 0; layer < config_.layers; layer++)
      for (const char *direction : {"", "_reverse"})
        directions_.emplace_back(file, kernels, "_l" + std::to_string(layer) + direction,
                                 layer ? 2 * config_.hidden : config_.filters, layer ? 2 : 1, config_.hidden);
  }

  void run(const Kernels &kernels, const float *enrollment, size_t count, float *voiceprint) const override {
    const size_t frames = Framing(config_).frames(count), wide = padded(config_.hidden);
    const Buffer<float> signal = framed(enrollment, count, Framing(config_));
    Buffer<float> x(area(frames, filterbank_.columns())), next;
    run_all(filterbank_, kernels, signal.data(), config_.hop, frames, x.data(), nullptr);
    size_t stride = filterbank_.columns();
    for (size_t i = 0; i < directions_.size(); i += 2) {
      next = Buffer<float>(area(frames, 2 * wide));
      directions_[i].run(kernels, x.data(), stride, frames, false, next.data(), 2 * wide);
      directions_[i + 1].run(kernels, x.data(), stride, frames, true, next.data() + wide, 2 * wide);
      std::swap(x, next);
      stride = 2 * wide;
    }
    std::vector<float> mean(2 * config_.hidden);
    for (int c = 0; c < 2 * config_.hidden; c++) {
      const size_t column = c / config_.hidden * wide + c % config_.hidden;
      double total = 0;
      for (size_t frame = 0; frame < frames; frame++) total += x[frame * stride + column];
      mean[c] = static_cast<float>(total / static_cast<double>(frames));
    }
    run_linear(linear_, kernels, mean.data(), config_.dimensions, voiceprint);
  }

  void count(WeightCount &count) const override {
    for (const LstmDirection &direction : directions_) count.bytes += direction.bytes();
    count.bytes += filterbank_.bytes() + linear_.bytes();
  }

 private:
  VoiceprintConfig config_;
  Pointwise filterbank_, linear_;
  std::vector<LstmDirection> directions_;
};

}  // namespace

std::unique_ptr<VoiceprintEncoder> VoiceprintEncoder::load(const ModelFile &file, const Kernels &kernels) {
  if (file.config().voiceprint.kind == VoiceprintKind::lstm) return std::make_unique<LstmEncoder>(file, kernels);
  return std::make_unique<TcnEncoder>(file, kernels);
}

}  // namespace tinywase
