/** The dialog of a new project: name, skeleton, images or a video, and labels that exist already. */

import { call, form, query } from "../core/api.js";
import { acceptDrops, chooseFiles, isLabels, isVideo, stem } from "../core/files.js";
import { openDialog } from "../core/dialog.js";
import { h } from "../core/dom.js";
import { builtInSkeletons } from "../core/models.js";
import { notify, notifyError } from "../core/notify.js";
import { count } from "../core/words.js";
import { importLabels } from "./import.js";
import { SkeletonEditor } from "./skeleton_editor.js";

const DRAWN = "";
const OF_LABELS = "labels of the file"; // no built-in skeleton has spaces in its name
const BUSY = 1000; // milliseconds
const ACCEPT = "image/*,video/*,.json,.jsonl,.csv,.xml";
const TITLES = { coco17: "Person, 17 keypoints", hand21: "Hand, 21 keypoints", face68: "Face, 68 keypoints" };

/** Opens the dialog; `ondone` gets the new project. */
export async function openCreate(ondone) {
  const skeletons = await builtInSkeletons();
  let files = [];
  let labels = [];
  const leaving = new AbortController();
  const name = h("input", { type: "text", required: true, maxLength: 100, name: "name" });
  const first = Object.keys(TITLES).filter((each) => each in skeletons);
  const others = Object.keys(skeletons).filter((each) => !(each in TITLES));
  const option = (each) => h("option", { value: each }, TITLES[each] ?? `${each}, ${skeletons[each].joints.length} keypoints`);
  const select = h("select", {}, first.map(option), h("option", { value: DRAWN }, "Draw my own…"), others.map(option));
  const ofLabels = h("option", { value: OF_LABELS });
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
    h("p", {}, "Drop images or a video here, with a label file where there is one, or"),
    h(
      "div",
      { class: "row" },
      h("button", { type: "button", onclick: async () => add(await chooseFiles({ accept: ACCEPT })) }, "Choose files"),
      h("button", { type: "button", onclick: async () => add((await chooseFiles({ folder: true })).filter(isImageOrVideo)) }, "Choose a folder"),
    ),
    chosen,
  );
  const add = (more) => {
    labels = [...labels, ...more.filter(isLabels)];
    files = [...files, ...more.filter((file) => !isLabels(file))];
    if (labels.length) {
      ofLabels.textContent = `Those of ${labels[0].name}`;
      if (!ofLabels.parentNode) {
        select.prepend(ofLabels);
        select.value = OF_LABELS;
      }
    }
    const videos = files.filter(isVideo).length;
    framesField.hidden = !videos;
    const parts = [[files.length - videos, "image"], [videos, "video"], [labels.length, "label file"]].filter(([number]) => number);
    chosen.textContent = parts.map(([number, noun]) => count(number, noun)).join(", ");
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
      const taken = select.value === OF_LABELS;
      const skeleton = select.value === DRAWN ? drawing.table(name.value) : taken ? undefined : select.value;
      progress.hidden = false;
      const project = await call("v1/projects", { method: "POST", json: { name: name.value, skeleton } });
      const said = await fill(project, taken);
      dialog.close();
      ondone(project);
      said.forEach((line) => notify(line));
    } catch (problem) {
      error.textContent = problem.message;
      if (leaving.signal.aborted && problem.name !== "AbortError") notifyError(problem);
    } finally {
      submit.disabled = false;
      progress.hidden = true;
    }
  };
  /** Adds all files to a project; where that fails, there is no project. Returns what is to be said. */
  const fill = async (project, taken) => {
    try {
      const failed = await upload(project, files, Number(frames.value), (share) => (progress.value = share), leaving.signal);
      const said = failed.length ? [`Skipped files: ${failed.length}. ${failed[0]}`] : [];
      for (const [i, file] of labels.entries()) said.push(await importLabels(project.id, file, taken && !i));
      leaving.signal.throwIfAborted();
      return said;
    } catch (problem) {
      await call(`v1/projects/${project.id}`, { method: "DELETE" }).catch(() => {});
      throw problem;
    }
  };
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
    { onclose: () => leaving.abort() },
  );
}

function isImageOrVideo(file) {
  return file.type.startsWith("image/") || isVideo(file);
}

/** Adds files to a project, one request for each. Returns why files were skipped. */
export async function upload(project, files, frames, onprogress, signal) {
  const failed = [];
  let added = 0;
  for (const [i, file] of files.entries()) {
    const path = isVideo(file) ? query(`v1/projects/${project.id}/videos`, { frames }) : `v1/projects/${project.id}/images`;
    try {
      await whenFree(() => call(path, { method: "POST", body: form("file", [file]), signal }), signal);
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

/** Sends a request again while the server has too many uploads. */
async function whenFree(send, signal) {
  for (;;) {
    try {
      return await send();
    } catch (error) {
      if (error.status !== 429) throw error;
      await new Promise((resolve) => setTimeout(resolve, BUSY));
      signal.throwIfAborted();
    }
  }
}
