// The page: a voice is enrolled once; recordings are extracted from as a whole, the microphone while it runs.

import { microphone, silence, wav } from "./sound.js";
import { Runtime } from "./tinywase.mjs";

const RATE = 8000; // of the bundled models; browsers resample to it and from it
const RECORDED_S = 5;
const WHOLE_S = 600; // takes 300 MB; longer recordings go through the causal model, which needs no more for them

const $ = (id) => document.getElementById(id);
const bytes = async (path) => {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${answer.statusText}`);
  return new Uint8Array(await answer.arrayBuffer());
};

const module = await WebAssembly.compile(await bytes("tinywase.wasm"));
const runtime = await Runtime.load(module);
const file = await bytes("live.twase");
const [whole, causal] = [runtime.open(await bytes("small.twase")), runtime.open(file)]; // one voiceprint is for both
let voiceprint = null;

// Says in `place` what `work` gives, or what went wrong.
async function told(place, work) {
  $(place).className = "";
  $(place).textContent = "…";
  await new Promise((drawn) => setTimeout(drawn, 30));
  try {
    $(place).textContent = await work();
  } catch (error) {
    $(place).className = "wrong";
    $(place).textContent = error.message;
  }
}

// A file of any kind the browser knows -> mono samples at RATE.
async function samplesOf(recording) {
  let sound;
  try {
    sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await recording.arrayBuffer());
  } catch {
    throw new Error(`${recording.name}: this browser cannot decode it. Try WAV, MP3 or FLAC.`);
  }
  const channels = Array.from({ length: sound.numberOfChannels }, (_, channel) => sound.getChannelData(channel));
  return channels[0].map((_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length);
}

async function recorded(seconds) {
  const sound = await microphone();
  const recorder = new MediaRecorder(sound);
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.start();
  await new Promise((done) => setTimeout(done, 1000 * seconds));
  await new Promise((done) => {
    recorder.onstop = done;
    recorder.stop();
  });
  silence(sound);
  return new File(parts, "your recording");
}

function enroll(recording) {
  return told("enrolled", async () => {
    voiceprint = causal.enroll(await samplesOf(await recording()));
    $("mixture").disabled = $("live").disabled = false;
    return "Enrolled.";
  });
}

function offer(player, samples) {
  URL.revokeObjectURL($(player).src);
  $(player).src = URL.createObjectURL(new Blob([wav([samples], RATE)], { type: "audio/wav" }));
}

$("voice").onchange = () => $("voice").files.length && enroll(() => $("voice").files[0]);
$("record").onclick = () => enroll(() => recorded(RECORDED_S));

$("mixture").onchange = () =>
  $("mixture").files.length &&
  told("extracted", async () => {
    const mixture = await samplesOf($("mixture").files[0]);
    const begin = performance.now();
    let estimate;
    if (mixture.length <= WHOLE_S * RATE) {
      estimate = whole.extract(mixture, voiceprint);
    } else {
      const stream = causal.stream(voiceprint);
      estimate = new Float32Array(mixture.length);
      const head = stream.process(mixture);
      estimate.set(head);
      estimate.set(stream.flush(), head.length);
      stream.close();
    }
    const [heard_s, took_s] = [mixture.length / RATE, (performance.now() - begin) / 1000];
    offer("before", mixture);
    offer("after", estimate);
    return `${heard_s.toFixed(1)} s in ${took_s.toFixed(2)} s`;
  });

// The microphone through the causal model to the loudspeaker; gives what ends it.
async function listen() {
  const sound = await microphone();
  const context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
  const stop = async () => {
    silence(sound);
    await context.close();
  };
  try {
    await context.audioWorklet.addModule("worklet.mjs");
    const node = new AudioWorkletNode(context, "voice", {
      outputChannelCount: [1],
      channelCount: 1,
      channelCountMode: "explicit", // a microphone in stereo is mixed down
      processorOptions: { module, file, voiceprint },
    });
    node.onprocessorerror = () => ($("listening").textContent = "the stream stopped: load the page again");
    node.port.onmessage = ({ data }) => ($("activity").value = data);
    context.createMediaStreamSource(sound).connect(node).connect(context.destination);
  } catch (error) {
    await stop();
    throw error;
  }
  return stop;
}

let stop = null;
$("live").onclick = () =>
  told("listening", async () => {
    if (stop) await stop();
    stop = stop ? null : await listen();
    $("live").textContent = stop ? "Stop" : "Listen";
    return stop ? `${Math.round((1000 * causal.latency) / RATE)} ms behind, and what the sound card takes` : "";
  });

window.ready = true; // the models are open, every button does what it says
