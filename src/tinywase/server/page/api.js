// The service's addresses; what is wrong comes as an Error with the service's own words.

export async function models() {
  return (await asked("/api/models")).json();
}

export async function enroll(form) {
  return (await asked("/api/enroll", { method: "POST", body: form })).json();
}

// [{voice, spoken_s, segments_s, sample_s, notes}], who speaks most first.
export async function voices(form) {
  return (await asked("/api/voices", { method: "POST", body: form })).json();
}

// {report, voice, estimate, residual}: the first an object, the others files. `onProgress` hears 0..1 now and then;
// aborting `signal` ends it, here and there.
export async function extract(form, { signal, onProgress }) {
  const job = crypto.getRandomValues(new Uint32Array(4)).join("-"); // randomUUID is for https and this machine alone
  const headers = { Accept: "multipart/form-data", "Tinywase-Job": job };
  const looking = setInterval(async () => {
    const told = await fetch(`/api/progress/${job}`).catch(() => null);
    if (told?.ok) onProgress(await told.json());
  }, 500);
  try {
    return await partsOf(await asked("/api/extract", { method: "POST", body: form, headers, signal }));
  } finally {
    clearInterval(looking);
  }
}

async function partsOf(answer) {
  const parts = Object.fromEntries(await answer.formData());
  parts.report = JSON.parse(typeof parts.report === "string" ? parts.report : await parts.report.text());
  return parts;
}

async function asked(address, options) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("the service does not answer. Is tinywase serve still running?");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => null);
  throw new Error(told?.error ?? `the service failed (${answer.status} ${answer.statusText}).`);
}
