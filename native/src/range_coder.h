// The static range coder (rANS) with interleaved lanes that src/tinywase/entropy.py specifies: how one lane reads a code.
#pragma once

#include <cstdint>

namespace tinywase {

constexpr uint32_t kSlots = 4096, kLowestState = 1 << 16;
constexpr int kSlotBits = 12, kWordBits = 16;

// What a slot 0..4095 says, in one word: the code, its frequency less one, and the slot's place among the code's.
constexpr uint32_t slot_of(uint32_t code, uint32_t frequency, uint32_t place) { return code << 24 | (frequency - 1) << 12 | place; }

// The next code of one lane. Whether a word is needed cannot be foreseen, so nothing branches on it (a compiler would
// make a branch of a conditional): the word is read in any case, and the next one is due where it was needed.
inline uint8_t next_code(const uint32_t *slots, uint32_t &state, const uint8_t *&words) {
  const uint32_t slot = slots[state & (kSlots - 1)];
  const uint32_t moved = ((slot >> 12 & (kSlots - 1)) + 1) * (state >> kSlotBits) + (slot & (kSlots - 1));
  const uint32_t low = moved < kLowestState, word = words[0] | uint32_t(words[1]) << 8;
  state = moved << kWordBits * low | (word & -low);
  words += 2 * low;
  return static_cast<uint8_t>(slot >> 24);
}

// Where an instruction set has nothing better (its own definitions hide these): one lane at a time.
constexpr int kCoderLanes = 1;
inline void next_group(const uint32_t *slots, uint32_t *states, const uint8_t *&words, uint8_t *codes) {
  *codes = next_code(slots, *states, words);
}

}  // namespace tinywase
