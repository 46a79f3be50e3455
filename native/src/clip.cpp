// A whole recording through an offline model: its norms need the whole clip, so every layer runs over all frames before the next.
#include <algorithm>
#include <cstring>
#include <vector>

#include "frames.h"
#include "model.h"

namespace tinywase {
namespace {

constexpr int kTilesPerThread = 8;  // fewer, and starting a thread takes longer than it saves

// One recording's way through the network, in one block of memory.
class Clip {
 public:
  Clip(const Model &model, const float *mixture, size_t count, Team &team)
      : model_(model), config_(model.config), framing_(config_), count_(count), frames_(static_cast<int>(framing_.frames(count))),
        tiles_(tile_count(frames_)), team_(team), workers_(team.size()), signal_(framed(mixture, count, framing_)) {
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
    model_.separator.project(model_.kernels, voiceprint_, cues_, workers_[0].work.scratch);
    // Of the separator's first norm. The latent is cheaper to compute again than to keep.
    const NormSums heard = over_tiles([&](Tile tile, Tile, Worker &worker) { return hear(tile, worker); });
    const RowStatistics entrance(heard, config_.feature_channels());
    ClipNorm norm;
    const Separator &separator = model_.separator;
    // Between two convolutions everything happens tile by tile, while the tile is in the nearest cache.
    for (int use = 0; use < separator.uses(); use++) {
      const ConvBlock &block = separator.block(use);
      const NormSums expanded = over_tiles([&](Tile tile, Tile next, Worker &worker) {
        if (use == 0)
          enter(tile, entrance, worker);
        else
          add_outputs(use - 1, tile, next, norm, worker);
        if (use % config_.blocks == 0) apply_cues(use / config_.blocks, x_, tile, worker);
        return block.expand(model_.kernels, x_, tile, worker.work, next, skips_);
      });
      norm = block.convolved_norm(convolve(block, block.expanded_norm(expanded, lines_)), lines_);
    }
    over_tiles([&](Tile tile, Tile next, Worker &worker) {
      add_outputs(separator.uses() - 1, tile, next, norm, worker);
      apply_cues(config_.stacks, skips_, tile, worker);
      leave(tile, worker, estimate);
      return NormSums();
    });
    join_tiles(estimate);
    if (activity)
      for (int frame = config_.early_frames(); frame < frames_; frame++) *activity++ = separator.activity(logit_sums_[frame]);
  }

 private:
  // What every thread has for itself.
  struct Worker {
    Workspace work;
    float *latent, *masked, *wave, *out;
  };

  void place(Arena &arena) {
    const Separator &separator = model_.separator;
    const size_t x = area(frames_, padded(config_.bottleneck)), row_bytes = separator.hidden_row_bytes();
    uint8_t *hidden = arena.take<uint8_t>(area(frames_, row_bytes));
    x_ = arena.take<float>(x);
    overwritten_ = arena.used();  // up to here; what follows begins with zeros
    skips_ = arena.take<float>(x);
    logit_sums_ = arena.take<float>(frames_);
    voiceprint_ = arena.take<float>(padded(config_.voiceprint.dimensions));
    cues_ = arena.take<float>(static_cast<size_t>(config_.stacks + 1) * padded(config_.bottleneck));
    lines_ = arena.take<float>(4 * static_cast<size_t>(padded(config_.hidden)));
    overlaps_ = arena.take<float>(area(tiles_, framing_.edge));
    sums_ = arena.take<NormSums>(std::max(tiles_, separator.block(0).parts()));
    for (Worker &worker : workers_) {
      worker.latent = arena.take<float>(static_cast<size_t>(kTileFrames) * padded(config_.filters));
      worker.masked = arena.take<float>(static_cast<size_t>(kTileFrames) * padded(config_.filters));
      worker.wave = arena.take<float>(static_cast<size_t>(kTileFrames) * padded(config_.window));
      worker.out = arena.take<float>(kTileFrames * framing_.hop);
      worker.work.hidden = hidden;
      worker.work.row_bytes = row_bytes;
      worker.work.row_sums = arena.take<float>(2 * kTileFrames);
      worker.work.scratch = arena.take<uint8_t>(separator.scratch_bytes());
      worker.work.ring = arena.take<uint8_t>(separator.ring_bytes());
    }
  }

