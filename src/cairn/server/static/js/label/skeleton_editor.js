/** Drawing a skeleton: a click places a keypoint, a click on two keypoints connects them. */

import { h, replace, s } from "../core/dom.js";
import { imageOf, Stage } from "../stage/stage.js";

const BLANK = [480, 320];
const CLICK = 4; // screen pixels that a click may move

export class SkeletonEditor {
  constructor() {
    this.points = []; // { name, x, y }
    this.limbs = []; // pairs of indices
    this.from = null;
    this.stage = new Stage("Skeleton");
    this.list = h("ol", { class: "joint-list" });
    this.element = h(
      "fieldset",
      { class: "stack skeleton-editor" },
      h("legend", {}, "Draw the keypoints"),
      h("p", { class: "hint" }, "Click to place each keypoint, then click one keypoint and another to connect them. Names that begin with left and right are mirrored when images are flipped."),
      this.stage.element,
      this.list,
      h("button", { type: "button", onclick: () => this.#add(...this.stage.middle()) }, "Add a keypoint"),
    );
    const blank = Object.assign(document.createElement("canvas"), { width: BLANK[0], height: BLANK[1] });
    this.stage.show(blank, ...BLANK);
    let down = null;
    this.stage.element.addEventListener("pointerdown", (event) => (down = [event.clientX, event.clientY]));
    this.stage.element.addEventListener("click", (event) => {
      // the stage captures the pointer, so that the target of the event is always the stage
      const target = document.elementFromPoint(event.clientX, event.clientY);
      const moved = down && Math.hypot(event.clientX - down[0], event.clientY - down[1]) > CLICK;
      if (!target || moved || target.closest("button")) return;
      const handle = target.closest(".handle");
      if (handle) this.#connect(Number(handle.dataset.index));
      else this.#add(...this.stage.at(event));
    });
  }

  /** Shows an image of the user below the skeleton. */
  async setImage(file) {
    try {
      const image = await imageOf(file);
      this.stage.show(image, image.naturalWidth, image.naturalHeight);
    } catch {
      // a format that browsers do not show: the blank canvas stays
    }
  }

  /** Returns the table of the skeleton. Throws where it has no keypoints, or a name twice. */
  table(name) {
    const joints = this.points.map((point) => point.name.trim().toLowerCase().replace(/\s+/g, "_"));
    if (!joints.length) throw new Error("Draw at least one keypoint");
    const twice = joints.find((joint, i) => !joint || joints.indexOf(joint) !== i);
    if (twice !== undefined) throw new Error(`Each keypoint needs a name of its own; ${twice || "one"} ${twice ? "occurs twice" : "has none"}`);
    return { name: name || "object", joints, limbs: this.limbs.map((pair) => pair.map((i) => joints[i])) };
  }

  #add(x, y) {
    this.points.push({ name: `point_${this.points.length + 1}`, x, y });
    this.from = null;
    this.#draw();
    this.list.lastElementChild?.querySelector("input").select();
  }

  #remove(index) {
    this.points.splice(index, 1);
    const shift = (i) => (i > index ? i - 1 : i);
    this.limbs = this.limbs.filter((pair) => !pair.includes(index)).map((pair) => pair.map(shift));
    this.from = null;
    this.#draw();
  }

  #connect(index) {
    if (this.from === null) this.from = index;
    else if (this.from === index) this.from = null;
    else {
      const same = ([a, b]) => (a === this.from && b === index) || (a === index && b === this.from);
      const known = this.limbs.findIndex(same);
      if (known >= 0) this.limbs.splice(known, 1);
      else this.limbs.push([this.from, index]);
      this.from = null;
    }
    this.#draw();
  }

  #draw() {
    const lines = this.limbs.map(([a, b]) => {
      const ends = { x1: this.points[a].x, y1: this.points[a].y, x2: this.points[b].x, y2: this.points[b].y };
      return s("line", { class: "limb drawn", ...ends });
    });
    const handles = this.points.map((point, i) => {
      const chosen = i === this.from ? " selected" : "";
      const press = (event) => {
        if (!["Enter", " "].includes(event.key)) return;
        event.preventDefault();
        this.#connect(i);
        this.stage.marks.querySelectorAll(".handle")[i]?.focus();
      };
      return s(
        "g",
        {},
        s("circle", { class: `joint handle${chosen}`, cx: point.x, cy: point.y, fill: "#4cc9be", tabindex: 0, role: "button", "aria-label": `Connect ${point.name}`, "data-index": i, onkeydown: press }),
        s("text", { class: "joint-name", x: point.x, y: point.y, dx: "0.6em", dy: "-0.6em" }, point.name),
      );
    });
    this.stage.marks.replaceChildren(...lines, ...handles);
    replace(this.list, this.points.map((point, i) => this.#row(point, i)));
  }

  #row(point, i) {
    const input = h("input", { type: "text", value: point.name, maxLength: 60, "aria-label": `Name of keypoint ${i + 1}` });
    input.addEventListener("input", () => {
      point.name = input.value;
      this.stage.marks.querySelectorAll("text")[i].textContent = input.value;
    });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // would send the form
      this.list.children[i + 1]?.querySelector("input").select();
    });
    const remove = h("button", { type: "button", class: "ghost", "aria-label": `Remove ${point.name}`, onclick: () => this.#remove(i) }, "Remove");
    return h("li", {}, h("div", { class: "row nowrap" }, input, remove));
  }
}
