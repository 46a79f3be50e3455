// The native runtime as WebAssembly: native/include/tinywase.h for JavaScript, in a page, a worker, an audio worklet or Node.
//
//   const runtime = await Runtime.load(await WebAssembly.compileStreaming(fetch("tinywase.wasm")));
//   const model = runtime.open(new Uint8Array(await (await fetch("live.twase")).arrayBuffer()));
//   const voiceprint = model.enroll(voice);
//   const stream = model.stream(voiceprint);
//   const estimate = stream.process(chunk);
//
// Samples are Float32Arrays, mono, -1..1, at model.rate. What goes wrong is an Error in the runtime's own words.

const STREAM_GAIN = 30; // TW_STREAM_GAIN
const WORKING_RMS = 0.05; // TW_WORKING_RMS
const INFO_BYTES = 128; // sizeof(tw_info)
const MOST_S = 1; // of sound that goes into a stream at once
const NOT_HERE = 52; // ENOSYS: a page has no files, no clock and no environment

export class Runtime {
  #instance;

  // From a compiled module, which may be posted to workers and worklets.
  static async load(module) {
    const runtime = new Runtime();
    runtime.#begin(await WebAssembly.instantiate(module, runtime.#imports()));
    return runtime;
  }

  // The same at once, which a page's own thread refuses and an audio worklet must.
  static loadNow(module) {
    const runtime = new Runtime();
    runtime.#begin(new WebAssembly.Instance(module, runtime.#imports()));
    return runtime;
  }

  #imports() {
    const absent = (...names) => Object.fromEntries(names.map((name) => [name, () => NOT_HERE]));
    const nothing = (count, bytes) => (this.view.setUint32(count, 0, true), this.view.setUint32(bytes, 0, true), 0);
    const exit = () => {
      throw new Error("the runtime stopped");
    };
    return {
      env: { emscripten_notify_memory_growth() {} },
      wasi_snapshot_preview1: {
        ...absent("fd_write", "fd_read", "fd_close", "fd_seek", "clock_time_get", "environ_get"),
        environ_sizes_get: nothing,
        proc_exit: exit,
      },
    };
  }

  #begin(instance) {
    this.#instance = instance;
    this.calls._initialize();
  }

  get calls() {
    return this.#instance.exports;
  }

  // Of its memory as it is now: a call may move it.
  get view() {
    return new DataView(this.calls.memory.buffer);
  }

  floats(at, count) {
    return new Float32Array(this.calls.memory.buffer, at, count);
  }

  words(at, most = 1024) {
    const bytes = new Uint8Array(this.calls.memory.buffer, at, most);
    const hex = Array.from(bytes.subarray(0, bytes.indexOf(0)), (byte) => "%" + byte.toString(16).padStart(2, "0"));
    return decodeURIComponent(hex.join("")); // UTF-8; audio worklets have no TextDecoder
  }

  // Memory for `use`, gone afterwards.
  lend(bytes, use) {
    const at = this.calls.malloc(Math.max(1, bytes));
    if (!at) throw new Error(`no memory: ${bytes} bytes were asked for`);
    try {
      return use(at);
    } finally {
      this.calls.free(at);
    }
  }

  check(status) {
    if (status !== 0) this.fail();
  }

  fail() {
    throw new Error(this.words(this.calls.tw_last_error()));
  }

  // A model from a .twase file's bytes.
  open(bytes) {
    return this.lend(bytes.length, (at) => {
      new Uint8Array(this.calls.memory.buffer, at, bytes.length).set(bytes);
      const model = this.calls.tw_model_open_memory(at, bytes.length);
      return model ? new Model(this, model) : this.fail();
    });
  }
}

class Model {
  #runtime;
  #model;

  constructor(runtime, model) {
    this.#runtime = runtime;
    this.#model = model;
    runtime.lend(INFO_BYTES, (at) => {
      runtime.check(runtime.calls.tw_model_info(model, at));
      const number = (offset) => runtime.view.getInt32(at + offset, true);
      this.rate = number(0);
      this.voiceprintCount = number(4);
      this.hop = number(8);
      this.causal = number(12) === 1;
      this.latency = number(16); // samples; -1 where it cannot stream
      this.isa = runtime.words(at + 48, 16);
    });
  }

