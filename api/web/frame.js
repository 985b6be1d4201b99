// A frame of a contact sheet: a small picture that comes into focus as its photo is worked on, its number and its name.

import { el, icon, setText } from "./dom.js";

/** One frame. `node` is what is shown; `update` brings it up to date without replacing it, so that focus stays. */
export class Frame {
  /** `href` makes it a link; `action`, `{ name, icon, run }`, gives it a button of its own. */
  constructor({ number, href = null, action = null }) {
    this.soft = el("img", { class: "soft", alt: "", draggable: "false" });
    this.sharp = el("img", { class: "sharp", alt: "", draggable: "false" });
    this.name = el("span", { class: "name" });
    this.state = el("span", { class: "state" });
    const picture = el("span", { class: "picture" }, icon("photo"), this.soft, this.sharp, el("span", { class: "pencil" }));
    const caption = el("span", { class: "caption" }, this.name, this.state);
    const edge = el("span", { class: "edge", "aria-hidden": "true" }, number);
    this.body = el(href ? "a" : "div", { class: "body", href }, edge, picture, caption);
    this.button = action && el("button", { class: "small", type: "button", onclick: action.run }, icon(action.icon));
    this.action = action;
    this.node = el("li", { class: "frame" }, this.body, this.button);
  }

  /** `look` is "waiting", "working" (`done` from 0 to 1), "done", "bad" or "gone". */
  update({ name, state, look, done = 0, thumb = null }) {
    this.node.dataset.look = look;
    setText(this.name, name);
    setText(this.state, state);
    this.node.style.setProperty("--done", `${(look === "done" ? 1 : done) * 100}%`);
    for (const image of [this.soft, this.sharp]) {
      image.hidden = !thumb;
      if (thumb && image.src !== thumb) image.src = thumb;
    }
    this.button?.setAttribute("aria-label", `${this.action?.name} ${name}`);
  }
}

/** How a job looks as a frame. */
export function lookOf({ status }) {
  return { queued: "waiting", processing: "working", succeeded: "done", expired: "gone" }[status] ?? "bad";
}
