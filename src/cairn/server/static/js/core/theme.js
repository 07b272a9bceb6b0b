/** Light and dark: the choice of the user, else that of the system. */

import { ICONS, icon, replace } from "./dom.js";

const KEY = "cairn.theme";

export function startTheme(button) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const current = () => localStorage.getItem(KEY) ?? (system.matches ? "dark" : "light");
  const apply = () => {
    const dark = current() === "dark";
    document.documentElement.dataset.theme = current();
    replace(button, icon(dark ? ICONS.sun : ICONS.moon));
    button.setAttribute("aria-label", dark ? "Use the light theme" : "Use the dark theme");
    button.title = button.getAttribute("aria-label");
  };
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, current() === "dark" ? "light" : "dark");
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}
