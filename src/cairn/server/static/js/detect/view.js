/** Detect: images, videos and the webcam. */

import { chooseFiles, acceptDrops, isVideo, save, stem } from "../core/files.js";
import { h, icon, ICONS, replace } from "../core/dom.js";
import { builtInSkeletons, listModels } from "../core/models.js";
import { notifyError } from "../core/notify.js";
import { count } from "../core/words.js";
import { Stage } from "../stage/stage.js";
import { drawOverlay, drawPoses } from "../stage/poses.js";
import { toCoco, toCsv } from "./exports.js";
import { ImageItem } from "./images.js";
import { settingsPanel } from "./panel.js";
import { keypointTable } from "./table.js";
import { videoControls, VideoItem } from "./video.js";
import { startWebcam } from "./webcam.js";
import { linkTo, pageOf } from "../scene/view.js";

export async function open(main) {
  const [models, colors] = await Promise.all([listModels(), builtInSkeletons()]);
  const view = new DetectView(main, models, colors);
  return () => view.close();
}

class DetectView {
  constructor(main, models, colors) {
    this.colors = colors;
    this.items = [];
    this.current = null;
    this.controls = null;
    this.webcam = null;
    this.running = null;
    this.panel = settingsPanel(models, { onrun: () => this.again(), onlift: () => this.again({ images: false }), ondraw: () => this.draw() });
    this.stage = new Stage("Image");
    this.strip = h("div", { class: "strip", role: "list", "aria-label": "Files" });
    this.below = h("div", { class: "below" });
    this.status = h("div", { class: "status-line", role: "status" });
    this.table = h("div", {});
    this.downloads = this.#downloadMenu();
    this.work = this.#layout();
    this.start = this.#empty();
    replace(main, this.start, this.work);
    this.undrop = acceptDrops(main, (files) => this.add(files));
    this.#show();
  }

  /** Adds files and detects in them. */
  async add(files) {
    const kept = files.filter((file) => isVideo(file) || file.type.startsWith("image/") || /\.(tiff?|bmp|heic|jp2)$/i.test(file.name));
    if (kept.length < files.length) notifyError(new Error("Some files are neither images nor videos, and are skipped"));
    if (!kept.length) return;
    this.stopWebcam();
    const added = kept.map((file) => (isVideo(file) ? new VideoItem(file) : new ImageItem(file)));
    this.items.push(...added);
    await this.select(added[0]);
    this.run();
  }

