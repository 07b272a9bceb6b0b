/**
 * The labels of one image while they are edited, with undo and redo.
 *
 * An instance is { keypoints: [[x, y, v], ...], box, suggested, scores }: v is COCO's visibility (0 missing,
 * 1 occluded, 2 visible); `suggested` marks predictions that nobody has changed yet, with the confidence of each
 * keypoint in `scores`.
 */

const MAX_STEPS = 200;

export class LabelDocument {
  constructor(skeleton, size, onchange) {
    this.skeleton = skeleton;
    this.size = size; // [width, height]
    this.onchange = onchange;
    this.instances = [];
    this.past = [];
    this.future = [];
  }

  /** Takes instances without a step to undo. */
  load(instances) {
    this.instances = instances;
    this.past = [];
    this.future = [];
  }

  /**
   * Changes the instances by a function as one step to undo. Steps in a row with the same `key`, such as those of one
   * drag, are one step.
   */
  change(edit, key = null) {
    const before = structuredClone(this.instances);
    edit(this.instances);
    if (key === null || key !== this.key) {
      this.past.push(before);
      if (this.past.length > MAX_STEPS) this.past.shift();
    }
    this.key = key;
    this.future = [];
    this.onchange();
  }

  /** Ends a drag: the next change is a step of its own. */
  settle() {
    this.key = null;
  }

  undo() {
    return this.#step(this.past, this.future);
  }

  redo() {
    return this.#step(this.future, this.past);
  }

  /** Adds an instance without keypoints, and returns its number. */
  addInstance(keypoints = null) {
    const empty = this.skeleton.joints.map(() => [0, 0, 0]);
    this.change((instances) => instances.push({ keypoints: keypoints ?? empty, box: null, suggested: false, scores: null }));
    return this.instances.length - 1;
  }

  removeInstance(i) {
    this.change((instances) => instances.splice(i, 1));
  }

  /** Moves a keypoint, within the image; one that was missing becomes visible. */
  place(i, k, [x, y], key = null) {
    const [width, height] = this.size;
    const at = [clamp(x, width), clamp(y, height)];
    this.change((instances) => {
      touch(instances[i]);
      instances[i].keypoints[k] = [...at, instances[i].keypoints[k][2] || 2];
    }, key);
  }

  /** Sets the visibility of a keypoint; 0 removes it. */
  setVisibility(i, k, v) {
    this.change((instances) => {
      touch(instances[i]);
      instances[i].keypoints[k] = v ? [...instances[i].keypoints[k].slice(0, 2), v] : [0, 0, 0];
    });
  }

  /** Swaps left and right of an instance. */
  swapSides(i) {
    this.change((instances) => {
      touch(instances[i]);
      const { keypoints } = instances[i];
      for (const [a, b] of this.skeleton.flipPairs) [keypoints[a], keypoints[b]] = [keypoints[b], keypoints[a]];
    });
  }

  setBox(i, box, key = null) {
    const [width, height] = this.size;
    this.change((instances) => {
      touch(instances[i]);
      if (!box) return (instances[i].box = null);
      const [x0, y0] = [Math.max(0, Math.min(box[0], width)), Math.max(0, Math.min(box[1], height))];
      const [x1, y1] = [Math.max(0, Math.min(box[0] + box[2], width)), Math.max(0, Math.min(box[1] + box[3], height))];
      instances[i].box = [x0, y0, Math.max(1, x1 - x0), Math.max(1, y1 - y0)].map(round);
    }, key);
  }

  /** Takes all suggestions as labels. */
  accept() {
    for (const instance of this.instances) touch(instance);
  }

  /** Returns the next missing keypoint after [i, k], as [i, k]; null where none is missing. */
  nextMissing(i, k) {
    const count = this.skeleton.joints.length;
    const total = count * this.instances.length;
    const start = i === null ? -1 : i * count + (k ?? -1);
    for (let step = 1; step <= total; step++) {
      const at = (((start + step) % total) + total) % total;
      const [row, joint] = [Math.floor(at / count), at % count];
      if (!this.instances[row].keypoints[joint][2]) return [row, joint];
    }
    return null;
  }

  /** Returns the instances as the server takes them; those without keypoints and box are left out. */
  toJson() {
    return this.instances
      .filter((instance) => instance.box || instance.keypoints.some((keypoint) => keypoint[2]))
      .map(({ keypoints, box }) => ({ keypoints: keypoints.map(([x, y, v]) => [round(x), round(y), v]), box }));
  }

  #step(from, to) {
    if (!from.length) return false;
    to.push(structuredClone(this.instances));
    this.instances = from.pop();
    this.key = null;
    this.onchange();
    return true;
  }
}

/** Returns instances of saved labels. */
export function fromLabels(labels) {
  return labels.instances.map(({ keypoints, box }) => ({ keypoints, box, suggested: false, scores: null }));
}

/** Returns instances of a suggestion: predicted keypoints are visible ones. */
export function fromSuggestion(suggestion) {
  return suggestion.instances.map((keypoints) => ({
    keypoints: keypoints.map(([x, y, c]) => (c > 0 ? [x, y, 2] : [0, 0, 0])),
    box: null,
    suggested: true,
    scores: keypoints.map((keypoint) => keypoint[2]),
  }));
}

function touch(instance) {
  instance.suggested = false;
  instance.scores = null;
}

function clamp(value, size) {
  return round(Math.max(-0.5, Math.min(size - 0.5, value)));
}

function round(value) {
  return Math.round(100 * value) / 100;
}
