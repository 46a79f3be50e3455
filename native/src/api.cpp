// The C interface over the classes: checks arguments, keeps exceptions in, remembers why something failed.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <new>
#include <string>
#include <vector>

#include "../include/tinywase.h"
#include "frames.h"
#include "preparation.h"
#include "stream.h"

using namespace tinywase;

struct tw_model {
  Model model;
};

struct tw_stream {
  Stream stream;
};

namespace {

constexpr int kMostThreads = 64;
constexpr double kShortestEnrollmentS = 0.5;  // of speech

thread_local char last_error[1024] = "";
thread_local tw_status last_status = TW_OK;

// Remembers why something failed; allocates nothing. What does not fit is cut between two characters of UTF-8.
tw_status fail(tw_status status, const char *why) noexcept {
  size_t end = std::min(std::strlen(why), sizeof last_error - 1);
  if (why[end])
    while (end && (why[end] & 0xC0) == 0x80) end--;
  std::memmove(last_error, why, end);
  last_error[end] = 0;
  return last_status = status;
}

template <class... Values>
tw_status fail(tw_status status, const char *format, Values... values) noexcept {
  char why[256];
  std::snprintf(why, sizeof why, format, values...);
  return fail(status, static_cast<const char *>(why));
}

// Runs `function`; exceptions become a status and a message.
template <class Function>
tw_status guarded(Function function) {
  try {
    return function();
  } catch (const FileError &error) {
    return fail(TW_ERROR_FILE, error.what());
  } catch (const NotEnough &error) {
    return fail(TW_ERROR_MEMORY,
                "not enough memory for this model and recording: got no %zu bytes. Use shorter pieces or a smaller model, or close "
                "other programs.",
                error.bytes);
  } catch (const std::bad_alloc &) {
    return fail(TW_ERROR_MEMORY,
                "not enough memory for this model and recording. Use shorter pieces or a smaller model, or close other programs.");
  } catch (const std::exception &error) {
    return fail(TW_ERROR_INTERNAL, "got '%s', which nothing here should throw: a defect of tinywase. Please report it.", error.what());
  }
}

// Processor time of this thread, where the system tells it: what other programs take does not count.
double thread_time_s() {
#if defined(CLOCK_THREAD_CPUTIME_ID)
  timespec now;
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0) return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
#endif
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// A model file on disk.
class File : public Source {
 public:
  explicit File(const char *path) : path_(path), file_(std::fopen(path, "rb")) {
    if (!file_) refuse(" Expected a .twase file.");
    long end = -1;
    if (std::fseek(file_, 0, SEEK_END) == 0) end = std::ftell(file_);
    if (end < 0) {
      std::fclose(file_);
      throw FileError("cannot read model '" + path_ + "': it has no size. Expected a .twase file on a disk.");
    }
    size_ = static_cast<size_t>(end);
  }
  File(const File &) = delete;
  File &operator=(const File &) = delete;
  ~File() override { std::fclose(file_); }

  size_t size() const override { return size_; }
  void read(size_t offset, size_t count, uint8_t *to) const override {
    if (count == 0) return;
    errno = 0;
    if (std::fseek(file_, static_cast<long>(offset), SEEK_SET) != 0 || std::fread(to, 1, count, file_) != count) refuse("");
  }

 private:
  [[noreturn]] void refuse(const char *expected) const {
    throw FileError("cannot read model '" + path_ + "': " + (errno ? std::strerror(errno) : "it ended early") + "." + expected);
  }

  std::string path_;
  std::FILE *file_;
  size_t size_ = 0;
};

// A model file in memory.
class Memory : public Source {
 public:
  Memory(const void *data, size_t size) : data_(static_cast<const uint8_t *>(data)), size_(size) {}
  size_t size() const override { return size_; }
  void read(size_t offset, size_t count, uint8_t *to) const override {
    if (offset > size_ || count > size_ - offset) throw FileError("it ended early: byte " + text(offset + count) + " of " + text(size_) + ".");
    if (count) std::memcpy(to, data_ + offset, count);
  }

