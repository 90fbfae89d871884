// The filter panel: quick choices with the number of photos of each, and fields for all filters.

import { postJson } from "./api.js";
import { byId, formatCount, formatNumber, h, thumbnailUrl } from "./dom.js";
import { dateRange, labelFilters, monthName } from "./filter_labels.js";
import { activeFilters, buildQuery } from "./search_state.js";

const N_CHOICES = 12; // largest number of quick choices of a filter
const N_PLACES = 8;
const NEAR_KM = 10; // default radius around a place
const MEGABYTE = 1e6;
const PLACE = /^\s*([+-]?\d+(?:\.\d+)?)\s*[°\s]*[,;\s]\s*([+-]?\d+(?:\.\d+)?)\s*°?\s*$/;
const WIDE = matchMedia("(min-width: 900px)"); // the panel is a side bar; otherwise it covers the page

export class FilterPanel {
  // onChange(filters, showDuplicates): called after the user changes a filter.
  constructor(onChange) {
    Object.assign(this, { onChange, panel: byId("filter-panel"), form: byId("filters"), state: null, facetsKey: null, controller: null });
    this.button = byId("open-filters");
    this.button.addEventListener("click", () => (this.panel.open ? this.close() : this.open()));
    byId("close-filters").addEventListener("click", () => this.close());
    byId("done-filters").addEventListener("click", () => this.close());
    this.panel.addEventListener("close", () => this.#onClose());
    this.panel.addEventListener("keydown", (event) => event.key === "Escape" && !event.defaultPrevented && this.close());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.form.addEventListener("change", () => this.#submit());
    this.form.addEventListener("reset", (event) => {
      event.preventDefault();
      onChange({}, false);
    });
    WIDE.addEventListener("change", () => this.panel.open && this.close());
  }

  open() {
    if (WIDE.matches) this.panel.show();
    else this.panel.showModal();
    document.documentElement.classList.toggle("with-panel", WIDE.matches);
    this.button.setAttribute("aria-expanded", true);
    byId("close-filters").focus();
    this.#loadFacets();
  }

  close() {
    this.panel.close();
  }

  // Offer the colours that the server knows. hasRelevance: whether results have a predicted relevance.
  setAbilities({ colours, hasRelevance }) {
    this.colours = colours;
    this.form.elements.min_relevance.closest("label").hidden = !hasRelevance;
  }

  // Fill in the form from the page state.
  show(state) {
    this.state = state;
    const { filters } = state;
    const [latitude, longitude, km] = (filters.near ?? "").split(",");
    const texts = {
      ...filters,
      place: latitude ? `${latitude}, ${longitude}` : "",
      km: km ?? NEAR_KM,
      min_bytes: filters.min_bytes ? filters.min_bytes / MEGABYTE : "",
      max_bytes: filters.max_bytes ? filters.max_bytes / MEGABYTE : "",
    };
    for (const field of this.form.elements) {
      if (field.name === "duplicates") field.checked = state.showDuplicates;
      else if (field.type === "checkbox") field.checked = filters[field.name] === field.value;
      else if (field.name && field !== document.activeElement) field.value = texts[field.name] ?? "";
    }
    for (const details of this.form.querySelectorAll("details")) {
      details.open ||= [...details.querySelectorAll("input[name]")].some((field) => filters[field.name]);
    }
    const nActive = labelFilters(filters).length + Number(state.showDuplicates);
    byId("n-filters").hidden = !nActive;
    byId("n-filters").textContent = nActive;
    byId("n-filters").setAttribute("aria-label", `${nActive} active`);
    if (this.panel.open) this.#loadFacets();
  }

  // Request the quick choices again, because the index has changed.
  reset() {
    this.facetsKey = null;
    if (this.panel.open) this.#loadFacets();
  }

  #onClose() {
    document.documentElement.classList.remove("with-panel");
    this.button.setAttribute("aria-expanded", false);
    if (document.activeElement === document.body || this.panel.contains(document.activeElement)) this.button.focus();
  }

  #submit() {
    const place = this.form.elements.place;
    const match = PLACE.exec(place.value);
    const isPlace = match && Math.abs(match[1]) <= 90 && Math.abs(match[2]) <= 180;
    place.setCustomValidity(!place.value.trim() || isPlace ? "" : "Expected latitude and longitude in degrees, e.g. 48.86, 2.35.");
    if (!this.form.reportValidity()) return;
    const { duplicates, place: _, km, min_bytes: minBytes, max_bytes: maxBytes, ...texts } = Object.fromEntries(new FormData(this.form));
    const filters = Object.fromEntries(Object.entries(texts).filter(([, value]) => value.trim()));
    if (isPlace) filters.near = [match[1], match[2], km || NEAR_KM].join();
    if (minBytes) filters.min_bytes = String(Math.round(minBytes * MEGABYTE));
    if (maxBytes) filters.max_bytes = String(Math.round(maxBytes * MEGABYTE));
    for (const name of ["box", "colour"]) if (this.state.filters[name]) filters[name] = this.state.filters[name];
    this.onChange(filters, duplicates !== undefined);
  }

