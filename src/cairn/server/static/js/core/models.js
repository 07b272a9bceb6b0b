/** The models and skeletons that the server has. */

import { call } from "./api.js";
import { h, replace } from "./dom.js";

let skeletons = null;

/** Returns the models of the server: [{ name, task, ... }]. */
export async function listModels() {
  return (await call("v1/models")).models;
}

/** Returns the built-in skeletons by name, each as the table of its file. */
export async function builtInSkeletons() {
  skeletons ??= call("v1/skeletons").then((answer) => Object.fromEntries(answer.skeletons.map((each) => [each.name, each])));
  return skeletons;
}

/** Returns a <select> of models; `usable` selects some of them, `none` adds a first entry without a model. */
export function modelSelect(models, { selected, usable = isDetector, none = null, id = null } = {}) {
  const select = h("select", { id });
  fillModels(select, models, { selected, usable, none });
  return select;
}

/** Fills a <select> with models again, and keeps what is selected where it still exists. */
export function fillModels(select, models, { selected = select.value, usable = isDetector, none = null } = {}) {
  const names = models.filter(usable).map((model) => model.name);
  const options = names.map((name) => h("option", { value: name }, name));
  replace(select, none === null ? [] : h("option", { value: "" }, none), options);
  if (selected === "" || names.includes(selected)) select.value = selected;
}

/** Whether a model detects instances in whole images. */
export function isDetector(model) {
  return model.task !== "crop";
}
