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
const INFO_BYTES = 128; // sizeof(tw_info)
const MOST_S = 1; // of sound that goes into a stream at once, at least a hop
const OFFSET_S = 10; // of sound whose mean is a stream's offset
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

  // Memory, until calls.free.
  take(bytes) {
    const at = this.calls.malloc(Math.max(1, bytes));
    if (!at) throw new Error(`no memory: ${bytes} bytes were asked for`);
    return at;
  }

  // Memory for `use`, gone afterwards.
  lend(bytes, use) {
    const at = this.take(bytes);
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
    const { calls } = this.#runtime;
    return this.#runtime.lend(4 * (samples.length + voiceprint.length), (at) => {
      const print = at + 4 * samples.length;
      this.#runtime.floats(at, samples.length).set(samples);
      this.#runtime.floats(print, voiceprint.length).set(voiceprint);
      const gain = calls.tw_set_level(at, samples.length);
      this.#runtime.check(calls.tw_extract(this.#model, at, samples.length, print, at, 0, 0)); // in place
      return this.#runtime.floats(at, samples.length).map((x) => x / gain);
    });
  }

  // That voice out of sound as it comes; the model must be causal.
  stream(voiceprint) {
    this.#expect(voiceprint);
    return this.#runtime.lend(4 * voiceprint.length, (at) => {
      this.#runtime.floats(at, voiceprint.length).set(voiceprint);
      const { calls } = this.#runtime;
      const stream = calls.tw_stream_create(this.#model, at) || this.#runtime.fail();
      try {
        return new Stream(this.#runtime, this, stream);
      } catch (error) {
        calls.tw_stream_destroy(stream);
        throw error;
      }
    });
  }

  // After its streams.
  close() {
    this.#runtime.calls.tw_model_close(this.#model);
  }
}

class Stream {
  #runtime;
  #stream;
  #hop;
  #most; // samples fed at once
  #capacity; // samples that may come out at once
  #chunk;
  #waiting = 0; // samples in the chunk that are no whole hop yet
  #out;
  #written;
  #offset;

  constructor(runtime, model, stream) {
    this.#runtime = runtime;
    this.#stream = stream;
    this.#hop = model.hop;
    this.#most = Math.max(model.hop, MOST_S * model.rate);
    this.#capacity = this.#most + 2 * model.hop + model.latency;
    this.#offset = new RunningOffset(model.hop, OFFSET_S * model.rate);
    this.#chunk = runtime.take(4 * (this.#most + this.#capacity + 1)); // and what else it needs, behind
    this.#out = this.#chunk + 4 * this.#most;
    this.#written = this.#out + 4 * this.#capacity;
  }

  // A chunk of any size -> the samples that it completes, `latency` of them later.
  process(samples) {
    const parts = [];
    for (let at = 0; at < samples.length; ) {
      const part = samples.subarray(at, at + this.#most - this.#waiting);
      this.#runtime.floats(this.#chunk + 4 * this.#waiting, part.length).set(part);
      this.#waiting += part.length;
      at += part.length;
      parts.push(this.#fed(this.#waiting - (this.#waiting % this.#hop)));
    }
    return joined(parts);
  }

  // The sound has ended -> the rest.
  flush() {
    const last = this.#fed(this.#waiting);
    this.#runtime.check(this.#runtime.calls.tw_stream_flush(this.#stream, this.#out, this.#capacity, this.#written));
    return joined([last, this.#taken()]);
  }

  // So many of the samples that wait -> what they complete. Whole hops, but for a sound's last: else the offset, and with it
  // the output, would depend on how the samples were cut into chunks.
  #fed(count) {
    const chunk = this.#runtime.floats(this.#chunk, this.#waiting);
    for (let at = 0; at < count; at += this.#hop) {
      const block = chunk.subarray(at, Math.min(at + this.#hop, count));
      this.#offset.takeFrom(block);
      for (let i = 0; i < block.length; i++) block[i] *= STREAM_GAIN;
    }
    const { calls } = this.#runtime;
    this.#runtime.check(calls.tw_stream_process(this.#stream, this.#chunk, count, this.#out, this.#capacity, this.#written));
    this.#runtime.floats(this.#chunk, this.#waiting).copyWithin(0, count);
    this.#waiting -= count;
    return this.#taken();
  }

  // How active the voice is in the newest frame, 0..1.
  get activity() {
    return this.#runtime.calls.tw_stream_activity(this.#stream);
  }

  close() {
    this.#runtime.calls.tw_stream_destroy(this.#stream);
    this.#runtime.calls.free(this.#chunk);
  }

  #taken() {
    const count = this.#runtime.view.getUint32(this.#written, true);
    return this.#runtime.floats(this.#out, count).map((x) => x / STREAM_GAIN);
  }
}

// The mean of the last seconds, of fewer in the beginning: sound cards add one, no training mixture has one.
class RunningOffset {
  #block; // samples
  #most; // samples that it remembers
  #heard = 0;
  #mean = 0;

  constructor(block, most) {
    this.#block = block;
    this.#most = most;
  }

  // From one block after the other, in place. What is not finite is silence; digital silence says nothing about a sound card.
  takeFrom(samples) {
    for (let i = 0; i < samples.length; i++) if (!Number.isFinite(samples[i])) samples[i] = 0;
    if (samples.every((x) => x === 0)) return;
    this.#heard = Math.min(this.#heard + this.#block, this.#most);
    const mean = samples.reduce((sum, x) => sum + x, 0) / samples.length;
    this.#mean += (this.#block / this.#heard) * (mean - this.#mean);
    for (let i = 0; i < samples.length; i++) samples[i] -= this.#mean;
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
