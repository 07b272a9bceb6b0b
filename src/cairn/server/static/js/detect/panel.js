/** The settings beside the stage: what is detected, and what is drawn. */

import { h } from "../core/dom.js";
import { modelSelect } from "../core/models.js";

const KEY = "cairn.detect";

/**
 * Returns { element, values, active, select }: `values` are model, refine, lift, threshold, limbs, names, ids, byInstance;
 * `active` returns them without what the model cannot do. `onrun` is called when the results change with a value,
 * `onlift` when those of videos do, `ondraw` when only their drawing does.
 */
export function settingsPanel(models, { onrun, onlift, ondraw }) {
  const values = { model: "person", refine: false, lift: false, threshold: 0.1, limbs: true, names: false, ids: true, byInstance: false };
  Object.assign(values, JSON.parse(localStorage.getItem(KEY) ?? "{}"));
  const changed = (after) => {
    localStorage.setItem(KEY, JSON.stringify(values));
    after();
  };
  const select = modelSelect(models, { selected: values.model, id: "model" });
  values.model = select.value;
  const chosen = () => models.find((model) => model.name === values.model);
  const isPerson = () => ["left_hip", "right_hip"].every((joint) => chosen()?.joints.includes(joint));
  const refinable = () => Boolean(chosen()?.refiner);
  select.addEventListener("change", () => {
    values.model = select.value;
    adapt();
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
  const refine = check("refine", "Refine every instance (slower)", onrun);
  const lift = check("lift", "Lift people in videos to 3D", onlift);
  const adapt = () => {
    refine.querySelector("input").disabled = !refinable();
    lift.querySelector("input").disabled = !isPerson();
  };
  adapt();
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
    lift,
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
  const active = () => ({ ...values, refine: values.refine && refinable(), lift: values.lift && isPerson() });
  return { element, values, active, select };
}
