// Enhances photos with a Remaster service, by fetch (Node 18 or newer, Deno, Bun).
//
//     node client.mjs http://127.0.0.1:8000 photo.jpg another.jpg

import { createHash, randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// Sends a request, and again when the service has no room or the connection is cut.
async function send(url, request = {}) {
  for (let attempt = 0; attempt < 10; attempt += 1) {
    let response;
    try {
      response = await fetch(url, { ...request, signal: AbortSignal.timeout(90_000) });
    } catch {
      await pause(Math.min(2 ** attempt, 30));
      continue;
    }
    if (response.status === 429 || response.status === 503) {
      await pause(Number(response.headers.get("Retry-After") ?? 5));
      continue;
    }
    if (!response.ok) throw new Error((await response.json()).detail);
    return response;
  }
  throw new Error(`${url} does not answer`);
}

// Posts photos as a form. The key makes it safe to send the request again: it is charged once.
async function post(url, paths, options) {
  const body = new FormData();
  for (const [name, value] of Object.entries(options)) body.append(name, String(value));
  for (const path of paths) body.append("file", new Blob([await readFile(path)]), basename(path));
  const headers = { "Idempotency-Key": randomUUID() };
  return (await send(url, { method: "POST", headers, body })).json();
}

// Waits until the job or batch at this URL has ended.
async function ended(url, states) {
  for (;;) {
    const state = await (await send(`${url}?wait=30`)).json();
    if (states.includes(state.status)) return state;
  }
}

// Saves the result of a job, and checks that it arrived whole.
async function download(job, path) {
  const png = Buffer.from(await (await send(job.result.url)).arrayBuffer());
  if (createHash("sha256").update(png).digest("hex") !== job.result.sha256) throw new Error("the download is damaged");
  await writeFile(path, png);
}

const [server, ...photos] = process.argv.slice(2);

let job = await post(`${server}/jobs`, photos.slice(0, 1), { scale: 2 });
job = await ended(job.urls.self, ["succeeded", "failed", "canceled", "expired"]);
if (job.status !== "succeeded") throw new Error(job.error.message);
await download(job, "result.png");
console.log(`result.png: ${job.result.width}x${job.result.height}`);

let batch = await post(`${server}/batches`, photos, { scale: 2 });
batch = await ended(batch.urls.self, ["finished"]);
await writeFile("results.zip", Buffer.from(await (await send(batch.urls.results)).arrayBuffer()));
console.log(`results.zip: ${batch.counts.succeeded} of ${photos.length}`);
