// Which tensors a configuration has, by name and shape, and where its activations may be quantized: the twin of
// src/tinywase/layout.py.
#include "model_file.h"

namespace tinywase {
namespace {

using Shape = std::vector<uint32_t>;

uint32_t u32(int value) { return static_cast<uint32_t>(value); }

void add_conv(Shapes &shapes, const std::string &name, const Shape &shape) {
  shapes[name + ".weight"] = shape;
  shapes[name + ".bias"] = {shape[0]};
}

void add_norm(Shapes &shapes, const std::string &name, int channels) {
  shapes[name + ".weight"] = {u32(channels)};
  shapes[name + ".bias"] = {u32(channels)};
}

void add_block(Shapes &shapes, const std::string &name, int bottleneck, int hidden, int kernel) {
  const uint32_t b = u32(bottleneck), h = u32(hidden);
  add_conv(shapes, name + "expand", {h, b, 1});
  shapes[name + "expand_slope.weight"] = {1};
  add_norm(shapes, name + "expand_norm", hidden);
  add_conv(shapes, name + "depthwise", {h, 1, u32(kernel)});
  shapes[name + "depthwise_slope.weight"] = {1};
  add_norm(shapes, name + "depthwise_norm", hidden);
  add_conv(shapes, name + "residual", {b, h, 1});
  add_conv(shapes, name + "skip", {b, h, 1});
}

void add_separator(Shapes &shapes, const Config &c) {
  const uint32_t n = u32(c.filters), b = u32(c.bottleneck);
  add_norm(shapes, "separator.norm", c.feature_channels());
  add_conv(shapes, "separator.bottleneck", {b, u32(c.feature_channels()), 1});
  for (int i = 0; i < c.block_count(); i++)
    add_block(shapes, "separator.blocks." + std::to_string(i) + ".", c.bottleneck, c.hidden, c.kernel);
  if (c.voiceprint_cue())
    for (int place = 0; place <= c.stacks; place++)
      add_conv(shapes, "separator.cue_projections." + std::to_string(place), {b, u32(c.voiceprint.dimensions), 1});
  if (c.activity_cue()) add_conv(shapes, "separator.activity", {1, b, 1});
  shapes["separator.output_slope.weight"] = {1};
  add_conv(shapes, "separator.mask", {n, b, 1});
}

void add_lstm(Shapes &shapes, const VoiceprintConfig &v) {
  const uint32_t gates = 4 * u32(v.hidden);
  for (int layer = 0; layer < v.layers; layer++)
    for (const char *direction : {"", "_reverse"}) {
      const std::string suffix = "_l" + std::to_string(layer) + direction;
      const uint32_t inputs = u32(layer == 0 ? v.filters : 2 * v.hidden);
      shapes["voiceprint_encoder.rnn.weight_ih" + suffix] = {gates, inputs};
      shapes["voiceprint_encoder.rnn.weight_hh" + suffix] = {gates, u32(v.hidden)};
      shapes["voiceprint_encoder.rnn.bias_ih" + suffix] = {gates};
      shapes["voiceprint_encoder.rnn.bias_hh" + suffix] = {gates};
    }
  add_conv(shapes, "voiceprint_encoder.linear", {u32(v.dimensions), 2 * u32(v.hidden)});
}

void add_tcn(Shapes &shapes, const VoiceprintConfig &v) {
  const std::string name = "voiceprint_encoder.";
  add_norm(shapes, name + "norm", v.filters / 2);
  add_conv(shapes, name + "bottleneck", {u32(v.bottleneck), u32(v.filters / 2), 1});
  for (int i = 0; i < v.layers; i++) add_block(shapes, name + "blocks." + std::to_string(i) + ".", v.bottleneck, v.hidden, 3);
  add_conv(shapes, name + "linear", {u32(v.dimensions), 2 * u32(v.bottleneck)});
}

}  // namespace

Shapes expected_tensors(const Config &config) {
  Shapes shapes;
  if (!config.fourier) shapes["encoder.weight"] = shapes["decoder.weight"] = {u32(config.filters), 1, u32(config.window)};
  add_separator(shapes, config);
  if (!config.voiceprint.mel) shapes["voiceprint_encoder.filterbank.weight"] = {u32(config.voiceprint.filters), 1, u32(config.voiceprint.window)};
  if (config.voiceprint.kind == VoiceprintKind::lstm)
    add_lstm(shapes, config.voiceprint);
  else
    add_tcn(shapes, config.voiceprint);
  return shapes;
}

std::vector<std::string> activation_points(const Config &config) {
  std::vector<std::string> points = {"separator.bottleneck_input", "separator.mask_input"};
  const auto add_blocks = [&](const std::string &prefix, int count) {
    for (int i = 0; i < count; i++)
      for (const char *point : {".expand_input", ".depthwise_input", ".output_input"})
        points.push_back(prefix + "blocks." + std::to_string(i) + point);
  };
  add_blocks("separator.", config.block_count());
  if (config.voiceprint_cue()) points.push_back("separator.voiceprint_input");
  if (config.activity_cue())
    for (int place = 0; place <= config.stacks; place++) points.push_back("separator.activity_inputs." + std::to_string(place));
  if (config.voiceprint.kind == VoiceprintKind::tcn) add_blocks("voiceprint_encoder.", config.voiceprint.layers);
  return points;
}

}  // namespace tinywase
