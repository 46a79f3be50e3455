// The configuration as the fixed numbers of a model file's header: the twin of src/tinywase/header.py.
#include "kernels.h"
#include "model_file.h"

namespace tinywase {
namespace {

constexpr uint32_t kWide = 1u << 16, kLongest = 1u << 24, kFarthest = 1u << 20;
constexpr uint64_t kMostFixedValues = 1u << 22, kMostStreamValues = 1u << 26, kMostValuesPerSecond = 1u << 24;
constexpr size_t kHeaderBytes = 256, kNameBytes = 64;

int checked(const char *name, uint32_t value, uint32_t lowest, uint32_t highest) {
  if (value < lowest || value > highest)
    throw FileError(std::string(name) + " = " + text(value) + ": expected " + text(lowest) + " to " + text(highest) + ".");
  return static_cast<int>(value);
}

void check_fixed(const std::string &label, bool fixed, int filters, int window) {
  if (fixed && static_cast<uint64_t>(filters) * static_cast<uint64_t>(window) > kMostFixedValues)
    throw FileError(label + "filters = " + text(filters) + " of " + label + "window = " + text(window) + " samples: expected at most " +
                    text(kMostFixedValues) + " values of fixed filters.");
}

uint64_t lanes(int channels) { return static_cast<uint64_t>(padded(channels)); }

void check_values(const std::string &sizes, const char *what, uint64_t values, uint64_t most) {
  if (values > most)
    throw FileError(sizes + ": " + what + " " + text(values) + " values in memory, expected at most " + text(most) + ".");
}

// Memory that no tensor bounds: what a stream remembers between frames, rows of hidden channels in every block that runs; what a
// second of sound takes.
void check_memory(const Config &c) {
  const VoiceprintConfig &v = c.voiceprint;
  const auto said = [](const char *name, int value) { return std::string(name) + " = " + text(value); };
  const uint64_t reach = static_cast<uint64_t>(c.kernel - 1) * ((1u << c.blocks) - 1), rate = c.sample_rate_hz;
  check_values(said("hidden", c.hidden) + said(", kernel", c.kernel) + said(", blocks", c.blocks) + said(", stacks", c.stacks),
               "a stream remembers", c.stacks * (reach + static_cast<uint64_t>(c.blocks) * kRowGroup) * lanes(c.hidden), kMostStreamValues);
  check_values(said("hidden", c.hidden) + said(", bottleneck", c.bottleneck) + said(", window", c.window), "a second of a mixture takes",
               (lanes(c.hidden) + 2 * lanes(c.bottleneck)) * rate / c.hop(), kMostValuesPerSecond);
  check_values(said("voiceprint.filters", v.filters) + said(", voiceprint.hidden", v.hidden), "a second of an enrollment takes",
               (2 * lanes(v.filters) + 2 * lanes(v.bottleneck) + 8 * lanes(v.hidden)) * rate / v.hop, kMostValuesPerSecond);
}

// As Python decodes it: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(const uint8_t *p, size_t count) {
  for (size_t i = 0; i < count;) {
    const uint8_t lead = p[i];
    const size_t more = lead < 0x80 ? 0 : lead >= 0xC2 && lead < 0xE0 ? 1 : lead >= 0xE0 && lead < 0xF0 ? 2 : lead >= 0xF0 && lead < 0xF5 ? 3 : count;
    if (more >= count - i) return false;
    for (size_t k = 1; k <= more; k++)
      if ((p[i + k] & 0xC0) != 0x80) return false;
    const uint8_t second = more ? p[i + 1] : 0;
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) || (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F))
      return false;
    i += more + 1;
  }
  return true;
}

std::string read_name(const uint8_t *p) {
  size_t length = 0;
  while (length < kNameBytes && p[length]) length++;
  if (!length || length == kNameBytes || !all_zero(p + length, p + kNameBytes) || !is_utf8(p, length))
    throw FileError("the configuration's name is not 1 to 63 bytes of UTF-8, zero-padded.");
  return {reinterpret_cast<const char *>(p), length};
}

