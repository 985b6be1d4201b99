// Choosing photos: picked, dropped or pasted, looked at, and handed over to be sent.

import { announce, byId, el, icon, setText } from "./dom.js";
import { Frame } from "./frame.js";
import { thumbnail, urlOf } from "./originals.js";
import { explain } from "./problems.js";
import { bytes, count } from "./words.js";

/** First bytes of the formats that the service takes; it decides by the bytes, too. */
const FORMATS = [/^\xff\xd8\xff/, /^\x89PNG\r\n\x1a\n/, /^RIFF[^]{4}WEBP/, /^II\*\0/, /^MM\0\*/];

async function isPhoto(file) {
  const head = new Uint8Array(await file.slice(0, 12).arrayBuffer());
  const text = String.fromCharCode(...head);
  return FORMATS.some((format) => format.test(text));
}

/** The view where photos are chosen. Fires `change` when others are chosen. */
export class Compose extends EventTarget {
  /** Chosen photos as `{ file, thumb, frame }`; `thumb` is the promise of a small picture. */
  photos = [];
  #turn = Promise.resolve();
  #limits = null;
  #refuse;

  /** `refuse` tells of files that were not taken: `refuse([{ name, code }])`. */
  constructor(refuse) {
    super();
    this.#refuse = refuse;
    const picker = byId("picker");
    for (const button of ["choose", "add"]) byId(button).addEventListener("click", () => picker.click());
    picker.addEventListener("change", () => {
      this.add([...picker.files]);
      picker.value = "";
    });
    byId("clear").addEventListener("click", () => {
      this.clear();
      byId("choose").focus();
    });
    addEventListener("paste", ({ clipboardData }) => clipboardData?.files.length && this.add([...clipboardData.files]));
    this.#drops();
    this.#show();
  }

  set limits(limits) {
    this.#limits = limits;
  }

  /** Adds files; those that the service would refuse are told of instead. */
  async add(files) {
    const [taken, refused] = [[], []];
    for (const file of files) {
      const readable = await isPhoto(file).catch(() => false);
      const code = file.size === 0 ? "empty_file" : !readable ? "unsupported_format"
        : this.#limits && file.size > this.#limits.max_upload_bytes ? "file_too_large" : null;
      if (code) refused.push({ name: file.name, code });
      else taken.push({ file });
    }
    this.#refuse(refused);
    for (const photo of taken) {
      const remove = { name: "Leave out", icon: "remove", run: () => this.#remove(photo) };
      photo.frame = new Frame({ number: "", action: remove });
      const shown = { name: photo.file.name, state: bytes(photo.file.size), look: "chosen" };
      photo.frame.update(shown);
      // One after the other: a decoded photo is large.
      photo.thumb = this.#turn.then(() => thumbnail(photo.file));
      this.#turn = photo.thumb;
      photo.thumb.then((thumb) => photo.frame.update({ ...shown, thumb: urlOf(thumb) }));
    }
    this.photos.push(...taken);
    this.#show();
    if (taken.length) announce(`${count(this.photos.length, "photo")} chosen`);
  }

  /** Leaves all out. */
  clear() {
    this.photos = [];
    this.#show();
  }

  #remove(photo) {
    const index = this.photos.indexOf(photo);
    this.photos.splice(index, 1);
    this.#show();
    const next = this.photos[Math.min(index, this.photos.length - 1)];
    (next ? next.frame.button : byId("choose")).focus();
  }

  #show() {
    const any = this.photos.length > 0;
    byId("invitation").hidden = any;
    byId("tray").hidden = !any;
    const size = this.photos.reduce((sum, { file }) => sum + file.size, 0);
    setText(byId("tray-count"), `${count(this.photos.length, "photo")}, ${bytes(size)}`);
    byId("tray-list").replaceChildren(...this.photos.map(({ frame }) => frame.node));
    this.dispatchEvent(new Event("change"));
  }

  /** Files may be dropped anywhere on the page. */
  #drops() {
    const hasFiles = ({ dataTransfer }) => dataTransfer?.types.includes("Files");
    const root = document.documentElement;
    let depth = 0;
    const mark = (by) => {
      depth = by === 0 ? 0 : Math.max(0, depth + by);
      root.classList.toggle("dropping", depth > 0);
    };
    addEventListener("dragenter", (event) => hasFiles(event) && mark(1));
    addEventListener("dragleave", (event) => hasFiles(event) && mark(-1));
    addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
    addEventListener("drop", async (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      mark(0);
      this.add(await filesOf(event.dataTransfer));
    });
  }
}

/** What was dropped, with the files inside of folders. */
async function filesOf(transfer) {
  const plain = [...transfer.files];
  const roots = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!roots.some(({ isDirectory }) => isDirectory)) return plain;
  const files = [];
  const visit = async (entry) => {
    if (entry.isFile) return files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return files.length;
      for (const inner of some) if (!inner.name.startsWith(".")) await visit(inner);
    }
  };
  for (const root of roots) await visit(root).catch(() => {});
  return files;
}

/** Tells of files that were not taken. */
export function refusals(refused, context) {
  return el("ul", {}, refused.map(({ name, code }) => {
    const { title, advice } = explain({ code }, context);
    return el("li", { class: "problem" }, icon("alert"), el("p", {}, el("strong", {}, `${name}:`), ` ${title} ${advice}`));
  }));
}
