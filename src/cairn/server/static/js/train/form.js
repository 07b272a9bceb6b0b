/** The form of a new training. */

import { call } from "../core/api.js";
import { h } from "../core/dom.js";
import { isDetector, listModels } from "../core/models.js";
import { count } from "../core/words.js";

const MINUTES = [1, 5, 20, 60, 240];
const MIN_IMAGES = 2;

export async function trainingForm(chosen) {
  const [{ projects }, models] = await Promise.all([call("v1/projects"), listModels()]);
  const usable = projects.filter((project) => project.images);
  if (!usable.length) {
    return h(
      "div",
      { class: "empty" },
      h("h1", {}, "No labels to train on yet"),
      h("p", {}, "Label some images first, then train a model on them."),
      h("a", { class: "button", href: "#/label" }, "Label images"),
    );
  }
  const text = (project) => `${project.name} (${count(project.labeled, "labeled image")})`;
  const project = h("select", {}, usable.map((each) => h("option", { value: each.id }, text(each))));
  if (chosen) project.value = chosen;
  const name = h("input", { type: "text", required: true, maxLength: 60 });
  const start = h(
    "select",
    {},
    h("option", { value: "" }, "Chosen by the labels"),
    models.filter(isDetector).map((model) => h("option", { value: model.name }, model.name)),
    h("option", { value: "none" }, "From scratch"),
  );
  const minutes = h("select", {}, MINUTES.map((each) => h("option", { value: each, selected: each === 5 }, `About ${count(each, "minute")}`)), h("option", { value: "" }, "A number of epochs…"));
  const epochs = h("input", { type: "number", min: 1, max: 10_000, value: 20 });
  const epochsField = h("label", { class: "field", hidden: true }, "Epochs", epochs);
  minutes.addEventListener("change", () => (epochsField.hidden = minutes.value !== ""));
  const note = h("p", { class: "hint" });
  const submit = h("button", { class: "primary" }, "Start training");
  const error = h("p", { class: "danger-text", role: "alert" });
  const update = () => {
    const current = usable.find((each) => each.id === project.value);
    const missing = current.labeled < MIN_IMAGES;
    note.textContent = missing ? `Finish ${MIN_IMAGES} or more images of this project first.` : "A tenth of the labeled images is held out for validation.";
    submit.disabled = missing;
    if (!name.dataset.typed) name.value = current.name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
  };
  name.addEventListener("input", () => (name.dataset.typed = "yes"));
  project.addEventListener("change", update);
  update();
  const send = async (event) => {
    event.preventDefault();
    submit.disabled = true;
    error.textContent = "";
    try {
      const length = minutes.value ? { minutes: Number(minutes.value) } : { epochs: Number(epochs.value) };
      const json = { project: project.value, name: name.value, pretrained: start.value, ...length };
      const training = await call("v1/trainings", { method: "POST", json });
      location.hash = `#/train/${training.id}`;
    } catch (problem) {
      error.textContent = problem.message;
      submit.disabled = false;
    }
  };
  return h(
    "form",
    { class: "card stack narrow", onsubmit: send },
    h("h1", {}, "New training"),
    h("label", { class: "field" }, "Labels", project, note),
    h("label", { class: "field" }, "Name of the model", name),
    h("label", { class: "field" }, "Start from", start),
    h("label", { class: "field" }, "Duration", minutes),
    epochsField,
    error,
    h("div", { class: "row" }, submit, h("a", { class: "button", href: "#/train" }, "Cancel")),
  );
}
