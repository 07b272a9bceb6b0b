/** The table of the keypoints of one image. */

import { h } from "../core/dom.js";

/** Returns a table with a row for each keypoint and instance; keypoints below the threshold are grayed. */
export function keypointTable(result, threshold) {
  if (!result) return h("p", { class: "muted" }, "No results yet.");
  if (!result.poses.length) return h("p", { class: "muted" }, "Nothing was detected in this image.");
  const rows = result.poses.flatMap((pose, number) =>
    result.skeleton.joints.map((joint, k) => row(pose, number, joint, pose.keypoints[k], threshold)),
  );
  const head = ["#", "Keypoint", "x", "y", h("abbr", { title: "Confidence" }, "Conf.")];
  const numeric = (i) => (i > 1 ? "number" : "");
  return h(
    "div",
    { class: "table-scroll", tabIndex: 0, role: "region", "aria-label": "Keypoints" },
    h(
      "table",
      {},
      h("caption", { class: "visually-hidden" }, "Keypoints of the image, coordinates in pixels"),
      h("thead", {}, h("tr", {}, head.map((title, i) => h("th", { class: numeric(i), scope: "col" }, title)))),
      h("tbody", {}, rows),
    ),
  );
}

function row(pose, number, joint, keypoint, threshold) {
  const found = keypoint && keypoint[2] > 0;
  const low = !found || keypoint[2] < threshold ? " low" : "";
  const identity = pose.id === null ? `${number + 1}` : `ID ${pose.id}`;
  const cells = found ? [keypoint[0].toFixed(1), keypoint[1].toFixed(1), `${(100 * keypoint[2]).toFixed(0)}%`] : ["–", "–", "–"];
  return h(
    "tr",
    {},
    h("td", { class: `number${low}` }, identity),
    h("td", { class: low }, joint.replaceAll("_", " ")),
    cells.map((text) => h("td", { class: `number${low}` }, text)),
  );
}
