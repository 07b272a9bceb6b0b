/** Starts the page: theme, navigation, and the view that the address names (#/detect, #/label/ID, ...). */

import { h, replace } from "./core/dom.js";
import { notifyError } from "./core/notify.js";
import { startTheme } from "./core/theme.js";

const VIEWS = {
  detect: { title: "Detect", load: () => import("./detect/view.js") },
  label: { title: "Label", load: () => import("./label/view.js") },
  train: { title: "Train", load: () => import("./train/view.js") },
  "3d": { title: "3D", load: () => import("./scene/view.js") },
  compare: { title: "Compare", load: () => import("./compare/view.js") },
};

let leave = null;
let visit = 0;

async function show() {
  const [name, ...path] = location.hash.replace(/^#\/?/, "").split("/");
  const view = VIEWS[name] ?? VIEWS.detect;
  const mine = ++visit;
  if (leave) await leave();
  leave = null;
  if (mine !== visit) return;
  document.title = `${view.title} · Cairn`;
  showNavigation(view);
  const main = document.getElementById("main");
  main.className = `view-${view.title.toLowerCase()}`;
  try {
    const module = await view.load();
    if (mine !== visit) return;
    replace(main);
    const closing = await module.open(main, path.map(decodeURIComponent));
    if (mine === visit) leave = closing;
    else await closing?.();
  } catch (error) {
    notifyError(error);
    replace(main, h("div", { class: "empty" }, h("h1", {}, "This view could not be opened"), h("p", {}, error.message)));
  }
}

function showNavigation(current) {
  const links = Object.entries(VIEWS).map(([name, view]) => {
    const link = h("a", { href: `#/${name}` }, view.title);
    if (view === current) link.setAttribute("aria-current", "page");
    return link;
  });
  replace(document.getElementById("nav"), links);
}

startTheme(document.getElementById("theme"));
addEventListener("hashchange", show);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the view
  document.getElementById("main").focus();
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target) || event.target.closest(".menu-items button")) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
show();
