// Codes from the range coder (range_coder.h).
#include <algorithm>

#include "kernels.h"
#include "range_coder.h"
#include "tensor.h"

namespace tinywase {
namespace {

size_t lane_count(size_t count) {
  size_t lanes = 4;
  while (lanes < 1024 && lanes * 2048 < count) lanes *= 2;
  return lanes;
}

std::vector<uint32_t> read_slots(const uint8_t *data, uint32_t levels) {
  uint32_t total = 0;
  for (uint32_t code = 0; code < levels; code++) total += read_u16(data + 2 * code);
  if (total != kSlots) throw FileError("frequencies of coded codes sum up to " + text(total) + ": expected 4096.");
  std::vector<uint32_t> slots;
  slots.reserve(kSlots);
  for (uint32_t code = 0; code < levels; code++) {
    const uint32_t frequency = read_u16(data + 2 * code);
    for (uint32_t place = 0; place < frequency; place++) slots.push_back(slot_of(code, frequency, place));
  }
  return slots;
}

}  // namespace

std::vector<uint8_t> decode_codes(const Kernels &kernels, const uint8_t *data, size_t size, size_t count, uint32_t levels) {
  const size_t lanes = lane_count(count), head = 2 * size_t(levels) + 4 * lanes;
  if (size < head || (size - head) % 2) throw FileError(text(size) + " bytes hold no " + text(count) + " coded codes.");
  const std::vector<uint32_t> slots = read_slots(data, levels);
  std::vector<uint32_t> states(lanes);
  for (size_t lane = 0; lane < lanes; lane++) states[lane] = read_u32(data + 2 * levels + 4 * lane);
  // The last words again, with zeros for a row behind them: a damaged stream reads these instead of what follows.
  const size_t spare = std::min(2 * lanes, size - head);
  std::vector<uint8_t> tail(data + size - spare, data + size);
  tail.resize(spare + 2 * lanes);
  const uint8_t *word = data + head, *end = data + size;
  std::vector<uint8_t> codes(count);
  for (size_t first = 0; first < count; first += lanes) {
    if (word >= end - spare && end == data + size) {
      word = tail.data() + (word - (end - spare));
      end = tail.data() + spare;
    }
    const size_t row = std::min(lanes, count - first);
    kernels.next_codes(slots.data(), states.data(), static_cast<int>(row), word, codes.data() + first);
    if (word > end) throw FileError("a stream of coded codes ends too early.");
  }
  const bool settled = std::all_of(states.begin(), states.end(), [](uint32_t state) { return state == kLowestState; });
  if (word != end || !settled) throw FileError("a stream of coded codes does not end as it should.");
  return codes;
}

}  // namespace tinywase
