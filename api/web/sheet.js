// A batch: its photos as a contact sheet, each with its state, and what can be done with all of them.

import { archiveOf } from "./client.js";
import { byId, el, icon, setText } from "./dom.js";
import { jobsOf } from "./entries.js";
import { Frame, lookOf } from "./frame.js";
import * as originals from "./originals.js";
import { explain } from "./problems.js";
import { count, jobState, left, moment, number } from "./words.js";
import { problemBox, uploadState } from "./viewer.js";

/** The view of a batch. `actions` is what its buttons do. */
export class Sheet {
  #actions;
  #shown = null;
  #frames = [];
  #buttons = "";

  constructor(actions) {
    this.#actions = actions;
  }

  /** Shows the batch as it stands. */
  show(entry, upload, context) {
    if (this.#shown !== entry.key) this.#draw(entry);
    const jobs = jobsOf(entry);
    for (const [index, frame] of this.#frames.entries()) {
      const job = jobs[index];
      const state = !job ? "" : job.status === "failed" ? explain(job.error, context).title : jobState(job);
      frame.update({
        name: entry.names[index], state, look: job ? lookOf(job) : "waiting", done: job?.progress ?? 0, thumb: frame.thumb,
      });
    }
    this.#text(entry, upload, context);
    this.#offer(entry);
  }

  /** No batch is shown any longer. */
  leave() {
    this.#shown = null;
  }

  #draw(entry) {
    this.#shown = entry.key;
    this.#frames = entry.names.map((_, index) => new Frame({ number: index + 1, href: `#/${entry.key}/${index}` }));
    byId("frames").replaceChildren(...this.#frames.map(({ node }) => node));
    setText(byId("sheet-name"), count(entry.names.length, "photo"));
    for (const [index, frame] of this.#frames.entries()) {
      originals.thumbOf(entry.key, index).then((thumb) => {
        frame.thumb = thumb;
        for (const image of frame.thumb ? [frame.soft, frame.sharp] : []) Object.assign(image, { src: frame.thumb, hidden: false });
      });
    }
  }

  #text({ phase, view, problem }, upload, context) {
    const counts = view?.counts;
    const parts = [];
    if (phase === "sending") parts.push(uploadState(upload));
    else if (phase === "refused") parts.push("Not sent");
    else {
      parts.push(`${number(counts.succeeded)} of ${number(view.total)} done`);
      if (counts.processing) parts.push(`${number(counts.processing)} at work`);
      if (counts.queued) parts.push(`${number(counts.queued)} in line`);
      if (counts.failed) parts.push(`${number(counts.failed)} failed`);
      if (counts.canceled) parts.push(`${number(counts.canceled)} canceled`);
    }
    const first = view?.jobs.find((job) => job.status === "queued");
    const hint = counts && !counts.processing && first?.queue ? `The first of them: ${jobState(first).toLowerCase()}.` : "";
    setText(byId("sheet-state"), parts.join(", "));
    setText(byId("sheet-hint"), hint);
    const bar = byId("sheet-progress");
    bar.hidden = phase !== "sending" && phase !== "open";
    bar.value = phase === "sending" ? upload.sent : (view?.progress ?? 0);
    const kept = phase === "over" && view.expires_at;
    setText(byId("sheet-kept"), kept ? `Kept until ${moment(kept)} (${left(kept)}).` : "");
    byId("sheet-problem").replaceChildren(...(problem ? [problemBox(problem, context)] : []));
  }

  #offer(entry) {
    const { phase, view, problem } = entry;
    const wanted = {
      archive: phase === "over" && view.counts.succeeded > 0 && !view.jobs.some(({ status }) => status === "expired"),
      cancel: phase === "sending" || phase === "open",
      retry: phase === "refused" && problem.code !== "interrupted",
      remove: phase === "over" || phase === "refused",
    };
    const text = JSON.stringify([entry.key, phase, wanted]);
    if (text === this.#buttons) return;
    this.#buttons = text;
    const button = (name, words, run, look = "") => el("button", { type: "button", class: look, onclick: run }, icon(name), words);
    const buttons = [];
    if (wanted.archive) {
      const link = { class: "button primary", id: "download-all", href: archiveOf(entry.id), download: "" };
      buttons.push(el("a", link, icon("download"), `Download ${number(view.counts.succeeded)} as ZIP`));
    }
    if (wanted.retry) buttons.push(button("again", "Try again", () => this.#actions.retry(entry), "primary"));
    if (wanted.cancel) buttons.push(button("cancel", phase === "open" ? "Cancel the rest" : "Cancel", () => this.#actions.cancel(entry, null)));
    if (wanted.remove) buttons.push(button("remove", "Remove from this list", () => this.#actions.remove(entry), "quiet"));
    const bar = byId("sheet-actions");
    const hadFocus = bar.contains(document.activeElement);
    bar.replaceChildren(...buttons);
    if (hadFocus) (bar.querySelector("a, button") ?? byId("sheet-name")).focus();
  }
}
