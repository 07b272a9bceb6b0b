/** Autosave of the labels of one image: a moment after each change, again after errors, and before the image is left. */

import { call } from "../core/api.js";

const DELAY = 500; // milliseconds after the last change
const RETRY = 4000;

export class Saver {
  /** `onstate` gets (state, detail): saved, changed, saving, failed or conflict. */
  constructor(onstate) {
    this.onstate = onstate;
    this.target = null;
  }

  /** Begins with an image. `read` returns { labeled, instances } when it is time to save. */
  open(path, revision, read) {
    this.target = { path, revision, read };
    this.dirty = false;
    this.state = "saved";
    this.onstate(revision ? "saved" : "new", "");
  }

  /** Notes a change. */
  touch() {
    this.dirty = true;
    if (this.state === "conflict") return;
    this.#set("changed");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), DELAY);
  }

  /** Saves now. Resolves to whether the labels are on the server. */
  async save() {
    clearTimeout(this.timer);
    if (this.saving) await this.saving;
    if (!this.target || !this.dirty) return true;
    if (this.state === "conflict") return false;
    this.saving = this.#put();
    try {
      return await this.saving;
    } finally {
      this.saving = null;
    }
  }

  /** After a conflict: saves what is here as the version after that of the other tab. */
  async overwrite() {
    this.target.revision = this.conflict.revision;
    this.#set("changed");
    return this.save();
  }

  async #put() {
    const { target } = this;
    this.dirty = false;
    this.#set("saving");
    try {
      const saved = await call(target.path, { method: "PUT", json: { revision: target.revision, ...target.read() } });
      target.revision = saved.revision;
      if (!this.dirty) this.#set("saved");
      return true;
    } catch (error) {
      this.dirty = true;
      if (error.status === 409) {
        this.conflict = error.body.current;
        this.#set("conflict", error.message);
      } else {
        this.#set("failed", error.message);
        if (![404, 422].includes(error.status)) this.timer = setTimeout(() => this.save(), RETRY);
      }
      return false;
    }
  }

  #set(state, detail = "") {
    this.state = state;
    this.onstate(state, detail);
  }
}
