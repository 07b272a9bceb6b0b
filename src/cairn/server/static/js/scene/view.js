/** 3D: pages of 3D results, dropped (#/3d) or of a job of this server (#/3d/JOB/RESULT). */

import { call, request } from "../core/api.js";
import { acceptDrops, chooseFiles } from "../core/files.js";
import { h, icon, ICONS, replace } from "../core/dom.js";
import { notifyError } from "../core/notify.js";
import { drawScenes, readReport } from "./report.js";

const PAGE = ".cairn3d.html";

export async function open(main, [job, name]) {
  const content = h("div", { class: "report stack" });
  const show = (html, title) => {
    const parts = readReport(html, title);
    replace(content, h("p", { class: "row spread" }, h("span", { class: "muted" }, title), chooser("Open another")), parts);
    drawScenes(content);
    replace(main, h("div", { class: "page" }, content));
  };
  const take = async ([file]) => file && show(await file.text(), file.name);
  const pick = async () => take(await chooseFiles({ accept: ".html,.htm", multiple: false }));
  const chooser = (label, kind = "") => h("button", { type: "button", class: kind, onclick: () => pick().catch(notifyError) }, label);
  const undrop = acceptDrops(main, (files) => take(files).catch(notifyError));
  if (job) {
    const page = await request(`v1/jobs/${encodeURIComponent(job)}/results/${encodeURIComponent(name)}`);
    show(await page.text(), name);
  } else {
    const art = icon(ICONS.cube);
    art.setAttribute("class", "art");
    replace(
      main,
      h(
        "div",
        { class: "page" },
        h(
          "div",
          { class: "drop empty start" },
          art,
          h("h1", {}, "Drop a page of 3D results here"),
          h("p", {}, "An .html file of cairn triangulate, keypoints, calibrate, detect --lift or evaluate. It is opened in this browser alone."),
          chooser("Choose a file", "primary"),
        ),
        await results(),
      ),
    );
  }
  return undrop;
}

/** Returns links to the 3D results of the videos of this server; null where there are none. */
async function results() {
  const { jobs } = await call("v1/jobs");
  const pages = jobs.flatMap((job) => job.results.filter((result) => result.name.endsWith(PAGE)).map((result) => ({ job, result })));
  if (!pages.length) return null;
  const link = ({ job, result }) =>
    h("li", {}, h("a", { href: linkTo(job, result) }, result.name.slice(0, -PAGE.length)), h("span", { class: "muted small" }, ` ${new Date(job.created).toLocaleString()}`));
  return h("section", { class: "stack tight" }, h("h2", {}, "Videos that were lifted to 3D"), h("ul", {}, pages.map(link)));
}

/** Returns the 3D result of a job; undefined where it has none. */
export function pageOf(job) {
  return job?.results?.find((result) => result.name.endsWith(PAGE));
}

/** Returns the address of a 3D result in the app. */
export function linkTo(job, result) {
  return `#/3d/${job.id}/${encodeURIComponent(result.name)}`;
}
