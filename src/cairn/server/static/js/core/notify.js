/** Short notices at the lower edge; screen readers announce them. */

import { h } from "./dom.js";

const SECONDS = 8;

/** Shows a notice; an error stays until it is dismissed. */
export function notify(message, { error = false } = {}) {
  const box = document.getElementById("notices");
  const notice = h("div", { class: "notice" }, h("span", {}, message));
  notice.append(h("button", { type: "button", onclick: () => notice.remove() }, "Dismiss"));
  box.append(notice);
  while (box.children.length > 3) box.firstElementChild.remove();
  if (!error) setTimeout(() => notice.remove(), 1000 * SECONDS);
}

/** Shows an error, unless the request was aborted by the page itself. */
export function notifyError(error) {
  if (error?.name === "AbortError") return;
  notify(error?.message ?? String(error), { error: true });
}
