// Two pictures of the same scene over each other, divided by a line that can be moved; zoom and pan to the last pixel.
//
// The left of the line shows the original, stretched to the size of the result. `scale` is CSS pixels per pixel of the result,
// `x` and `y` are where its corner is in the canvas, `split` is the line's place from 0 to 1 over the visible part.

import { byId, setText } from "./dom.js";
import { percent } from "./words.js";

/** The closest look: CSS pixels per pixel of the result. */
const CLOSEST = 12;
/** One step of the zoom buttons. */
const STEP = 1.5;
/** Pixels by which an arrow key moves the picture. */
const NUDGE = 60;

export class Compare {
  #canvas = byId("canvas");
  #world = byId("world");
  #before = byId("before");
  #after = byId("after");
  #divider = byId("divider");
  #handle = byId("handle");
  #pointers = new Map();
  #drag = null;
  #width = 0;
  #height = 0;
  #scale = 1;
  #x = 0;
  #y = 0;
  #split = 0.5;
  #fitted = true;
  #interactive = false;

  constructor() {
    new ResizeObserver(() => this.#place()).observe(this.#canvas);
    this.#canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.#canvas.addEventListener("pointerdown", (event) => this.#down(event));
    this.#canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) this.#canvas.addEventListener(end, (event) => this.#up(event));
    this.#canvas.addEventListener("keydown", (event) => this.#canvasKey(event));
    this.#handle.addEventListener("keydown", (event) => this.#handleKey(event));
    byId("zoom-in").addEventListener("click", () => this.zoom(STEP));
    byId("zoom-out").addEventListener("click", () => this.zoom(1 / STEP));
    byId("zoom-fit").addEventListener("click", () => this.fit());
    byId("zoom-full").addEventListener("click", () => this.zoom(1 / devicePixelRatio / this.#scale));
  }

  /** Shows a result of `width` by `height` beside its original; without an original there is nothing to divide. */
  compare(width, height, hasOriginal) {
    this.#set("compare", width, height);
    this.#interactive = true;
    this.#split = 0.5;
    this.#canvas.dataset.alone = String(!hasOriginal);
    this.fit();
  }

  /** Shows the original coming into focus; `done` from 0 to 1. */
  work(width, height, done) {
    this.#set("work", width, height);
    this.#interactive = false;
    this.#fitted = true;
    this.#split = done;
    this.#place();
  }

  /** Shows no picture. */
  blank() {
    this.#set("blank", 0, 0);
    this.#interactive = false;
  }

  /** All of the picture. */
  fit() {
    this.#fitted = true;
    this.#place();
  }

  /** Closer by `factor`, about the point (x, y) of the canvas, by default its middle. */
  zoom(factor, x = this.#canvas.clientWidth / 2, y = this.#canvas.clientHeight / 2) {
    if (!this.#interactive) return;
    const fit = this.#fitScale();
    const scale = Math.min(Math.max(this.#scale * factor, fit), Math.max(CLOSEST, fit));
    this.#x = x - ((x - this.#x) * scale) / this.#scale;
    this.#y = y - ((y - this.#y) * scale) / this.#scale;
    this.#scale = scale;
    this.#fitted = scale <= fit * 1.001;
    this.#place();
  }

  #set(mode, width, height) {
    this.#canvas.dataset.mode = mode;
    [this.#width, this.#height] = [width, height];
    for (const image of [this.#before, this.#after, this.#world]) {
      image.style.width = `${width}px`;
      image.style.height = `${height}px`;
    }
  }

  #fitScale() {
    const room = Math.min(this.#canvas.clientWidth / this.#width, this.#canvas.clientHeight / this.#height);
    return Math.min(room, Math.max(3, 3 / devicePixelRatio));
  }

  /** Puts everything where it belongs, with the picture inside the canvas or covering it. */
  #place() {
    const { clientWidth, clientHeight } = this.#canvas;
    if (!this.#width || !clientWidth) return;
    if (this.#fitted) this.#scale = this.#fitScale();
    const bounded = (at, size, room) => (size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, at)));
    const [width, height] = [this.#width * this.#scale, this.#height * this.#scale];
    this.#x = bounded(this.#x, width, clientWidth);
    this.#y = bounded(this.#y, height, clientHeight);
    const [left, right] = [Math.max(0, this.#x), Math.min(clientWidth, this.#x + width)];
    const [top, bottom] = [Math.max(0, this.#y), Math.min(clientHeight, this.#y + height)];
    const line = left + this.#split * (right - left);
    this.#world.style.transform = `translate(${this.#x}px, ${this.#y}px) scale(${this.#scale})`;
    this.#world.style.setProperty("--scale", this.#scale);
    this.#before.style.clipPath = `inset(0 ${Math.max(0, this.#width - (line - this.#x) / this.#scale)}px 0 0)`;
    this.#divider.style.left = `${line}px`;
    this.#divider.style.top = `${top}px`;
    this.#divider.style.height = `${bottom - top}px`;
    this.#canvas.style.setProperty("--left", `${left}px`);
    this.#canvas.style.setProperty("--right", `${clientWidth - right}px`);
    this.#canvas.style.setProperty("--bottom", `${clientHeight - bottom}px`);
    this.#canvas.dataset.fitted = String(this.#fitted);
    this.#handle.setAttribute("aria-valuenow", Math.round(this.#split * 100));
    this.#handle.setAttribute("aria-valuetext", `Original on the left ${Math.round(this.#split * 100)} %`);
    setText(byId("zoom"), percent(this.#scale * devicePixelRatio + 1e-6));
  }

  #slideTo(x) {
    const left = Math.max(0, this.#x);
    const right = Math.min(this.#canvas.clientWidth, this.#x + this.#width * this.#scale);
    this.#split = Math.min(1, Math.max(0, (x - left) / (right - left)));
    this.#place();
  }

  #point({ clientX, clientY }) {
    const box = this.#canvas.getBoundingClientRect();
    return { x: clientX - box.left - this.#canvas.clientLeft, y: clientY - box.top - this.#canvas.clientTop };
  }

  #down(event) {
    if (!this.#interactive || event.button > 0) return;
    const point = this.#point(event);
    this.#pointers.set(event.pointerId, point);
    this.#canvas.setPointerCapture(event.pointerId);
    // While all of the picture is seen there is nothing to pan: any place moves the line.
    const slides = this.#divider.contains(event.target) || this.#fitted;
    this.#drag = slides && this.#canvas.dataset.alone !== "true" ? "slide" : "pan";
    if (this.#drag === "slide") this.#slideTo(point.x);
    if (this.#divider.contains(event.target)) this.#handle.focus({ preventScroll: true });
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const point = this.#point(event);
    if (this.#pointers.size === 2) {
      const [a, b] = this.#pointers.values();
      const other = a === before ? b : a;
      const distance = ({ x, y }) => Math.hypot(x - other.x, y - other.y);
      this.#x += (point.x - before.x) / 2;
      this.#y += (point.y - before.y) / 2;
      this.zoom(distance(point) / Math.max(1, distance(before)), (point.x + other.x) / 2, (point.y + other.y) / 2);
    } else if (this.#drag === "slide") {
      this.#slideTo(point.x);
    } else {
      this.#pan(point.x - before.x, point.y - before.y);
    }
    this.#pointers.set(event.pointerId, point);
  }

  #up(event) {
    this.#pointers.delete(event.pointerId);
    // The finger that is left after a pinch moves the picture, not the line.
    this.#drag = "pan";
  }

  #pan(x, y) {
    this.#x += x;
    this.#y += y;
    this.#place();
  }

  #wheel(event) {
    // Away from a picture that is seen as a whole, the wheel scrolls the page.
    if (!this.#interactive || (this.#fitted && event.deltaY > 0 && !event.ctrlKey)) return;
    event.preventDefault();
    const { x, y } = this.#point(event);
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 : 1;
    this.zoom(Math.exp((-event.deltaY * lines) / (event.ctrlKey ? 100 : 400)), x, y);
  }

  #canvasKey(event) {
    if (!this.#interactive || event.target !== this.#canvas || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      "+": () => this.zoom(STEP), "=": () => this.zoom(STEP), "-": () => this.zoom(1 / STEP), 0: () => this.fit(),
      ArrowLeft: () => this.#pan(NUDGE, 0), ArrowRight: () => this.#pan(-NUDGE, 0),
      ArrowUp: () => this.#pan(0, NUDGE), ArrowDown: () => this.#pan(0, -NUDGE),
    };
    if (!keys[event.key] || (this.#fitted && event.key.startsWith("Arrow"))) return;
    event.preventDefault();
    keys[event.key]();
  }

  #handleKey(event) {
    const step = event.shiftKey ? 0.1 : 0.01;
    const to = {
      ArrowLeft: this.#split - step, ArrowDown: this.#split - step, ArrowRight: this.#split + step, ArrowUp: this.#split + step,
      PageDown: this.#split - 0.1, PageUp: this.#split + 0.1, Home: 0, End: 1,
    }[event.key];
    if (!this.#interactive || to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.#split = Math.min(1, Math.max(0, to));
    this.#place();
  }
}
