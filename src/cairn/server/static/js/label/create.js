/** The dialog of a new project: name, skeleton, images or a video. */

import { call, form, query } from "../core/api.js";
import { acceptDrops, chooseFiles, isVideo, stem } from "../core/files.js";
import { openDialog } from "../core/dialog.js";
import { h } from "../core/dom.js";
import { builtInSkeletons } from "../core/models.js";
import { notifyError } from "../core/notify.js";
import { SkeletonEditor } from "./skeleton_editor.js";

const DRAWN = "";
const TITLES = { coco17: "Person, 17 keypoints", hand21: "Hand, 21 keypoints", face68: "Face, 68 keypoints" };

/** Opens the dialog; `ondone` gets the new project. */
export async function openCreate(ondone) {
  const skeletons = await builtInSkeletons();
  let files = [];
  const name = h("input", { type: "text", required: true, maxLength: 100, name: "name" });
  const first = Object.keys(TITLES).filter((each) => each in skeletons);
  const others = Object.keys(skeletons).filter((each) => !(each in TITLES));
  const option = (each) => h("option", { value: each }, TITLES[each] ?? `${each}, ${skeletons[each].joints.length} keypoints`);
  const select = h("select", {}, first.map(option), h("option", { value: DRAWN }, "Draw my own…"), others.map(option));
  const drawing = new SkeletonEditor();
  drawing.element.hidden = true;
  const frames = h("input", { type: "number", min: 1, max: 300, value: 50 });
  const framesField = h("label", { class: "field", hidden: true }, "Frames of each video", frames, h("small", {}, "Evenly spaced."));
  const chosen = h("p", { class: "muted" });
  const error = h("p", { class: "danger-text", role: "alert" });
  const progress = h("progress", { max: 1, value: 0, hidden: true, "aria-label": "Upload" });
  const submit = h("button", { class: "primary" }, "Create project");
  const zone = h(
    "div",
    { class: "drop empty small-drop" },
    h("p", {}, "Drop images or a video here, or"),
    h("button", { type: "button", onclick: async () => add(await chooseFiles()) }, "Choose files"),
    chosen,
  );
  const add = (more) => {
    files = [...files, ...more];
    const videos = files.filter(isVideo).length;
    framesField.hidden = !videos;
    const parts = [[files.length - videos, "image"], [videos, "video"]].filter(([count]) => count);
    chosen.textContent = parts.map(([count, noun]) => `${count} ${noun}${count === 1 ? "" : "s"}`).join(", ");
    if (files[0] && !isVideo(files[0])) drawing.setImage(files[0]);
    if (!name.value && files[0]) name.value = stem(files[0].name);
  };
  acceptDrops(zone, add);
  select.addEventListener("change", () => (drawing.element.hidden = select.value !== DRAWN));

  const create = async (event) => {
    event.preventDefault();
    error.textContent = "";
    submit.disabled = true;
    try {
      if (!files.length) throw new Error("Choose images or a video first");
      const skeleton = select.value === DRAWN ? drawing.table(name.value) : select.value;
      project ??= await call("v1/projects", { method: "POST", json: { name: name.value, skeleton } });
      progress.hidden = false;
      const failed = await upload(project, files, Number(frames.value), (share) => (progress.value = share));
      dialog.close();
      ondone(project);
      if (failed.length) notifyError(new Error(`Skipped files: ${failed.length}. ${failed[0]}`));
    } catch (problem) {
      error.textContent = problem.message;
    } finally {
      submit.disabled = false;
    }
  };
  let project = null;
  const dialog = openDialog(
    "New project",
    h(
      "form",
      { class: "stack", onsubmit: create },
      zone,
      framesField,
      h("label", { class: "field" }, "Name", name),
      h("label", { class: "field" }, "Keypoints", select),
      drawing.element,
      progress,
      error,
      h("div", { class: "actions" }, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), submit),
    ),
  );
}

/** Adds files to a project, one request for each. Returns why files were skipped. */
export async function upload(project, files, frames, onprogress) {
  const failed = [];
  let added = 0;
  for (const [i, file] of files.entries()) {
    const path = isVideo(file) ? query(`v1/projects/${project.id}/videos`, { frames }) : `v1/projects/${project.id}/images`;
    try {
      await call(path, { method: "POST", body: form("file", [file]) });
      added += 1;
    } catch (error) {
      if (![400, 413, 415, 422].includes(error.status)) throw error;
      failed.push(error.message);
    }
    onprogress((i + 1) / files.length);
  }
  if (!added) throw new Error(failed[0]);
  return failed;
}
