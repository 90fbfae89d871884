// Light or dark: as the system has it, or as the user chose last.

import { at } from "./dom.js";

const THEMES = ["as the system has them", "light", "dark"];

export function startTheme() {
  let theme = THEMES.indexOf(localStorage.getItem("kadr.theme"));
  const apply = () => {
    if (theme > 0) document.documentElement.dataset.theme = THEMES[theme];
    else delete document.documentElement.dataset.theme;
    at("theme").setAttribute("aria-label", `Colours: ${THEMES[Math.max(theme, 0)]}`);
    at("theme").title = at("theme").getAttribute("aria-label");
  };
  at("theme").addEventListener("click", () => {
    theme = (Math.max(theme, 0) + 1) % THEMES.length;
    localStorage.setItem("kadr.theme", THEMES[theme]);
    apply();
  });
  apply();
}
