// Codes from the static range coder (rANS) with interleaved lanes that src/tinywase/entropy.py specifies.
#include <algorithm>
#include <array>

#include "tensor.h"

namespace tinywase {
namespace {

constexpr uint32_t kTotal = 4096, kLowestState = 1 << 16;
constexpr int kPrecision = 12, kWordBits = 16;

size_t lane_count(size_t count) {
  size_t lanes = 4;
  while (lanes < 1024 && lanes * 2048 < count) lanes *= 2;
  return lanes;
}

// What a slot 0..4095 says: the code, its frequency, and the slot's place among the code's.
struct Slot {
  uint16_t frequency, place;
  uint8_t code;
};

std::vector<Slot> read_slots(const uint8_t *data, uint32_t levels) {
  std::vector<Slot> slots;
  for (uint32_t code = 0; code < levels; code++) {
    const uint32_t frequency = read_u16(data + 2 * code);
    if (slots.size() + frequency > kTotal) throw FileError("frequencies of coded codes sum up to more than 4096.");
    for (uint32_t place = 0; place < frequency; place++)
      slots.push_back({static_cast<uint16_t>(frequency), static_cast<uint16_t>(place), static_cast<uint8_t>(code)});
  }
  if (slots.size() != kTotal) throw FileError("frequencies of coded codes sum up to " + text(slots.size()) + ": expected 4096.");
  return slots;
}

}  // namespace

std::vector<uint8_t> decode_codes(const uint8_t *data, size_t size, size_t count, uint32_t levels) {
  const size_t lanes = lane_count(count), head = 2 * size_t(levels) + 4 * lanes;
  if (size < head || (size - head) % 2) throw FileError(text(size) + " bytes hold no " + text(count) + " coded codes.");
  const std::vector<Slot> slots = read_slots(data, levels);
  std::vector<uint32_t> states(lanes);
  for (size_t lane = 0; lane < lanes; lane++) states[lane] = read_u32(data + 2 * levels + 4 * lane);
  const uint8_t *word = data + head, *end = data + size;
  std::vector<uint8_t> codes(count);
  for (size_t i = 0; i < count; i++) {
    uint32_t &state = states[i & (lanes - 1)];  // lanes are a power of two; a division would take longer than the rest
    const Slot slot = slots[state & (kTotal - 1)];
    codes[i] = slot.code;
    state = slot.frequency * (state >> kPrecision) + slot.place;
    if (state < kLowestState) {
      if (word == end) throw FileError("a stream of coded codes ends too early.");
      state = state << kWordBits | read_u16(word);
      word += 2;
    }
  }
  const bool settled = std::all_of(states.begin(), states.end(), [](uint32_t state) { return state == kLowestState; });
  if (word != end || !settled) throw FileError("a stream of coded codes does not end as it should.");
  return codes;
}

}  // namespace tinywase
