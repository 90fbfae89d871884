// Ways to search by an image file: drop a file on the page, paste an image, or pick a file.

import { byId } from "./dom.js";
import { findImageFile } from "./uploads.js";

const NO_FILE = "Drop an image file. To search by an image of another page, copy the image and paste it here.";

// onFile(file): called with the image file. onError(message): called if the user did not drop a file.
export function initImageInput({ onFile, onError }) {
  const input = byId("image-file");
  byId("pick-image").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files[0]) onFile(input.files[0]);
    input.value = "";
  });
  document.addEventListener("paste", (event) => {
    const file = findImageFile(event.clipboardData);
    if (!file || document.querySelector("dialog:modal")) return;
    event.preventDefault();
    onFile(file);
  });
  initDrop({ onFile, onError });
}

function initDrop({ onFile, onError }) {
  const overlay = byId("drop");
  let isOwnDrag = false; // whether the user drags an image of this page
  let depth = 0; // number of nested elements that the pointer has entered
  const setDepth = (value) => {
    depth = Math.max(0, value);
    overlay.hidden = !depth;
  };
  const accepts = (event) => !isOwnDrag && ["Files", "text/uri-list"].some((type) => event.dataTransfer.types.includes(type));
  document.addEventListener("dragstart", () => (isOwnDrag = true));
  document.addEventListener("dragend", () => (isOwnDrag = false));
  document.addEventListener("dragenter", (event) => accepts(event) && setDepth(depth + 1));
  document.addEventListener("dragleave", (event) => accepts(event) && setDepth(depth - 1));
  document.addEventListener("dragover", (event) => accepts(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!accepts(event)) return;
    event.preventDefault();
    setDepth(0);
    const file = findImageFile(event.dataTransfer);
    if (file) onFile(file);
    else onError(NO_FILE);
  });
}