 private:
  const uint8_t *data_;
  size_t size_;
};

// `where`: the model's name, to end the message by, where it has one.
tw_model *opened(const Source &source, const std::string &where) {
  const Kernels &kernels = choose_kernels();
  try {
    return new tw_model{Model(ModelFile(source, kernels), kernels)};
  } catch (const FileError &error) {
    throw FileError(std::string("this model cannot be used: ") + error.what() + " Download or export it again" + where);
  }
}

tw_status null_argument(const char *function) {
  return fail(TW_ERROR_ARGUMENT, "%s: got a null pointer where one to memory is expected.", function);
}

tw_status small_buffer(const char *function, size_t got, size_t expected) {
  return fail(TW_ERROR_ARGUMENT, "%s: the output has room for %zu values, expected at least %zu.", function, got, expected);
}

// A NaN would not come out as one: activity, masks and sums of integers hide it.
bool finite_voiceprint(const tw_model *model, const float *voiceprint) {
  return std::all_of(voiceprint, voiceprint + model->model.config.voiceprint.dimensions, [](float x) { return std::isfinite(x); });
}

tw_status broken_voiceprint(const char *function) {
  return fail(TW_ERROR_ARGUMENT, "%s: the voiceprint holds NaN or infinity. Enroll the voice again with tw_enroll.", function);
}

tw_status offline_model() {
  return fail(TW_ERROR_UNSUPPORTED, "this model is offline: it needs the whole recording. Use a causal model to stream.");
}

}  // namespace

const char *tw_version(void) { return TINYWASE_VERSION; }

const char *tw_last_error(void) { return last_error; }

tw_status tw_last_status(void) { return last_status; }

const char *tw_instruction_sets(void) {
  const char *found = "";
  guarded([&] {
    static const std::string names = kernel_names(" ");
    found = names.c_str();
    return TW_OK;
  });
  return found;
}

double tw_int8_peak(void) {
  double best = 0;
  guarded([&] {
    const Kernels &kernels = choose_kernels();
    for (int i = 0; i < 20; i++) {  // short turns, so that the best is one that nothing disturbed
      const double begin = thread_time_s();
      int64_t count = 0;
      double seconds = 0;
      while (seconds < 0.005) {
        count += kernels.multiply_adds(10000);
        seconds = thread_time_s() - begin;
      }
      best = std::max(best, static_cast<double>(count) / seconds);
    }
    return TW_OK;
  });
  return best;
}

tw_model *tw_model_open(const char *path) {
  tw_model *result = nullptr;
  if (!path) {
    null_argument("tw_model_open");
    return nullptr;
  }
  guarded([&] {
    result = opened(File(path), std::string(": ") + path);
    return TW_OK;
  });
  return result;
}

tw_model *tw_model_open_memory(const void *data, size_t size) {
  tw_model *result = nullptr;
  if (!data) {
    null_argument("tw_model_open_memory");
    return nullptr;
  }
  guarded([&] {
    result = opened(Memory(data, size), ".");
    return TW_OK;
  });
  return result;
}

void tw_model_close(tw_model *model) { delete model; }

tw_status tw_model_info(const tw_model *model, tw_info *info) {
  if (!model || !info) return null_argument("tw_model_info");
  return guarded([&] {
    const Config &config = model->model.config;
    const WeightCount weights = model->model.weights();
    *info = {};
    info->sample_rate_hz = config.sample_rate_hz;
    info->voiceprint_count = config.voiceprint.dimensions;
    info->hop_samples = config.hop();
    info->causal = config.causal;
    info->latency_samples = config.causal ? config.window + config.lookahead_frames * config.hop() : -1;
    info->integer_layers = weights.integer_layers;
    info->float_layers = weights.float_layers;
    info->weight_bytes = static_cast<int64_t>(weights.bytes);
    if (config.causal) info->state_bytes = static_cast<int64_t>(Stream::state_bytes(model->model));
    std::snprintf(info->isa, sizeof info->isa, "%s", model->model.kernels.name);
    std::snprintf(info->name, sizeof info->name, "%s", config.name.c_str());
    return TW_OK;
  });
}

tw_status tw_prepare_enrollment(const tw_model *model, float *samples, size_t *count) {
  if (!model || !samples || !count) return null_argument("tw_prepare_enrollment");
  const int rate_hz = model->model.config.sample_rate_hz;
  *count = prepare_enrollment(samples, *count, rate_hz);
  if (static_cast<double>(*count) >= kShortestEnrollmentS * rate_hz) return TW_OK;
  return fail(TW_ERROR_ARGUMENT,
              "tw_prepare_enrollment: got %.2f s of speech, expected at least %.1f s. Record a few seconds of the voice alone.",
              static_cast<double>(*count) / rate_hz, kShortestEnrollmentS);
}

float tw_set_level(float *samples, size_t count) { return samples ? set_level(samples, count) : 1; }

