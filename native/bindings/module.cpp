// The Python module tinywase._native: nanobind around the C interface. Checks, ownership, the GIL; no arithmetic.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <tinywase.h>

#include <memory>
#include <mutex>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>

#include "entropy.h"
#include "training.h"

#if defined(__clang__)
#define TW_COMPILER "Clang"
#else
#define TW_COMPILER "GCC"
#endif

namespace nb = nanobind;

namespace {

using Samples = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Array = nb::ndarray<nb::numpy, float, nb::ndim<1>>;

// A MemoryError that says more than std::bad_alloc does. The caller holds the GIL.
[[noreturn]] void raise_memory(const char *why) {
  PyErr_SetString(PyExc_MemoryError, why);
  throw nb::python_error();
}

[[noreturn]] void raise_last(tw_status status) {
  if (status == TW_ERROR_MEMORY) raise_memory(tw_last_error());
  throw std::runtime_error(tw_last_error());
}

void check(tw_status status) {
  if (status != TW_OK) raise_last(status);
}

// Room for a result.
std::unique_ptr<float[]> floats(size_t count) {
  std::unique_ptr<float[]> values(new (std::nothrow) float[count]);
  if (!values) {
    const std::string bytes = std::to_string(count * sizeof(float));
    raise_memory(("not enough memory for the result: got no " + bytes + " bytes. Use shorter pieces, or close other programs.").c_str());
  }
  return values;
}

Array array_of(std::unique_ptr<float[]> values, size_t count) {
  float *data = values.release();
  nb::capsule owner(data, [](void *p) noexcept { delete[] static_cast<float *>(p); });
  return Array(data, {count}, owner);
}

struct Model {
  std::shared_ptr<tw_model> handle;
  tw_info info{};

  explicit Model(const Bytes &file) {
    {
      nb::gil_scoped_release release;
      handle = {tw_model_open_memory(file.data(), file.size()), tw_model_close};
    }
    if (!handle) raise_last(tw_last_status());
    check(tw_model_info(handle.get(), &info));
  }

  void check_voiceprint(const Samples &voiceprint) const {
    if (voiceprint.size() != static_cast<size_t>(info.voiceprint_count))
      throw std::invalid_argument("the voiceprint has " + std::to_string(voiceprint.size()) + " values, this model's have " +
                                  std::to_string(info.voiceprint_count) + ". Enroll with this model.");
  }

  Array enroll(const Samples &enrollment) const {
    auto voiceprint = floats(info.voiceprint_count);
    tw_status status;
    {
      nb::gil_scoped_release release;
      status = tw_enroll(handle.get(), enrollment.data(), enrollment.size(), voiceprint.get());
    }
    check(status);
    return array_of(std::move(voiceprint), info.voiceprint_count);
  }

  std::pair<Array, Array> extract(const Samples &mixture, const Samples &voiceprint, int threads) const {
    check_voiceprint(voiceprint);
    const size_t count = mixture.size(), frames = tw_frame_count(handle.get(), count);
    auto estimate = floats(count), activity = floats(frames);
    tw_status status;
    {
      nb::gil_scoped_release release;
      status = tw_extract_threads(handle.get(), mixture.data(), count, voiceprint.data(), estimate.get(), activity.get(), frames,
                                  threads);
    }
    check(status);
    return {array_of(std::move(estimate), count), array_of(std::move(activity), frames)};
  }
};

// Two Python threads may hold the same stream: calls take turns.
struct Stream {
  std::shared_ptr<tw_model> model;
  std::unique_ptr<tw_stream, decltype(&tw_stream_destroy)> handle;
  tw_info info;
  std::mutex turn;

  Stream(const Model &owner, const Samples &voiceprint)
      : model(owner.handle), handle(nullptr, tw_stream_destroy), info(owner.info) {
    owner.check_voiceprint(voiceprint);
    handle.reset(tw_stream_create(model.get(), voiceprint.data()));
    if (!handle) raise_last(tw_last_status());
  }

  Array feed(const Samples &chunk) {
    const size_t capacity = chunk.size() + 2 * info.hop_samples;
    auto out = floats(capacity);
    size_t written = 0;
    tw_status status;
    {
      nb::gil_scoped_release release;
      const std::lock_guard<std::mutex> lock(turn);
      status = tw_stream_process(handle.get(), chunk.data(), chunk.size(), out.get(), capacity, &written);
    }
    check(status);
    return array_of(std::move(out), written);
  }

  Array flush() {
    const size_t capacity = static_cast<size_t>(info.latency_samples) + 2 * info.hop_samples;
    auto out = floats(capacity);
    size_t written = 0;
    tw_status status;
    {
      nb::gil_scoped_release release;
      const std::lock_guard<std::mutex> lock(turn);
      status = tw_stream_flush(handle.get(), out.get(), capacity, &written);
    }
    check(status);
    return array_of(std::move(out), written);
  }

  void reset() {
    nb::gil_scoped_release release;
    const std::lock_guard<std::mutex> lock(turn);
    tw_stream_reset(handle.get());
  }

  float activity() {
    nb::gil_scoped_release release;
    const std::lock_guard<std::mutex> lock(turn);
    return tw_stream_activity(handle.get());
  }
};

}  // namespace

NB_MODULE(_native, module) {
  module.doc() = "tinywase's native runtime: models and streams over float32 arrays at the model's rate.";
  module.attr("interface") = 2;  // compiled.py: raised when what it calls changes
  module.def("instruction_sets", [] {
    nb::list names;
    for (std::istringstream all(tw_instruction_sets()); !all.eof();) {
      std::string name;
      all >> name;
      names.append(name);
    }
    return names;
  });
  // What the tables of benchmarks say about this build and this processor.
  module.attr("compiler") = TW_COMPILER " " __VERSION__;
  module.def("int8_peak", [] {
    double peak;
    {
      nb::gil_scoped_release release;
      peak = tw_int8_peak();
    }
    if (peak == 0) throw std::runtime_error(tw_last_error());
    return peak;
  });
  nb::class_<Model>(module, "Model")
      .def(nb::init<const Bytes &>(), nb::arg("file"))
      .def("enroll", &Model::enroll, nb::arg("enrollment"))
      .def("extract", &Model::extract, nb::arg("mixture"), nb::arg("voiceprint"), nb::arg("threads") = 1)
      .def_prop_ro("isa", [](const Model &m) { return std::string(m.info.isa); })
      .def_prop_ro("causal", [](const Model &m) { return m.info.causal != 0; })
      .def_prop_ro("latency_samples", [](const Model &m) { return m.info.latency_samples; })
      .def_prop_ro("state_bytes", [](const Model &m) { return m.info.state_bytes; })
      .def_prop_ro("weight_bytes", [](const Model &m) { return m.info.weight_bytes; })
      .def_prop_ro("integer_layers", [](const Model &m) { return m.info.integer_layers; })
      .def_prop_ro("float_layers", [](const Model &m) { return m.info.float_layers; });
  nb::class_<Stream>(module, "Stream")
      .def(nb::init<const Model &, const Samples &>(), nb::arg("model"), nb::arg("voiceprint"))
      .def("feed", &Stream::feed, nb::arg("chunk"))
      .def("flush", &Stream::flush)
      .def("reset", &Stream::reset)
      .def_prop_ro("activity", &Stream::activity);
  bind_entropy(module);
  bind_training(module);
}
