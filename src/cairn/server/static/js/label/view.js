/** Label: the list of projects (#/label), or one project (#/label/ID). */

import { openEditor } from "./editor.js";
import { openProjects } from "./projects.js";

export async function open(main, [project, image]) {
  if (!project) return openProjects(main);
  main.classList.add("editing");
  return openEditor(main, project, image ? Number(image) : null);
}
