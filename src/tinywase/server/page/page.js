// What the page does: a recording, whose voice, the extraction, listening to it; and live.

import * as api from "./api.js";
import { converse } from "./live.js";
import { Player } from "./player.js";
import { pictured, recorder } from "./sound.js";
import { Wave } from "./wave.js";

const $ = (id) => document.getElementById(id);
const FOUND = { present: "Found", uncertain: "Perhaps found", absent: "Not found" };
const ENROLLED_S = 10; // of speech: samples of that length are recognized more often than of 2 s
let extraction = null; // what ends the one that is going on
const chosen = { mixture: null, enroll: [], voice: null, found: null };

// The recording

const mixtureWave = new Wave($("mixture-wave"), {
  onMark: mark,
  onSeek: (seconds) => ($("mixture-player").currentTime = seconds),
});
$("mixture-player").ontimeupdate = () => {
  mixtureWave.cursor = $("mixture-player").currentTime;
  mixtureWave.draw();
};

async function chooseMixture(file) {
  chosen.mixture = file;
  extraction?.abort(); // its result would stand beside another recording
  forgetResult();
  $("mixture-name").textContent = file.name;
  URL.revokeObjectURL($("mixture-player").src);
  $("mixture-player").src = URL.createObjectURL(file);
  $("mixture-player").hidden = false;
  [mixtureWave.marked, mixtureWave.cursor] = [null, null];
  $("start").value = $("stop").value = "";
  $("mixture-wave").hidden = true;
  forgetFound();
  const picture = await pictured(file);
  if (chosen.mixture !== file) return;
  mixtureWave.duration = picture.duration;
  mixtureWave.layers = picture.peaks ? [{ peaks: picture.peaks, color: "--crowd" }] : [];
  $("mixture-wave").hidden = !picture.peaks;
  $("start").max = $("stop").max = picture.duration || "";
  mixtureWave.draw();
}

// Whose voice

function mark([start, stop]) {
  $("start").value = start.toFixed(1);
  $("stop").value = stop.toFixed(1);
  marked();
}

function marked() {
  const [start, stop] = [Number($("start").value), Number($("stop").value)];
  mixtureWave.marked = stop > start ? [start, stop] : null;
  mixtureWave.draw();
  choose("part");
}

function chooseEnroll(files) {
  chosen.enroll = files;
  $("enroll-name").textContent = files.map((file) => file.name).join(", ");
  choose("sample");
}

function chooseVoice(file) {
  chosen.voice = file;
  $("voice-name").textContent = file.name;
  choose("voice");
}

function choose(way) {
  document.querySelector(`input[name="whose"][value="${way}"]`).checked = true;
  ready();
}

const way = () => document.querySelector('input[name="whose"]:checked').value;

// What says whose voice, in a form; null where that is not known yet.
function whose(form, recording) {
  if (way() === "sample" && chosen.enroll.length) chosen.enroll.forEach((file) => form.append(recording, file));
  else if (way() === "voice" && chosen.voice) form.append("voice", chosen.voice);
  else if (way() === "part" && mixtureWave.marked && chosen.mixture) part(form, mixtureWave.marked);
  else if (way() === "found" && chosen.found) {
    if (recording === "audio") part(form, chosen.found.sample_s); // another model enrolls it anew
    else form.append("voice", new File([JSON.stringify(chosen.found.voice)], "found.voice"));
  } else return null;
  return form;
}

function part(form, [start, stop]) {
  form.append("start_s", start);
  form.append("stop_s", stop);
}

function ready() {
  $("find").disabled = !chosen.mixture;
  $("extract").disabled = !extraction && (!chosen.mixture || !whose(new FormData(), "enroll"));
  going($("extract"), extraction ? "Stop" : "Extract the voice", Boolean(extraction));
}

// The voices in the recording

async function find() {
  const { mixture } = chosen;
  const form = new FormData();
  form.append("mixture", mixture);
  form.append("model", $("model").value);
  $("find").disabled = true;
  say("Listening …", false, "find-status");
  try {
    const found = await api.voices(form);
    if (chosen.mixture !== mixture) return;
    $("found").replaceChildren(...found.map(offered));
    say(found.length ? "" : "No voice that speaks for four seconds or more.", false, "find-status");
    if (found.length) $("found").querySelector("input").click();
  } catch (error) {
    say(error.message, true, "find-status");
  } finally {
    ready();
  }
}

