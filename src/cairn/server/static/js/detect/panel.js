/** The settings beside the stage: what is detected, and what is drawn. */

import { h } from "../core/dom.js";
import { modelSelect } from "../core/models.js";

const KEY = "cairn.detect";

/**
 * Returns { element, values, select }: `values` are model, refine, threshold, limbs, names, ids, byInstance.
 * `onrun` is called when the results change with a value, `ondraw` when only their drawing does.
 */
export function settingsPanel(models, { onrun, ondraw }) {
  const values = { model: "person", refine: false, threshold: 0.1, limbs: true, names: false, ids: true, byInstance: false };
  Object.assign(values, JSON.parse(localStorage.getItem(KEY) ?? "{}"));
  const changed = (after) => {
    localStorage.setItem(KEY, JSON.stringify(values));
    after();
  };
  const select = modelSelect(models, { selected: values.model, id: "model" });
  values.model = select.value;
  const refinable = () => Boolean(models.find((model) => model.name === values.model)?.refiner);
  select.addEventListener("change", () => {
    values.model = select.value;
    refine.querySelector("input").disabled = !refinable();
    changed(onrun);
  });
  const check = (name, label, after) => {
    const input = h("input", { type: "checkbox", checked: values[name] });
    input.addEventListener("change", () => {
      values[name] = input.checked;
      changed(after);
    });
    return h("label", { class: "check" }, input, label);
  };
  const refine = check("refine", "Refine keypoints in crops (slower)", onrun);
  refine.querySelector("input").disabled = !refinable();
  const output = h("output", { for: "threshold" });
  const range = h("input", { id: "threshold", type: "range", min: 0, max: 1, step: 0.01, value: values.threshold });
  const show = () => (output.textContent = `${Math.round(100 * values.threshold)}%`);
  range.addEventListener("input", () => {
    values.threshold = Number(range.value);
    show();
    changed(ondraw);
  });
  show();
  const element = h(
    "section",
    { class: "card stack", "aria-label": "Settings" },
    h("label", { class: "field" }, "Model", select),
    refine,
    h("div", { class: "slider" }, h("label", { for: "threshold" }, "Minimum confidence ", output), range),
    h(
      "div",
      { class: "stack tight" },
      check("limbs", "Skeleton", ondraw),
      check("names", "Names of keypoints", ondraw),
      check("ids", "Numbers and track IDs", ondraw),
      check("byInstance", "One color per instance", ondraw),
    ),
  );
  return { element, values, select };
}
