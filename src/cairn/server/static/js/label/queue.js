/** The list of the images of a project, in the order in which labeling them helps most, or by number. */

import { h, replace, scrollInside } from "../core/dom.js";

const STATES = { new: "not labeled", started: "started", labeled: "finished" };

export class Queue {
  /** `onopen` gets the ID of an image. */
  constructor(onopen) {
    this.onopen = onopen;
    this.images = [];
    this.current = null;
    this.order = h("select", { "aria-label": "Order of the images" }, h("option", { value: "helpful" }, "Most helpful first"), h("option", { value: "number" }, "In their own order"));
    this.order.addEventListener("change", () => this.draw());
    this.list = h("ul", { class: "queue-list" });
    this.count = h("p", { class: "muted small" });
    this.element = h("nav", { class: "card stack queue", "aria-label": "Images" }, this.order, this.count, this.list);
  }

  /** Takes the images as the server orders them. */
  set(images) {
    this.images = images;
    this.draw();
  }

  /** Notes the state of an image. */
  mark(id, state) {
    const image = this.images.find((each) => each.id === id);
    if (image) Object.assign(image, { state, reason: state === "labeled" ? "" : image.reason });
    this.draw();
  }

  show(id) {
    this.current = id;
    this.draw();
    scrollInside(this.list, this.list.querySelector("[aria-current]"));
  }

  /** The images in the chosen order. */
  get ordered() {
    if (this.order.value === "number") return [...this.images].sort((a, b) => a.id - b.id);
    const isFinished = (image) => image.state === "labeled";
    return [...this.images.filter((image) => !isFinished(image)), ...this.images.filter(isFinished)];
  }

  /** Returns the neighbor of the current image in the list, or null. */
  neighbor(step) {
    const { ordered } = this;
    const at = ordered.findIndex((image) => image.id === this.current);
    return ordered[at + step] ?? null;
  }

  /** Returns the next image that is not finished, from the current one on; null where all are finished. */
  nextOpen() {
    const { ordered } = this;
    const at = ordered.findIndex((image) => image.id === this.current);
    const rest = this.order.value === "helpful" ? ordered : [...ordered.slice(at + 1), ...ordered.slice(0, at)];
    return rest.find((image) => image.state !== "labeled" && image.id !== this.current) ?? null;
  }

  draw() {
    const finished = this.images.filter((image) => image.state === "labeled").length;
    this.count.textContent = `${finished} of ${this.images.length} finished`;
    const focus = document.activeElement?.dataset?.image;
    replace(this.list, this.ordered.map((image) => this.#row(image)));
    if (focus) this.list.querySelector(`[data-image="${focus}"]`)?.focus({ preventScroll: true });
  }

  #row(image) {
    const note = image.reason || (image.state === "new" ? "" : STATES[image.state]);
    const button = h(
      "button",
      { type: "button", class: `line ${image.state}`, data: { image: String(image.id) }, onclick: () => this.onopen(image.id) },
      h("span", { class: "dot", title: STATES[image.state] }),
      h("span", { class: "line-text" }, image.name, h("small", {}, note)),
    );
    button.setAttribute("aria-label", `${image.name}, ${STATES[image.state]}${image.reason ? `, ${image.reason}` : ""}`);
    if (image.id === this.current) button.setAttribute("aria-current", "true");
    return h("li", {}, button);
  }
}
