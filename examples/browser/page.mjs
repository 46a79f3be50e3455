// The page: a voice is enrolled once; recordings are extracted from as a whole, the microphone while it runs.

import { microphone, silence, wav } from "./sound.js";
import { Runtime, joined } from "./tinywase.mjs";

const RATE = 8000; // of the bundled models; browsers resample to it and from it
const RECORDED_S = 5;
const WHOLE_S = 600; // takes 300 MB; longer recordings go through the causal model, which needs no more for them

const $ = (id) => document.getElementById(id);
let module, file, whole, causal; // the runtime, the causal model's bytes, the models
let voiceprint = null; // for both models

async function bytes(path) {
  const answer = await fetch(path).catch(() => {
    throw new Error(`${path}: no answer`);
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${answer.statusText}`);
  return new Uint8Array(await answer.arrayBuffer());
}

async function load() {
  module = await WebAssembly.compile(await bytes("tinywase.wasm"));
  file = await bytes("live.twase");
  const runtime = await Runtime.load(module);
  [whole, causal] = [runtime.open(await bytes("small.twase")), runtime.open(file)];
}

function say(place, words, wrong = false) {
  $(place).textContent = words;
  $(place).className = wrong ? "wrong" : "";
}

// Says in `place` what `work` gives, or what went wrong. Meanwhile no control does anything: one work at a time.
async function told(place, work) {
  const focused = document.activeElement;
  $("controls").disabled = true;
  say(place, "…");
  await new Promise((drawn) => setTimeout(drawn, 30));
  try {
    say(place, await work());
  } catch (error) {
    say(place, error.message, true);
  } finally {
    $("controls").disabled = false;
    focused.focus({ preventScroll: true }); // which being disabled took away
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
  try {
    const recorder = new MediaRecorder(sound);
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    const stopped = new Promise((done) => (recorder.onstop = done)); // by itself when the microphone goes away
    recorder.start();
    await Promise.race([stopped, new Promise((done) => setTimeout(done, 1000 * seconds))]);
    if (recorder.state === "inactive") throw new Error("The microphone went away: record again.");
    recorder.stop();
    await stopped;
    return new File(parts, "your recording");
  } finally {
    silence(sound);
  }
}

function enroll(recording) {
  return told("enrolled", async () => {
    voiceprint = causal.enroll(await samplesOf(await recording()));
    $("mixture").disabled = $("live").disabled = false;
    return "Enrolled.";
  });
}

function streamed(mixture) {
  const stream = causal.stream(voiceprint);
  try {
    return joined([stream.process(mixture), stream.flush()]);
  } finally {
    stream.close();
  }
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
    const estimate = mixture.length <= WHOLE_S * RATE ? whole.extract(mixture, voiceprint) : streamed(mixture);
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
    node.onprocessorerror = () => say("listening", "The stream stopped: load this page again.", true);
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

try {
  await load();
  say("loading", "");
  $("controls").disabled = false;
} catch (error) {
  say("loading", `Load this page again. ${error.message}`, true);
}
