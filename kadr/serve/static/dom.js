// Helper functions that create DOM elements and image URLs.

// Create a DOM element, for example h("p", { class: "x", onclick: listener }, "text", child).
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("aria-")) element.setAttribute(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export const byId = (id) => document.getElementById(id);

// Let screen readers read a text aloud.
export function announce(text) {
  byId("announcer").textContent = text;
}

// The URL contains the version of the image, so that the browser does not show a copy of an older version.
export const thumbnailUrl = (image, side = 320) =>
  `thumbnails/${encodePath(image.image_id)}?side=${side}${image.version ? `&v=${image.version}` : ""}`;

export const imageUrl = (image) => `images/${encodePath(image.image_id)}${image.version ? `?v=${image.version}` : ""}`;

export const metadataUrl = (imageId) => `metadata/${encodePath(imageId)}`;

const encodePath = (imageId) => imageId.split("/").map(encodeURIComponent).join("/");

export const formatNumber = (number) => number.toLocaleString("en");

export const formatCount = (count, noun = "photo") => `${formatNumber(count)} ${noun}${count === 1 ? "" : "s"}`;

// Return whether a key press is input to a form field or part of a browser shortcut.
export const isTextInput = (event) =>
  event.target.closest("input:not([type=checkbox]), textarea, select") || event.ctrlKey || event.metaKey || event.altKey;