  /** Shows one file. */
  async select(item) {
    this.controls?.close();
    this.controls = null;
    this.current = item;
    this.#show();
    try {
      const media = await item.open();
      if (this.current !== item) return;
      if (media) this.stage.show(media, media.videoWidth ?? media.naturalWidth, media.videoHeight ?? media.naturalHeight);
      else this.stage.holder.replaceChildren();
      if (item instanceof VideoItem && media) this.controls = videoControls(media, (seconds) => this.#frame(item, seconds));
    } catch (error) {
      if (!item.error) item.error = error.message;
    }
    this.draw();
  }

  /** Detects in all files that wait, in order. */
  async run() {
    if (this.running) return;
    this.running = new AbortController();
    const { signal } = this.running;
    try {
      for (;;) {
        const item = this.items.find((each) => each.state === "waiting");
        if (!item) break;
        const work = item.detect(this.panel.active(), this.colors, signal, () => this.#show());
        this.#show();
        await work;
        if (item === this.current) this.draw();
        this.#show();
      }
    } catch (error) {
      notifyError(error);
    } finally {
      this.running = null;
      this.#show();
    }
  }

  /** Detects again, with other settings: of images, or of videos alone. */
  async again({ images = true } = {}) {
    if (this.webcam && images) {
      this.stopWebcam();
      return this.openWebcam();
    }
    this.running?.abort();
    while (this.running) await new Promise((resolve) => setTimeout(resolve, 20));
    for (const item of this.items) if ((images && item instanceof ImageItem) || item.state !== "done") item.state = "waiting";
    if (this.current instanceof VideoItem) this.current.state = "waiting";
    return this.run();
  }

  retry(item) {
    item.state = "waiting";
    return this.run();
  }

  cancel() {
    const waiting = this.items.filter((item) => item.state === "waiting");
    for (const item of waiting) item.state = "canceled";
    this.running?.abort();
  }

  draw() {
    const { current, panel } = this;
    const result = this.webcam ? this.webcam.result : current?.result;
    if (result) drawPoses(this.stage.marks, result.skeleton, result.poses, panel.values);
    else this.stage.marks.replaceChildren();
    replace(this.table, keypointTable(result, panel.values.threshold));
    this.#show();
  }

  async openWebcam() {
    this.stopWebcam();
    this.controls?.close();
    this.controls = null;
    this.current = null;
    const state = { stop: () => {}, result: null, frames: 0, since: performance.now() };
    this.webcam = state;
    this.#show();
    try {
      const opened = await startWebcam(this.panel.active(), this.colors, {
        onframe: (canvas, result) => {
          if (this.webcam !== state) return;
          if (!state.frames++) this.stage.show(canvas, canvas.width, canvas.height);
          state.result = result;
          this.draw();
        },
        onerror: (error) => {
          notifyError(error);
          if (this.webcam === state) this.stopWebcam();
        },
      });
      state.stop = opened.stop;
      if (this.webcam !== state) opened.stop();
    } catch (error) {
      notifyError(error);
      if (this.webcam === state) this.stopWebcam();
    }
  }

  stopWebcam() {
    const stopped = this.webcam;
    this.webcam = null;
    stopped?.stop();
    if (stopped && this.items.length) this.select(this.items.at(-1));
    else this.#show();
  }

  clear() {
    this.cancel();
    this.stopWebcam();
    this.controls?.close();
    this.controls = null;
    this.items = [];
    this.current = null;
    this.draw();
  }

  close() {
    this.running?.abort();
    this.webcam?.stop();
    this.controls?.close();
    this.stage.close();
    this.undrop();
  }

  #frame(item, seconds) {
    if (item !== this.current || !item.frames.length) return;
    const result = item.at(seconds);
    if (result === item.result) return;
    item.result = result;
    this.draw();
  }

  #show() {
    const busy = this.items.length > 0 || this.webcam !== null;
    this.start.hidden = busy;
    this.work.hidden = !busy;
    replace(this.strip, this.items.length > 1 ? this.items.map((item) => this.#tile(item)) : []);
    this.strip.hidden = this.items.length < 2;
    replace(this.below, this.controls && !this.webcam ? this.controls.element : []);
    replace(this.status, this.#statusText());
    this.downloads.hidden = this.webcam !== null || !this.items.some((item) => item.result);
  }

  #statusText() {
    if (this.webcam) {
      const { frames, since, result } = this.webcam;
      const rate = frames / Math.max(0.1, (performance.now() - since) / 1000);
      const found = result ? `${count(result.poses.length, "instance")}, ${rate.toFixed(1)} frames per second` : "Opening the webcam…";
      return [h("span", {}, found), h("button", { type: "button", onclick: () => this.stopWebcam() }, "Stop webcam")];
    }
    const item = this.current;
    if (!item) return [];
    const parts = [];
    if (item.state === "failed" || item.error) parts.push(h("span", { class: "danger-text" }, item.error));
    else if (item.state === "done") parts.push(h("span", {}, `${item.name}: ${found(item)}`));
    else if (item.state === "canceled") parts.push(h("span", {}, `${item.name}: canceled`));
    else if (item.state === "running") parts.push(h("span", {}, progressText(item)));
    else parts.push(h("span", {}, `${item.name}: waiting`));
    if (item instanceof VideoItem && item.state === "running") {
      const { done = 0, total = 0 } = item.progress ?? {};
      parts.push(h("progress", { max: total || 1, ...(total ? { value: done } : {}), "aria-label": "Progress" }));
    }
    if (["canceled", "failed"].includes(item.state) && !this.running) {
      parts.push(h("button", { type: "button", onclick: () => this.retry(item) }, "Try again"));
    }
    const page = item.state === "done" && pageOf(item.job);
    if (page) parts.push(h("a", { class: "button", href: linkTo(item.job, page) }, "Open in 3D"));
    if (item.unplayable && item.state === "done") parts.push(h("span", { class: "muted small" }, "This browser cannot play the video; its results can be downloaded."));
    if (this.running) parts.push(h("button", { type: "button", onclick: () => this.cancel() }, "Cancel"));
    return parts;
  }

  #tile(item) {
    const label = `${item.name}, ${item.state}`;
    const button = h(
      "button",
      { type: "button", class: `tile ${item.state}`, title: label, "aria-label": label, onclick: () => this.select(item) },
      item.name,
    );
    if (item === this.current) button.setAttribute("aria-current", "true");
    return h("div", { role: "listitem" }, button);
  }

  #downloadMenu() {
    const all = () => this.items.flatMap((item) => (item.frames ?? [item.result]).filter(Boolean)).map((result) => result.source);
    const overlay = async () => {
      const media = this.current.media;
      if (!media) throw new Error("This browser cannot draw the file");
      const canvas = drawOverlay(media, this.current.result, this.panel.values);
      canvas.toBlob((blob) => save(blob, `${stem(this.current.name)}.overlay.png`), "image/png");
    };
    const json = () => {
      const { current } = this;
      if (current instanceof VideoItem) {
        const lines = current.frames.map((frame) => `${JSON.stringify(frame.source)}\n`).join("");
        save(lines, `${stem(current.name)}.cairn.jsonl`, "application/x-ndjson");
      } else save(`${JSON.stringify(current.result.source, null, 1)}\n`, `${stem(current.name)}.cairn.json`);
    };
    const button = (label, action) =>
      h("button", { type: "button", onclick: () => Promise.resolve().then(action).catch(notifyError) }, label);
    return h(
      "details",
      { class: "menu" },
      h("summary", { class: "button" }, "Download"),
      h(
        "div",
        { class: "menu-items" },
        button("JSON of this file", json),
        button("COCO of all files", () => save(JSON.stringify(toCoco(all())), "cairn.coco.json")),
        button("CSV of all files", () => save(toCsv(all()), "cairn.csv", "text/csv")),
        button("Overlay of this image", overlay),
      ),
    );
  }

