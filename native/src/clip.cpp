// A whole recording through an offline model: its norms need the whole clip, so every layer runs over all frames before the next.
#include <algorithm>
#include <cstring>

#include "frames.h"
#include "model.h"

namespace tinywase {
namespace {

// One recording's way through the network, in one block of memory.
class Clip {
 public:
  Clip(const Model &model, const float *mixture, size_t count)
      : model_(model), config_(model.config), count_(count), frames_(frame_count(count, config_.window, config_.hop())),
        signal_(framed(mixture, count, config_.window, config_.hop())) {
    Arena measure;
    place(measure);
    block_ = model.clip_memory.take(measure.used());
    Arena arena(block_.data());
    place(arena);
    std::memset(block_.data() + overwritten_, 0, measure.used() - overwritten_);
  }
  ~Clip() { model_.clip_memory.give(std::move(block_)); }

  void run(const float *voiceprint, float *estimate, float *activity) {
    std::copy_n(voiceprint, config_.voiceprint.dimensions, voiceprint_);
    model_.separator.project(model_.kernels, voiceprint_, cues_, work_.scratch);
    RowStatistics statistics = latent_statistics();
    const Separator &separator = model_.separator;
    // Between two convolutions everything happens tile by tile, while the tile is in the nearest cache.
    for (int use = 0; use < separator.uses(); use++) {
      NormSums sums;
      each_tile([&](size_t first, int rows) {
        if (use == 0)
          enter(first, rows, statistics);
        else
          add_outputs(use - 1, first, rows, statistics);
        if (use % config_.blocks == 0) apply_cues(use / config_.blocks, x_, first, rows);
        separator.block(use).expand(model_.kernels, x_at(x_, first), static_cast<int>(first), rows, sums, work_, rows_after(first, rows),
                                    x_at(skips_, first));
      });
      statistics = separator.block(use).convolve(model_.kernels, static_cast<int>(frames_), sums, work_);
    }
    each_tile([&](size_t first, int rows) {
      add_outputs(separator.uses() - 1, first, rows, statistics);
      apply_cues(config_.stacks, skips_, first, rows);
      leave(first, rows, estimate);
    });
    if (activity)
      for (size_t frame = 0; frame < frames_; frame++) activity[frame] = separator.activity(logit_sums_[frame]);
  }

 private:
  void place(Arena &arena) {
    const size_t x = frames_ * padded(config_.bottleneck);
    work_.row_bytes = model_.separator.hidden_row_bytes();
    work_.hidden = arena.take<uint8_t>(frames_ * work_.row_bytes);
    x_ = arena.take<float>(x);
    overwritten_ = arena.used();  // up to here; what follows begins with zeros
    skips_ = arena.take<float>(x);
    logit_sums_ = arena.take<float>(frames_);
    latent_ = arena.take<float>(static_cast<size_t>(kTileFrames) * padded(config_.filters));
    masked_ = arena.take<float>(static_cast<size_t>(kTileFrames) * padded(config_.filters));
    wave_ = arena.take<float>(static_cast<size_t>(kTileFrames) * padded(config_.window));
    out_ = arena.take<float>(static_cast<size_t>(kTileFrames) * config_.hop());
    overlap_ = arena.take<float>(config_.hop());
    voiceprint_ = arena.take<float>(padded(config_.voiceprint.dimensions));
    cues_ = arena.take<float>(static_cast<size_t>(config_.stacks + 1) * padded(config_.bottleneck));
    work_.row_sums = arena.take<float>(2 * kTileFrames);
    work_.scratch = arena.take<uint8_t>(model_.separator.scratch_bytes());
    work_.ring = arena.take<uint8_t>(model_.separator.block(config_.blocks - 1).depthwise().ring_rows() *
                                     static_cast<size_t>(padded(config_.hidden)) * sizeof(float));
  }

  template <class Function>
  void each_tile(Function function) {
    for (size_t first = 0; first < frames_; first += kTileFrames)
      function(first, static_cast<int>(std::min<size_t>(kTileFrames, frames_ - first)));
  }

  // Rows of the tile after this one.
  int rows_after(size_t first, int rows) const { return static_cast<int>(std::min<size_t>(kTileFrames, frames_ - first - rows)); }

  const float *samples_at(size_t frame) const { return signal_.data() + frame * config_.hop(); }

  float *x_at(float *x, size_t frame) const { return x + frame * padded(config_.bottleneck); }

  // Of the separator's first norm. The latent is cheaper to compute again than to keep.
  RowStatistics latent_statistics() {
    NormSums sums;
    each_tile([&](size_t first, int rows) {
      model_.hear(samples_at(first), rows, latent_, work_.row_sums);
      for (int row = 0; row < rows; row++) sums.add(work_.row_sums + 2 * row);
    });
    float gain, shift;
    sums.statistics(config_.feature_channels(), &gain, &shift);
    RowStatistics statistics;
    statistics.fill(gain, shift);
    return statistics;
  }

  // Encoder, norm, bottleneck.
  void enter(size_t first, int rows, const RowStatistics &statistics) {
    model_.hear(samples_at(first), rows, latent_);
    model_.separator.enter(model_.kernels, latent_, rows, statistics, x_at(x_, first), work_.scratch);
  }

  void add_outputs(int use, size_t first, int rows, const RowStatistics &statistics) {
    model_.separator.block(use).add_outputs(model_.kernels, static_cast<int>(first), rows, statistics, x_at(x_, first),
                                            x_at(skips_, first), work_, rows_after(first, rows));
  }

  void apply_cues(int place, float *x, size_t first, int rows) {
    model_.separator.apply_cues(model_.kernels, place, cues_, x_at(x, first), rows, logit_sums_ + first, work_.scratch);
  }

  // Mask, decoder, and the samples without their padding.
  void leave(size_t first, int rows, float *estimate) {
    const size_t hop = config_.hop();
    model_.encode(samples_at(first), rows, latent_);
    model_.separator.mask(model_.kernels, x_at(skips_, first), latent_, rows, masked_, work_.scratch);
    model_.decode(masked_, rows, wave_, overlap_, out_);
    const size_t begin = std::max(first * hop, hop), end = std::min((first + rows) * hop, hop + count_);
    if (begin < end) std::copy_n(out_ + (begin - first * hop), end - begin, estimate + (begin - hop));
  }

  const Model &model_;
  const Config &config_;
  size_t count_, frames_, overwritten_ = 0;
  Buffer<float> signal_;
  Buffer<uint8_t> block_;
  Workspace work_;
  float *x_, *skips_, *logit_sums_, *latent_, *masked_, *wave_, *out_, *overlap_, *voiceprint_, *cues_;
};

}  // namespace

void extract_clip(const Model &model, const float *mixture, size_t count, const float *voiceprint, float *estimate,
                  float *activity) {
  Clip(model, mixture, count).run(voiceprint, estimate, activity);
}

}  // namespace tinywase
