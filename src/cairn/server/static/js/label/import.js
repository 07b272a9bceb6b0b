/** Labels of a file for the images of a project. */

import { call, form, query } from "../core/api.js";
import { chooseFiles } from "../core/files.js";
import { openDialog } from "../core/dialog.js";
import { h } from "../core/dom.js";
import { count } from "../core/words.js";

/** Imports a file; `own` gives the project the keypoints of the file. Returns a sentence about what was imported. */
export async function importLabels(project, file, own = false) {
  const path = query(`v1/projects/${project}/labels`, { keypoints: own ? "labels" : "project" });
  return sentence(file, await call(path, { method: "POST", body: form("labels", [file]) }));
}

/** Asks for a file, imports it, and shows what was omitted. `ondone` runs when that was read. */
export async function openImport(project, ondone) {
  const [file] = await chooseFiles({ accept: ".json,.jsonl,.csv,.xml", multiple: false });
  if (!file) return;
  const path = `v1/projects/${project}/labels`;
  const found = await call(path, { method: "POST", body: form("labels", [file]) });
  const lines = [...found.skipped.map(({ name, detail }) => `${name} ${detail}`), ...found.notes];
  const list = lines.length ? h("ul", { class: "small" }, lines.map((line) => h("li", {}, line))) : null;
  const dialog = openDialog(
    "Import labels",
    h("div", { class: "stack" }, h("p", {}, sentence(file, found)), list, h("div", { class: "actions" }, h("button", { type: "button", class: "primary", onclick: () => dialog.close() }, "Close"))),
    { onclose: ondone },
  );
}

function sentence(file, { images, instances, skipped, notes }) {
  const left = skipped.length ? ` Images without: ${skipped.length}, such as ${skipped[0].name}, which ${skipped[0].detail}.` : "";
  return `${file.name}: labels of ${count(images, "image")}, ${count(instances, "instance")}.${left}${notes.length ? ` ${notes[0]}.` : ""}`;
}