  // function(tile, the tile that this thread probably takes next, worker) for all tiles; returns the sum of what it returns, in
  // their order.
  template <class Function>
  NormSums over_tiles(Function function) {
    team_.each(tiles_, [&](int tile, int worker) {
      sums_[tile] = function(tile_of(tile, frames_), tile_of(tile + Team::direction(worker), frames_), workers_[worker]);
    });
    NormSums result;
    for (int tile = 0; tile < tiles_; tile++) result.add(sums_[tile]);
    return result;
  }

  NormSums convolve(const ConvBlock &block, const ClipNorm &norm) {
    team_.each(block.parts(), [&](int part, int worker) {
      sums_[part] = block.convolve(model_.kernels, part, frames_, norm, workers_[worker].work);
    });
    NormSums result = sums_[0];
    for (int part = 1; part < block.parts(); part++) result.add_channels(sums_[part]);
    return result;
  }

  const float *samples_at(int frame) const { return signal_.data() + frame * framing_.hop; }

  float *x_at(float *x, int frame) const { return x + static_cast<size_t>(frame) * padded(config_.bottleneck); }

  NormSums hear(Tile tile, Worker &worker) const {
    model_.hear(samples_at(tile.first), tile.rows, worker.latent, worker.work.row_sums);
    NormSums result;
    for (int row = 0; row < tile.rows; row++) result.add(worker.work.row_sums + 2 * row);
    return result;
  }

  // Encoder, norm, bottleneck.
  void enter(Tile tile, const RowStatistics &statistics, Worker &worker) const {
    model_.hear(samples_at(tile.first), tile.rows, worker.latent);
    model_.separator.enter(model_.kernels, worker.latent, tile.rows, statistics, x_at(x_, tile.first), worker.work.scratch);
  }

  void add_outputs(int use, Tile tile, Tile next, const ClipNorm &norm, Worker &worker) const {
    model_.separator.block(use).add_outputs(model_.kernels, tile, norm, x_, skips_, worker.work, next);
  }

  void apply_cues(int place, float *x, Tile tile, Worker &worker) const {
    model_.separator.apply_cues(model_.kernels, place, cues_, x_at(x, tile.first), tile.rows, logit_sums_ + tile.first,
                                worker.work.scratch);
  }

  // Mask, decoder, and the samples without their padding. What reaches beyond the tile's last frame is kept.
  void leave(Tile tile, Worker &worker, float *estimate) const {
    model_.encode(samples_at(tile.first), tile.rows, worker.latent);
    model_.separator.mask(model_.kernels, x_at(skips_, tile.first), worker.latent, tile.rows, worker.masked, worker.work.scratch);
    model_.decode(worker.masked, tile.rows, worker.wave, overlaps_ + tile.first / kTileFrames * framing_.edge, worker.out);
    const size_t first = tile.first * framing_.hop;
    const auto [begin, end] = of_recording(first, tile.rows * framing_.hop);
    if (begin < end) std::copy_n(worker.out + (begin + framing_.edge - first), end - begin, estimate + begin);
  }

  // Adds to every tile's first samples what the tile before it kept.
  void join_tiles(float *estimate) const {
    for (int tile = 1; tile < tiles_; tile++) {
      const auto [begin, end] = of_recording(tile * kTileFrames * framing_.hop, framing_.edge);
      for (size_t i = begin; i < end; i++) estimate[i] += overlaps_[(tile - 1) * framing_.edge + (i - begin)];
    }
  }

  // Of `length` samples from `first` of the padded signal those of the recording, [begin, end).
  std::pair<size_t, size_t> of_recording(size_t first, size_t length) const {
    const size_t edge = framing_.edge;
    return {std::max(first, edge) - edge, std::min(std::max(first + length, edge), edge + count_) - edge};
  }

  const Model &model_;
  const Config &config_;
  const Framing framing_;
  const size_t count_;
  const int frames_, tiles_;
  size_t overwritten_ = 0;
  Team &team_;
  std::vector<Worker> workers_;
  Buffer<float> signal_;
  Buffer<uint8_t> block_;
  float *x_, *skips_, *logit_sums_, *voiceprint_, *cues_, *lines_, *overlaps_;
  NormSums *sums_;
};

}  // namespace

void extract_clip(const Model &model, const float *mixture, size_t count, const float *voiceprint, float *estimate,
                  float *activity, Team &team) {
  Clip(model, mixture, count, team).run(voiceprint, estimate, activity);
}

int useful_threads(const Model &model, size_t count, int most) {
  const size_t tiles = Framing(model.config).frames(count) / kTileFrames;
  return static_cast<int>(std::clamp<size_t>(tiles / kTilesPerThread, 1, most));
}

}  // namespace tinywase
