/** The keys of the editor: what the help lists is what the editor does. */

import { openDialog } from "../core/dialog.js";
import { h } from "../core/dom.js";

/** [keys as in KeyboardEvent.key (Ctrl+, Shift+ before), name of the action, what it does], in groups. */
export const KEYS = [
  ["Images", [
    [["Enter"], "accept", "Accept the labels and open the next image"],
    [["PageDown", "]"], "next", "Next image"],
    [["PageUp", "["], "previous", "Previous image"],
    [["s"], "suggest", "Suggest again"],
    [["c"], "copy", "Copy the labels of the previous image"],
  ]],
  ["Keypoints", [
    [["m"], "missing", "Next missing keypoint"],
    [["e"], "nextKeypoint", "Next keypoint"],
    [["q"], "previousKeypoint", "Previous keypoint"],
    [[" "], "put", "Place the keypoint in the middle, or where it was expected"],
    [["v"], "visibility", "Visible or occluded"],
    [["Delete", "Backspace"], "remove", "Remove the keypoint"],
    [["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], "nudge", "Move the keypoint by 1 pixel, with Shift by 10"],
  ]],
  ["Instances", [
    [["n"], "add", "New instance"],
    [["1", "2", "3", "4", "5", "6", "7", "8", "9"], "choose", "Select an instance"],
    [["Shift+Delete", "Shift+Backspace"], "removeInstance", "Remove the instance"],
    [["b"], "box", "Draw the box, or remove it"],
    [["f"], "swap", "Swap left and right"],
  ]],
  ["View", [
    [["Ctrl+z"], "undo", "Undo"],
    [["Ctrl+Shift+z", "Ctrl+y"], "redo", "Redo"],
    [["x"], "names", "Show or hide names"],
    [["h"], "hide", "Show or hide labels"],
    [["+", "=", "-", "0"], "zoom", "Zoom in, out, fit"],
    [["Escape"], "deselect", "Select nothing"],
    [["?"], "help", "This help"],
  ]],
];

const UNLISTED = ["Backspace", "Shift+Backspace", "="]; // second keys of the same action

const SHOWN = { " ": "Space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", PageDown: "Page down", PageUp: "Page up" };

/** Returns the action of a key press; null where it has none. */
export function actionOf(event) {
  const control = event.ctrlKey || event.metaKey ? "Ctrl+" : "";
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const shift = event.shiftKey && (control || ["Delete", "Backspace"].includes(key)) ? "Shift+" : "";
  for (const [, rows] of KEYS) {
    for (const [keys, action] of rows) if (keys.includes(control + shift + key)) return action;
  }
  return null;
}

/** Opens the list of keys. */
export function openHelp() {
  const cell = ([keys, , text]) =>
    h("tr", {}, h("td", {}, keys.length > 5 ? h("kbd", {}, "1–9") : keys.filter((key) => !UNLISTED.includes(key)).map((key) => [h("kbd", {}, written(key)), " "])), h("td", { class: "wrap" }, text));
  const tables = KEYS.map(([title, rows]) => h("section", {}, h("h2", {}, title), h("table", { class: "keys" }, h("tbody", {}, rows.map(cell)))));
  const close = h("button", { type: "button", class: "primary", onclick: () => dialog.close() }, "Close");
  const mouse = h("p", { class: "muted" }, "Mouse: click places the selected keypoint if it is missing, drag moves a keypoint or the image, the wheel zooms.");
  const dialog = openDialog("Keys", h("div", { class: "stack" }, mouse, h("div", { class: "help-grid" }, tables), h("div", { class: "actions" }, close)));
}

function written(key) {
  const parts = key === "+" ? ["+"] : key.split("+").filter(Boolean);
  return parts.map((part) => SHOWN[part] ?? (part.length === 1 ? part.toUpperCase() : part)).join(" ");
}
