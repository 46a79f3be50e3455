// A causal model fed in chunks. Everything a stream remembers lies in one arena, taken at creation; feeding allocates nothing.
#pragma once

#include <algorithm>

#include "buffer.h"
#include "frames.h"
#include "model.h"

namespace tinywase {

class Stream {
 public:
  Stream(const Model &model, const float *voiceprint);

  void reset();
  // Feeds samples; returns how many were written to `out`, which holds at least output_bound(count) of them. `activity`, if given,
  // takes one value per finished frame that is centred in the recording.
  size_t process(const float *chunk, size_t count, float *out, float *activity = nullptr);
  // Feeds the silence after the end; out holds at least flush_bound() samples.
  size_t flush(float *out, float *activity = nullptr);

  // What process() can write at most for `count` samples.
  size_t output_bound(size_t count) const { return count + 2 * framing_.hop; }
  // What flush() can write at most: all that is not given yet.
  size_t flush_bound() const { return static_cast<size_t>(fed_ - given_); }
  bool finished() const { return finished_; }
  float activity() const { return activity_; }
  // Frames of the recording whose samples are out, or wait for the frames after them.
  size_t finished_frames() const {
    return static_cast<size_t>(std::max<int64_t>(frames_ - config_.lookahead_frames - config_.early_frames(), 0));
  }
  static size_t state_bytes(const Model &model);

 private:
  explicit Stream(const Model &model);
  void place(Arena &arena);
  size_t history() const { return config_.lookahead_frames * framing_.hop; }
  size_t feed(const float *samples, size_t count, float *out, float *&activity);
  size_t run_tile(int rows, float *out, float *&activity);
  void run_separator(int rows);
  size_t finish(int row, int rows, float *out, float *&activity);

  const Model &model_;
  const Config &config_;
  const Framing framing_;
  Buffer<uint8_t> block_;
  // Samples: `history` of the frames whose masks are still to come, then those that make no whole frame yet.
  float *samples_;
  size_t held_ = 0;         // samples after the history
  size_t early_ = 0;        // samples before the recording, still to be finished and dropped
  int early_frames_ = 0;    // frames centred there, likewise
  int64_t fed_ = 0, given_ = 0, frames_ = 0;
  bool finished_ = false;
  float activity_ = 0;
  NormSums latent_sums_;
  BlockMemory *blocks_;
  Workspace work_;
  float *latent_, *x_, *skips_, *logit_sums_, *masked_, *wave_, *out_, *overlap_, *spare_, *cues_, *voiceprint_;
};

}  // namespace tinywase
