// The options of a submit: one table, from which the form is built, remembered and sent.

import { byId, el } from "./dom.js";

/**
 * A new option of the API is one entry here. `kind` is `choice` (a few values side by side), `list` (a menu), `range` or
 * `switch`. Values are the text that is sent. `when` says for which other values the option has a meaning. `choices` is given
 * the models and lists value, words and whether the choice is barred; `note` is given them too.
 */
const OPTIONS = [
  { name: "scale", label: "Enlarge", kind: "choice", initial: "2", choices: () => ["1", "2", "3", "4"].map((scale) => [scale, `${scale}×`]) },
  {
    name: "model", label: "Model", kind: "list", initial: "auto",
    choices: (models) => [["auto", "Automatic"], ...models.filter(isUpscaler).map(({ id }) => [id, id])],
    when: ({ background }) => background !== "false",
  },
  {
    name: "faces", label: "Restore faces", kind: "choice", initial: "auto",
    choices: (models) => [["auto", "If any"], ["off", "Off"], ["require", "Required", !restoresFaces(models)]],
    note: (models) => (restoresFaces(models) ? "" : "This server has no face network installed."),
  },
  {
    name: "face_strength", label: "Face strength", kind: "range", initial: "1", min: 0, max: 1, step: 0.05,
    when: ({ faces }) => faces !== "off",
  },
  { name: "background", label: "Enhance the background", kind: "switch", initial: "true" },
  {
    name: "metadata", label: "Camera data (EXIF)", kind: "choice", initial: "strip",
    choices: () => [["strip", "Remove"], ["keep", "Keep"]],
  },
  {
    name: "format", label: "File format", kind: "choice", initial: "png",
    choices: () => [["png", "PNG"], ["webp", "WebP"], ["jpeg", "JPEG"]],
  },
  {
    name: "quality", label: "Quality", kind: "range", initial: "90", min: 1, max: 100, step: 1,
    when: ({ format }) => format !== "png",
  },
  { name: "grain", label: "Keep the original's grain", kind: "range", initial: "0", min: 0, max: 1, step: 0.05 },
];

const isUpscaler = ({ kind, installed }) => kind === "upscaler" && installed;
const restoresFaces = (models) =>
  ["detector", "face_restorer"].every((kind) => models.some((model) => model.kind === kind && model.installed));

const REMEMBERED = "remaster.options";

/** The form with the options. */
export class Options {
  #form = byId("options");
  #values = Object.fromEntries(OPTIONS.map(({ name, initial }) => [name, initial]));
  #models = [];

  constructor() {
    try {
      this.set(JSON.parse(localStorage.getItem(REMEMBERED)) ?? {});
    } catch {
      // Without a memory the options are as they are initially.
    }
    for (const event of ["input", "change"]) this.#form.addEventListener(event, () => this.#taken());
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#draw();
  }

  /** What is sent: the options that have a meaning beside the others. */
  get values() {
    const meant = OPTIONS.filter(({ when }) => !when || when(this.#values));
    return Object.fromEntries(meant.map(({ name }) => [name, this.#values[name]]));
  }

  /** Takes over the values that are known here. */
  set(values) {
    for (const { name } of OPTIONS) if (typeof values[name] === "string") this.#values[name] = values[name];
    if (this.#form.children.length) this.#draw();
  }

  /** Takes the models as `GET /models` lists them. A choice that is gone goes back to its initial value. */
  set models(models) {
    if (JSON.stringify(models) === JSON.stringify(this.#models)) return;
    this.#models = models;
    for (const { name, choices, initial } of OPTIONS.filter(({ choices }) => choices)) {
      const isThere = choices(models).some(([value, , barred]) => value === this.#values[name] && !barred);
      if (!isThere) this.#values[name] = initial;
    }
    this.#draw();
  }

  /** Whether any upscaler is installed. */
  get hasUpscaler() {
    return this.#models.some(isUpscaler);
  }

  #taken() {
    for (const { name, kind } of OPTIONS) {
      const field = this.#form.elements[name];
      this.#values[name] = kind === "switch" ? String(field.checked) : field.value;
    }
    try {
      localStorage.setItem(REMEMBERED, JSON.stringify(this.#values));
    } catch {
      // The options are remembered for this visit only.
    }
    this.#show();
    this.#form.dispatchEvent(new Event("options"));
  }

  #draw() {
    const focused = document.activeElement?.id;
    this.#form.replaceChildren(...OPTIONS.map((option) => this.#field(option)));
    this.#show();
    if (focused) byId(focused)?.focus();
  }

  /** Shows what has a meaning, and the value of a range. */
  #show() {
    for (const { name, kind, when, max } of OPTIONS) {
      byId(`field-${name}`).hidden = Boolean(when && !when(this.#values));
      if (kind === "range") byId(`value-${name}`).textContent = `${Math.round((this.#values[name] / max) * 100)} %`;
    }
  }

  #field({ name, label, kind, choices, note, min, max, step }) {
    const id = `option-${name}`;
    const value = this.#values[name];
    const remark = note?.(this.#models);
    const small = remark && el("p", { class: "remark" }, remark);
    const row = (...parts) => el("div", { id: `field-${name}`, class: `field ${kind}` }, parts);
    switch (kind) {
      case "choice": {
        const buttons = choices(this.#models).map(([choice, words, barred]) =>
          el("label", {},
            el("input", { type: "radio", name, id: `${id}-${choice}`, value: choice, checked: choice === value, disabled: barred }),
            el("span", {}, words)));
        const group = el("fieldset", {}, el("legend", {}, label), el("div", { class: "segments" }, buttons), small);
        return row(group);
      }
      case "list": {
        const items = choices(this.#models).map(([choice, words]) =>
          el("option", { value: choice, selected: choice === value }, words));
        return row(el("label", { for: id }, label), el("select", { id, name }, items), small);
      }
      case "range":
        return row(
          el("label", { for: id }, label),
          el("output", { id: `value-${name}`, for: id }),
          el("input", { type: "range", id, name, min, max, step, value }), small);
      default:
        return row(
          el("label", { for: id }, label),
          el("input", { type: "checkbox", role: "switch", id, name, checked: value === "true" }), small);
    }
  }
}
