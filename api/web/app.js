// The page: which view is shown, and what leads from one to another.

import { cancel, read } from "./client.js";
import { Compose, refusals } from "./compose.js";
import { announce, byId, el, icon, setText } from "./dom.js";
import { Entries, jobsOf, newEntry, pathOf } from "./entries.js";
import { Follower } from "./follow.js";
import { Options } from "./options.js";
import * as originals from "./originals.js";
import { Problem } from "./problems.js";
import { Sender } from "./send.js";
import { Sheet } from "./sheet.js";
import { Shelf } from "./shelf.js";
import { problemBox, uploadState, Viewer } from "./viewer.js";
import { count, jobState, moment, number, percent } from "./words.js";

/** Milliseconds between looks at the models while the server is still fetching its first. */
const MODELS_PACE = 10_000;

/** What the service has said of itself: `{ quota, limits }`, each null until it is known. */
const context = { quota: null, limits: null };
const entries = new Entries();
const sender = new Sender(entries);
const options = new Options();
const actions = { cancel: cancelEntry, remove: removeEntry, retry: (entry) => sender.send(entry), reuse };
const compose = new Compose((refused) => notice(refused.length ? refusals(refused, context) : null));
const viewer = new Viewer(actions);
const sheet = new Sheet(actions);
new Shelf(entries, sender, actions);
new Follower(entries);

