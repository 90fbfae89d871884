// Actions on image files: copy paths, and download one image or several images.

import { ApiError, request } from "./api.js";
import { h, imageUrl } from "./dom.js";

export const MAX_DOWNLOADED = 1000; // images in one zip file

// Copy a text. Return whether the browser allowed it.
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text); // exists only on https and on localhost
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const focused = document.activeElement;
  const field = h("textarea", { class: "visually-hidden", "aria-hidden": "true", tabindex: -1 });
  field.value = text;
  (document.querySelector("dialog:modal") ?? document.body).append(field); // elements outside of a modal dialog are inert
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return isCopied;
}

export const originalUrl = (match) => {
  const url = imageUrl(match);
  return `${url}${url.includes("?") ? "&" : "?"}original=true`;
};

// Download the original files of images in one zip file. An error has the message of the server.
export async function downloadImages(imageIds) {
  const options = {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ image_ids: imageIds.slice(0, MAX_DOWNLOADED) }),
  };
  const send = () =>
    fetch("download", options).catch(() => {
      throw new ApiError("The server is not responding. Check that kadr serve is running.", 0, true);
    });
  let response = await send();
  if (response.status === 401) {
    await request("favourites"); // asks for the token
    response = await send();
  }
  if (!response.ok) {
    const body = await response.json().catch(() => null);
    throw new ApiError(body?.detail ?? `The server returned status ${response.status}.`, response.status);
  }
  saveFile(await response.blob(), "photos.zip");
}

// Save text or binary content as a file.
export function saveFile(blob, name) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
