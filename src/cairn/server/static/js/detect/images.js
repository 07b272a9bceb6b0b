/** Detection in image files, one request after the other. */

import { call, form, query } from "../core/api.js";
import { imageOf } from "../stage/stage.js";
import { readResult } from "../stage/poses.js";

/** One image of the user, with its result for the settings it was detected with. */
export class ImageItem {
  constructor(file) {
    this.file = file;
    this.name = file.name;
    this.state = "waiting";
    this.error = "";
    this.result = null;
    this.media = null;
  }

  async open() {
    this.media ??= await imageOf(this.file);
    return this.media;
  }

  /** Detects with a model; `colors` are the built-in skeletons by name. */
  async detect({ model, refine }, colors, signal) {
    this.state = "running";
    this.error = "";
    try {
      this.result = await detectImage(this.file, { model, refine }, colors, signal);
      this.state = "done";
    } catch (error) {
      if (error.name === "AbortError") {
        this.state = "canceled";
        throw error;
      }
      this.state = "failed";
      this.error = error.message;
    }
  }
}

/** Returns the result of one image. */
export async function detectImage(file, { model, refine = false }, colors, signal) {
  const path = query("v1/detect", { model, refine: refine || null, format: "json" });
  const answer = await call(path, { method: "POST", body: form("image", [file]), signal });
  return readResult(answer, colors);
}
