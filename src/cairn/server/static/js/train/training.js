/** One training: state, curves, validation images, log. */

import { blob, call } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { confirmed } from "../core/dialog.js";
import { notify, notifyError } from "../core/notify.js";
import { count } from "../core/words.js";
import { lineChart } from "./chart.js";

const POLL = 2000;
const PCK = "PCK/"; // columns of one keypoint
const PERCENT = ["AP", "AP50", "PCK"];
const TITLES = { running: "Running", finished: "Finished", stopped: "Stopped", failed: "Failed" };
const KINDS = { running: "busy", finished: "good", stopped: "", failed: "bad" };

export function stateTag(state) {
  return h("span", { class: `tag ${KINDS[state] ?? ""}` }, TITLES[state] ?? state);
}

export async function openTraining(main, name) {
  const view = new TrainingView(main, name);
  await view.refresh();
  return () => view.close();
}

class TrainingView {
  constructor(main, name) {
    this.path = `v1/trainings/${encodeURIComponent(name)}`;
    this.urls = [];
    this.head = h("div", { class: "stack" });
    this.curves = h("div", { class: "grid charts" });
    this.images = h("div", { class: "grid" });
    this.imagesSection = h("section", { class: "stack", hidden: true }, h("h2", {}, "Predictions for validation images"), this.images);
    this.log = h("pre", { class: "log", tabIndex: 0, "aria-label": "Log" });
    replace(
      main,
      h(
        "div",
        { class: "page" },
        h("a", { href: "#/train" }, "All trainings"),
        this.head,
        this.curves,
        this.imagesSection,
        h("details", { class: "card" }, h("summary", {}, "Log"), this.log),
      ),
    );
  }

  async refresh() {
    const training = await call(this.path);
    if (this.closed) return;
    const version = JSON.stringify([training.state, training.epoch, training.planned, training.history.length, training.model]);
    if (version !== this.version) {
      replace(this.head, this.#head(training));
      replace(this.curves, charts(training.history));
      this.#showImages(training).catch(() => {});
      this.version = version;
    }
    this.log.textContent = training.log;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh().catch(() => (this.timer = setTimeout(() => this.refresh().catch(() => {}), 2 * POLL))), POLL);
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.urls.forEach((url) => URL.revokeObjectURL(url));
  }

  #head(training) {
    const { state, epoch, planned, model } = training;
    const act = (verb) => async (event) => {
      event.target.disabled = true;
      try {
        await call(`${this.path}/${verb}`, { method: "POST" });
        await this.refresh();
      } catch (error) {
        notifyError(error);
        event.target.disabled = false;
      }
    };
    const length = training.minutes ? `about ${count(training.minutes, "minute")}` : count(training.epochs, "epoch");
    const facts = `${count(training.images, "image")} of ${training.project_name} · from ${training.pretrained || "a chosen model"} · ${length}`;
    return [
      h("div", { class: "row" }, h("h1", {}, training.id), stateTag(state)),
      h("p", { class: "muted" }, facts),
      h("progress", { max: planned ?? 1, ...(planned || state !== "running" ? { value: epoch } : {}), "aria-label": "Epochs" }),
      h("p", { class: "number" }, planned ? `Epoch ${epoch} of ${planned}` : state === "running" ? "Reading the labels and planning the run…" : "Not started"),
      training.message ? h("p", { class: state === "failed" ? "danger-text" : "muted", role: "alert" }, training.message) : null,
      h(
        "div",
        { class: "row" },
        state === "running" ? h("button", { type: "button", onclick: act("stop") }, "Stop") : null,
        ["stopped", "failed"].includes(state) ? h("button", { type: "button", class: "primary", onclick: act("resume") }, "Resume") : null,
        model ? h("a", { class: "button", href: "#/detect" }, "Use in Detect") : null,
        model && training.project ? h("a", { class: "button", href: `#/label/${training.project}` }, "Label with it") : null,
        state === "running" ? null : h("button", { type: "button", onclick: () => this.#delete(training).catch(notifyError) }, "Delete…"),
      ),
    ];
  }

  async #delete({ id, model }) {
    const text = `The run folder with ${model ? "the model, " : ""}the curves and the log is deleted. The project, its images and its labels stay. This cannot be undone.`;
    if (!(await confirmed(`Delete ${id}?`, text, "Delete training", "danger"))) return;
    notify((await call(this.path, { method: "DELETE" })).detail);
    location.hash = "#/train";
  }

  async #showImages(training) {
    this.imagesSection.hidden = !training.validation.length;
    const files = await Promise.all(training.validation.map((number) => blob(`${this.path}/validation/${number}`)));
    const before = this.urls;
    this.urls = files.map((file) => URL.createObjectURL(file));
    replace(this.images, this.urls.map((url, i) => h("img", { class: "overlay-image", src: url, alt: `Prediction for validation image ${i + 1}, epoch ${training.epoch}` })));
    before.forEach((url) => URL.revokeObjectURL(url));
  }
}

/** Charts of the losses and of the metrics on validation images. */
function charts(history) {
  if (!history.length) return [];
  const names = Object.keys(history.at(-1)).filter((name) => !["epoch", "minutes"].includes(name) && !name.startsWith(PCK));
  const losses = names.filter((name) => name.includes("loss"));
  const others = names.filter((name) => !losses.includes(name) && !/^A[PR]/.test(name) && !PERCENT.includes(name));
  const groups = [["Loss", losses], ["Accuracy, %", names.filter((name) => PERCENT.includes(name))], ["Other metrics", others]];
  return groups.filter(([, columns]) => columns.length).map(([title, columns]) => lineChart(title, history, columns.slice(0, 3)));
}
