/** Compare: two models on one image, side by side, with the same zoom. */

import { acceptDrops, chooseFiles } from "../core/files.js";
import { h, icon, ICONS, replace } from "../core/dom.js";
import { builtInSkeletons, listModels, modelSelect } from "../core/models.js";
import { notifyError } from "../core/notify.js";
import { drawPoses } from "../stage/poses.js";
import { imageOf, Stage } from "../stage/stage.js";
import { detectImage } from "../detect/images.js";

export async function open(main) {
  const [models, colors] = await Promise.all([listModels(), builtInSkeletons()]);
  const view = new CompareView(main, models, colors);
  return () => view.close();
}

class CompareView {
  constructor(main, models, colors) {
    this.colors = colors;
    this.threshold = 0.1;
    this.file = null;
    const names = models.filter((model) => model.task !== "crop").map((model) => model.name);
    const second = names.find((name) => name !== "person" && name.startsWith("person")) ?? names.at(-1);
    this.sides = [this.#side("Left model", models, "person"), this.#side("Right model", models, second)];
    this.sides[0].stage.onview = (view) => this.sides[1].stage.follow(view);
    this.sides[1].stage.onview = (view) => this.sides[0].stage.follow(view);
    const output = h("output", {}, "10%");
    const range = h("input", { id: "compare-threshold", type: "range", min: 0, max: 1, step: 0.01, value: this.threshold });
    range.addEventListener("input", () => {
      this.threshold = Number(range.value);
      output.textContent = `${Math.round(100 * this.threshold)}%`;
      this.draw();
    });
    const pick = async () => this.add(await chooseFiles({ accept: "image/*", multiple: false }));
    const example = async () => {
      const response = await fetch("example.jpg");
      await this.add([new File([await response.blob()], "portraits.jpg", { type: "image/jpeg" })]);
    };
    const art = icon(ICONS.compare);
    art.setAttribute("class", "art");
    this.start = h(
      "div",
      { class: "drop empty start" },
      art,
      h("h1", {}, "Compare two models on one image"),
      h("p", {}, "Drop an image here."),
      h("div", { class: "row" }, h("button", { type: "button", class: "primary", onclick: pick }, "Choose an image"), h("button", { type: "button", onclick: () => example().catch(notifyError) }, "Try an example")),
    );
    this.work = h(
      "div",
      { class: "compare", hidden: true },
      h(
        "div",
        { class: "row compare-head" },
        h("h1", { class: "visually-hidden" }, "Compare two models"),
        h("button", { type: "button", class: "primary", onclick: pick }, "Choose an image"),
        h("div", { class: "slider" }, h("label", { for: "compare-threshold" }, "Minimum confidence ", output), range),
      ),
      h("div", { class: "compare-sides" }, this.sides.map((side) => side.element)),
    );
    replace(main, this.start, this.work);
    this.undrop = acceptDrops(main, (files) => this.add(files));
  }

  async add([file]) {
    if (!file) return;
    try {
      this.file = file;
      this.start.hidden = true;
      this.work.hidden = false;
      for (const side of this.sides) {
        const image = await imageOf(file);
        side.stage.show(image, image.naturalWidth, image.naturalHeight);
      }
      await Promise.all(this.sides.map((side) => this.run(side)));
    } catch (error) {
      notifyError(error);
    }
  }

  /** Detects with the model of one side. */
  async run(side) {
    if (!this.file) return;
    side.running?.abort();
    const controller = (side.running = new AbortController());
    side.result = null;
    replace(side.status, "Detecting…");
    side.stage.marks.replaceChildren();
    try {
      const began = performance.now();
      side.result = await detectImage(this.file, { model: side.select.value }, this.colors, controller.signal);
      side.seconds = (performance.now() - began) / 1000;
      this.draw();
    } catch (error) {
      if (error.name !== "AbortError") replace(side.status, h("span", { class: "danger-text" }, error.message));
    }
  }

  draw() {
    for (const { stage, result, status, seconds } of this.sides) {
      if (!result) continue;
      drawPoses(stage.marks, result.skeleton, result.poses, { threshold: this.threshold });
      const shown = result.poses.flatMap((pose) => pose.keypoints).filter((each) => each && each[2] >= this.threshold);
      const mean = shown.length ? shown.reduce((sum, each) => sum + each[2], 0) / shown.length : 0;
      replace(status, `${result.poses.length} instances, ${shown.length} keypoints, mean confidence ${Math.round(100 * mean)}%, ${seconds.toFixed(2)} s`);
    }
  }

  close() {
    this.undrop();
    this.sides.forEach((side) => {
      side.running?.abort();
      side.stage.close();
    });
  }

  #side(label, models, selected) {
    const stage = new Stage(label);
    const select = modelSelect(models, { selected });
    const side = { stage, select, status: h("p", { class: "muted small", role: "status" }), result: null, running: null, seconds: 0 };
    select.addEventListener("change", () => this.run(side));
    side.element = h("section", { class: "compare-side", "aria-label": label }, h("label", { class: "field" }, label, select), stage.element, side.status);
    return side;
  }
}
