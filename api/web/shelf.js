// What this browser has sent and can still come back to.

import { byId } from "./dom.js";
import { jobsOf } from "./entries.js";
import { Frame, lookOf } from "./frame.js";
import * as originals from "./originals.js";
import { explain } from "./problems.js";
import { count, jobState, left, percent } from "./words.js";
import { uploadState } from "./viewer.js";

export class Shelf {
  #entries;
  #sender;
  #actions;
  #frames = new Map();

  constructor(entries, sender, actions) {
    this.#entries = entries;
    this.#sender = sender;
    this.#actions = actions;
    entries.addEventListener("change", ({ detail }) => this.#show(detail));
    sender.addEventListener("progress", ({ detail }) => this.#show(detail));
    for (const entry of entries.list().reverse()) this.#show(entry.key);
    this.#count();
    // The time that is left goes by.
    setInterval(() => entries.list().forEach(({ key }) => this.#show(key)), 60_000);
  }

  #show(key) {
    const entry = this.#entries.get(key);
    let frame = this.#frames.get(key);
    if (!entry) {
      frame?.node.remove();
      this.#frames.delete(key);
      return this.#count();
    }
    if (!frame) {
      const remove = { name: "Remove", icon: "remove", run: () => this.#actions.remove(this.#entries.get(key)) };
      frame = new Frame({ number: entry.kind === "batch" ? `${entry.names.length}×` : "1×", href: `#/${key}`, action: remove });
      this.#frames.set(key, frame);
      byId("shelf-list").prepend(frame.node);
      originals.thumbOf(key, 0).then((thumb) => {
        frame.thumb = thumb;
        this.#show(key);
      });
      this.#count();
    }
    frame.update({ ...this.#told(entry), thumb: frame.thumb });
    // What is on its way is canceled where it is shown, not removed in passing.
    frame.button.hidden = entry.phase === "sending" || entry.phase === "open";
  }

  #told(entry) {
    const name = entry.kind === "job" ? entry.names[0] : count(entry.names.length, "photo");
    if (entry.phase === "sending") return { name, state: uploadState(this.#sender.upload(entry.key)), look: "waiting" };
    if (entry.phase === "refused") return { name, state: explain(entry.problem).title, look: "bad" };
    if (this.#entries.isExpired(entry)) return { name, state: "Expired", look: "gone" };
    const { view } = entry;
    const kept = entry.phase === "over" && view.expires_at ? left(view.expires_at) : null;
    if (entry.kind === "job") {
      const [job] = jobsOf(entry);
      return { name, state: (job.status === "succeeded" && kept) || jobState(job), look: lookOf(job), done: job.progress };
    }
    const { succeeded, failed, canceled } = view.counts;
    if (entry.phase === "open") {
      const isWaiting = view.counts.processing + succeeded === 0;
      const state = `${succeeded + failed + canceled} of ${view.total}, ${percent(view.progress)}`;
      return { name, state, look: isWaiting ? "waiting" : "working", done: view.progress };
    }
    const state = succeeded === view.total ? (kept ?? "Done") : `${succeeded} of ${view.total} done`;
    return { name, state, look: succeeded ? "done" : "bad" };
  }

  #count() {
    byId("shelf").hidden = this.#frames.size === 0;
  }
}
