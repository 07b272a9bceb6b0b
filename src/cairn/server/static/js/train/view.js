/** Train: the list of trainings (#/train), a new one (#/train/new/PROJECT), or one of them (#/train/NAME). */

import { call } from "../core/api.js";
import { h, icon, ICONS, replace } from "../core/dom.js";
import { openTraining, stateTag } from "./training.js";
import { trainingForm } from "./form.js";

const POLL = 3000;

export async function open(main, [name, project]) {
  if (name === "new") {
    replace(main, h("div", { class: "page" }, await trainingForm(project)));
    return null;
  }
  return name ? openTraining(main, name) : openList(main);
}

async function openList(main) {
  let timer = null;
  let shown = "";
  const refresh = async () => {
    const { trainings } = await call("v1/trainings");
    const text = JSON.stringify(trainings);
    if (text !== shown) replace(main, trainings.length ? list(trainings) : empty());
    shown = text;
    timer = setTimeout(() => refresh().catch(() => {}), POLL);
  };
  await refresh();
  return () => clearTimeout(timer);
}

function list(trainings) {
  return h(
    "div",
    { class: "page" },
    h("div", { class: "row spread" }, h("h1", {}, "Trainings"), h("a", { class: "button accent", href: "#/train/new" }, "New training")),
    h("div", { class: "grid" }, trainings.map(card)),
  );
}

function card(training) {
  const { epoch, planned } = training;
  return h(
    "a",
    { class: "card link stack", href: `#/train/${training.id}` },
    h("div", { class: "row spread" }, h("h2", {}, training.id), stateTag(training.state)),
    h("progress", { max: planned ?? 1, value: training.state === "finished" ? (planned ?? 1) : epoch, "aria-label": `${training.id}: epochs` }),
    h("p", { class: "muted small" }, `${training.project_name} · ${training.images} images · epoch ${epoch}${planned ? ` of ${planned}` : ""}`),
  );
}

function empty() {
  const art = icon(ICONS.chart);
  art.setAttribute("class", "art");
  return h(
    "div",
    { class: "empty drop start" },
    art,
    h("h1", {}, "Train a model on your labels"),
    h("p", {}, "A training runs in a process of its own, and goes on when this page is closed."),
    h("a", { class: "button accent", href: "#/train/new" }, "New training"),
  );
}
