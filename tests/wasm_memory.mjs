// What examples/browser/tinywase.mjs does without enough memory: MODULE CAUSAL WIDE, the latter a network whose rows times the frames
// of 262,144 samples are 2^32 bytes.
import assert from "node:assert";
import { readFileSync } from "node:fs";
import { Runtime } from "../examples/browser/tinywase.mjs";

const [module, file, wide] = process.argv.slice(2);
const runtime = await Runtime.load(await WebAssembly.compile(readFileSync(module)));
const model = runtime.open(readFileSync(file));
const { calls } = runtime;
const held = { memory: 0, streams: 0 };
let left = Infinity; // successful calls of malloc
const counted = {
  malloc: (bytes) => (left-- > 0 ? (held.memory++, calls.malloc(bytes)) : 0),
  free: (at) => (held.memory--, calls.free(at)),
  tw_stream_create: (...given) => (held.streams++, calls.tw_stream_create(...given)),
  tw_stream_destroy: (stream) => (held.streams--, calls.tw_stream_destroy(stream)),
};
Object.defineProperty(runtime, "calls", { value: { ...calls, ...counted } });

const voiceprint = new Float32Array(model.voiceprintCount);
model.stream(voiceprint).close();
assert.deepEqual(held, { memory: 0, streams: 0 });
for (left of [0, 1]) {
  const most = left;
  assert.throws(() => model.stream(voiceprint), /no memory: \d+ bytes were asked for/, `${most} calls of malloc`);
  assert.deepEqual(held, { memory: 0, streams: 0 }, `${most} calls of malloc`);
}

const whole = await Runtime.load(await WebAssembly.compile(readFileSync(module)));
const network = whole.open(readFileSync(wide));
const print = new Float32Array(network.voiceprintCount).fill(0.5);
for (const count of [262000, 262144])
  assert.throws(() => network.extract(new Float32Array(count).map((_, i) => Math.sin(i)), print), /not enough memory/, `${count}`);
