// What this browser has sent, one entry for each submit, in localStorage: other tabs and later visits see the same.

import * as originals from "./originals.js";

const PREFIX = "remaster.entry.";
const DAY = 24 * 3600 * 1000;

/**
 * An entry is `{ key, kind, created, names, options, phase, id, view, problem }`. `key` is its own name here and the
 * request's `Idempotency-Key`. `kind` is "job" (one photo) or "batch". `phase` is "sending", "refused" (see `problem`), "open" or
 * "over". `id` and `view` are what the service answered: a job or a batch as the API shows it, without what the page
 * does not show.
 */
export function newEntry(names, options) {
  const random = crypto.getRandomValues(new Uint8Array(16));
  const key = [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const kind = names.length === 1 ? "job" : "batch";
  return { key, kind, created: Date.now(), names, options, phase: "sending", id: null, view: null, problem: null };
}

/** The path of an entry that the service has accepted. */
export const pathOf = ({ kind, id }) => `${kind === "job" ? "jobs" : "batches"}/${id}`;

/** The jobs of an entry. Before the service has answered there are none. */
export const jobsOf = ({ kind, view }) => (!view ? [] : kind === "job" ? [view] : view.jobs);

/** What is kept of a JobView. */
function pick({ id, status, progress, queue, input, params, result, error, expires_at }) {
  const { width, height, bytes, faces } = result ?? {};
  return { id, status, progress, queue, input, params, error, expires_at, result: result && { width, height, bytes, faces } };
}

function pickBatch({ id, status, progress, total, counts, jobs, expires_at }) {
  return { id, status, progress, total, counts, expires_at, jobs: jobs.map(pick) };
}

const isOver = ({ kind, view }) =>
  kind === "job" ? !["queued", "processing"].includes(view.status) : view.status !== "open";

/** All entries. Fires `change` with the key in `detail` whenever one is new, different or gone. */
export class Entries extends EventTarget {
  #all = new Map();

  constructor() {
    super();
    for (const name of this.#stored()) this.#load(name);
    const now = Date.now();
    for (const entry of this.list()) if (this.isExpired(entry, now)) this.remove(entry.key);
    originals.forgetAllBut(new Set(this.#all.keys()));
    addEventListener("storage", ({ key }) => {
      if (!key?.startsWith(PREFIX)) return;
      this.#all.delete(key.slice(PREFIX.length));
      this.#load(key);
      this.#tell(key.slice(PREFIX.length));
    });
  }

  /** Newest first. */
  list() {
    return [...this.#all.values()].sort((a, b) => b.created - a.created);
  }

  get(key) {
    return this.#all.get(key) ?? null;
  }

  /** Whether there is nothing left on the service to show of it. */
  isExpired({ phase, created, view }, now = Date.now()) {
    if (phase === "sending" || phase === "open") return false;
    return view?.expires_at ? new Date(view.expires_at) <= now : created + DAY < now;
  }

  /** Adds an entry, or changes parts of one. */
  put(entry, changes = {}) {
    Object.assign(entry, changes);
    this.#all.set(entry.key, entry);
    try {
      localStorage.setItem(PREFIX + entry.key, JSON.stringify(entry));
    } catch {
      // A browser that keeps nothing still shows it until the page is closed.
    }
    this.#tell(entry.key);
  }

  /** Takes a JobView or a BatchView for the state of the entry. */
  see(entry, view) {
    if (!this.#all.has(entry.key)) return;
    const seen = entry.kind === "job" ? pick(view) : pickBatch(view);
    // The events of a job do not say how its place in line changes; the last one known is better than none.
    if (entry.kind === "job" && seen.status === "queued") seen.queue ??= entry.view?.queue;
    this.put(entry, { id: view.id, view: seen, problem: null, phase: isOver({ ...entry, view: seen }) ? "over" : "open" });
  }

  /** Takes a JobView for the state of one job of a batch. */
  seeJob(entry, job) {
    const index = entry.view.jobs.findIndex(({ id }) => id === job.id);
    if (index < 0) return;
    entry.view.jobs[index] = pick(job);
    this.put(entry);
  }

  /** Takes a batch's counts and progress. */
  seeProgress(entry, { status, counts, progress }) {
    Object.assign(entry.view, { status, counts, progress });
    this.put(entry);
  }

  /** Forgets an entry and its photos. */
  remove(key) {
    this.#all.delete(key);
    try {
      localStorage.removeItem(PREFIX + key);
    } catch {
      // It was not kept either.
    }
    originals.forget(key);
    this.#tell(key);
  }

  #stored() {
    try {
      return Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
    } catch {
      return [];
    }
  }

  #load(name) {
    try {
      const entry = JSON.parse(localStorage.getItem(name));
      if (entry?.key && Array.isArray(entry.names)) this.#all.set(entry.key, entry);
    } catch {
      // What cannot be read is as good as not there.
    }
  }

  #tell(key) {
    this.dispatchEvent(new CustomEvent("change", { detail: key }));
  }
}
