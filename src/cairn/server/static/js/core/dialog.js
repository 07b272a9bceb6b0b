/** Modal dialogs: focus stays inside, Escape closes. */

import { h } from "./dom.js";

/** Opens a dialog and returns it with its `close`. `onclose` runs however it was closed. */
export function openDialog(title, content, { onclose = () => {} } = {}) {
  const dialog = h("dialog", { "aria-label": title }, h("h1", {}, title), content);
  dialog.addEventListener("close", () => {
    dialog.remove();
    onclose();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Asks a question; resolves to whether the user agreed. The focus is on Cancel. */
export function confirmed(title, text, action, kind = "primary") {
  return new Promise((resolve) => {
    let answer = false;
    const agree = () => {
      answer = true;
      dialog.close();
    };
    const dialog = openDialog(
      title,
      h(
        "div",
        {},
        h("p", { class: "muted" }, text),
        h(
          "div",
          { class: "actions" },
          h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
          h("button", { type: "button", class: kind, onclick: agree }, action),
        ),
      ),
      { onclose: () => resolve(answer) },
    );
  });
}
