// One photo: coming into focus while it is worked on, compared with its original when it is done.

import { resultOf } from "./client.js";
import { Compare } from "./compare.js";
import { byId, el, icon, setText } from "./dom.js";
import { jobsOf } from "./entries.js";
import * as originals from "./originals.js";
import { explain } from "./problems.js";
import { bytes, faces, jobState, left, moment, percent, sides, stem } from "./words.js";

/** What an upload is doing, in words. */
export function uploadState({ sent, again }) {
  if (again) return "Connection lost, trying again";
  if (sent >= 1) return "Sent, waiting for the answer";
  return sent > 0 ? `Sending, ${percent(sent)}` : "About to be sent";
}

/** A problem as an element. */
export function problemBox(problem, context) {
  const { title, advice, fine } = explain(problem, context);
  return el("div", { class: "problem" }, icon("alert"),
    el("p", {}, el("strong", {}, title), " ", advice, fine && el("small", {}, fine)));
}

/** The view of one photo. `actions` is what its buttons do. */
export class Viewer {
  #compare = new Compare();
  #actions;
  #shown = null;
  /** URL and sides of the original, or null where it cannot be shown. */
  #original = null;
  #isLoaded = false;
  #buttons = "";

  constructor(actions) {
    this.#actions = actions;
    byId("full-screen").hidden = !document.fullscreenEnabled;
    byId("full-screen").addEventListener("click", () => {
      if (document.fullscreenElement) document.exitFullscreen();
      else byId("frame").requestFullscreen();
    });
    byId("after").addEventListener("load", () => this.#loaded());
    byId("after").addEventListener("error", () => this.#unloadable());
  }

  /** Shows photo number `index` of `entry` as it stands. */
  async show(entry, index, upload, context) {
    const job = jobsOf(entry)[index] ?? null;
    const id = `${entry.key}/${index}`;
    this.#text(entry, index, job, upload, context);
    if (this.#shown !== id) await this.#change(entry, index, id);
    if (this.#shown !== id || !this.#isLoaded) return;
    // The photo may have changed while its original was loaded.
    const now = jobsOf(entry)[index] ?? null;
    this.#picture(entry.names[index], now);
    this.#offer(entry, index, now);
  }

  /** Changes to another photo and loads its original. */
  async #change(entry, index, id) {
    this.#shown = id;
    this.#isLoaded = false;
    for (const image of [byId("before"), byId("after")]) image.removeAttribute("src");
    delete byId("after").dataset.job;
    delete byId("after").dataset.state;
    this.#compare.blank();
    byId("tools").hidden = true;
    setText(byId("blank"), "");
    const photo = await originals.find(entry.key, index);
    const original = await sizeOf(photo?.file);
    if (this.#shown !== id) return;
    this.#original = original;
    this.#isLoaded = true;
  }

  /** No photo is shown any longer. */
  leave() {
    this.#shown = null;
    if (document.fullscreenElement) document.exitFullscreen();
  }

  #text(entry, index, job, upload, context) {
    const state = entry.phase === "sending" ? uploadState(upload) : entry.phase === "refused" ? "Not sent" : jobState(job);
    setText(byId("viewer-name"), entry.names[index]);
    setText(byId("viewer-state"), state);
    const bar = byId("viewer-progress");
    const isMoving = entry.phase === "sending" || ["queued", "processing"].includes(job?.status);
    bar.hidden = !isMoving;
    bar.value = entry.phase === "sending" ? upload.sent : (job?.progress ?? 0);
    const problem = entry.problem ?? job?.error;
    byId("viewer-problem").replaceChildren(...(problem ? [problemBox(problem, context)] : []));
    this.#rows(entry, job);
    const isDone = job?.status === "succeeded";
    const size = isDone ? `${sides(job.input.width, job.input.height)} → ${sides(job.result.width, job.result.height)}` : state;
    setText(byId("edge-name"), entry.names[index]);
    setText(byId("edge-size"), size);
  }

  #rows(entry, job) {
    const rows = [];
    const input = job?.input;
    if (input?.width) rows.push(["Before", `${sides(input.width, input.height)}, ${bytes(input.bytes)}`]);
    if (job?.result) {
      rows.push(["After", `${sides(job.result.width, job.result.height)}, ${bytes(job.result.bytes)}`]);
      rows.push(["Faces", faces(job.result.faces)]);
    }
    const isNetwork = entry.options.background !== "false";
    if (job) rows.push(["Enlarged by", isNetwork ? job.params.model : "Lanczos, without a network"]);
    if (job?.status === "succeeded" && job.expires_at) {
      rows.push(["Kept until", `${moment(job.expires_at)} (${left(job.expires_at)})`]);
    }
    const text = JSON.stringify(rows);
    const list = byId("viewer-facts");
    if (list.dataset.text === text) return;
    list.dataset.text = text;
    list.replaceChildren(...rows.flatMap(([term, told]) => [el("dt", {}, term), el("dd", {}, told)]));
  }

  #picture(name, job) {
    const [before, after] = [byId("before"), byId("after")];
    const original = this.#original;
    if (original && before.src !== original.url) before.src = original.url;
    before.alt = original ? `Original: ${name}` : "";
    if (job?.status === "succeeded") {
      if (after.dataset.job === job.id && after.hasAttribute("src")) return;
      after.dataset.job = job.id;
      after.alt = `Remastered: ${name}`;
      if (!original) setText(byId("blank"), "Loading the picture…");
      byId("tools").hidden = false;
      after.dataset.state = "loading";
      // Until it has arrived, the original stands in for it.
      if (original) this.#compare.work(original.width, original.height, 1);
      after.src = resultOf(job.id);
      return;
    }
    byId("tools").hidden = true;
    if (!original) {
      this.#compare.blank();
      return setText(byId("blank"), "This browser has no picture of the original to show.");
    }
    setText(byId("blank"), "");
    after.alt = "";
    if (after.src !== original.url) after.src = original.url;
    delete after.dataset.job;
    this.#compare.work(original.width, original.height, job?.status === "processing" ? job.progress : 0);
  }

  #loaded() {
    const after = byId("after");
    if (!after.dataset.job) return;
    after.dataset.state = "shown";
    setText(byId("blank"), "");
    this.#compare.compare(after.naturalWidth, after.naturalHeight, Boolean(this.#original));
  }