VoiceprintConfig read_voiceprint(const uint8_t *h) {
  const auto number = [&](const char *name, size_t at, uint32_t low, uint32_t high) { return checked(name, read_u32(h + at), low, high); };
  VoiceprintConfig v;
  v.kind = static_cast<VoiceprintKind>(number("voiceprint.kind", 72, 0, 1));
  v.dimensions = number("voiceprint.dimensions", 76, 1, kWide);
  v.filters = number("voiceprint.filters", 80, 1, kWide);
  v.window = number("voiceprint.window", 84, 1, kWide);
  v.hop = number("voiceprint.hop", 88, 1, kWide);
  v.hidden = number("voiceprint.hidden", 92, 1, kWide);
  v.layers = number("voiceprint.layers", 96, 1, 16);
  v.bottleneck = number("voiceprint.bottleneck", 100, v.kind == VoiceprintKind::tcn ? 1 : 0, kWide);
  v.mel = checked("voiceprint.filterbank", h[184], 0, v.kind == VoiceprintKind::tcn);
  if (v.kind == VoiceprintKind::tcn && v.filters % 2)
    throw FileError("voiceprint.filters = " + text(v.filters) + ": a tcn pairs them, expected an even number.");
  return v;
}

}  // namespace

Config Config::read(const uint8_t *h) {
  const auto number = [&](const char *name, size_t at, uint32_t low, uint32_t high) { return checked(name, read_u32(h + at), low, high); };
  Config c;
  c.sample_rate_hz = number("sample_rate_hz", 32, 1, 768000);
  c.filters = number("filters", 36, 1, kWide);
  c.window = number("window", 40, 2, kWide);
  c.bottleneck = number("bottleneck", 44, 1, kWide);
  c.hidden = number("hidden", 48, 1, kWide);
  c.kernel = number("kernel", 52, 1, 255);
  c.blocks = number("blocks", 56, 1, 16);
  c.stacks = number("stacks", 60, 1, 64);
  c.distinct_stacks = checked("distinct_stacks", h[64], 0, c.stacks);
  c.causal = checked("causal", h[65], 0, 1);
  c.mean_skip = checked("mean_skip", h[66], 0, 1);
  c.cues = static_cast<Cues>(checked("cues", h[67], 0, 2));
  c.lookahead_frames = number("lookahead_frames", 68, 0, c.causal ? kWide : 0);
  c.norm_memory_frames = number("norm_memory_frames", 180, 0, c.causal ? kLongest : 0);
  c.fourier = checked("codec", h[177], 0, 1);
  if (h[178] == 2) throw FileError("overlap = 2: a file says 0 for the usual one.");
  c.overlap = h[178] ? checked("overlap", h[178], 4, 8) : 2;
  c.log_power = checked("features", h[176], 0, 1);
  c.voiceprint = read_voiceprint(h);
  const uint32_t version = c.distinct_stacks > 1 ? 4 : c.fourier || c.overlap != 2 || c.voiceprint.mel ? 3 : c.norm_memory_frames ? 2 : 1;
  if (read_u32(h + 4) != version)
    throw FileError("its version is " + text(read_u32(h + 4)) + ", but what it says of the configuration needs version " + text(version) + ".");
  if (c.overlap % 2) throw FileError("overlap = " + text(c.overlap) + ": expected 2, 4, 6 or 8 windows.");
  if (c.window % c.overlap)
    throw FileError("window = " + text(c.window) + " samples: expected a multiple of " + text(c.overlap) + ", because the hop is that part of it.");
  if (c.fourier && c.filters != c.window)
    throw FileError("filters = " + text(c.filters) + ", window = " + text(c.window) + ": a Fourier transform has as many filters as samples.");
  if (c.log_power && c.filters % 2) throw FileError("filters = " + text(c.filters) + ": log_power pairs them, expected an even number.");
  if (c.kernel % 2 == 0) throw FileError("kernel = " + text(c.kernel) + ": expected an odd number of frames.");
  if (const uint64_t reach = static_cast<uint64_t>(c.kernel - 1) << (c.blocks - 1); reach > kFarthest)
    throw FileError("a kernel of " + text(c.kernel) + " in " + text(c.blocks) + " blocks reaches over " + text(reach) + " frames: expected at most " +
                    text(kFarthest) + ".");
  check_fixed("", c.fourier, c.filters, c.window);
  check_fixed("voiceprint.", c.voiceprint.mel, c.voiceprint.filters, c.voiceprint.window);
  if (const uint64_t ahead = static_cast<uint64_t>(c.lookahead_frames) * c.hop(); ahead > kLongest)
    throw FileError("lookahead_frames = " + text(c.lookahead_frames) + " are " + text(ahead) + " samples: expected at most " + text(kLongest) + ".");
  check_memory(c);
  const double dropout = read_f64(h + 104);
  if (!(dropout >= 0 && dropout <= 1) || h[179] || !all_zero(h + 185, h + kHeaderBytes))
    throw FileError("a dropout outside 0 to 1, or a reserved byte of the header that is not 0.");
  c.name = read_name(h + 112);
  return c;
}

}  // namespace tinywase
