// Codes out of the range coder, kCoderLanes lanes at a time.

void next_codes(const uint32_t *slots, uint32_t *states, int lanes, const uint8_t *&words, uint8_t *codes) {
  const uint8_t *word = words;  // where no store to `codes` can be suspected to change it
  int lane = 0;
  for (; lane + kCoderLanes <= lanes; lane += kCoderLanes) next_group(slots, states + lane, word, codes + lane);
  for (; lane < lanes; lane++) codes[lane] = next_code(slots, states[lane], word);
  words = word;
}
