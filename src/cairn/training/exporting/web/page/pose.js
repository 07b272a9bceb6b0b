// Poses of an image, by a model that `cairn export` wrote with decoding in its graph. Runs in browsers and in Node.

/** A model with its description (model.json). `ort` is onnxruntime-web or onnxruntime-node. */
export class Detector {
  constructor(ort, session, description) {
    Object.assign(this, { ort, session, description });
  }

  /** The people in an image: { pixels: Uint8Array of RGB, width, height }. `size`: longest side of the network input. */
  async detect(image, size = null) {
    const { inputs, outputs } = this.description;
    const shape = [1, image.height, image.width, 3];
    const feeds = { image: new this.ort.Tensor("uint8", image.pixels, shape) };
    if (inputs.size) feeds.size = new this.ort.Tensor("int64", [BigInt(size ?? inputs.size.own)], []);
    const results = await this.session.run(feeds);
    return people(results, this.description);
  }
}

/** RGB of RGBA, as a canvas has it. */
export function rgbOf({ data, width, height }) {
  const pixels = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; to < pixels.length; from += 4) {
    pixels[to++] = data[from];
    pixels[to++] = data[from + 1];
    pixels[to++] = data[from + 2];
  }
  return { pixels, width, height };
}

/**
 * The people that the outputs for one image hold, the highest score first: { score, keypoints, class, visibility }.
 * `keypoints` has [x, y, confidence] in pixels of the image for each keypoint, or null.
 */
export function people(outputs, description) {
  return outputs.peaks ? groups(outputs, description) : [oneInstance(outputs, description)];
}

/** The same as a file of `cairn detect`: see "JSON" in Cairn's documentation of file formats. */
export function toJson(found, description, image) {
  const { keypoints: joints, hidden } = description.skeleton;
  const limbs = description.skeleton.limbs.filter((_, limb) => !hidden.includes(limb));
  const named = (values) => Object.fromEntries(joints.map((joint, k) => [joint, values[k]]));
  return {
    format: "cairn", version: 1, ...image, model: description.name,
    skeleton: { name: description.skeleton.name, joints, limbs: limbs.map(([a, b]) => [joints[a], joints[b]]) },
    ...(description.classes.length && { classes: description.classes }),
    people: found.map((person) => {
      const there = person.keypoints.filter(Boolean);
      const [xs, ys] = [0, 1].map((axis) => there.map((point) => point[axis]));
      const [x, y] = [Math.min(...xs), Math.min(...ys)];
      return {
        ...(person.class && { class: person.class }),
        score: person.score,
        box: there.length ? [x, y, Math.max(...xs) - x, Math.max(...ys) - y] : null,
        keypoints: named(person.keypoints),
        ...(person.visibility && { visibility: named(person.visibility) }),
      };
    }),
  };
}

function oneInstance({ keypoints, confidence, visibility, classes }, description) {
  const count = description.skeleton.keypoints.length;
  const each = [...confidence.data.slice(0, count)];
  const score = each.reduce((sum, c) => sum + c, 0) / count;
  return {
    score: classes ? score * Math.max(...classes.data) : score,
    keypoints: each.map((c, k) => (c > 0 ? [keypoints.data[2 * k], keypoints.data[2 * k + 1], c] : null)),
    ...(visibility && { visibility: each.map((c, k) => (c > 0 ? visibility.data[k] : null)) }),
    ...(classes && { class: description.classes[largest(classes.data)] }),
  };
}

// What follows is the assembly of OpenPose (Cao et al., TPAMI 2019, section 3.4): people of peaks and scored limbs.

const PART_WEIGHT = 0.1; // share of the scores of both peaks in the priority of a limb
const GAIN = 1e-6; // minimum increase of the sum of two weights

function groups({ peaks, limbs, visibility, classes }, description) {
  const { skeleton, assembly } = description;
  const count = peaks.dims[2];
  const parts = []; // peak i of keypoint k is parts[k * count + i]
  for (let n = 0; n < skeleton.keypoints.length * count; n++) {
    const [x, y, score] = peaks.data.slice(3 * n, 3 * n + 3);
    parts.push({ n, x, y, score, keypoint: Math.floor(n / count), person: null });
  }
  const used = assemble(skeleton.limbs.flatMap(([a, b], limb) => {
    const pairs = candidates(limbs.data, limb, a, b, count, parts);
    return assembly.matching === "greedy" ? greedy(pairs) : exchange(pairs, greedy(pairs));
  }), skeleton, assembly);

  const sizes = componentSizes(skeleton);
  for (const part of parts) {
    if (part.score > 0 && sizes[part.keypoint] === 1) part.person = { parts: [part] }; // a keypoint without limbs
  }
  const ignored = new Set(assembly.ignore_keypoints.split(" ").map((name) => skeleton.keypoints.indexOf(name)));
  const found = [];
  for (const person of new Set(parts.map((part) => part.person))) {
    if (!person) continue;
    const score = sum(person.parts.map((part) => part.score))
      + sum(used.filter((pair) => pair.start.person === person).map((pair) => pair.score));
    const counted = person.parts.filter((part) => !ignored.has(part.keypoint)).length;
    const needed = Math.min(sizes[person.parts[0].keypoint], assembly.min_parts);
    if (counted < needed || score < assembly.min_score * person.parts.length) continue;
    const of = skeleton.keypoints.map((_, k) => person.parts.find((part) => part.keypoint === k));
    const result = {
      score: score / (skeleton.keypoints.length + skeleton.limbs.length),
      keypoints: of.map((part) => (part ? [part.x, part.y, part.score] : null)),
    };
    if (visibility) result.visibility = of.map((part) => (part ? visibility.data[part.n] : null));
    if (classes) {
      const number = description.classes.length;
      const sums = description.classes.map((_, c) => sum(person.parts.map((p) => classes.data[p.n * number + c])));
      result.class = description.classes[largest(sums)];
    }
    found.push(result);
  }
  return found.sort((one, other) => other.score - one.score);
}

