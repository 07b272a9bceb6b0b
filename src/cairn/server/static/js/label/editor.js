/** The editor of a project: image, labels, suggestions, autosave. */

import { blob, call, request } from "../core/api.js";
import { chooseFiles, save as saveFile } from "../core/files.js";
import { confirmed, openDialog } from "../core/dialog.js";
import { h, icon, ICONS, replace } from "../core/dom.js";
import { fillModels, isDetector, listModels } from "../core/models.js";
import { notify, notifyError } from "../core/notify.js";
import { count } from "../core/words.js";
import { imageOf, Stage } from "../stage/stage.js";
import { readSkeleton } from "../stage/poses.js";
import { fromLabels, fromSuggestion, LabelDocument } from "./document.js";
import { upload } from "./create.js";
import { openImport } from "./import.js";
import { Inspector } from "./inspector.js";
import { actionOf, openHelp } from "./keys.js";
import { Marks } from "./marks.js";
import { Queue } from "./queue.js";
import { Saver } from "./saver.js";

const POLL = 1500; // milliseconds between looks at the suggestions that are being made
const FRAMES = 50; // of a video that is added
const SAVE_STATES = { new: "Not labeled yet", saved: "All changes saved", changed: "Saving…", saving: "Saving…", failed: "Not saved", conflict: "Not saved" };

export async function openEditor(main, id, image) {
  const [project, models] = await Promise.all([call(`v1/projects/${encodeURIComponent(id)}`), listModels()]);
  const editor = new Editor(main, project, models);
  await editor.begin(image);
  return () => editor.close();
}

