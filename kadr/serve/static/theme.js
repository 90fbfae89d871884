// Colour theme of the page: system setting, light or dark. The browser stores the user's choice.

import { byId } from "./dom.js";
import { readSetting, writeSetting } from "./storage.js";

const THEMES = ["system", "light", "dark"];

export function initTheme() {
  const button = byId("theme");
  let current = Math.max(THEMES.indexOf(readSetting("theme")), 0);
  const apply = () => {
    if (current) document.documentElement.dataset.theme = THEMES[current];
    else delete document.documentElement.dataset.theme;
    button.querySelector("span").textContent = `Theme: ${THEMES[current]}`;
  };
  button.addEventListener("click", () => {
    current = (current + 1) % THEMES.length;
    writeSetting("theme", THEMES[current]);
    apply();
  });
  apply();
}