  #layout() {
    const pick = async () => this.add(await chooseFiles());
    return h(
      "div",
      { class: "workbench" },
      h(
        "div",
        { class: "bench-main" },
        h(
          "div",
          { class: "row" },
          h("h1", { class: "visually-hidden" }, "Detect keypoints"),
          h("button", { type: "button", class: "primary", onclick: pick }, "Add files"),
          h("button", { type: "button", onclick: () => this.openWebcam() }, "Webcam"),
          h("button", { type: "button", onclick: () => this.clear() }, "Clear"),
          this.downloads,
        ),
        this.stage.element,
        this.below,
        this.status,
        this.strip,
      ),
      h("aside", { class: "bench-side" }, this.panel.element, h("section", { class: "stack tight" }, h("h2", {}, "Keypoints"), this.table)),
    );
  }

  #empty() {
    const pick = async () => this.add(await chooseFiles());
    const example = async () => {
      const response = await fetch("example.jpg");
      await this.add([new File([await response.blob()], "portraits.jpg", { type: "image/jpeg" })]);
    };
    const art = icon(ICONS.person);
    art.setAttribute("class", "art");
    return h(
      "div",
      { class: "drop empty start" },
      art,
      h("h1", {}, "Drop images or a video here"),
      h("p", {}, "Keypoints are detected on this server; nothing is sent anywhere else."),
      h(
        "div",
        { class: "row" },
        h("button", { type: "button", class: "primary", onclick: pick }, "Choose files"),
        h("button", { type: "button", onclick: () => this.openWebcam() }, "Use the webcam"),
        h("button", { type: "button", onclick: () => example().catch(notifyError) }, "Try an example"),
      ),
    );
  }
}

function found(item) {
  if (item instanceof VideoItem) return `${count(item.frames.length, "frame")}, ${count(item.result?.poses.length ?? 0, "instance")} in this one`;
  return count(item.result.poses.length, "instance");
}

function progressText(item) {
  const progress = item.progress;
  if (!progress?.total) return `${item.name}: detecting…`;
  return `${item.name}: frame ${progress.done} of ${progress.total}`;
}