  #unloadable() {
    if (!byId("after").dataset.job) return;
    this.#compare.blank();
    setText(byId("blank"), "The picture cannot be shown here. It can still be downloaded while it is kept.");
  }

  /** The buttons, replaced only when others are needed, so that focus stays where it is. */
  #offer(entry, index, job) {
    const isWorking = ["queued", "processing"].includes(job?.status);
    const wanted = {
      download: job?.status === "succeeded",
      cancel: entry.phase === "sending" || isWorking,
      retry: entry.phase === "refused" && entry.problem.code !== "interrupted",
      again: (entry.phase === "over" || !isWorking) && entry.phase !== "sending" && Boolean(this.#original),
      remove: entry.kind === "job" && (entry.phase === "over" || entry.phase === "refused"),
      back: entry.kind === "batch",
    };
    const text = JSON.stringify([this.#shown, job?.id, wanted]);
    if (text === this.#buttons) return;
    this.#buttons = text;
    const button = (name, words, run, look = "") => el("button", { type: "button", class: look, onclick: run }, icon(name), words);
    const buttons = [];
    if (wanted.download) {
      const { scale, format = "png" } = job.params;
      const name = `${stem(entry.names[index])}_x${scale}.${format === "jpeg" ? "jpg" : format}`;
      const link = { class: "button primary", id: "download", href: resultOf(job.id), download: name };
      buttons.push(el("a", link, icon("download"), `Download ${format === "webp" ? "WebP" : format.toUpperCase()}`));
    }
    if (wanted.retry) buttons.push(button("again", "Try again", () => this.#actions.retry(entry), "primary"));
    if (wanted.cancel) buttons.push(button("cancel", "Cancel", () => this.#actions.cancel(entry, job)));
    if (wanted.again) buttons.push(button("again", "Use other settings", () => this.#actions.reuse(entry, index)));
    if (wanted.remove) buttons.push(button("remove", "Remove from this list", () => this.#actions.remove(entry), "quiet"));
    const bar = byId("viewer-actions");
    const hadFocus = bar.contains(document.activeElement);
    bar.replaceChildren(...buttons);
    if (hadFocus) (bar.querySelector("a, button") ?? byId("viewer-name")).focus();
    const path = byId("viewer-path");
    path.hidden = !wanted.back;
    if (!wanted.back) return;
    const step = (to, words, name) =>
      to >= 0 && to < entry.names.length && el("a", { href: `#/${entry.key}/${to}`, "aria-label": words }, icon(name));
    path.replaceChildren(
      el("a", { href: `#/${entry.key}` }, `All ${entry.names.length} photos`),
      el("span", { class: "steps" }, step(index - 1, "Previous photo", "left"), step(index + 1, "Next photo", "right")));
  }
}

/** URL and sides of a file that this browser can show; else null. */
async function sizeOf(file) {
  const url = originals.urlOf(file);
  if (!url) return null;
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
  } catch {
    return null;
  }
  return { url, width: image.naturalWidth, height: image.naturalHeight };
}
