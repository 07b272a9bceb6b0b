/**
 * An image, video or canvas with an SVG on top, with zoom and pan.
 *
 * Coordinates are those of Cairn: x and y in pixels of the image, integers at the centers of pixels. The SVG group
 * `marks` is scaled with the image and moved by half a pixel, so marks are drawn at their coordinates; sizes that
 * should not grow with the zoom are multiplied by the CSS variable --px, the size of a screen pixel.
 */

import { h, icon, ICONS, s } from "../core/dom.js";

const MAX_ZOOM = 40;
const STEP = 1.25;
const MARGIN = 12;

export class Stage {
  constructor(label, { onview = () => {} } = {}) {
    this.onview = onview;
    this.size = [1, 1];
    this.view = { x: 0, y: 0, scale: 1 };
    this.marks = s("g", { class: "marks" });
    this.svg = s("svg", { class: "stage-svg", role: "group", "aria-label": `${label}: keypoints` }, this.marks);
    this.holder = h("div", { class: "stage-media" });
    this.element = h(
      "div",
      { class: "stage", tabIndex: 0, role: "group", "aria-label": `${label}. Plus and minus zoom, zero fits.` },
      this.holder,
      this.svg,
      h(
        "div",
        { class: "stage-buttons" },
        this.#button("Zoom in", ICONS.plus, () => this.zoom(STEP)),
        this.#button("Zoom out", ICONS.minus, () => this.zoom(1 / STEP)),
        this.#button("Fit", ICONS.fit, () => this.fit()),
      ),
    );
    this.fitted = true;
    this.pointers = new Map();
    this.element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    for (const name of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) {
      this.element.addEventListener(name, (event) => this.#pointer(event));
    }
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.resizing = new ResizeObserver(() => (this.fitted ? this.fit() : this.#apply()));
    this.resizing.observe(this.element);
  }

  /** Shows an <img>, <video> or <canvas> of a size in pixels. */
  show(media, width, height, { keepView = false } = {}) {
    const same = keepView && this.size[0] === width && this.size[1] === height;
    this.size = [width, height];
    media.style.width = `${width}px`;
    media.style.height = `${height}px`;
    media.draggable = false;
    this.holder.replaceChildren(media);
    if (same) this.#apply();
    else this.fit();
  }

  /** Fits the image into the stage. */
  fit() {
    const { width, height } = this.element.getBoundingClientRect();
    const [w, hgt] = this.size;
    const scale = Math.max(0.01, Math.min((width - 2 * MARGIN) / w, (height - 2 * MARGIN) / hgt));
    this.view = { scale, x: (width - scale * w) / 2, y: (height - scale * hgt) / 2 };
    this.fitted = true;
    this.#apply();
    this.onview(this.view);
  }

  /** Zooms by a factor around a point of the stage, by default its middle. */
  zoom(factor, point = null) {
    const { width, height } = this.element.getBoundingClientRect();
    const [px, py] = point ?? [width / 2, height / 2];
    const scale = Math.min(MAX_ZOOM, Math.max(0.02, this.view.scale * factor));
    const ratio = scale / this.view.scale;
    this.view = { scale, x: px - ratio * (px - this.view.x), y: py - ratio * (py - this.view.y) };
    this.#changed();
  }

  /** Moves the image by screen pixels. */
  pan(dx, dy) {
    this.view = { ...this.view, x: this.view.x + dx, y: this.view.y + dy };
    this.#changed();
  }

  /** Takes the view of another stage. */
  follow(view) {
    this.view = { ...view };
    this.fitted = false;
    this.#apply();
  }

  /** Brings a point of the image into sight. */
  reveal([x, y]) {
    const { width, height } = this.element.getBoundingClientRect();
    const sx = this.view.x + this.view.scale * x;
    const sy = this.view.y + this.view.scale * y;
    if (sx < 20 || sy < 20 || sx > width - 20 || sy > height - 20) this.pan(width / 2 - sx, height / 2 - sy);
  }

  /** Returns the coordinates in the image of a pointer event. */
  at(event) {
    const box = this.element.getBoundingClientRect();
    return [
      (event.clientX - box.left - this.view.x) / this.view.scale - 0.5,
      (event.clientY - box.top - this.view.y) / this.view.scale - 0.5,
    ];
  }

  /** Returns the coordinates of the middle of what is visible. */
  middle() {
    const { width, height } = this.element.getBoundingClientRect();
    return [(width / 2 - this.view.x) / this.view.scale - 0.5, (height / 2 - this.view.y) / this.view.scale - 0.5];
  }

  close() {
    this.resizing.disconnect();
  }

  #changed() {
    this.fitted = false;
    this.#apply();
    this.onview(this.view);
  }

  #apply() {
    const { x, y, scale } = this.view;
    this.holder.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    this.holder.classList.toggle("pixels", scale > 4);
    this.marks.setAttribute("transform", `translate(${x} ${y}) scale(${scale}) translate(0.5 0.5)`);
    this.svg.style.setProperty("--px", String(1 / scale));
  }

  #wheel(event) {
    event.preventDefault();
    const box = this.element.getBoundingClientRect();
    this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), [event.clientX - box.left, event.clientY - box.top]);
  }

  /** One pointer on the background pans, two zoom. Marks that take a pointer stop the event themselves. */
  #pointer(event) {
    if (event.target.closest("button")) return;
    if (event.type === "pointerdown") {
      if (event.pointerType === "mouse" && event.button > 1) return;
      this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
      this.element.setPointerCapture(event.pointerId);
    } else if (event.type === "pointermove") {
      const before = this.pointers.get(event.pointerId);
      if (!before) return;
      const now = [event.clientX, event.clientY];
      if (this.pointers.size === 1) this.pan(now[0] - before[0], now[1] - before[1]);
      else if (this.pointers.size === 2) this.#pinch(event.pointerId, before, now);
      this.pointers.set(event.pointerId, now);
    } else {
      this.pointers.delete(event.pointerId);
    }
  }

  #pinch(id, before, now) {
    const other = [...this.pointers].find(([each]) => each !== id)[1];
    const distance = ([x, y]) => Math.hypot(x - other[0], y - other[1]) || 1;
    const box = this.element.getBoundingClientRect();
    this.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    this.zoom(distance(now) / distance(before), [(now[0] + other[0]) / 2 - box.left, (now[1] + other[1]) / 2 - box.top]);
  }

  #key(event) {
    if (event.target !== this.element || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const actions = { "+": () => this.zoom(STEP), "=": () => this.zoom(STEP), "-": () => this.zoom(1 / STEP), 0: () => this.fit() };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  #button(label, path, onclick) {
    return h("button", { type: "button", class: "icon", title: label, "aria-label": label, onclick }, icon(path));
  }
}

/** Returns a decoded <img> of a blob, with `width` and `height` as the browser orients it. */
export async function imageOf(blob) {
  const url = URL.createObjectURL(blob);
  const image = h("img", { alt: "" });
  image.src = url;
  try {
    await image.decode();
  } catch {
    throw new Error("This browser cannot show the image");
  } finally {
    URL.revokeObjectURL(url);
  }
  return image;
}
