/** Poses as the server sends them (Cairn's JSON), and how they are drawn. */

import { s } from "../core/dom.js";

const GOLDEN = 0.381966; // fraction of the hue circle between instances, as in Cairn's overlays
const GRAY = "#a0a0a0";

/**
 * Reads Cairn's JSON of one image or frame.
 *
 * Returns { width, height, model, skeleton, poses, source }: the skeleton with limbs and hidden limbs as indices, and
 * each pose with keypoints in the order of the skeleton, [x, y, confidence] or null.
 */
export function readResult(json, colors = {}) {
  const skeleton = readSkeleton(json.skeleton, colors);
  const poses = json.people.map((person) => ({
    id: person.id ?? null,
    name: person.class ?? null,
    score: person.score,
    box: person.box,
    keypoints: skeleton.joints.map((joint) => person.keypoints[joint] ?? null),
  }));
  return { width: json.width, height: json.height, model: json.model, skeleton, poses, source: json };
}

/** Returns a skeleton with limbs as indices, and a color for each joint. `colors`: name of a skeleton -> its table. */
export function readSkeleton(table, colors = {}) {
  const index = new Map(table.joints.map((joint, i) => [joint, i]));
  const pairs = (list) => (list ?? []).map(([a, b]) => [index.get(a), index.get(b)]);
  const limbs = pairs(table.limbs);
  const known = colors[table.name];
  const same = known && known.joints.join() === table.joints.join();
  const own = table.colors?.length ? table.colors : same ? known.colors : [];
  const hiddenPairs = new Set(pairs(table.hidden ?? (same ? known.hidden : [])).map(String));
  return {
    name: table.name,
    joints: table.joints,
    limbs,
    drawn: limbs.filter((limb) => !hiddenPairs.has(String(limb))),
    flipPairs: pairs(table.flip_pairs ?? (same ? known.flip_pairs : [])),
    colors: own.length ? own : jointColors(table.joints.length, limbs),
  };
}

/** Returns the color of an instance by its track ID or number. */
export function instanceColor(number) {
  return number === null || number < 0 ? GRAY : hue((number * GOLDEN) % 1);
}

/**
 * Draws poses into an SVG group in image coordinates.
 *
 * Options: threshold, limbs, names, ids, byInstance (a color for each instance).
 */
export function drawPoses(group, skeleton, poses, options) {
  const { threshold = 0, limbs = true, names = false, ids = true, byInstance = false } = options;
  const seen = (keypoint) => keypoint && keypoint[2] > 0 && keypoint[2] >= threshold;
  group.replaceChildren(
    ...poses.map((pose, number) => {
      const one = byInstance ? instanceColor(pose.id ?? number) : null;
      const marks = [];
      for (const [a, b] of limbs ? skeleton.drawn : []) {
        const [from, to] = [pose.keypoints[a], pose.keypoints[b]];
        if (!seen(from) || !seen(to)) continue;
        const ends = { x1: from[0], y1: from[1], x2: to[0], y2: to[1] };
        marks.push(s("line", { class: "limb", ...ends, stroke: one ?? skeleton.colors[b] }));
      }
      const shown = pose.keypoints.map((keypoint, k) => [keypoint, k]).filter(([keypoint]) => seen(keypoint));
      for (const [[x, y, c], k] of shown) {
        const title = s("title", {}, `${skeleton.joints[k]} ${(100 * c).toFixed(0)}%`);
        marks.push(s("circle", { class: "joint", cx: x, cy: y, fill: one ?? skeleton.colors[k] }, title));
        if (names) marks.push(text(x, y, skeleton.joints[k], "joint-name"));
      }
      if (ids && shown.length) {
        const top = shown.reduce((best, each) => (each[0][1] < best[0][1] ? each : best))[0];
        const label = [pose.id !== null ? `ID ${pose.id}` : `${number + 1}`, pose.name].filter(Boolean).join(" ");
        marks.push(text(top[0], top[1], label, "instance-name"));
      }
      return s("g", { class: "pose", "data-pose": number }, marks);
    }),
  );
}

/** Draws the image with its poses on a canvas of the image's size, for download. */
export function drawOverlay(media, result, options) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [result.width, result.height];
  const context = canvas.getContext("2d");
  context.drawImage(media, 0, 0, result.width, result.height);
  const { threshold = 0, limbs = true, names = false, ids = true, byInstance = false } = options;
  const seen = (keypoint) => keypoint && keypoint[2] > 0 && keypoint[2] >= threshold;
  const unit = Math.max(1, Math.hypot(result.width, result.height) / 400);
  const { skeleton } = result;
  const write = (label, x, y) => {
    context.font = `600 ${6 * unit}px system-ui, sans-serif`;
    context.lineWidth = unit;
    context.strokeStyle = "#000";
    context.strokeText(label, x + 3 * unit, y - 3 * unit);
    context.fillStyle = "#fff";
    context.fillText(label, x + 3 * unit, y - 3 * unit);
  };
  context.translate(0.5, 0.5);
  context.lineCap = "round";
  result.poses.forEach((pose, number) => {
    const one = byInstance ? instanceColor(pose.id ?? number) : null;
    for (const [a, b] of limbs ? skeleton.drawn : []) {
      const [from, to] = [pose.keypoints[a], pose.keypoints[b]];
      if (!seen(from) || !seen(to)) continue;
      context.beginPath();
      context.moveTo(from[0], from[1]);
      context.lineTo(to[0], to[1]);
      context.lineWidth = 1.5 * unit;
      context.strokeStyle = one ?? skeleton.colors[b];
      context.stroke();
    }
    const shown = pose.keypoints.map((keypoint, k) => [keypoint, k]).filter(([keypoint]) => seen(keypoint));
    for (const [[x, y], k] of shown) {
      context.beginPath();
      context.arc(x, y, 2 * unit, 0, 2 * Math.PI);
      context.fillStyle = one ?? skeleton.colors[k];
      context.fill();
      context.lineWidth = 0.5 * unit;
      context.strokeStyle = "#000";
      context.stroke();
      if (names) write(skeleton.joints[k], x, y);
    }
    if (ids && pose.id !== null && shown.length) {
      const top = shown.reduce((best, each) => (each[0][1] < best[0][1] ? each : best))[0];
      write(`ID ${pose.id}`, top[0], top[1] - 4 * unit);
    }
  });
  return canvas;
}

function text(x, y, label, name) {
  // A unit font, scaled to screen pixels by CSS, keeps its size when the image is zoomed.
  return s("text", { class: name, x, y, dx: "0.6em", dy: "-0.6em" }, label);
}

function jointColors(count, limbs) {
  return Array.from({ length: count }, (_, joint) => {
    const first = limbs.findIndex((limb) => limb.includes(joint));
    return first >= 0 ? hue(first / limbs.length) : hue(joint / count);
  });
}

function hue(fraction) {
  return `hsl(${(360 * fraction).toFixed(1)} 85% 55%)`;
}
