/* tinywase: one voice out of a mixture, from a .twase model file. The whole public interface of the native runtime.
 *
 *     tw_info info;
 *     tw_model *model = tw_model_open("small.twase");
 *     tw_model_info(model, &info);
 *     float *voiceprint = malloc(info.voiceprint_count * sizeof(float));
 *     tw_prepare_enrollment(model, enrollment, &enrollment_count);
 *     tw_enroll(model, enrollment, enrollment_count, voiceprint);
 *     const float factor = tw_set_level(mixture, count);
 *     tw_extract(model, mixture, count, voiceprint, estimate, NULL, 0);    and divide the estimate by the factor
 *     tw_model_close(model);
 *
 * Samples are float32, mono, at the model's rate (tw_model_info), without a mean. Samples that are not finite count as
 * silence; voiceprints have to be finite. A model never changes once it is open: any number of threads may use it at the
 * same time. A stream belongs to one thread at a time. tw_stream_process and tw_stream_flush allocate nothing, no call
 * needs more than 32 KiB of stack. Functions that return tw_status return TW_OK or the kind of failure, tw_last_error()
 * says it in words; a stream has heard nothing of a chunk that it refused.
 *
 * Sample n of an estimate belongs to sample n of its mixture, also in streams, which give it latency_samples later. Frame
 * f of the activity is about the samples around f * hop_samples.
 *
 * The caller sets the level. Networks hear the logarithm of 1 + power / 1e-5: what is too quiet drowns in the 1, which
 * costs decibels, and neither tw_extract nor a stream scales a mixture.
 * - An enrollment: trimmed to speech, at an RMS of TW_WORKING_RMS. tw_prepare_enrollment does it.
 * - A whole recording, for tw_extract: at an RMS of TW_WORKING_RMS, by one factor for all of it. tw_set_level does it.
 * - A stream of samples in -1..1: times TW_STREAM_GAIN, a sound card's offset removed on the way.
 * The estimate is at the level of the mixture that was given: divide it by the same factor. examples/ does all that.
 *
 * tw_extract is one run of the network, one view. The Python package takes the views that a model's card advises, their
 * mean sharpened, and windows of a long recording; the figures published with a model are of that. docs/model.md 2 and 4
 * say what it takes to do the same.
 */
#ifndef TINYWASE_H
#define TINYWASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef TW_API /* define it as nothing to keep a static library's names inside a library of your own */
#if defined(_WIN32) && defined(TINYWASE_BUILDING)
#define TW_API __declspec(dllexport)
#elif defined(_WIN32) && defined(TINYWASE_SHARED)
#define TW_API __declspec(dllimport)
#elif defined(__GNUC__) && !defined(_WIN32)
#define TW_API __attribute__((visibility("default")))
#else
#define TW_API
#endif
#endif

#define TW_MAX_VOICEPRINT 65536  /* no model has a longer voiceprint */
#define TW_WORKING_RMS 0.05f     /* of enrollments and whole recordings; floats are -1..1 */
#define TW_STREAM_GAIN 30.0f     /* of a stream, whose level nobody knows before its end */

typedef struct tw_model tw_model;
typedef struct tw_stream tw_stream;

typedef enum tw_status {
  TW_OK = 0,
  TW_ERROR_FILE = 1,        /* unreadable, damaged or foreign model file; a TINYWASE_ISA that is not there */
  TW_ERROR_ARGUMENT = 2,    /* a null pointer, a buffer that is too small */
  TW_ERROR_UNSUPPORTED = 3, /* the model cannot do this: stream an offline network */
  TW_ERROR_MEMORY = 4,      /* tw_last_error() says how much was asked for */
  TW_ERROR_INTERNAL = 5     /* a defect of this library */
} tw_status;

typedef struct tw_info {
  int32_t sample_rate_hz;
  int32_t voiceprint_count; /* floats of a voiceprint */
  int32_t hop_samples;      /* samples between frames */
  int32_t causal;           /* 1: can stream */
  int32_t latency_samples;  /* algorithmic delay of a stream; -1 for an offline model */
  int32_t integer_layers;   /* 1x1 convolutions that run on integers */
  int32_t float_layers;     /* 1x1 convolutions that run on float32 */
  int64_t weight_bytes;     /* of memory that the open model's weights take */
  int64_t state_bytes;      /* of memory that one stream takes; 0 for an offline model */
  char isa[16];             /* the kernels in use: scalar, sse41, avx2, avxvnni, avx512, neon, neondot, wasm */
  char name[64];            /* of the model's configuration */
} tw_info;

