// Following what is at work: by Server-Sent Events, and by asking where those do not get through.
//
// A browser opens six connections to a host, over all its tabs. So only a few entries are streamed, only while the page is
// visible, and the others are asked after now and then.

import { address, readVersion } from "./client.js";
import { pathOf } from "./entries.js";

/** Streams open at once. */
const STREAMS = 2;
/** Milliseconds until a stream that says nothing counts as blocked, by a proxy that holds answers back, say. */
const SILENCE = 6_000;
/** Milliseconds for which a path whose stream failed is asked instead. */
const DETOUR = 60_000;
/** Seconds that the service holds a question. */
const HOLD = 20;
/** Milliseconds between questions that are not held, and between looks at the place in line. */
const PACE = 4_000;

/** Keeps the open entries up to date. */
export class Follower {
  #entries;
  #streams = 0;
  #followed = new Set();

  constructor(entries) {
    this.#entries = entries;
    entries.addEventListener("change", ({ detail: key }) => this.#look(entries.get(key)));
    for (const entry of entries.list()) this.#look(entry);
  }

  #look(entry) {
    if (entry?.phase !== "open" || this.#followed.has(entry.key)) return;
    this.#followed.add(entry.key);
    this.#follow(entry.key).finally(() => this.#followed.delete(entry.key));
  }

  /** The entry while it is to be followed. */
  #open(key) {
    const entry = this.#entries.get(key);
    return entry?.phase === "open" ? entry : null;
  }

  async #follow(key) {
    let [version, detour, failures] = [null, 0, 0];
    while (this.#open(key)) {
      const mayStream = this.#streams < STREAMS && !document.hidden;
      if (mayStream && Date.now() >= detour) {
        this.#streams += 1;
        const works = await this.#stream(key).finally(() => (this.#streams -= 1));
        if (!works) detour = Date.now() + DETOUR;
        version = null;
        continue;
      }
      try {
        version = await this.#ask(key, version, mayStream ? HOLD : 0);
        failures = 0;
      } catch (problem) {
        if (problem.status === 404) return this.#lost(key);
        failures += 1;
      }
      if (!mayStream || failures > 0) await sleep(PACE * Math.min(2 ** failures, 8));
    }
  }

  /** Asks how an entry stands; its version. */
  async #ask(key, known, wait) {
    // Without a version to compare with, a change before the question would be waited for in vain.
    const { view, version } = await readVersion(pathOf(this.#open(key)), { version: known, wait: known ? wait : 0 });
    const entry = this.#open(key);
    if (view && entry) this.#entries.see(entry, view);
    return version;
  }

  /** Listens until the end, until the page is hidden, or until it does not work; whether it worked. */
  #stream(key) {
    const path = pathOf(this.#open(key));
    return new Promise((resolve) => {
      const source = new EventSource(address(`${path}/events`));
      let errors = 0;
      const done = (works) => {
        source.close();
        clearTimeout(silence);
        clearInterval(places);
        document.removeEventListener("visibilitychange", hide);
        this.#entries.removeEventListener("change", look);
        resolve(works);
      };
      const silence = setTimeout(() => done(false), SILENCE);
      const places = setInterval(() => this.#place(key), PACE);
      const hide = () => document.hidden && done(true);
      const look = () => this.#open(key) || done(true);
      const on = (name, take) => source.addEventListener(name, ({ data }) => {
        errors = 0;
        clearTimeout(silence);
        const entry = this.#open(key);
        if (entry) take(entry, JSON.parse(data));
      });
      on("batch", (entry, view) => this.#entries.see(entry, view));
      on("job", (entry, view) => (entry.kind === "job" ? this.#entries.see(entry, view) : this.#entries.seeJob(entry, view)));
      on("progress", (entry, summary) => this.#entries.seeProgress(entry, summary));
      source.onerror = () => {
        errors += 1;
        // A closed source was refused, or told that nothing more comes; one question shows which.
        if (source.readyState === EventSource.CLOSED || errors > 2) done(false);
      };
      document.addEventListener("visibilitychange", hide);
      this.#entries.addEventListener("change", look);
    });
  }

  /** Looks after the place in line, which no event tells. Of a batch in line it is that of its first job. */
  async #place(key) {
    const entry = this.#open(key);
    const jobs = !entry ? [] : entry.kind === "job" ? [entry.view] : entry.view.jobs;
    const first = jobs.find(({ status }) => status === "queued");
    if (!first || jobs.some(({ status }) => status === "processing")) return;
    try {
      const { view } = await readVersion(`jobs/${first.id}`, {});
      const now = this.#open(key);
      if (!now || view.status !== "queued") return;
      if (now.kind === "job") this.#entries.see(now, view);
      else this.#entries.seeJob(now, view);
    } catch {
      // The place is a comfort; the state comes by the stream.
    }
  }

  /** The service no longer knows it. */
  #lost(key) {
    const entry = this.#open(key);
    if (!entry) return;
    const jobs = entry.kind === "job" ? [entry.view] : entry.view.jobs;
    for (const job of jobs) if (["queued", "processing"].includes(job.status)) job.status = "expired";
    this.#entries.put(entry, { phase: "over" });
  }
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