/** The scored pairs of peaks of a limb from keypoint a to keypoint b. */
function candidates(scores, limb, a, b, count, parts) {
  const pairs = [];
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < count; j++) {
      const score = scores[(limb * count + i) * count + j];
      if (!score) continue;
      const [start, end] = [parts[a * count + i], parts[b * count + j]];
      const priority = score + PART_WEIGHT * (start.score + end.score);
      pairs.push({ limb, start, end, score, priority, weight: score * Math.min(start.score, end.score) });
    }
  }
  return pairs;
}

/** Pairs by priority, no peak twice. */
function greedy(pairs) {
  const taken = new Set();
  return [...pairs].sort((one, other) => other.priority - one.priority).filter(({ start, end }) => {
    if (taken.has(start) || taken.has(end)) return false;
    taken.add(start).add(end);
    return true;
  });
}

/** A matching in which two pairs have replaced those in their way as long as that increased the sum of weights. */
function exchange(pairs, kept) {
  const ofStart = new Map(kept.map((pair) => [pair.start, pair]));
  const ofEnd = new Map(kept.map((pair) => [pair.end, pair]));
  const key = (start, end) => start.n * 65536 + end.n;
  const known = new Map(pairs.map((pair) => [key(pair.start, pair.end), pair]));
  for (;;) {
    const swaps = [];
    for (const first of pairs) {
      const [rival, other] = [ofStart.get(first.start), ofEnd.get(first.end)]; // in the way of the first pair
      if (!rival || rival === first) continue;
      const free = () => pairs.filter(({ start, end }) => end === rival.end && !ofStart.has(start));
      const second = other ? known.get(key(other.start, rival.end))
        : free().reduce((best, pair) => (best && best.weight > pair.weight ? best : pair), undefined);
      if (!second) continue;
      const gain = first.weight + second.weight - rival.weight - (other?.weight ?? 0);
      if (gain > GAIN) swaps.push({ first, second, gain });
    }
    if (!swaps.length) return [...ofStart.values()];
    const changed = new Set();
    for (const { first, second } of swaps.sort((one, another) => another.gain - one.gain)) {
      const nodes = [first.start, first.end, second.start, second.end];
      if (nodes.some((node) => changed.has(node))) continue;
      for (const node of nodes) changed.add(node);
      for (const pair of [first, second]) {
        ofStart.set(pair.start, pair);
        ofEnd.set(pair.end, pair);
      }
    }
  }
}

/** Joins peaks into people, pair by pair, and returns the pairs that were used. */
function assemble(pairs, skeleton, { order }) {
  const fills = (pair) => order === "limb" && skeleton.redundant.includes(pair.limb); // only adds missing parts
  const place = (pair) => (order === "limb" ? pair.limb + (fills(pair) ? skeleton.limbs.length : 0) : 0);
  const rank = (one, other) => place(one) - place(other) || other.priority - one.priority;
  const clash = (one, other) => one.some((a) => other.some((b) => a.keypoint === b.keypoint));
  return pairs.sort(rank).filter((pair) => {
    const { start, end } = pair;
    if (start.person && start.person === end.person) return true;
    if (!start.person && !end.person) {
      if (fills(pair)) return false;
      start.person = end.person = { parts: [start, end] };
      return true;
    }
    const [keep, join] = start.person ? [start.person, end] : [end.person, start];
    const joining = join.person ? join.person.parts : [join];
    if ((join.person && fills(pair)) || clash(keep.parts, joining)) return false;
    keep.parts.push(...joining);
    for (const part of joining) part.person = keep;
    return true;
  });
}

/** Number of keypoints that limbs connect with each one, itself included. */
function componentSizes({ keypoints, limbs }) {
  const component = keypoints.map((_, k) => k);
  for (const [a, b] of limbs) {
    const [from, to] = [component[b], component[a]];
    component.forEach((c, k) => { if (c === from) component[k] = to; });
  }
  return component.map((c) => component.filter((other) => other === c).length);
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const largest = (values) => values.indexOf(Math.max(...values));