/* The library's version, such as "0.1.0". Before 1.0, programs are compiled anew for another minor version. */
TW_API const char *tw_version(void);

/* The reason of this thread's last failure; an empty string before the first. Valid until the thread's next failure. */
TW_API const char *tw_last_error(void);

/* The status of that failure; what functions that give a pointer failed with. TW_OK before the first. */
TW_API tw_status tw_last_status(void);

/* Names of the instruction sets whose kernels this build and processor have, best first, separated by spaces. */
TW_API const char *tw_instruction_sets(void);

/* Multiply-adds of bytes per second that one core does at most with the kernels in use (TINYWASE_ISA): what speeds are compared
 * with. Measures for about a tenth of a second; 0 on failure. WebAssembly modules, which have no clock, do without. */
TW_API double tw_int8_peak(void);

/* Open a model file; NULL on failure. The environment variable TINYWASE_ISA chooses the kernels by name. */
TW_API tw_model *tw_model_open(const char *path);

/* The same from a model file's bytes, which may go once it returns: the model keeps its own form of them. */
TW_API tw_model *tw_model_open_memory(const void *data, size_t size);

TW_API void tw_model_close(tw_model *model);
TW_API tw_status tw_model_info(const tw_model *model, tw_info *info);

/* What tw_enroll is to hear of a recording of the voice alone, in place: the mean removed, pauses cut out (frames of 32 ms
 * more than 20 dB below the loudest), the level set. *count becomes what is left; less than half a second of speech is
 * TW_ERROR_ARGUMENT. */
TW_API tw_status tw_prepare_enrollment(const tw_model *model, float *samples, size_t *count);

/* What tw_extract is to hear of a whole recording, in place: what is not finite made silence, the mean removed, the RMS set to
 * TW_WORKING_RMS. Returns the factor, to divide the estimate by; 1 for silence. */
TW_API float tw_set_level(float *samples, size_t count);

/* Enrollment [count], trimmed to speech, without mean, at TW_WORKING_RMS -> voiceprint [voiceprint_count]. */
TW_API tw_status tw_enroll(const tw_model *model, const float *enrollment, size_t count, float *voiceprint);

/* Frames of a recording of `count` samples: what tw_extract writes to `activity`. */
TW_API size_t tw_frame_count(const tw_model *model, size_t count);

/* Whole recording, one view: mixture [count] at TW_WORKING_RMS, voiceprint [voiceprint_count] -> estimate [count], as loud
 * as in that mixture, whose memory it may be. `activity` may be NULL; otherwise it takes tw_frame_count(count) values 0..1
 * (ones where the model has no activity cue), and `activity_capacity` says how many fit. The open model keeps up to 32 MiB
 * of the memory that one call worked in for the next. */
TW_API tw_status tw_extract(const tw_model *model, const float *mixture, size_t count, const float *voiceprint,
                            float *estimate, float *activity, size_t activity_capacity);

/* The same on at most `threads` threads, 1 to 64: the caller's, and helpers that begin and end with the call; the estimate is the
 * same, bit for bit. A helper that has no processor to itself is left out, so that two threads are hardly ever slower than one. Short
 * recordings, causal models and builds without threads stay on the caller's. */
TW_API tw_status tw_extract_threads(const tw_model *model, const float *mixture, size_t count, const float *voiceprint,
                                    float *estimate, float *activity, size_t activity_capacity, int threads);

/* A stream over a causal model; NULL on failure. The model must stay open as long as the stream lives. */
TW_API tw_stream *tw_stream_create(const tw_model *model, const float *voiceprint);
TW_API void tw_stream_destroy(tw_stream *stream);

/* Feed a chunk of any size, TW_STREAM_GAIN times as loud as it is, and take the samples it completes, as loud: *written of
 * them, never more than count + 2 hops. The output depends on the samples alone, bit for bit, not on how they were cut into
 * chunks. */
TW_API tw_status tw_stream_process(tw_stream *stream, const float *chunk, size_t count, float *out, size_t capacity,
                                   size_t *written);

/* The mixture has ended: take the rest, so that as many samples were written as fed; at most latency_samples. Feed no more
 * before tw_stream_reset. */
TW_API tw_status tw_stream_flush(tw_stream *stream, float *out, size_t capacity, size_t *written);

/* For another mixture with the same voice: as if just created. */
TW_API void tw_stream_reset(tw_stream *stream);

/* How active the target is in the newest finished frame, 0..1. */
TW_API float tw_stream_activity(const tw_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
