// Elements from code: h("p", {class: "x"}, "text") and the places of index.html by id.

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

export const at = (id) => document.getElementById(id);

export const thumbnail = (id, side = 320) => `thumbnails/${path(id)}?side=${side}`;

export const photo = (id) => `photos/${path(id)}`;

export const facts = (id) => `facts/${path(id)}`;

const path = (id) => id.split("/").map(encodeURIComponent).join("/");

// Whether a key was meant for a field in which people write.
export const isWriting = (event) =>
  event.target.closest("input:not([type=checkbox]), textarea, select") || event.ctrlKey || event.metaKey || event.altKey;
