// Sending entries: one request each, repeated with the same key until the service has answered, so that it is paid once.

import { upload } from "./client.js";
import * as originals from "./originals.js";
import { Problem } from "./problems.js";

/** Seconds between attempts where the service names none. */
const PAUSES = [1, 2, 4, 8, 15, 30];

/** Sends entries, one after the other, so that each has the line to itself. */
export class Sender extends EventTarget {
  #entries;
  #turn = Promise.resolve();
  #aborts = new Map();
  /** Key of an entry to what is known of its upload: `{ sent, again }`, a fraction and when it is tried again. */
  #uploads = new Map();

  constructor(entries) {
    super();
    this.#entries = entries;
  }

  /** How far the upload of an entry is. */
  upload(key) {
    return this.#uploads.get(key) ?? { sent: 0, again: null };
  }

  /** Sends the entry when those before it are sent. */
  send(entry) {
    if (this.#aborts.has(entry.key)) return;
    const abort = new AbortController();
    this.#aborts.set(entry.key, abort);
    this.#entries.put(entry, { phase: "sending", problem: null });
    this.#turn = this.#turn.then(() => alone(entry.key, () => this.#sendNow(entry, abort.signal)))
      .catch(() => {})
      .finally(() => {
        this.#aborts.delete(entry.key);
        this.#uploads.delete(entry.key);
      });
  }

  /** Gives the upload of an entry up. */
  abort(key) {
    this.#aborts.get(key)?.abort();
  }

  async #sendNow(entry, signal) {
    const form = await formOf(entry);
    if (!form) return this.#refuse(entry, new Problem("interrupted"));
    const path = entry.kind === "job" ? "jobs" : "batches";
    for (let attempt = 0; !signal.aborted; attempt++) {
      this.#note(entry, { sent: 0, again: null });
      try {
        const onprogress = (sent) => this.#note(entry, { sent, again: null });
        const view = await upload(path, form, { key: entry.key, onprogress, signal });
        this.#entries.see(entry, view);
        this.dispatchEvent(new Event("answer"));
        return;
      } catch (problem) {
        if (!(problem instanceof Problem)) return;
        if (!problem.isPassing || attempt >= PAUSES.length) {
          this.dispatchEvent(new Event("answer"));
          return this.#refuse(entry, problem);
        }
        const seconds = Math.min(problem.retryAfter ?? PAUSES[attempt], 60);
        this.#note(entry, { sent: 0, again: Date.now() + seconds * 1000 });
        await pause(seconds, signal);
      }
    }
  }

  #refuse(entry, { code, status, detail, requestId }) {
    if (this.#entries.get(entry.key)) this.#entries.put(entry, { phase: "refused", problem: { code, status, detail, requestId } });
  }

  #note(entry, upload) {
    this.#uploads.set(entry.key, upload);
    this.dispatchEvent(new CustomEvent("progress", { detail: entry.key }));
  }
}

/** The form of an entry; null when this browser no longer has all of its photos. */
async function formOf({ key, names, options }) {
  const form = new FormData();
  for (const [name, value] of Object.entries(options)) form.append(name, value);
  for (const [index, name] of names.entries()) {
    const photo = await originals.find(key, index);
    if (!photo) return null;
    form.append("file", photo.file, name);
  }
  return form;
}

/** Runs `work` unless another tab is at the same entry. */
function alone(key, work) {
  if (!navigator.locks) return work();
  return navigator.locks.request(`remaster-${key}`, { ifAvailable: true }, (lock) => lock && work());
}

/** Waits, but no longer than until the browser is online again or the upload is given up. */
function pause(seconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, seconds * 1000);
    function done() {
      clearTimeout(timer);
      removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      resolve();
    }
    addEventListener("online", done);
    signal.addEventListener("abort", done);
  });
}
