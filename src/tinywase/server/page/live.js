// The microphone through the service's WebSocket to the headphones.

import { listen } from "./sound.js";

const LEAD_S = 0.12; // gathered before it is played: what the network and the page may dawdle
const MOST_S = 0.4; // more than that behind, the rest is dropped

// `voice` is the content of a .voice file, `how` {model, delay_s}; onActivity(0..1), onEnd(words or null). Gives
// {delay_s, stop}.
export async function converse(voice, how, { onActivity, onEnd }) {
  let mouth = null;
  const ears = await listen((samples) => {
    if (mouth && socket.readyState === WebSocket.OPEN) socket.send(samples);
  });
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/api/live`);
  socket.binaryType = "arraybuffer";
  try {
    const { latency_s, step_s } = await begun(socket, { sample_rate_hz: ears.rate, voice, ...how });
    const lead_s = LEAD_S + step_s; // nothing comes while a step is computed
    const samples = (seconds) => Math.round(seconds * ears.rate);
    mouth = new AudioWorkletNode(ears.context, "mouth", {
      numberOfInputs: 0,
      outputChannelCount: [1],
      processorOptions: { lead: samples(lead_s), most: samples(lead_s + MOST_S) },
    });
    mouth.connect(ears.context.destination);
    let wrong = null;
    socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) {
        mouth.port.postMessage(new Float32Array(data));
        return;
      }
      const told = JSON.parse(data);
      if ("error" in told) wrong = told.error;
      else onActivity(told.activity);
    };
    socket.onclose = async () => {
      await ears.close();
      onEnd(wrong);
    };
    return { delay_s: latency_s + lead_s, stop: () => socket.close() };
  } catch (error) {
    socket.close();
    await ears.close();
    throw error;
  }
}

// What the service answers: {latency_s, step_s, model}.
function begun(socket, hello) {
  return new Promise((resolve, reject) => {
    socket.onopen = () => socket.send(JSON.stringify(hello));
    socket.onclose = () => reject(new Error("the service does not answer."));
    socket.onmessage = ({ data }) => {
      const told = JSON.parse(data);
      if ("error" in told) reject(new Error(told.error));
      else resolve(told);
    };
  });
}