  // Set filters, or clear them if the value is null.
  #choose(changes) {
    const filters = Object.entries({ ...this.state.filters, ...changes }).filter(([, value]) => value !== null);
    this.onChange(Object.fromEntries(filters), this.state.showDuplicates);
  }

  async #loadFacets() {
    const key = JSON.stringify(activeFilters(this.state));
    if (key === this.facetsKey) return;
    this.controller?.abort();
    this.controller = new AbortController();
    try {
      const { filters } = buildQuery(this.state);
      const facets = await postJson("facets", { filters }, { signal: this.controller.signal });
      this.facetsKey = key;
      this.#showFacets(facets);
    } catch (error) {
      if (error.name !== "AbortError") byId("facets-error").textContent = `Cannot count the photos. ${error.message}`;
    }
  }

  #showFacets(facets) {
    byId("facets-error").textContent = "";
    byId("done-filters").textContent = `Show ${formatCount(facets.n_images)}`;
    const focused = document.activeElement?.dataset.choice;
    this.#showChoices("folder", this.#folderChoices(facets.folders));
    this.#showChoices("camera", facets.cameras.slice(0, N_CHOICES).map((entry) => this.#valueChoice("camera", entry)));
    this.#showChoices("colour", facets.colours.map((entry) => this.#valueChoice("colour", entry)));
    this.#showChoices("date", this.#dateChoices(facets.months));
    this.#showChoices("place", mergePlaces(facets.places).slice(0, N_PLACES).map((place) => this.#placeChoice(place)));
    byId("n-undated").textContent = formatNumber(facets.n_undated);
    if (focused) this.form.querySelector(`[data-choice="${CSS.escape(focused)}"]`)?.focus();
  }

  #showChoices(name, buttons) {
    const list = this.form.querySelector(`[data-choices="${name}"]`);
    list.hidden = !buttons.length;
    list.replaceChildren(...buttons.map((button) => h("li", {}, button)));
  }

  #valueChoice(name, { value, count }) {
    const isActive = this.state.filters[name] === value;
    const swatch = name === "colour" ? h("i", { class: `swatch ${value}`, "aria-hidden": "true" }) : null;
    const text = name === "folder" ? value.split("/").at(-1) || value : value;
    const choose = () => this.#choose({ [name]: isActive ? null : value });
    const button = this.#createChoice(`${name}:${value}`, isActive, choose, [swatch, text].filter(Boolean), count);
    if (name === "folder") button.title = value;
    return button;
  }

  // Return a choice for the chosen folder and for each folder in it. Without a choice, return the upper folders.
  #folderChoices(folders) {
    const chosen = this.state.filters.folder;
    const isInside = (path, parent) => path.startsWith(`${parent.replace(/\/$/, "")}/`);
    const active = folders.find(({ value }) => value === chosen);
    const inside = active ? folders.filter(({ value }) => isInside(value, chosen)) : folders;
    const upper = inside.filter(({ value }) => !inside.some((other) => isInside(value, other.value)));
    // A single upper folder, the collection itself, is no choice.
    const only = !active && upper.length === 1 ? folders.filter(({ value }) => isInside(value, upper[0].value)) : null;
    const choices = only ? only.filter(({ value }) => !only.some((other) => isInside(value, other.value))) : upper;
    const largest = [...choices].sort((a, b) => b.count - a.count).slice(0, N_CHOICES);
    const shown = choices.filter((entry) => largest.includes(entry));
    return [...(active ? [active] : []), ...shown].map((entry) => this.#valueChoice("folder", entry));
  }

  // Return a choice for each year, or for each month of the chosen year.
  #dateChoices(months) {
    const year = this.state.filters.after?.slice(0, 4);
    const { after, before } = this.state.filters;
    const inYear = Boolean(year && before) && after >= dateRange(year).after && before <= dateRange(year).before;
    const years = new Map();
    for (const { value, count } of months) years.set(value.slice(0, 4), (years.get(value.slice(0, 4)) ?? 0) + count);
    if (inYear) years.set(year, years.get(year) ?? 0);
    const periods = [...years].sort().reverse().map(([value, count]) => ({ value, count, text: value }));
    if (inYear) {
      const inner = months.filter(({ value }) => value.startsWith(year)).sort((a, b) => (a.value < b.value ? -1 : 1));
      periods.splice(periods.findIndex(({ value }) => value === year) + 1, 0, ...inner.map((entry) => ({ ...entry, text: monthName(entry.value) })));
    }
    return periods.slice(0, 3 * N_CHOICES).map(({ value, count, text }) => {
      const range = dateRange(value);
      const isActive = after === range.after && before === range.before;
      const change = isActive ? { after: null, before: null } : range;
      return this.#createChoice(`date:${value}`, isActive, () => this.#choose(change), [text], count);
    });
  }

  #placeChoice({ latitude, longitude, count, image_id: imageId }) {
    const near = [latitude, longitude].map((degrees) => Number(degrees.toFixed(5))).concat(NEAR_KM).join();
    const isActive = this.state.filters.near === near;
    const label = `Within ${NEAR_KM} km of ${latitude.toFixed(2)}, ${longitude.toFixed(2)}`;
    const image = h("img", { src: thumbnailUrl({ image_id: imageId }), alt: "", loading: "lazy", width: 56, height: 56 });
    const button = this.#createChoice(`near:${near}`, isActive, () => this.#choose({ near: isActive ? null : near }), [image], count);
    button.setAttribute("aria-label", `${label}, ${formatCount(count)}`);
    button.title = label;
    return button;
  }

  #createChoice(id, isActive, onclick, content, count) {
    const properties = { type: "button", class: "choice", "aria-pressed": isActive, "data-choice": id, onclick };
    return h("button", properties, ...content, " ", h("small", {}, formatNumber(count)));
  }
}

// Merge places that are within about 10 km of each other. Return the places with the most photos first.
function mergePlaces(places) {
  const merged = new Map();
  for (const place of places) {
    const key = [place.latitude, place.longitude].map((degrees) => degrees.toFixed(1)).join();
    const largest = merged.get(key); // the server sends the places with the most photos first
    merged.set(key, largest ? { ...largest, count: largest.count + place.count } : place);
  }
  return [...merged.values()].sort((a, b) => b.count - a.count);
}
