// Recordings: what they look like, and new ones from the microphone.

const COLUMNS = 1600; // of a picture
const LONGEST_DRAWN_S = 1800; // a browser decodes the whole into memory

// {duration, peaks}: the largest sample of every column, 0..1; no peaks where the browser cannot decode it, or it is long.
export async function pictured(file) {
  const duration = await durationOf(file);
  if (duration > LONGEST_DRAWN_S) return { duration, peaks: null };
  const context = new OfflineAudioContext(1, 1, 8000);
  try {
    const sound = await context.decodeAudioData(await file.arrayBuffer());
    return { duration: sound.duration, peaks: peaksOf(sound) };
  } catch {
    return { duration, peaks: null };
  }
}

function durationOf(file) {
  return new Promise((resolve) => {
    const player = new Audio(URL.createObjectURL(file));
    const done = () => {
      URL.revokeObjectURL(player.src);
      resolve(Number.isFinite(player.duration) ? player.duration : 0);
    };
    player.onloadedmetadata = player.onerror = done;
  });
}

function peaksOf(sound) {
  const peaks = new Float32Array(COLUMNS);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    const samples = sound.getChannelData(channel);
    for (let column = 0; column < COLUMNS; column++) {
      const end = Math.ceil(((column + 1) * samples.length) / COLUMNS);
      for (let i = Math.floor((column * samples.length) / COLUMNS); i < end; i++) {
        const size = Math.abs(samples[i]);
        if (size > peaks[column]) peaks[column] = size;
      }
    }
  }
  return peaks;
}

// The microphone as it is: no echo cancelling, no noise suppression, no levelling.
export async function microphone() {
  if (!navigator.mediaDevices) {
    throw new Error("browsers give microphones only to pages of this machine (127.0.0.1) or over https.");
  }
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
  return navigator.mediaDevices.getUserMedia({ audio: plain });
}

export function silence(sound) {
  sound.getTracks().forEach((track) => track.stop());
}

// `heard` gets Float32Arrays of one channel of the microphone; the result is {rate, context, close}.
export async function listen(heard) {
  const sound = await microphone();
  const context = new AudioContext({ latencyHint: "interactive" });
  const close = async () => {
    silence(sound);
    await context.close();
  };
  try {
    await context.audioWorklet.addModule("worklet.js");
    const node = new AudioWorkletNode(context, "ears", { numberOfOutputs: 0 });
    context.createMediaStreamSource(sound).connect(node);
    node.port.onmessage = (message) => heard(message.data);
  } catch (error) {
    await close();
    throw error;
  }
  return { rate: context.sampleRate, context, close };
}

// Records until `stop()`, which gives the file.
export async function recorder(name) {
  const chunks = [];
  const ears = await listen((samples) => chunks.push(samples));
  return {
    async stop() {
      await ears.close();
      return new File([wav(chunks, ears.rate)], name, { type: "audio/wav" });
    },
  };
}

// The content of a WAV file of 16 bits.
export function wav(chunks, rate) {
  const samples = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 2 * samples));
  const words = (at, text) => [...text].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  words(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples, true);
  words(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channel
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  words(36, "data");
  view.setUint32(40, 2 * samples, true);
  let at = 44;
  for (const chunk of chunks) {
    for (const value of chunk) {
      view.setInt16(at, Math.max(-32768, Math.min(32767, Math.round(32768 * value))), true);
      at += 2;
    }
  }
  return view.buffer;
}
