/** Draws the instances of an image with handles to drag, and turns the pointer into edits. */

import { s } from "../core/dom.js";
import { instanceColor } from "../stage/poses.js";

const CLICK = 5; // screen pixels that a click may move

export class Marks {
  /**
   * Handlers: onselect(i, k), onplace(point) for a click on the background, onmove(i, k, point), onbox(i, box),
   * onsettled() after a drag.
   */
  constructor(stage, skeleton, handlers) {
    this.stage = stage;
    this.skeleton = skeleton;
    this.handlers = handlers;
    this.drawingBox = false;
    this.drag = null;
    const { element } = stage;
    element.addEventListener("pointerdown", (event) => this.#down(event), { capture: true });
    element.addEventListener("pointermove", (event) => this.#move(event), { capture: true });
    element.addEventListener("pointerup", (event) => this.#up(event), { capture: true });
    element.addEventListener("pointercancel", (event) => this.#up(event), { capture: true });
  }

  /** Draws; `selected` is [i, k], both may be null. */
  draw(instances, selected, { names, hidden }) {
    const [row, joint] = selected;
    const groups = hidden ? [] : instances.map((instance, i) => this.#instance(instance, i, row === i ? joint : null, row === i, names));
    const focused = this.stage.svg.contains(document.activeElement);
    if (row !== null && groups[row]) groups.push(...groups.splice(row, 1)); // the selected one is on top
    this.stage.marks.replaceChildren(...groups);
    if (focused) this.stage.element.focus({ preventScroll: true });
  }

  #instance(instance, i, joint, isSelected, names) {
    const color = instanceColor(i + 1);
    const { keypoints } = instance;
    const parts = [];
    if (instance.box) {
      const [x, y, width, height] = instance.box;
      // boxes count from the corners of pixels, keypoints from their centers
      parts.push(s("rect", { class: "box", x: x - 0.5, y: y - 0.5, width, height, stroke: color }));
    }
    for (const [a, b] of this.skeleton.drawn) {
      if (!keypoints[a][2] || !keypoints[b][2]) continue;
      const ends = { x1: keypoints[a][0], y1: keypoints[a][1], x2: keypoints[b][0], y2: keypoints[b][1] };
      parts.push(s("line", { class: "limb", ...ends, stroke: this.skeleton.colors[b] }));
    }
    keypoints.forEach(([x, y, v], k) => {
      if (!v) return;
      const state = `${v === 1 ? " occluded" : ""}${joint === k ? " selected" : ""}`;
      const label = `${this.skeleton.joints[k]} of instance ${i + 1}`;
      const data = { "data-instance": i, "data-joint": k, "aria-label": label };
      parts.push(s("circle", { class: `joint handle${state}`, cx: x, cy: y, fill: this.skeleton.colors[k], ...data }, s("title", {}, label)));
      if (names || joint === k) parts.push(s("text", { class: "joint-name", x, y, dx: "0.7em", dy: "-0.7em" }, this.skeleton.joints[k]));
    });
    const kind = `instance${isSelected ? " chosen" : ""}${instance.suggested ? " suggested" : ""}`;
    return s("g", { class: kind }, parts);
  }

  #down(event) {
    if (event.target.closest?.("button") || (event.pointerType === "mouse" && event.button !== 0)) return;
    const start = [event.clientX, event.clientY];
    const handle = event.target.closest?.(".handle");
    if (handle) {
      const [i, k] = [Number(handle.dataset.instance), Number(handle.dataset.joint)];
      const grip = this.stage.at(event);
      const offset = [Number(handle.getAttribute("cx")) - grip[0], Number(handle.getAttribute("cy")) - grip[1]];
      this.drag = { kind: "keypoint", start, i, k, offset, moved: false };
      this.#own(event);
      this.handlers.onselect(i, k);
    } else if (this.drawingBox) {
      this.drag = { kind: "box", start, from: this.stage.at(event), moved: false };
      this.#own(event);
    } else {
      this.drag = { kind: "background", start, moved: false };
    }
  }

  #move(event) {
    const { drag } = this;
    if (!drag) return;
    drag.moved ||= Math.hypot(event.clientX - drag.start[0], event.clientY - drag.start[1]) > CLICK;
    if (drag.kind === "background" || !drag.moved) return;
    event.stopPropagation();
    const at = this.stage.at(event);
    if (drag.kind === "keypoint") this.handlers.onmove(drag.i, drag.k, [at[0] + drag.offset[0], at[1] + drag.offset[1]]);
    else this.handlers.onbox(corners(drag.from, at));
  }

  #up(event) {
    const { drag } = this;
    this.drag = null;
    if (!drag) return;
    if (drag.kind !== "background") {
      event.stopPropagation();
      this.handlers.onsettled(drag.kind);
    } else if (!drag.moved && event.type === "pointerup") {
      this.handlers.onplace(this.stage.at(event));
    }
  }

  /** Keeps the event from the stage, which would pan. */
  #own(event) {
    event.stopPropagation();
    event.preventDefault();
    this.stage.element.setPointerCapture(event.pointerId);
    this.stage.element.focus({ preventScroll: true });
  }
}

function corners([x0, y0], [x1, y1]) {
  return [Math.min(x0, x1) + 0.5, Math.min(y0, y1) + 0.5, Math.abs(x1 - x0), Math.abs(y1 - y0)];
}
