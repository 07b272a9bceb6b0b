/**
 * Pages of 3D results that Cairn wrote, built again from their text, tables, images and data.
 *
 * Nothing of a page runs here and nothing that it links to is loaded: its scenes are data, which the server's own
 * script draws.
 */

import { h } from "../core/dom.js";

const PLAIN = ["H1", "H2", "H3", "P", "OL", "UL", "LI", "THEAD", "TBODY", "TR", "TH", "TD", "STRONG", "EM", "CODE", "FIGCAPTION"];
const SKIPPED = ["SCRIPT", "STYLE", "TITLE", "TEMPLATE", "IFRAME", "OBJECT", "SVG"];
const IMAGE = /^data:image\/(png|jpeg|webp);base64,[\w+/=]+$/;
const STYLES = /<style\b[^]*?<\/style>|\sstyle="[^"]*"/gi; // blocked anyway, with a line in the console for each
const HINT = "Drag to turn, shift-drag to move, scroll to zoom, double-click to reset; or arrow keys, + and -, and 0.";
const KINDS = ["points", "lines", "surface"];

/** Returns the elements of a page; throws where it is no page of Cairn's results. */
export function readReport(html, name) {
  const page = new DOMParser().parseFromString(html.replace(STYLES, ""), "text/html");
  const parts = [...page.body.childNodes].flatMap(copy);
  const shows = (each) => each instanceof Element && (each.matches("figure, img, .table-scroll") || each.querySelector("figure, img, table"));
  if (!parts.some(shows)) throw new Error(`${name} has no 3D view and no report: expected an .html file that Cairn wrote`);
  return parts;
}

/** Draws the scenes of a part of the document. The script looks for those that are not drawn yet. */
export function drawScenes(element) {
  element.append(h("script", { src: "scene3d.js" }));
}

function copy(node) {
  if (node.nodeType === Node.TEXT_NODE) return node.textContent.trim() ? [node.textContent] : [];
  if (node.nodeType !== Node.ELEMENT_NODE || SKIPPED.includes(node.tagName.toUpperCase())) return [];
  if (node.matches("figure.scene")) return [scene(node)];
  if (node.tagName === "IMG") return IMAGE.test(node.getAttribute("src") ?? "") ? [h("img", { src: node.getAttribute("src"), alt: node.alt })] : [];
  const children = [...node.childNodes].flatMap(copy);
  if (node.tagName === "TABLE") return [h("div", { class: "table-scroll" }, h("table", {}, children))];
  return PLAIN.includes(node.tagName) ? [h(node.tagName.toLowerCase(), {}, children)] : children;
}

function scene(figure) {
  const text = figure.querySelector("script[type='application/json']")?.textContent;
  const data = JSON.parse(text ?? "null");
  if (!data?.items?.every((item) => KINDS.includes(item.kind))) throw new Error("The 3D view is of another version of Cairn");
  const caption = figure.querySelector("figcaption")?.textContent ?? "";
  const canvas = h("canvas", { tabIndex: 0, role: "img", "aria-label": `${caption || "3D view"}. ${HINT}`, title: HINT });
  const boxes = [...figure.querySelectorAll(".scene-controls label")].map(({ textContent: name }, i) =>
    h("label", { class: "check" }, h("input", { type: "checkbox", checked: true }), dot(data.items[i]), name.trim()),
  );
  const player = h(
    "div",
    { class: "scene-controls" },
    h("button", { type: "button" }, "Play"),
    h("input", { type: "range", min: 0, max: data.frames - 1, value: 0, "aria-label": "Frame" }),
    h("output", { class: "number small muted" }),
  );
  return h(
    "figure",
    { class: "scene" },
    canvas,
    h("div", { class: "scene-tip", hidden: true }),
    data.frames > 1 ? player : null,
    h("div", { class: "scene-controls" }, boxes),
    h("figcaption", { class: "muted small" }, caption),
    h("script", { type: "application/json", textContent: text }),
  );
}

/** Returns a dot in the color of the first of an item's points. */
function dot(item) {
  const mark = h("span", { class: "scene-key" });
  const [red, green, blue] = [...atob(item?.colors?.slice(0, 4) ?? "")].map((char) => char.charCodeAt(0));
  mark.style.background = `rgb(${red}, ${green}, ${blue})`;
  return mark;
}