tw_status tw_enroll(const tw_model *model, const float *enrollment, size_t count, float *voiceprint) {
  if (!model || !enrollment || !voiceprint) return null_argument("tw_enroll");
  if (!count) return fail(TW_ERROR_ARGUMENT, "tw_enroll: the enrollment has 0 samples, expected at least 1.");
  return guarded([&] {
    check_length(count, Framing(model->model.config.voiceprint));
    model->model.voiceprint_encoder->run(model->model.kernels, enrollment, count, voiceprint);
    return TW_OK;
  });
}

size_t tw_frame_count(const tw_model *model, size_t count) {
  if (!model) return 0;
  const Config &config = model->model.config;
  return Framing(config).frames(count) - config.early_frames();
}

tw_status tw_extract(const tw_model *model, const float *mixture, size_t count, const float *voiceprint, float *estimate,
                     float *activity, size_t activity_capacity) {
  return tw_extract_threads(model, mixture, count, voiceprint, estimate, activity, activity_capacity, 1);
}

tw_status tw_extract_threads(const tw_model *model, const float *mixture, size_t count, const float *voiceprint,
                             float *estimate, float *activity, size_t activity_capacity, int threads) {
  if (!model || (!mixture && count) || !voiceprint || (!estimate && count)) return null_argument("tw_extract");
  if (threads < 1 || threads > kMostThreads)
    return fail(TW_ERROR_ARGUMENT, "tw_extract_threads: %d threads, expected 1 to %d.", threads, kMostThreads);
  if (!finite_voiceprint(model, voiceprint)) return broken_voiceprint("tw_extract");
  const Config &config = model->model.config;
  const tw_status counted = guarded([&] {
    check_length(count, Framing(config));
    return TW_OK;
  });
  if (counted != TW_OK) return counted;
  const size_t frames = tw_frame_count(model, count);
  if (activity && activity_capacity < frames) return small_buffer("tw_extract", activity_capacity, frames);
  return guarded([&] {
    if (!model->model.config.causal) {
      Team team(useful_threads(model->model, count, threads));
      extract_clip(model->model, mixture, count, voiceprint, estimate, activity, team);
      return TW_OK;
    }
    Stream stream(model->model, voiceprint);
    const size_t written = stream.process(mixture, count, estimate, activity);
    const size_t finished = stream.finished_frames();
    stream.flush(estimate + written, activity ? activity + finished : nullptr);
    return TW_OK;
  });
}

tw_stream *tw_stream_create(const tw_model *model, const float *voiceprint) {
  tw_stream *result = nullptr;
  if (!model || !voiceprint) {
    null_argument("tw_stream_create");
    return nullptr;
  }
  guarded([&] {
    if (!model->model.config.causal) return offline_model();
    if (!finite_voiceprint(model, voiceprint)) return broken_voiceprint("tw_stream_create");
    result = new tw_stream{Stream(model->model, voiceprint)};
    return TW_OK;
  });
  return result;
}

void tw_stream_destroy(tw_stream *stream) { delete stream; }

tw_status tw_stream_process(tw_stream *stream, const float *chunk, size_t count, float *out, size_t capacity,
                            size_t *written) {
  if (!stream || (!chunk && count) || !out || !written) return null_argument("tw_stream_process");
  *written = 0;
  Stream &s = stream->stream;
  if (s.finished()) return fail(TW_ERROR_ARGUMENT, "tw_stream_process: the stream was flushed. Call tw_stream_reset first.");
  if (capacity < s.output_bound(count)) return small_buffer("tw_stream_process", capacity, s.output_bound(count));
  *written = s.process(chunk, count, out);
  return TW_OK;
}

tw_status tw_stream_flush(tw_stream *stream, float *out, size_t capacity, size_t *written) {
  if (!stream || !out || !written) return null_argument("tw_stream_flush");
  *written = 0;
  Stream &s = stream->stream;
  if (s.finished()) return fail(TW_ERROR_ARGUMENT, "tw_stream_flush: the stream was flushed before. Call tw_stream_reset first.");
  if (capacity < s.flush_bound()) return small_buffer("tw_stream_flush", capacity, s.flush_bound());
  *written = s.flush(out);
  return TW_OK;
}

void tw_stream_reset(tw_stream *stream) {
  if (stream) stream->stream.reset();
}

float tw_stream_activity(const tw_stream *stream) { return stream ? stream->stream.activity() : 0; }
