// What examples/browser/tinywase.mjs makes of raw float32 samples, of a causal model's stream in chunks: MODULE MODEL VOICE MIXTURE ESTIMATE
import { readFileSync, writeFileSync } from "node:fs";
import { Runtime, joined } from "../examples/browser/tinywase.mjs";

const CHUNK = 100; // no whole number of hops
const [module, file, voice, mixture, estimate] = process.argv.slice(2);
const floats = (path) => new Float32Array(new Uint8Array(readFileSync(path)).buffer);
try {
  const runtime = await Runtime.load(await WebAssembly.compile(readFileSync(module)));
  const model = runtime.open(readFileSync(file));
  const voiceprint = model.enroll(floats(voice));
  const sound = floats(mixture);
  let heard;
  if (!model.causal) {
    heard = model.extract(sound, voiceprint);
  } else {
    const stream = model.stream(voiceprint);
    const parts = [];
    for (let at = 0; at < sound.length; at += CHUNK) parts.push(stream.process(sound.subarray(at, at + CHUNK)));
    heard = joined([...parts, stream.flush()]);
    stream.close();
    const once = model.stream(voiceprint);
    const atOnce = joined([once.process(sound), once.flush()]);
    if (!heard.every((x, i) => x === atOnce[i])) throw new Error("the estimate depends on how the mixture was cut");
  }
  writeFileSync(estimate, new Uint8Array(heard.buffer, heard.byteOffset, heard.byteLength));
  console.log(JSON.stringify({ isa: model.isa, rate: model.rate, latency: model.latency }));
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
