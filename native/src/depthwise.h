// Depthwise convolution over a ring of past rows: the norm before it is applied on the way into the ring, so silence at the
// edges is exactly zero. Centred and causal convolutions are the same sums; a centred one answers `side` rows later.
#pragma once

#include <string>
#include <vector>

#include "pointwise.h"

namespace tinywase {

// (kernel - 1) * dilation + kRowGroup rows, the newest at `head`, of the channels from `first` on.
struct RowRing {
  uint8_t *rows = nullptr;
  int first = 0, channels = 0;
  int head = 0;
};

class Depthwise {
 public:
  Depthwise() = default;
  // `norm` comes before the convolution, PReLU with `slope` after it.
  Depthwise(const ModelFile &file, const Kernels &kernels, const std::string &name, int channels, int kernel, int dilation,
            const ActivationPoint &point, const Norm &norm, float slope);

  int ring_rows() const { return (kernel_ - 1) * dilation_ + kRowGroup; }
  size_t ring_bytes() const { return ring_bytes(channels_); }
  size_t ring_bytes(int channels) const { return static_cast<size_t>(ring_rows()) * channels * element_bytes(); }
  int side() const { return (kernel_ - 1) * dilation_ / 2; }

  RowRing ring(uint8_t *rows) const { return {rows, 0, channels_}; }  // of all channels
  void clear(RowRing &ring) const;                                    // silence
  void push_silence(RowRing &ring, int rows) const;                   // rows of it
  // rows <= kRowGroup of `input` from `row` on, through the norm whose statistics they have.
  void push(const Kernels &kernels, RowRing &ring, const InputRows &input, int row, int rows, const RowStatistics &statistics) const;
  // What the newest rows <= kRowGroup of the ring make, through PReLU, to `out`, or their sums to `kept`; row_sums as for kernels.
  // `out` and `kept` are rows of all channels; those that the ring lacks are left alone.
  void emit(const Kernels &kernels, const RowRing &ring, int rows, float *out, int16_t *kept, size_t out_stride,
            float *row_sums) const;

  InputMode mode() const { return mode_; }
  // Whether `kept` may be asked for; what its sums stand for.
  bool keeps_sums() const { return keeps_sums_; }
  Kept kept(const int16_t *sums) const { return {sums, scale_.data(), bias_.data(), slope_}; }
  const Norm &norm() const { return norm_; }  // before the convolution, with its quantizer
  size_t bytes() const;

 private:
  void load_floats(const std::vector<float> &weight, int channels);
  void load_integers(const IntegerWeight &weight, int channels, int code_offset);
  size_t element_bytes() const { return mode_ == InputMode::integer ? 1 : sizeof(float); }
  size_t row_bytes(const RowRing &ring) const { return ring.channels * element_bytes(); }
  uint8_t *advance(RowRing &ring) const;
  int past(const RowRing &ring, int rows) const;

  InputMode mode_ = InputMode::plain;
  bool keeps_sums_ = false;
  int channels_ = 0;  // padded
  int kernel_ = 0, dilation_ = 0;
  uint8_t silence_ = 0;  // a ring's bytes where nothing sounds: 0.0f, or the stored code of zero
  float slope_ = 0;
  ActivationPoint point_;
  Norm norm_;
  Buffer<float> bias_;       // [channels]
  Buffer<float> weights_;    // [kernel, channels]
  Buffer<int16_t> levels_;   // [(kernel + 1) / 2, channels, 2]
  Buffer<int32_t> start_;    // [channels]
  Buffer<float> scale_;      // [channels]
};

}  // namespace tinywase
