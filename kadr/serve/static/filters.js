// The form with the search filters.

import { byId, h } from "./dom.js";

export class FilterForm {
  // onChange(filters, showDuplicates): called after the user changes a field.
  constructor(onChange) {
    this.form = byId("filters");
    this.button = byId("open-filters");
    this.button.addEventListener("click", () => this.#toggle(this.form.hidden));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("change", () => this.form.reportValidity() && onChange(...this.#readFields()));
    this.form.addEventListener("reset", () => setTimeout(() => onChange(...this.#readFields())));
  }

  addColours(names, selected) {
    this.form.elements.colour.closest("label").hidden = !names.length;
    this.form.elements.colour.append(...names.map((name) => h("option", { value: name }, name)));
    this.form.elements.colour.value = selected ?? "";
  }

  // Fill in the form from the page state.
  show(state) {
    for (const field of this.form.elements) {
      if (field.name === "duplicates") field.checked = state.showDuplicates;
      else if (field.name) field.value = state.filters[field.name] ?? "";
    }
    const nActive = Object.keys(state.filters).length + Number(state.showDuplicates);
    byId("n-filters").hidden = !nActive;
    byId("n-filters").textContent = nActive;
    if (nActive) this.#toggle(true);
  }

  #toggle(open) {
    this.form.hidden = !open;
    this.button.setAttribute("aria-expanded", open);
  }

  #readFields() {
    const { duplicates, ...filters } = Object.fromEntries(new FormData(this.form));
    const activeFilters = Object.fromEntries(Object.entries(filters).filter(([, value]) => value.trim()));
    return [activeFilters, duplicates !== undefined];
  }
}
