// The form of filters and its place in the state.

import { at, h } from "./dom.js";

export class Filters {
  // change(filters, allCopies) is called when the user has changed one.
  constructor(change) {
    this.form = at("filters");
    this.button = at("open-filters");
    this.button.addEventListener("click", () => this.#toggle(this.form.hidden));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("change", () => this.form.reportValidity() && change(...this.#values()));
    this.form.addEventListener("reset", () => setTimeout(() => change(...this.#values())));
  }

  offerColours(names, chosen) {
    this.form.elements.colour.closest("label").hidden = !names.length;
    this.form.elements.colour.append(...names.map((name) => h("option", { value: name }, name)));
    this.form.elements.colour.value = chosen ?? "";
  }

  show(state) {
    for (const field of this.form.elements) {
      if (field.name === "all_copies") field.checked = state.allCopies;
      else if (field.name) field.value = state.filters[field.name] ?? "";
    }
    const n = Object.keys(state.filters).length + Number(state.allCopies);
    at("n-filters").hidden = !n;
    at("n-filters").textContent = n;
    if (n) this.#toggle(true);
  }

  #toggle(open) {
    this.form.hidden = !open;
    this.button.setAttribute("aria-expanded", open);
  }

  #values() {
    const given = Object.fromEntries(new FormData(this.form));
    const { all_copies: allCopies, ...filters } = given;
    return [Object.fromEntries(Object.entries(filters).filter(([, value]) => value.trim())), allCopies !== undefined];
  }
}
