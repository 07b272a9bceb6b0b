/** The list of label projects. */

import { call } from "../core/api.js";
import { h, icon, ICONS, replace } from "../core/dom.js";
import { openCreate } from "./create.js";

export async function openProjects(main) {
  const { projects } = await call("v1/projects");
  const create = () => openCreate((project) => (location.hash = `#/label/${project.id}`));
  const button = h("button", { type: "button", class: "primary", onclick: create }, "New project");
  if (!projects.length) {
    const art = icon(ICONS.images);
    art.setAttribute("class", "art");
    replace(
      main,
      h(
        "div",
        { class: "empty drop start" },
        art,
        h("h1", {}, "Label your own images"),
        h("p", {}, "A project has images or frames of a video, and the keypoints to mark. A model suggests, you correct."),
        button,
      ),
    );
    return null;
  }
  replace(
    main,
    h(
      "div",
      { class: "page" },
      h("div", { class: "row spread" }, h("h1", {}, "Projects"), button),
      h("div", { class: "grid" }, projects.map(card)),
    ),
  );
  return null;
}

function card(project) {
  const share = project.images ? project.labeled / project.images : 0;
  return h(
    "a",
    { class: "card link stack", href: `#/label/${project.id}` },
    h("h2", {}, project.name),
    h("progress", { max: 1, value: share, "aria-label": `${project.name}: labeled images` }),
    h("p", { class: "muted small" }, `${project.labeled} of ${project.images} images labeled · ${project.skeleton.joints.length} keypoints`),
    project.folder ? h("p", { class: "muted small" }, "Folder of images of this server") : null,
  );
}
