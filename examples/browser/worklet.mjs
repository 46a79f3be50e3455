// Beside the page, in the browser's audio thread: the microphone in, one voice out.

import { Runtime } from "./tinywase.mjs";

class Voice extends AudioWorkletProcessor {
  #stream;
  #ready = []; // samples that the stream has completed, in pieces
  #samples = 0;

  constructor({ processorOptions: { module, file, voiceprint } }) {
    super();
    this.#stream = Runtime.loadNow(module).open(file).stream(voiceprint);
  }

  process([input], [[output]]) {
    const heard = this.#stream.process(input[0] ?? new Float32Array(output.length)); // a muted microphone has no channel
    this.#ready.push(heard);
    this.#samples += heard.length;
    if (this.#samples >= output.length) this.#give(output); // before that, while the delay lasts: silence
    this.port.postMessage(this.#stream.activity);
    return true;
  }

  #give(output) {
    for (let filled = 0; filled < output.length; ) {
      const part = this.#ready[0].subarray(0, output.length - filled);
      output.set(part, filled);
      filled += part.length;
      this.#ready[0] = this.#ready[0].subarray(part.length);
      if (!this.#ready[0].length) this.#ready.shift();
    }
    this.#samples -= output.length;
  }
}

registerProcessor("voice", Voice);
