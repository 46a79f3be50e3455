// Beside the page, in the browser's audio thread: ears that post what they hear, and a mouth that plays what it is given.

const CHUNK = 1024; // samples in a message

class Ears extends AudioWorkletProcessor {
  #chunk = new Float32Array(CHUNK);
  #filled = 0;

  process([input]) {
    const samples = input[0] ?? new Float32Array(128); // a muted microphone has no channel
    this.#chunk.set(samples, this.#filled);
    this.#filled += samples.length;
    if (this.#filled >= CHUNK) {
      this.port.postMessage(this.#chunk, [this.#chunk.buffer]);
      this.#chunk = new Float32Array(CHUNK);
      this.#filled = 0;
    }
    return true;
  }
}

class Mouth extends AudioWorkletProcessor {
  #waiting = [];
  #at = 0; // in the first of them
  #samples = 0;
  #speaking = false;

  constructor({ processorOptions }) {
    super();
    const { lead, most } = processorOptions; // samples to gather before speaking, and at most
    this.port.onmessage = ({ data }) => {
      this.#waiting.push(data);
      this.#samples += data.length;
      while (this.#samples > most) this.#drop();
      this.#speaking ||= this.#samples >= lead;
    };
  }

  #drop() {
    this.#samples -= this.#waiting[0].length - this.#at;
    this.#waiting.shift();
    this.#at = 0;
  }

  process(_, [[output]]) {
    for (let filled = 0; this.#speaking && filled < output.length; ) {
      if (!this.#waiting.length) {
        this.#speaking = false; // gather again
        break;
      }
      const part = this.#waiting[0].subarray(this.#at, this.#at + output.length - filled);
      output.set(part, filled);
      filled += part.length;
      this.#at += part.length;
      this.#samples -= part.length;
      if (this.#at === this.#waiting[0].length) {
        this.#waiting.shift();
        this.#at = 0;
      }
    }
    return true;
  }
}

registerProcessor("ears", Ears);
registerProcessor("mouth", Mouth);