class Editor {
  constructor(main, project, models) {
    this.project = project;
    this.models = models.filter((model) => isDetector(model) && model.joints.some((joint) => project.skeleton.joints.includes(joint)));
    this.skeleton = readSkeleton(project.skeleton);
    this.path = `v1/projects/${project.id}`;
    this.image = null;
    this.labeled = false;
    this.selected = [null, null];
    this.shown = { names: false, hidden: false };
    this.doc = new LabelDocument(this.skeleton, [1, 1], () => this.#changed());
    this.saver = new Saver((state, detail) => this.#saveState(state, detail));
    this.stage = new Stage("Image to label");
    this.marks = new Marks(this.stage, this.skeleton, {
      onselect: (i, k) => this.select(i, k),
      onplace: (point) => this.#click(point),
      onmove: (i, k, point) => this.doc.place(i, k, point, `${i} ${k}`),
      onbox: (box) => this.doc.setBox(this.selected[0], box, "box"),
      onsettled: (kind) => this.#settled(kind),
    });
    this.inspector = new Inspector(this.skeleton, {
      onselect: (i, k) => this.select(i, k),
      oncycle: (i, k) => this.#cycle(i, k),
      onremove: (i) => this.#removeInstance(i),
      onadd: () => this.#add(),
      onfinished: (value) => this.#finish(value),
    });
    this.queue = new Queue((each) => this.open(each));
    this.actions = this.#actions();
    this.keydown = (event) => this.#key(event);
    document.addEventListener("keydown", this.keydown);
    this.unload = (event) => this.saver.dirty && event.preventDefault();
    addEventListener("beforeunload", this.unload);
    replace(main, this.#layout());
  }

  /** Opens the first image, and starts suggestions in a project that has had none. */
  async begin(image) {
    const { ordered, suggestions } = this.project;
    this.queue.set(ordered);
    if (!ordered.length) return this.#showEmpty();
    this.model.value = suggestions.model;
    if (!this.model.value && this.models.length) { // none yet, or one that was deleted
      this.model.value = this.models.find((model) => model.name === "person")?.name ?? this.models[0].name;
      await this.#predictAll();
    }
    this.#poll();
    const first = ordered.find((each) => each.id === image) ?? ordered.find((each) => each.state !== "labeled") ?? ordered[0];
    await this.open(first.id);
  }

  /** Saves the current image and opens another one. */
  async open(id) {
    if (!(await this.#leave())) return;
    const visit = (this.visit = Symbol());
    const entry = this.queue.images.find((each) => each.id === id);
    this.queue.show(id);
    try {
      const [file, labels] = await Promise.all([blob(`${this.path}/images/${id}/file`), call(`${this.path}/images/${id}/labels`)]);
      const media = await imageOf(file);
      if (this.visit !== visit) return;
      this.image = entry;
      this.doc.size = [entry.width, entry.height];
      this.doc.load(fromLabels(labels));
      this.labeled = labels.labeled;
      this.selected = [null, null];
      this.marks.drawingBox = false;
      media.alt = entry.name;
      this.stage.show(media, entry.width, entry.height, { keepView: true });
      this.saver.open(`${this.path}/images/${id}/labels`, labels.revision, () => ({ labeled: this.labeled, instances: this.doc.toJson() }));
      replace(this.title, entry.name);
      history.replaceState(null, "", `#/label/${this.project.id}/${id}`);
      this.draw();
      if (!labels.revision && this.model.value) await this.#suggest(visit);
    } catch (error) {
      notifyError(error);
    }
  }

  select(i, k) {
    this.selected = [i, k];
    this.draw();
  }

  draw() {
    const [row] = this.selected;
    if (row !== null && row >= this.doc.instances.length) this.selected = [null, null];
    this.marks.draw(this.doc.instances, this.selected, this.shown);
    this.inspector.draw(this.doc.instances, this.selected, this.labeled);
    this.undoButton.disabled = !this.doc.past.length;
    this.redoButton.disabled = !this.doc.future.length;
    this.stage.element.classList.toggle("placing", this.#missing() || this.marks.drawingBox);
    replace(this.hint, this.#hintText());
  }

  async close() {
    this.closed = true;
    clearTimeout(this.timer);
    document.removeEventListener("keydown", this.keydown);
    if (!(await this.saver.save())) {
      notify(`The last change of ${this.image.name} could not be saved`, { error: true });
    }
    clearTimeout(this.saver.timer);
    removeEventListener("beforeunload", this.unload);
    this.stage.close();
  }

  /** What the keys do, by the names in keys.js. */
  #actions() {
    const withKeypoint = (act) => () => {
      const [i, k] = this.selected;
      if (i !== null && k !== null) act(i, k);
    };
    const withInstance = (act) => () => this.selected[0] !== null && act(this.selected[0]);
    return {
      accept: () => this.#accept(),
      next: () => this.#go(1),
      previous: () => this.#go(-1),
      suggest: () => this.#suggest(this.visit, true),
      copy: () => this.#copy(),
      missing: () => this.#nextMissing(),
      nextKeypoint: () => this.#step(1),
      previousKeypoint: () => this.#step(-1),
      put: withKeypoint((i, k) => this.#put(i, k)),
      visibility: withKeypoint((i, k) => this.#cycle(i, k)),
      remove: withKeypoint((i, k) => this.doc.setVisibility(i, k, 0)),
      nudge: withKeypoint((i, k) => this.#nudge(i, k)),
      add: () => this.#add(),
      choose: (event) => this.doc.instances[Number(event.key) - 1] && this.select(Number(event.key) - 1, null),
      removeInstance: withInstance((i) => this.#removeInstance(i)),
      box: withInstance((i) => this.#box(i)),
      swap: withInstance((i) => this.doc.swapSides(i)),
      undo: () => this.doc.undo(),
      redo: () => this.doc.redo(),
      names: () => this.#toggle("names"),
      hide: () => this.#toggle("hidden"),
      zoom: (event) => (event.key === "0" ? this.stage.fit() : this.stage.zoom(event.key === "-" ? 0.8 : 1.25)),
      deselect: () => {
        this.marks.drawingBox = false;
        this.select(null, null);
      },
      help: openHelp,
    };
  }

  #key(event) {
    const { target } = event;
    if (event.defaultPrevented || event.altKey || document.querySelector("dialog[open]")) return;
    if (target.closest("input:not([type=checkbox]), select, textarea")) return;
    if (["Enter", " "].includes(event.key) && target.closest("button, a, summary, input")) return;
    const action = actionOf(event);
    if (!action || !this.image) return;
    event.preventDefault();
    this.event = event;
    this.actions[action](event);
  }

  async #accept() {
    this.doc.accept();
    this.labeled = true;
    this.saver.touch();
    this.draw();
    if (!(await this.saver.save())) return;
    const next = this.queue.nextOpen();
    if (next) await this.open(next.id);
    else notify("All images of this project are finished");
  }

  #go(step) {
    const next = this.queue.neighbor(step);
    if (next) this.open(next.id);
  }

  async #leave() {
    if (!this.image || (await this.saver.save())) return true;
    notify("The labels of this image are not saved yet", { error: true });
    return false;
  }

  /** Shows the prediction for the image; a step to undo where `again` replaces labels. */
  async #suggest(visit, again = false) {
    if (!this.model.value) return;
    const { id } = this.image;
    replace(this.hint, "Predicting…");
    try {
      const found = await call(`${this.path}/images/${id}/suggestion`);
      if (this.visit !== visit) return;
      const instances = fromSuggestion(found);
      if (again) this.doc.change((current) => current.splice(0, current.length, ...instances));
      else if (!this.doc.past.length) this.doc.load(instances);
      if (!again) this.draw();
    } catch (error) {
      notifyError(error);
      this.draw();
    }
  }

  async #copy() {
    const before = this.queue.images.filter((each) => each.id < this.image.id).sort((a, b) => b.id - a.id)[0];
    if (!before) return notify("This is the first image");
    try {
      const labels = await call(`${this.path}/images/${before.id}/labels`);
      if (!labels.instances.length) return notify(`${before.name} has no labels`);
      this.doc.change((current) => current.splice(0, current.length, ...this.#inside(fromLabels(labels))));
    } catch (error) {
      notifyError(error);
    }
  }

  /** Returns instances without what lies outside of this image, which may be smaller. */
  #inside(instances) {
    const [width, height] = this.doc.size;
    for (const instance of instances) {
      instance.box = null;
      instance.keypoints = instance.keypoints.map((each) => (each[0] > width - 0.5 || each[1] > height - 0.5 ? [0, 0, 0] : each));
    }
    return instances;
  }

  #nextMissing() {
    const next = this.doc.nextMissing(...this.selected);
    if (next) this.select(...next);
    else notify(this.doc.instances.length ? "No keypoint is missing" : "There is no instance yet: N adds one");
  }

  #step(step) {
    const count = this.skeleton.joints.length;
    if (!this.doc.instances.length) return;
    const [i, k] = this.selected;
    const at = k === null ? (step > 0 ? 0 : count - 1) : (k + step + count) % count;
    this.select(i ?? 0, at);
    const [x, y, v] = this.doc.instances[i ?? 0].keypoints[at];
    if (v) this.stage.reveal([x, y]);
  }

  #put(i, k) {
    const { keypoints } = this.doc.instances[i];
    if (keypoints[k][2]) return this.stage.reveal(keypoints[k]);
    const near = this.skeleton.limbs.filter((limb) => limb.includes(k)).map(([a, b]) => keypoints[a === k ? b : a]).filter((each) => each[2]);
    const mean = (axis) => near.reduce((sum, each) => sum + each[axis], 0) / near.length;
    this.doc.place(i, k, near.length ? [mean(0), mean(1)] : this.stage.middle());
  }

  #nudge(i, k) {
    if (!this.doc.instances[i].keypoints[k][2]) return this.#put(i, k);
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[this.event.key];
    const size = this.event.shiftKey ? 10 : 1;
    const [x, y] = this.doc.instances[i].keypoints[k];
    this.doc.place(i, k, [x + size * dx, y + size * dy], `nudge ${i} ${k}`);
  }

  #click(point) {
    if (this.#missing()) {
      const [i, k] = this.selected;
      this.doc.place(i, k, point);
      const next = this.doc.nextMissing(i, k);
      this.select(i, next && next[0] === i && next[1] > k ? next[1] : null);
    } else this.select(null, null);
  }

  #missing() {
    const [i, k] = this.selected;
    return i !== null && k !== null && Boolean(this.doc.instances[i]) && !this.doc.instances[i].keypoints[k][2];
  }