function offered(found, number) {
  const item = document.createElement("li");
  const label = document.createElement("label");
  const radio = Object.assign(document.createElement("input"), { type: "radio", name: "found" });
  const words = `Voice ${number + 1}, speaks for ${Math.round(found.spoken_s)} s`;
  radio.onchange = () => {
    chosen.found = found;
    mixtureWave.segments = found.segments_s;
    mixtureWave.draw();
    choose("found");
  };
  label.append(radio, ` ${words}`);
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Hear it" });
  button.setAttribute("aria-label", `Hear voice ${number + 1}`);
  button.onclick = () => playPart(found.sample_s);
  item.append(label, button);
  return item;
}

function playPart([start, stop]) {
  const player = $("mixture-player");
  player.currentTime = start;
  player.play();
  const ended = () => {
    if (player.currentTime < stop && !player.paused) return;
    player.pause();
    player.removeEventListener("timeupdate", ended);
  };
  player.addEventListener("timeupdate", ended);
}

function forgetFound() {
  chosen.found = null;
  mixtureWave.segments = [];
  mixtureWave.draw();
  $("found").replaceChildren();
  say("listen to a sample of each, and choose", false, "find-status");
  ready();
}

// Extraction

async function extract() {
  if (extraction) {
    extraction.abort();
    return;
  }
  const { mixture } = chosen;
  const form = whose(new FormData(), "enroll");
  form.append("mixture", mixture);
  form.append("model", $("model").value);
  form.append("highband", $("highband").checked);
  if ($("others").value) form.append("keep_others_db", $("others").value);
  extraction = new AbortController();
  ready();
  say("Extracting …");
  try {
    const parts = await api.extract(form, {
      signal: extraction.signal,
      onProgress: (done) => extraction && say(`Extracting … ${Math.round(100 * done)} %`),
    });
    await show(mixture, parts);
    say("");
  } catch (error) {
    say(error.name === "AbortError" ? "" : error.message, error.name !== "AbortError");
  } finally {
    extraction = null;
    ready();
  }
}

function say(words, wrong = false, where = "status") {
  $(where).textContent = words;
  $(where).classList.toggle("wrong", wrong);
}

// The result

const resultWave = new Wave($("result-wave"), { onSeek: (seconds) => player.seek(seconds) });
const player = new Player((seconds, playing) => {
  $("play").textContent = playing ? "Pause" : "Play";
  $("time").textContent = `${clock(seconds)} of ${clock(resultWave.duration)}`;
  resultWave.cursor = seconds;
  resultWave.draw();
});
const clock = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;

async function show(mixture, { report, voice, estimate, residual }) {
  const sure = report.confidence === null ? "" : `, confidence ${report.confidence.toFixed(2)}`;
  $("verdict").textContent =
    `${FOUND[report.presence]}: the voice speaks for ${report.active_s.toFixed(1)} of ` +
    `${report.duration_s.toFixed(1)} s${sure}. ${report.took_s.toFixed(1)} s of computing.`;
  $("advice").textContent = advice(report);
  $("notes").replaceChildren(...report.enrollment_notes.map(noted));
  for (const [name, file] of Object.entries({ estimate, residual, voice })) {
    const link = $(`save-${name}`);
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(file);
    link.download = decodeURIComponent(file.name);
  }
  $("result").hidden = false;
  const pictures = await Promise.all([mixture, estimate].map(pictured));
  resultWave.duration = report.duration_s;
  resultWave.layers = pictures
    .map(({ peaks }, i) => ({ peaks, color: i ? "--voice" : "--crowd" }))
    .filter(({ peaks }) => peaks);
  $("result-wave").hidden = !resultWave.layers.length;
  resultWave.segments = report.segments_s;
  document.querySelector('input[name="track"][value="estimate"]').checked = true;
  player.load({ mixture, estimate, residual }, "estimate");
  $("result").scrollIntoView({ behavior: "smooth", block: "nearest" });
}

// What to do where the voice was compared and not clearly found; "" otherwise.
function advice({ silent, confidence, presence, enrollment_s }) {
  if (silent || confidence === null || presence === "present") return "";
  if (presence === "absent") return "What you hear is probably somebody else.";
  const more = enrollment_s < ENROLLED_S ? `, or give a longer sample: ${ENROLLED_S} s tell more than 2 s` : "";
  return `The model cannot tell: listen to it${more}.`;
}

function noted(words) {
  const item = document.createElement("li");
  item.textContent = `About the sample: ${words}.`;
  return item;
}

function forgetResult() {
  player.unload();
  $("result").hidden = true;
  say("");
}

// Live

const DELAYS_S = [0.5, 1]; // that an offline model may wait

let conversation = null;

