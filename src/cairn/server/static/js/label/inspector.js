/** The panel beside the image: instances, and the keypoints of the selected one. */

import { h, icon, ICONS, replace, scrollInside } from "../core/dom.js";
import { instanceColor } from "../stage/poses.js";

const STATES = ["missing", "occluded", "visible"];

export class Inspector {
  /** Handlers: onselect(i, k), oncycle(i, k) changes visibility, onremove(i), onadd(), onfinished(value). */
  constructor(skeleton, handlers) {
    this.skeleton = skeleton;
    this.handlers = handlers;
    this.finished = h("input", { type: "checkbox" });
    this.finished.addEventListener("change", () => handlers.onfinished(this.finished.checked));
    this.instances = h("ul", { class: "instance-list" });
    this.joints = h("ul", { class: "joint-rows" });
    this.title = h("h2", {}, "Keypoints");
    this.element = h(
      "section",
      { class: "card stack inspector", "aria-label": "Labels" },
      h("label", { class: "check" }, this.finished, "Finished: train on this image"),
      h("div", { class: "row spread" }, h("h2", {}, "Instances"), h("button", { type: "button", onclick: handlers.onadd }, "Add")),
      this.instances,
      this.title,
      this.joints,
    );
  }

  draw(instances, [row, joint], labeled) {
    this.finished.checked = labeled;
    const focus = document.activeElement?.dataset?.key;
    replace(
      this.instances,
      instances.length ? instances.map((each, i) => this.#instance(each, i, row === i)) : h("li", { class: "muted small" }, "None in this image."),
    );
    const chosen = row === null ? null : instances[row];
    this.title.hidden = !chosen;
    replace(this.joints, chosen ? this.skeleton.joints.map((name, k) => this.#joint(chosen, row, name, k, joint === k)) : []);
    if (focus) this.element.querySelector(`[data-key="${focus}"]`)?.focus({ preventScroll: true });
    scrollInside(this.joints, this.joints.querySelector("[aria-current]"));
  }

  #instance(instance, i, isChosen) {
    const found = instance.keypoints.filter((keypoint) => keypoint[2]).length;
    const dot = h("span", { class: "dot" });
    dot.style.background = instanceColor(i + 1);
    const text = `${i + 1}: ${found}/${instance.keypoints.length}${instance.suggested ? " suggested" : ""}`;
    const button = h("button", { type: "button", class: "line", data: { key: `i${i}` }, onclick: () => this.handlers.onselect(i, null) }, dot, text);
    button.setAttribute("aria-pressed", String(isChosen));
    const remove = h("button", { type: "button", class: "ghost icon", title: "Remove", "aria-label": `Remove instance ${i + 1}`, onclick: () => this.handlers.onremove(i) }, icon(ICONS.trash));
    return h("li", { class: "row nowrap" }, button, remove);
  }

  #joint(instance, i, name, k, isChosen) {
    const v = instance.keypoints[k][2];
    const dot = h("span", { class: "dot" });
    dot.style.background = this.skeleton.colors[k];
    const score = instance.scores?.[k] ? ` ${Math.round(100 * instance.scores[k])}%` : "";
    const select = h("button", { type: "button", class: "line", data: { key: `k${k}` }, onclick: () => this.handlers.onselect(i, k) }, dot, name.replaceAll("_", " "), h("span", { class: "muted small" }, score));
    if (isChosen) select.setAttribute("aria-current", "true");
    const label = `${name}: ${STATES[v]}. Change visibility`;
    const state = h("button", { type: "button", class: `ghost state v${v}`, data: { key: `v${k}` }, disabled: !v, "aria-label": label, onclick: () => this.handlers.oncycle(i, k) }, STATES[v]);
    return h("li", { class: "row nowrap" }, select, state);
  }
}
