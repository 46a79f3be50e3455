#include "stream.h"

#include <algorithm>
#include <new>

#include "frames.h"

namespace tinywase {

Stream::Stream(const Model &model) : model_(model), config_(model.config), framing_(config_) {}

size_t Stream::state_bytes(const Model &model) {
  Arena measure;
  Stream(model).place(measure);
  return measure.used();
}

Stream::Stream(const Model &model, const float *voiceprint) : Stream(model) {
  Arena measure;
  place(measure);
  block_ = Buffer<uint8_t>(measure.used());
  Arena arena(block_.data());
  place(arena);
  std::copy_n(voiceprint, config_.voiceprint.dimensions, voiceprint_);
  model_.separator.project(model_.kernels, voiceprint_, cues_, work_.scratch);
  reset();
}

void Stream::place(Arena &arena) {
  const Separator &separator = model_.separator;
  const size_t tile = kTileFrames, hop = framing_.hop, x_stride = padded(config_.bottleneck);
  samples_ = arena.take<float>(history() + config_.window + tile * hop);
  latent_ = arena.take<float>(tile * padded(config_.filters));
  masked_ = arena.take<float>(tile * padded(config_.filters));
  x_ = arena.take<float>(tile * x_stride);
  skips_ = arena.take<float>(tile * x_stride);
  work_.row_bytes = separator.hidden_row_bytes();
  work_.hidden = arena.take<uint8_t>(tile * work_.row_bytes);
  work_.row_sums = arena.take<float>(2 * tile);
  work_.scratch = arena.take<uint8_t>(separator.scratch_bytes());
  logit_sums_ = arena.take<float>(tile);
  wave_ = arena.take<float>(tile * padded(config_.window));
  out_ = arena.take<float>(tile * hop);
  overlap_ = arena.take<float>(framing_.edge);
  spare_ = arena.take<float>(hop);
  cues_ = arena.take<float>(separator.places() * x_stride);
  voiceprint_ = arena.take<float>(padded(config_.voiceprint.dimensions));
  blocks_ = arena.take<BlockMemory>(separator.uses());
  for (int use = 0; use < separator.uses(); use++) {
    const Depthwise &depthwise = separator.block(use).depthwise();
    uint8_t *rows = arena.take<uint8_t>(depthwise.ring_bytes());
    if (blocks_) new (blocks_ + use) BlockMemory{depthwise.ring(rows), config_.norm_keeps(), {}, {}};
  }
}

void Stream::reset() {
  held_ = early_ = framing_.edge;  // the padding before the first sample
  early_frames_ = config_.early_frames();
  std::fill_n(samples_, history() + held_, 0.0f);
  std::fill_n(overlap_, framing_.edge, 0.0f);
  fed_ = given_ = frames_ = 0;
  finished_ = false;
  activity_ = 0;
  latent_sums_ = {};
  for (int use = 0; use < model_.separator.uses(); use++) {
    BlockMemory &memory = blocks_[use];
    model_.separator.block(use).depthwise().clear(memory.past);
    memory.expand = memory.depthwise = {};
  }
}

size_t Stream::process(const float *chunk, size_t count, float *out, float *activity) {
  fed_ += static_cast<int64_t>(count);
  return feed(chunk, count, out, activity);
}

size_t Stream::flush(float *out, float *activity) {
  const size_t hop = framing_.hop, whole = flush_bound();
  size_t left = framing_.tail(static_cast<size_t>(fed_)) + framing_.edge + history(), written = 0;
  while (left) {  // a hop completes one frame at most, so that what exceeds the recording's length can be cut off
    const size_t count = std::min(left, hop), got = feed(nullptr, count, spare_, activity), keep = std::min(got, whole - written);
    std::copy_n(spare_, keep, out + written);
    written += keep;
    left -= count;
  }
  finished_ = true;
  return written;
}

// Samples, or silence where `samples` is null.
size_t Stream::feed(const float *samples, size_t count, float *out, float *&activity) {
  const size_t window = framing_.window, hop = framing_.hop, room = window + kTileFrames * hop - hop;
  size_t written = 0;
  while (count) {
    const size_t take = std::min(count, room - held_);
    float *to = samples_ + history() + held_;
    for (size_t i = 0; i < take; i++) to[i] = samples ? safe_sample(samples[i]) : 0.0f;
    if (samples) samples += take;
    count -= take;
    held_ += take;
    if (held_ < window) continue;
    const int rows = static_cast<int>((held_ - window) / hop + 1);
    written += run_tile(rows, out + written, activity);
    held_ -= rows * hop;
    std::memmove(samples_, samples_ + rows * hop, (history() + held_) * sizeof(float));
  }
  given_ += static_cast<int64_t>(written);
  return written;
}

// One tile through the network. The mask of frame g belongs to the frame `lookahead_frames` before it; the first such masks
// belong to none.
size_t Stream::run_tile(int rows, float *out, float *&activity) {
  run_separator(rows);
  const int64_t ahead = config_.lookahead_frames;
  const int early = static_cast<int>(std::clamp<int64_t>(ahead - frames_, 0, rows));
  frames_ += rows;
  return early == rows ? 0 : finish(early, rows - early, out, activity);
}

void Stream::run_separator(int rows) {
  const Separator &separator = model_.separator;
  const Kernels &kernels = model_.kernels;
  RowStatistics statistics;
  model_.hear(samples_ + history(), rows, latent_, work_.row_sums);
  for (int row = 0; row < rows; row++) {
    latent_sums_.add(work_.row_sums + 2 * row, config_.norm_keeps());
    latent_sums_.statistics(config_.feature_channels(), &statistics.gain[row], &statistics.shift[row]);
  }
  separator.enter(kernels, latent_, rows, statistics, x_, work_.scratch);
  std::fill_n(skips_, static_cast<size_t>(rows) * padded(config_.bottleneck), 0.0f);
  std::fill_n(logit_sums_, rows, 0.0f);
  for (int use = 0; use < separator.uses(); use++) {
    if (use % config_.blocks == 0) separator.apply_cues(kernels, use / config_.blocks, cues_, x_, rows, logit_sums_, work_.scratch);
    separator.block(use).run_chunk(kernels, x_, skips_, rows, blocks_[use], work_);
  }
  separator.apply_cues(kernels, config_.stacks, cues_, skips_, rows, logit_sums_, work_.scratch);
}

// Masks of the tile's rows from `row` on, applied to the frames that have waited for them, and the samples these complete, without
// those before the recording.
size_t Stream::finish(int row, int rows, float *out, float *&activity) {
  const Separator &separator = model_.separator;
  const size_t hop = framing_.hop, count = rows * hop, drop = std::min(count, early_);
  early_ -= drop;
  model_.encode(samples_ + row * hop, rows, latent_);
  separator.mask(model_.kernels, skips_ + static_cast<size_t>(row) * padded(config_.bottleneck), latent_, rows, masked_,
                 work_.scratch);
  model_.decode(masked_, rows, wave_, overlap_, out_);
  std::copy_n(out_ + drop, count - drop, out);
  for (int i = 0; i < rows; i++) {
    activity_ = separator.activity(logit_sums_[row + i]);
    if (early_frames_)
      early_frames_--;
    else if (activity)
      *activity++ = activity_;
  }
  return count - drop;
}

}  // namespace tinywase
