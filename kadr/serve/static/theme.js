// Colour theme of the page: system setting, light or dark. The browser stores the user's choice.

import { byId } from "./dom.js";

const THEMES = ["system", "light", "dark"];

export function initTheme() {
  const button = byId("theme");
  let current = Math.max(THEMES.indexOf(localStorage.getItem("kadr.theme")), 0);
  const apply = () => {
    if (current) document.documentElement.dataset.theme = THEMES[current];
    else delete document.documentElement.dataset.theme;
    button.title = `Theme: ${THEMES[current]}`;
    button.setAttribute("aria-label", button.title);
  };
  button.addEventListener("click", () => {
    current = (current + 1) % THEMES.length;
    localStorage.setItem("kadr.theme", THEMES[current]);
    apply();
  });
  apply();
}
