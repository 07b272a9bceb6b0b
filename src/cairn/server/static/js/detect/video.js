/** Videos: a job of the server, and playback with the poses of each frame. */

import { call, form, query, request } from "../core/api.js";
import { h } from "../core/dom.js";
import { readResult } from "../stage/poses.js";

const POLL = 700; // milliseconds

/** One video of the user, with its job. */
export class VideoItem {
  constructor(file) {
    this.file = file;
    this.name = file.name;
    this.state = "waiting";
    this.error = "";
    this.progress = null;
    this.frames = [];
    this.media = null;
    this.result = null;
    this.job = null;
  }

  /** Opens the video in the browser; null where the browser cannot play it. */
  async open() {
    if (this.media || this.unplayable) return this.media;
    const video = h("video", { muted: true, playsInline: true, preload: "auto" });
    video.src = URL.createObjectURL(this.file);
    const ready = await new Promise((resolve) => {
      video.addEventListener("loadeddata", () => resolve(true), { once: true });
      video.addEventListener("error", () => resolve(false), { once: true });
    });
    this.unplayable = !ready || !video.videoWidth;
    this.media = this.unplayable ? null : video;
    return this.media;
  }

  /** Uploads the video, follows its job, and takes its frames. `onprogress` is called at each change. */
  async detect({ model, refine, lift }, colors, signal, onprogress) {
    this.state = "running";
    this.error = "";
    try {
      const path = query("v1/videos", { model, refine: refine || null, track: true, lift: lift || null });
      this.job = await call(path, { method: "POST", body: form("video", [this.file]), signal });
      await this.#follow(signal, onprogress);
      const file = this.job.results.find((result) => result.name.endsWith(".jsonl"));
      const lines = await (await request(file.url, { signal })).text();
      const documents = lines.split("\n").filter(Boolean).map((line) => JSON.parse(line));
      this.frames = documents.map((document) => readResult({ ...document, image: this.name }, colors));
      this.result = this.frames[0] ?? null;
      this.state = "done";
    } catch (error) {
      if (error.name === "AbortError") {
        this.state = "canceled";
        if (this.job) await call(`v1/jobs/${this.job.id}`, { method: "DELETE" }).catch(() => {});
        throw error;
      }
      this.state = "failed";
      this.error = error.message;
    }
  }

  /** Returns the result of the frame that is shown at a time in seconds. */
  at(seconds) {
    let [low, high] = [0, this.frames.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.frames[middle].source.seconds ?? 0) <= seconds + 1e-3) low = middle;
      else high = middle - 1;
    }
    return this.frames[low] ?? null;
  }

  async #follow(signal, onprogress) {
    for (;;) {
      this.job = await call(`v1/jobs/${this.job.id}`, { signal });
      this.progress = this.job.progress ?? null;
      onprogress();
      if (this.job.state === "done") return;
      if (!["queued", "running"].includes(this.job.state)) throw new Error(this.job.error ?? `The job is ${this.job.state}`);
      await new Promise((resolve) => setTimeout(resolve, POLL));
      signal.throwIfAborted();
    }
  }
}

/** Returns controls of a video: play, time. `onframe` is called with the seconds of each shown frame. */
export function videoControls(video, onframe) {
  const button = h("button", { type: "button", onclick: () => (video.paused ? video.play() : video.pause()) }, "Play");
  const range = h("input", { type: "range", min: 0, max: video.duration || 0, step: 0.01, value: video.currentTime });
  range.setAttribute("aria-label", "Time in the video");
  const time = h("span", { class: "number small muted time" });
  const show = (seconds) => {
    range.value = seconds;
    time.textContent = `${seconds.toFixed(2)} s`;
    onframe(seconds);
  };
  range.addEventListener("input", () => (video.currentTime = Number(range.value)));
  for (const name of ["play", "pause", "ended"]) {
    video.addEventListener(name, () => (button.textContent = video.paused ? "Play" : "Pause"));
  }
  let open = true;
  const next = (_, frame) => {
    if (!open) return;
    show(frame?.mediaTime ?? video.currentTime);
    wait();
  };
  const wait = () =>
    video.requestVideoFrameCallback ? video.requestVideoFrameCallback(next) : requestAnimationFrame((now) => next(now));
  wait();
  show(video.currentTime);
  const close = () => {
    open = false;
    video.pause();
  };
  return { element: h("div", { class: "video-controls" }, button, range, time), close };
}
