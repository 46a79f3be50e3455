// The microphone through the service's WebSocket to the headphones.

import { listen } from "./sound.js";

const LEAD_S = 0.12; // gathered before it is played: what the network and the page may dawdle
const MOST_S = 0.5; // behind that the rest is dropped

// `voice` is the content of a .voice file; onActivity(0..1), onEnd(words or null). Gives {delay_s, stop}.
export async function converse(voice, model, { onActivity, onEnd }) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/api/live`);
  socket.binaryType = "arraybuffer";
  let ears = null;
  let mouth = null;
  let wrong = null;
  const ended = () => {
    ears?.close();
    onEnd(wrong);
  };
  const opened = new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onclose = () => reject(new Error("the service does not answer."));
  });
  await opened;
  const answered = new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) {
        mouth?.port.postMessage(new Float32Array(data));
        return;
      }
      const told = JSON.parse(data);
      if ("error" in told) {
        wrong = told.error;
        reject(new Error(told.error));
      } else if ("latency_s" in told) resolve(told.latency_s);
      else onActivity(told.activity);
    };
    socket.onclose = () => {
      reject(new Error(wrong ?? "the service ended the conversation."));
      if (mouth) ended();
    };
  });
  ears = await listen((samples) => {
    if (mouth && socket.readyState === WebSocket.OPEN) socket.send(samples);
  });
  try {
    socket.send(JSON.stringify({ sample_rate_hz: ears.rate, voice, model }));
    const latency_s = await answered;
    const samples = (seconds) => Math.round(seconds * ears.rate);
    mouth = new AudioWorkletNode(ears.context, "mouth", {
      numberOfInputs: 0,
      outputChannelCount: [1],
      processorOptions: { lead: samples(LEAD_S), most: samples(MOST_S) },
    });
    mouth.connect(ears.context.destination);
    return { delay_s: latency_s + LEAD_S, stop: () => socket.close() };
  } catch (error) {
    await ears.close();
    socket.close();
    throw error;
  }
}
