/** Choosing, dropping and saving files. */

import { h } from "./dom.js";

const VIDEO = /\.(mp4|m4v|mov|webm|avi|mkv|mpg|mpeg|wmv|ogv)$/i;

/** Whether a file is a video, by its type or its name. */
export function isVideo(file) {
  return file.type.startsWith("video/") || VIDEO.test(file.name);
}

const LABELS = /\.(json|jsonl|csv|xml)$/i;

/** Whether a file is of labels that stand alone, by its name. */
export function isLabels(file) {
  return LABELS.test(file.name);
}

/** Opens the file dialog of the browser and resolves to the chosen files; an empty list when it is closed. `folder` takes all of one. */
export function chooseFiles({ accept = "image/*,video/*", multiple = true, folder = false } = {}) {
  return new Promise((resolve) => {
    const input = h("input", { type: "file", accept, multiple, webkitdirectory: folder, hidden: true, data: { picker: "" } });
    const done = (files) => {
      input.remove();
      resolve(files);
    };
    input.addEventListener("change", () => done([...input.files]));
    input.addEventListener("cancel", () => done([]));
    document.body.append(input);
    input.click();
  });
}

/** Makes an element accept dropped files. Returns a function that undoes it. */
export function acceptDrops(element, receive) {
  let depth = 0;
  const over = (change) => {
    depth = Math.max(0, depth + change);
    element.classList.toggle("over", depth > 0);
  };
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const listeners = {
    dragenter: (event) => hasFiles(event) && (event.preventDefault(), over(1)),
    dragleave: () => over(-1),
    dragover: (event) => hasFiles(event) && event.preventDefault(),
    drop: (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth = 0;
      over(0);
      receive([...event.dataTransfer.files]);
    },
  };
  for (const [name, listener] of Object.entries(listeners)) element.addEventListener(name, listener);
  return () => Object.entries(listeners).forEach(([name, listener]) => element.removeEventListener(name, listener));
}

/** Saves a blob or a text as a file. */
export function save(content, name, type = "application/json") {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Returns the name of a file without folder and suffix. */
export function stem(name) {
  return name.replace(/^.*[\\/]/, "").replace(/\.[^.]+$/, "") || "image";
}