/** The entry that is shown and the number of its photo; null and null for the view where photos are chosen. */
function place() {
  const [, key, index] = location.hash.match(/^#\/([0-9a-f]+)(?:\/(\d+))?$/) ?? [];
  const entry = entries.get(key);
  if (!entry) return { entry: null, index: null };
  if (entry.kind === "job") return { entry, index: 0 };
  return { entry, index: index !== undefined && Number(index) < entry.names.length ? Number(index) : null };
}

function show() {
  const { entry, index } = place();
  const view = !entry ? "compose" : index === null ? "sheet" : "viewer";
  for (const name of ["compose", "sheet", "viewer"]) byId(name).hidden = name !== view;
  byId("home").hidden = view === "compose";
  if (view !== "sheet") sheet.leave();
  if (view !== "viewer") viewer.leave();
  if (view === "sheet") sheet.show(entry, sender.upload(entry.key), context);
  if (view === "viewer") viewer.show(entry, index, sender.upload(entry.key), context);
  tell(entry, index);
}

/** Goes to the view of `hash`, and puts the focus on its heading. */
function go(hash) {
  if (location.hash === hash || (hash === "#/" && !location.hash)) arrive();
  else location.hash = hash;
}

function arrive() {
  notice(null);
  show();
  scrollTo({ top: 0 });
  for (const heading of document.querySelectorAll("h1")) {
    if (heading.checkVisibility()) heading.focus({ preventScroll: true });
  }
}

/** Says in the title and to screen readers how the shown entry stands; of progress only the quarters. */
function tell(entry, index) {
  if (!entry) return setText(document.querySelector("title"), "Remaster");
  const name = index === null ? count(entry.names.length, "photo") : entry.names[index];
  const job = index === null ? null : jobsOf(entry)[index];
  const progress = job ? job.progress : (entry.view?.progress ?? 0);
  const state = entry.phase === "sending" ? uploadState(sender.upload(entry.key))
    : entry.phase === "refused" ? "Not sent"
    : job ? jobState(job)
    : entry.phase === "open" ? percent(progress) : `${entry.view.counts.succeeded} done`;
  setText(document.querySelector("title"), `${state} · ${name} · Remaster`);
  announce(`${name}: ${state.replace(/\d+ %/, () => percent(Math.floor(4 * progress) / 4))}`);
}

/** Shows something above the view until the next step; null shows nothing. */
function notice(content) {
  const close = el("button", { type: "button", class: "small", "aria-label": "Dismiss", onclick: () => notice(null) }, icon("cancel"));
  byId("notice").replaceChildren(...(content ? [content, close] : []));
}

const report = (problem) => {
  if (!(problem instanceof Problem)) throw problem;
  notice(problemBox(problem, context));
};

async function submit() {
  const button = byId("submit");
  if (button.disabled) return;
  button.disabled = true;
  try {
    const { photos } = compose;
    await readQuota();
    if (context.quota && context.quota.remaining < photos.length) throw new Problem("quota_exceeded");
    const most = context.limits?.max_batch_files ?? 100;
    const parts = [];
    for (let from = 0; from < photos.length; from += most) parts.push(photos.slice(from, from + most));
    const made = parts.map((part) => {
      const entry = newEntry(part.map(({ file }) => file.name || "photo"), options.values);
      part.forEach(({ file, thumb }, index) => originals.keep(entry.key, index, file, thumb));
      return entry;
    });
    // The shelf shows the newest first: the first part is to be the newest.
    made.forEach((entry, index) => (entry.created -= index));
    for (const entry of [...made].reverse()) entries.put(entry);
    for (const entry of made) sender.send(entry);
    compose.clear();
    if (made.length) go(`#/${made[0].key}`);
  } catch (problem) {
    report(problem);
  } finally {
    button.disabled = false;
  }
}

async function cancelEntry(entry, job) {
  if (entry.phase === "sending") {
    sender.abort(entry.key);
    return removeEntry(entry);
  }
  try {
    if (job && entry.kind === "batch") entries.seeJob(entry, await cancel(`jobs/${job.id}`));
    else entries.see(entry, await cancel(pathOf(entry)));
  } catch (problem) {
    // One that has just finished is shown as such by the next event.
    if (problem.code !== "already_finished") report(problem);
  }
  readQuota();
}

function removeEntry(entry) {
  const isShown = place().entry?.key === entry.key;
  entries.remove(entry.key);
  if (isShown) go("#/");
  else byId("shelf-title").focus();
}

async function reuse(entry, index) {
  const photo = await originals.find(entry.key, index);
  if (!photo) return;
  options.set(entry.options);
  compose.clear();
  await compose.add([new File([photo.file], entry.names[index], { type: photo.file.type })]);
  go("#/");
}

async function readQuota() {
  try {
    context.quota = await read("quota");
  } catch {
    return;
  }
  const { remaining, limit, reset } = context.quota;
  setText(byId("quota-left"), `${number(remaining)} of ${number(limit)} photos left today`);
  setText(byId("quota-reset"), `renewed at ${moment(reset)}`);
}

async function readModels() {
  try {
    options.models = (await read("models")).models;
    byId("no-model").hidden = options.hasUpscaler;
  } catch {
    // The menu then offers Automatic, which needs no list.
  }
  if (!options.hasUpscaler) setTimeout(readModels, MODELS_PACE);
}

async function readLimits() {
  try {
    context.limits = await read("page/limits.json");
    compose.limits = context.limits;
  } catch {
    // The service checks what is sent all the same.
  }
}

function offer() {
  const { length } = compose.photos;
  const { scale } = options.values;
  byId("submit").hidden = length === 0;
  setText(byId("submit"), `Remaster ${count(length, "photo")} at ${scale}×`);
}

compose.addEventListener("change", () => {
  if (compose.photos.length && place().entry) go("#/");
  offer();
});
byId("options").addEventListener("options", offer);
byId("submit").addEventListener("click", submit);
entries.addEventListener("change", ({ detail: key }) => {
  const shown = place().entry;
  // An entry that another tab has removed leaves its view empty.
  if (shown?.key === key || (!shown && byId("compose").hidden)) show();
  if (entries.get(key)?.phase === "over") readQuota();
});
sender.addEventListener("progress", ({ detail: key }) => place().entry?.key === key && show());
sender.addEventListener("answer", readQuota);
addEventListener("hashchange", arrive);
addEventListener("visibilitychange", () => document.hidden || readQuota());

for (const entry of entries.list()) if (entry.phase === "sending") sender.send(entry);
readLimits();
readQuota();
readModels();
offer();
show();