  #cycle(i, k) {
    const v = this.doc.instances[i].keypoints[k][2];
    if (v) this.doc.setVisibility(i, k, v === 2 ? 1 : 2);
  }

  #add() {
    this.select(this.doc.addInstance(), 0);
  }

  #removeInstance(i) {
    this.selected = [null, null];
    this.doc.removeInstance(i);
  }

  #box(i) {
    if (this.doc.instances[i].box) return this.doc.setBox(i, null);
    this.marks.drawingBox = !this.marks.drawingBox;
    this.draw();
  }

  #settled(kind) {
    this.doc.settle();
    if (kind === "box") this.marks.drawingBox = false;
    this.draw();
  }

  #finish(value) {
    this.labeled = value;
    if (value) this.doc.accept();
    this.#changed();
  }

  #toggle(name) {
    this.shown[name] = !this.shown[name];
    this.draw();
  }

  #changed() {
    this.saver.touch();
    this.draw();
  }

  #saveState(state, detail) {
    replace(this.saveText, SAVE_STATES[state], detail ? `: ${detail}` : "");
    this.saveText.className = ["failed", "conflict"].includes(state) ? "danger-text" : "muted";
    this.saveText.dataset.state = state;
    this.banner.hidden = state !== "conflict";
    if (state === "saved" && this.image) this.queue.mark(this.image.id, this.labeled ? "labeled" : "started");
  }

  async #reload() {
    const { id } = this.image;
    this.saver.target = null;
    this.saver.dirty = false;
    this.image = null;
    await this.open(id);
  }

  async #predictAll() {
    try {
      this.project.suggestions = await call(`${this.path}/suggestions`, { method: "POST", json: { model: this.model.value } });
      this.#progress(this.project.suggestions);
      this.#poll();
    } catch (error) {
      notifyError(error);
    }
  }

  async #changeModel() {
    if (!this.model.value) return;
    await this.#predictAll();
    const untouched = !this.saver.dirty && !this.saver.target?.revision && !this.doc.past.length;
    if (untouched && this.image) await this.#suggest(this.visit);
  }

  /** Follows a pass of suggestions: their number, and the order that they imply. */
  #poll() {
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      try {
        const project = await call(this.path);
        if (this.closed) return;
        this.queue.set(project.ordered);
        this.#progress(project.suggestions);
        if (project.suggestions.running) this.#poll();
      } catch {
        if (!this.closed) this.#poll(); // the server may be starting again
      }
    }, POLL);
  }

  #progress({ running, done, total, error }) {
    replace(this.passText, running ? `Predicting: ${done} of ${total}` : error);
  }

  async #versions() {
    const { versions } = await call(`${this.path}/images/${this.image.id}/history`);
    const take = (version) => {
      this.doc.change((current) => current.splice(0, current.length, ...fromLabels(version)));
      dialog.close();
    };
    const row = (version) =>
      h("li", {}, h("button", { type: "button", class: "line", onclick: () => take(version) }, `${new Date(version.time).toLocaleString()}: ${version.instances.length} instances${version.labeled ? ", finished" : ""}`));
    const list = versions.length ? h("ul", { class: "instance-list" }, versions.map(row)) : h("p", { class: "muted" }, "Nothing was saved for this image yet.");
    const dialog = openDialog("Earlier versions", h("div", { class: "stack" }, list, h("div", { class: "actions" }, h("button", { type: "button", onclick: () => dialog.close() }, "Close"))));
  }

  async #download() {
    const response = await request(`${this.path}/labels.json`);
    saveFile(await response.blob(), `${this.project.id}.labels.json`);
  }

  /** Imports labels of a file; the image that is shown may be one of them. */
  async #import() {
    if (!(await this.#leave())) return;
    await openImport(this.project.id, () => {
      this.#poll();
      if (this.image) this.#reload().catch(notifyError);
    });
  }

  /** Adds images, or frames of videos. */
  async #addFiles() {
    const files = await chooseFiles();
    if (!files.length) return;
    const failed = await upload(this.project, files, FRAMES, (share) => replace(this.passText, `Uploading: ${Math.round(100 * share)}%`));
    if (failed.length) notify(`Skipped files: ${failed.length}. ${failed[0]}`, { error: true });
    if (this.closed) return;
    if (!this.image) return location.reload();
    if (this.model.value) await this.#predictAll();
    else this.#poll();
  }

  async #delete() {
    const { name, folder } = this.project;
    const labeled = this.queue.images.filter((image) => image.state !== "new").length;
    const kept = folder ? "Its images stay in their folder." : `What was uploaded, ${count(this.queue.images.length, "image")}, is deleted, too; the files that you chose stay.`;
    const text = `The labels of ${count(labeled, "image")}, with all earlier versions, are deleted. ${kept} Models that were trained on it stay, but their training cannot go on. This cannot be undone.`;
    if (!(await confirmed(`Delete ${name}?`, text, "Delete project", "danger"))) return;
    this.saver.dirty = false;
    clearTimeout(this.saver.timer);
    notify((await call(this.path, { method: "DELETE" })).detail);
    this.image = null;
    location.hash = "#/label";
  }

  #hintText() {
    const [i, k] = this.selected;
    if (this.marks.drawingBox) return "Drag to draw the box; Escape cancels.";
    if (this.#missing()) return `Click to place ${this.skeleton.joints[k].replaceAll("_", " ")} of instance ${i + 1}.`;
    if (k !== null && i !== null) return `${this.skeleton.joints[k].replaceAll("_", " ")} of instance ${i + 1}`;
    if (this.doc.instances.some((instance) => instance.suggested)) return "Suggested. Correct what is wrong, then press Enter.";
    return this.doc.instances.length ? "" : "No instances. N adds one; Enter accepts the image without any.";
  }

  #showEmpty() {
    const add = h("button", { type: "button", class: "primary", onclick: () => this.#addFiles().catch(notifyError) }, "Add images or a video");
    const remove = h("button", { type: "button", class: "danger", onclick: () => this.#delete().catch(notifyError) }, "Delete project");
    replace(this.bench, h("div", { class: "empty" }, h("h1", {}, "This project has no images"), this.project.folder ? null : add, remove));
  }

  #layout() {
    const button = (label, path, action) => h("button", { type: "button", class: "icon", title: label, "aria-label": label, onclick: action }, icon(path));
    this.title = h("h1", { class: "image-title" });
    this.saveText = h("span", { class: "muted", role: "status" });
    this.hint = h("p", { class: "hint stage-hint", role: "status" });
    this.passText = h("span", { class: "muted small", role: "status" });
    this.undoButton = button("Undo", ICONS.undo, this.actions.undo);
    this.redoButton = button("Redo", ICONS.redo, this.actions.redo);
    this.model = h("select", { id: "suggest-model" });
    fillModels(this.model, this.models, { selected: this.project.suggestions.model, none: "None" });
    this.model.addEventListener("change", () => this.#changeModel());
    this.banner = h(
      "div",
      { class: "banner", role: "alert", hidden: true },
      h("span", {}, "The labels of this image were changed in another tab or by someone else."),
      h("button", { type: "button", onclick: () => this.#reload().catch(notifyError) }, "Show theirs"),
      h("button", { type: "button", onclick: () => this.saver.overwrite() }, "Keep mine"),
    );
    const menuItem = (label, action) => h("button", { type: "button", onclick: () => Promise.resolve().then(action).catch(notifyError) }, label);
    const more = h(
      "details",
      { class: "menu" },
      h("summary", { class: "button" }, "More"),
      h("div", { class: "menu-items" }, menuItem("Copy from previous image", this.actions.copy), menuItem("Suggest again", this.actions.suggest), menuItem("Earlier versions…", () => this.#versions()), this.project.folder ? null : menuItem("Add images or a video…", () => this.#addFiles()), menuItem("Import labels…", () => this.#import()), menuItem("Download labels (COCO)", () => this.#download()), menuItem("Train on these labels…", () => (location.hash = `#/train/new/${this.project.id}`)), menuItem("Delete project…", () => this.#delete())),
    );
    const tools = h(
      "div",
      { class: "row", role: "toolbar", "aria-label": "Labels" },
      button("Previous image", ICONS.back, this.actions.previous),
      button("Next image", ICONS.forward, this.actions.next),
      h("button", { type: "button", class: "primary", onclick: this.actions.accept }, "Accept and next"),
      this.undoButton,
      this.redoButton,
      more,
      button("Keys", ICONS.help, openHelp),
    );
    const back = h("a", { href: "#/label" }, "Projects");
    const head = h("div", { class: "row spread editor-head" }, h("div", { class: "row" }, back, h("span", { class: "muted" }, "/"), this.title), this.saveText);
    const suggest = h("section", { class: "card stack tight" }, h("label", { class: "field" }, "Suggestions by", this.model), this.passText);
    this.bench = h(
      "div",
      { class: "labelbench" },
      this.queue.element,
      h("div", { class: "bench-main" }, head, this.banner, tools, this.stage.element, this.hint),
      h("aside", { class: "bench-side" }, suggest, this.inspector.element),
    );
    return this.bench;
  }
}