async function live() {
  if (conversation) {
    conversation.stop();
    return;
  }
  const how = JSON.parse($("live-how").value);
  const form = whose(new FormData(), "audio");
  $("live-start").disabled = true;
  try {
    if (!form) throw new Error("Whose voice? Choose it under 2.");
    const voice = form.has("voice") ? JSON.parse(await form.get("voice").text()) : await enrolled(form, how.model);
    conversation = await converse(voice, how, {
      onActivity: (activity) => ($("live-activity").value = activity),
      onEnd: (wrong) => {
        conversation = null;
        going($("live-start"), "Start");
        $("live-activity").value = 0;
        say(wrong ?? "", Boolean(wrong), "live-status");
      },
    });
    going($("live-start"), "Stop", true);
    say(`${Math.round(1000 * conversation.delay_s)} ms behind, and what your devices add.`, false, "live-status");
  } catch (error) {
    say(error.message, true, "live-status");
  } finally {
    $("live-start").disabled = false;
  }
}

// A causal model as it is, an offline one that waits: {words, model, delay_s} of each.
function waysToListen(models) {
  const causal = models.find((model) => model.causal);
  const offline = models.find((model) => !model.causal);
  return [
    ...(causal ? [{ words: `at once (${causal.name})`, model: causal.name }] : []),
    ...(offline ? DELAYS_S.map((delay_s) => ({ words: `${delay_s} s later, better (${offline.name})`, model: offline.name, delay_s })) : []),
  ];
}

async function enrolled(form, model) {
  if (form.has("start_s")) form.append("audio", chosen.mixture);
  form.append("model", model);
  return api.enroll(form);
}

function going(button, words, on = false) {
  button.textContent = words;
  button.classList.toggle("going", on);
}

// Wires

function recordButton(button, name, take) {
  let recording = null;
  button.onclick = async () => {
    button.disabled = true; // while permission is asked for
    try {
      if (!recording) {
        recording = await recorder(name);
        going(button, "Stop", true);
        return;
      }
      const file = await recording.stop();
      recording = null;
      going(button, "Record");
      take(file);
    } catch (error) {
      recording = null;
      going(button, "Record");
      say(`The microphone cannot be used: ${error.message}`, true);
    } finally {
      button.disabled = false;
    }
  };
}

function dropped(section, take) {
  section.ondragover = (event) => {
    event.preventDefault();
    section.classList.add("over");
  };
  section.ondragleave = () => section.classList.remove("over");
  section.ondrop = (event) => {
    event.preventDefault();
    section.classList.remove("over");
    if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
  };
}

async function trySample() {
  const [mixture, sample] = await Promise.all(["mixture.flac", "enrollment.flac"].map(async (name) => {
    const answer = await fetch(`/demo/${name}`);
    return new File([await answer.blob()], name, { type: "audio/flac" });
  }));
  chooseEnroll([sample]);
  await chooseMixture(mixture);
}

async function begin() {
  if (!["localhost", "127.0.0.1", "[::1]"].includes(location.hostname)) $("where").textContent = location.host;
  const listed = await api.models();
  for (const { name, purpose } of listed) $("model").add(Object.assign(new Option(name), { title: purpose ?? "" }));
  for (const { words, ...how } of waysToListen(listed)) $("live-how").add(new Option(words, JSON.stringify(how)));
  $("live").hidden = !$("live-how").length;
}

$("mixture").onchange = ({ target }) => target.files.length && chooseMixture(target.files[0]);
$("enroll").onchange = ({ target }) => target.files.length && chooseEnroll([...target.files]);
$("voice").onchange = ({ target }) => target.files.length && chooseVoice(target.files[0]);
$("start").oninput = $("stop").oninput = marked;
document.querySelectorAll('input[name="whose"]').forEach((radio) => (radio.onchange = ready));
document.querySelectorAll('input[name="track"]').forEach((radio) => (radio.onchange = () => player.choose(radio.value)));
recordButton($("record-mixture"), "recording.wav", chooseMixture);
recordButton($("record-enroll"), "sample.wav", (file) => chooseEnroll([file]));
dropped($("recording"), ([file]) => chooseMixture(file));
dropped($("whose"), (files) => (files[0].name.endsWith(".voice") ? chooseVoice(files[0]) : chooseEnroll(files)));
$("sample").onclick = () => trySample().catch((error) => say(error.message, true));
$("extract").onclick = extract;
$("find").onclick = find;
$("model").onchange = forgetFound;
$("play").onclick = () => player.toggle();
$("live-start").onclick = live;
begin().catch((error) => say(error.message, true));
