/** Line charts of the metrics of a training, as SVG with a table for screen readers. */

import { h, s } from "../core/dom.js";

const [WIDTH, HEIGHT] = [460, 220];
const [LEFT, RIGHT, TOP, BOTTOM] = [46, 12, 10, 26];
const DASHES = ["", "6 4", "2 3"];

/**
 * Returns a chart of some columns over the epochs.
 *
 * `rows` are objects with `epoch`; `names` are the columns, each a line.
 */
export function lineChart(title, rows, names) {
  const values = names.flatMap((name) => rows.map((row) => row[name])).filter(Number.isFinite);
  const last = rows.at(-1)?.epoch ?? 1;
  const [low, high] = range(values);
  const x = (epoch) => LEFT + ((WIDTH - LEFT - RIGHT) * epoch) / Math.max(1, last);
  const y = (value) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (value - low)) / (high - low);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => low + share * (high - low));
  const grid = ticks.map((tick) => [
    s("line", { class: "chart-grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick) }),
    s("text", { class: "chart-text", x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, short(tick)),
  ]);
  const epochs = [...new Set([0, Math.round(last / 2), last])].map((epoch) =>
    s("text", { class: "chart-text", x: x(epoch), y: HEIGHT - 8, "text-anchor": "middle" }, String(epoch)),
  );
  const lines = names.map((name, i) => {
    const points = rows.filter((row) => Number.isFinite(row[name]));
    const path = points.map((row) => `${x(row.epoch).toFixed(1)},${y(row[name]).toFixed(1)}`).join(" ");
    const dots = points.length < 40 ? points.map((row) => s("circle", { class: "chart-dot", cx: x(row.epoch), cy: y(row[name]), r: 2.5 })) : [];
    return s("g", {}, s("polyline", { class: "chart-line", points: path, "stroke-dasharray": DASHES[i % DASHES.length] }), dots);
  });
  const latest = (name) => rows.findLast((row) => Number.isFinite(row[name]))?.[name];
  const legend = names.map((name, i) =>
    h("li", {}, s("svg", { width: 24, height: 8, "aria-hidden": "true" }, s("line", { class: "chart-line", x1: 0, x2: 24, y1: 4, y2: 4, "stroke-dasharray": DASHES[i % DASHES.length] })), `${name} `, h("span", { class: "number muted" }, short(latest(name)))),
  );
  return h(
    "figure",
    { class: "chart card" },
    h("figcaption", {}, h("h3", {}, title)),
    s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title} over epochs, now ${names.map((name) => `${name} ${short(latest(name))}`).join(", ")}` }, grid, epochs, lines),
    h("ul", { class: "legend small" }, legend),
  );
}

function range(values) {
  if (!values.length) return [0, 1];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (low === high) return [Math.min(0, low), Math.max(0, high) * 1.1 || 1];
  const margin = 0.05 * (high - low);
  return [low >= 0 ? Math.max(0, low - margin) : low - margin, high + margin];
}

function short(value) {
  if (!Number.isFinite(value)) return "–";
  return Math.abs(value) >= 100 ? value.toFixed(0) : Number(value.toPrecision(3)).toString();
}