  // A recording of the voice alone -> its voiceprint.
  enroll(samples) {
    const { calls } = this.#runtime;
    return this.#runtime.lend(4 * samples.length, (heard) =>
      this.#runtime.lend(4 + 4 * this.voiceprintCount, (at) => {
        this.#runtime.floats(heard, samples.length).set(samples);
        this.#runtime.view.setUint32(at, samples.length, true);
        this.#runtime.check(calls.tw_prepare_enrollment(this.#model, heard, at));
        const count = this.#runtime.view.getUint32(at, true);
        this.#runtime.check(calls.tw_enroll(this.#model, heard, count, at + 4));
        return this.#runtime.floats(at + 4, this.voiceprintCount).slice();
      }),
    );
  }

  #expect(voiceprint) {
    if (voiceprint.length === this.voiceprintCount) return;
    throw new Error(`got a voiceprint of ${voiceprint.length} numbers: expected ${this.voiceprintCount}, as enroll gives them`);
  }

  // A whole recording -> that voice in it, one view.
  extract(samples, voiceprint) {
    this.#expect(voiceprint);
    const rms = Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
    if (!rms) return samples.slice();
    const gain = WORKING_RMS / rms;
    const bytes = 4 * samples.length;
    return this.#runtime.lend(2 * bytes + 4 * voiceprint.length, (at) => {
      const [estimate, print] = [at + bytes, at + 2 * bytes];
      this.#runtime.floats(at, samples.length).set(samples.map((x) => x * gain));
      this.#runtime.floats(print, voiceprint.length).set(voiceprint);
      this.#runtime.check(this.#runtime.calls.tw_extract(this.#model, at, samples.length, print, estimate, 0, 0));
      return this.#runtime.floats(estimate, samples.length).map((x) => x / gain);
    });
  }

  // That voice out of sound as it comes; the model must be causal.
  stream(voiceprint) {
    this.#expect(voiceprint);
    return this.#runtime.lend(4 * voiceprint.length, (at) => {
      this.#runtime.floats(at, voiceprint.length).set(voiceprint);
      const stream = this.#runtime.calls.tw_stream_create(this.#model, at);
      return stream ? new Stream(this.#runtime, this, stream) : this.#runtime.fail();
    });
  }

  // After its streams.
  close() {
    this.#runtime.calls.tw_model_close(this.#model);
  }
}

class Stream {
  #runtime;
  #model;
  #stream;
  #most; // samples fed at once
  #chunk;
  #out;
  #written;

  constructor(runtime, model, stream) {
    this.#runtime = runtime;
    this.#model = model;
    this.#stream = stream;
    this.#most = MOST_S * model.rate;
    this.#chunk = runtime.calls.malloc(4 * this.#most);
    this.#out = runtime.calls.malloc(4 * this.#capacity);
    this.#written = runtime.calls.malloc(4);
  }

  get #capacity() {
    return this.#most + 2 * this.#model.hop + this.#model.latency;
  }

  // A chunk of any size -> the samples that it completes, `latency` of them later.
  process(samples) {
    const parts = [];
    for (let at = 0; at < samples.length; at += this.#most) {
      const part = samples.subarray(at, at + this.#most);
      const chunk = this.#runtime.floats(this.#chunk, part.length);
      for (let i = 0; i < part.length; i++) chunk[i] = part[i] * STREAM_GAIN;
      const { calls } = this.#runtime;
      const fed = calls.tw_stream_process(this.#stream, this.#chunk, part.length, this.#out, this.#capacity, this.#written);
      this.#runtime.check(fed);
      parts.push(this.#taken());
    }
    return joined(parts);
  }

  // The sound has ended -> the rest.
  flush() {
    this.#runtime.check(this.#runtime.calls.tw_stream_flush(this.#stream, this.#out, this.#capacity, this.#written));
    return this.#taken();
  }

  // How active the voice is in the newest frame, 0..1.
  get activity() {
    return this.#runtime.calls.tw_stream_activity(this.#stream);
  }

  close() {
    this.#runtime.calls.tw_stream_destroy(this.#stream);
    for (const at of [this.#chunk, this.#out, this.#written]) this.#runtime.calls.free(at);
  }

  #taken() {
    const count = this.#runtime.view.getUint32(this.#written, true);
    return this.#runtime.floats(this.#out, count).map((x) => x / STREAM_GAIN);
  }
}

export function joined(parts) {
  if (parts.length === 1) return parts[0];
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
