// Selection of several images in the grid, and the bar with the actions on the selected images.
//
// Mouse: click on the tick, Shift+click for a range. Keyboard: Space, Shift+arrow keys, Ctrl+A, Escape. Touch: long press.

import { announce, byId, formatCount, formatNumber, h } from "./dom.js";
import { showError, showToast } from "./favourites.js";
import { MAX_DOWNLOADED, copyText, downloadImages } from "./file_actions.js";

const LONG_PRESS_MS = 450;
const MAX_PRESS_DISTANCE = 10; // pixels
const MAX_SEARCH_IMAGES = 16;

let selection = null; // the selection that `decorateTile` uses

export class Selection {
  // onAction("search-by-images", matches): called to search by the selected images.
  constructor(grid, { onAction, favourites }) {
    Object.assign(this, { grid, onAction, favourites, matches: new Map(), anchorId: null, press: null });
    selection = this;
    this.bar = h("div", { class: "selection-bar", role: "region", "aria-label": "Selected photos", hidden: true });
    byId("main").append(this.bar);
    const { list } = grid;
    list.addEventListener("click", (event) => this.#onClick(event), { capture: true });
    list.addEventListener("keydown", (event) => this.#onKey(event), { capture: true });
    list.addEventListener("pointerdown", (event) => this.#onPointerDown(event));
    for (const type of ["pointermove", "pointerup", "pointercancel"]) list.addEventListener(type, (event) => this.#onPointerMove(event));
    list.addEventListener("contextmenu", (event) => this.press && event.preventDefault());
    document.addEventListener("keydown", (event) => this.#onPageKey(event), { capture: true });
  }

  get size() {
    return this.matches.size;
  }

  toggle(match, isSelected = !this.matches.has(match.image_id)) {
    if (isSelected) this.matches.set(match.image_id, match);
    else this.matches.delete(match.image_id);
    this.anchorId = match.image_id;
    this.#changed(`${match.name} ${isSelected ? "selected" : "not selected"}.`);
  }

  // Select all images between the image that was selected last and another image.
  selectRange(index) {
    const start = Math.max(this.grid.indexOf(this.anchorId), 0);
    const [first, last] = start < index ? [start, index] : [index, start];
    for (const match of this.grid.matches.slice(first, last + 1)) this.matches.set(match.image_id, match);
    this.anchorId ??= this.grid.matches[first]?.image_id;
    this.#changed("");
  }

  selectAll() {
    for (const match of this.grid.matches) this.matches.set(match.image_id, match);
    this.#changed("");
  }

  clear() {
    this.matches.clear();
    this.anchorId = null;
    this.#changed("");
  }

  // Add the tick and the heart to a tile, and show whether it is selected.
  decorate(tile, match) {
    if (!tile.querySelector(".tick")) {
      const label = `Select ${match.name}`;
      tile.append(
        h("button", { type: "button", class: "tick", tabindex: -1, title: "Select (Space)", "aria-label": label }, "✓"),
        this.favourites.createButton(match, { tabindex: -1 }),
      );
    }
    const isSelected = this.matches.has(match.image_id);
    tile.classList.toggle("selected", isSelected);
    tile.querySelector(".tick").setAttribute("aria-pressed", isSelected);
  }

  #changed(message) {
    for (const tile of this.grid.list.querySelectorAll("[data-image-id]")) {
      const match = this.grid.matches[tile.dataset.index];
      if (match) this.decorate(tile, match);
    }
    this.grid.list.classList.toggle("selecting", this.size > 0);
    this.#drawBar();
    announce(`${message} ${this.size ? `${formatCount(this.size)} selected.` : "No photo is selected."}`.trim());
  }

  #drawBar() {
    const hadFocus = this.bar.contains(document.activeElement);
    const isNew = this.bar.hidden;
    this.bar.hidden = !this.size;
    document.body.classList.toggle("has-selection", this.size > 0);
    if (!this.size) {
      if (hadFocus) this.grid.focus();
      return;
    }
    if (isNew) this.bar.replaceChildren(...this.#createBar());
    this.bar.querySelector(".n-selected").textContent = `${formatNumber(this.size)} selected`;
    this.bar.querySelector("[data-name=download]").disabled = this.size > MAX_DOWNLOADED;
    this.bar.querySelector("[data-name=search]").disabled = this.size > MAX_SEARCH_IMAGES;
    const areFavourites = [...this.matches.keys()].every((imageId) => this.favourites.has(imageId));
    this.bar.querySelector("[data-name=favourite] span").textContent = areFavourites ? "Remove from favourites" : "Favourite";
  }

  #createBar() {
    const button = (name, text, title, onclick) =>
      h("button", { type: "button", "data-name": name, title, onclick }, h("span", {}, text));
    return [
      h("button", { type: "button", class: "icon", "aria-label": "Clear the selection", title: "Clear the selection (Esc)", onclick: () => this.clear() }, "×"),
      h("b", { class: "n-selected" }),
      button("all", "All", "Select all loaded photos (Ctrl+A)", () => this.selectAll()),
      button("download", "Download", `Download the files as a zip file, at most ${MAX_DOWNLOADED} photos`, (event) => this.#download(event)),
      button("copy", "Copy paths", "Copy the paths of the files, one in each line", () => this.#copyPaths()),
      button("favourite", "Favourite", "Add to the favourites, or remove from them", () => this.#setFavourites()),
      button("search", "Find similar", `Search by the selected photos, at most ${MAX_SEARCH_IMAGES}`, () => this.#search()),
    ];
  }

  async #download(event) {
    const button = event.currentTarget;
    const label = button.querySelector("span");
    button.disabled = true;
    label.textContent = "Preparing…";
    try {
      await downloadImages([...this.matches.keys()]);
    } catch (error) {
      showError(error);
    }
    label.textContent = "Download";
    button.disabled = this.size > MAX_DOWNLOADED;
  }

  async #copyPaths() {
    const paths = [...this.matches.values()].map((match) => match.path ?? match.image_id);
    const isCopied = await copyText(paths.join("\n"));
    if (isCopied) showToast(`Copied ${paths.length === 1 ? "the path" : `${formatNumber(paths.length)} paths`}.`);
    else showError("The browser does not allow copying.");
  }

  async #setFavourites() {
    const matches = [...this.matches.values()];
    const isFavourite = !matches.every((match) => this.favourites.has(match.image_id));
    for (const match of matches) if (!(await this.favourites.set(match, isFavourite))) break;
    this.#drawBar();
  }

  #search() {
    const matches = [...this.matches.values()];
    this.clear();
    this.onAction("search-by-images", matches);
  }

  #indexOfEvent(event) {
    return Number(event.target.closest("[data-image-id]")?.dataset.index ?? -1);
  }

  #onClick(event) {
    const index = this.#indexOfEvent(event);
    if (index < 0 || event.target.closest(".heart, .actions")) return;
    const isTick = event.target.closest(".tick");
    const isWanted = this.ignoreClick || isTick || event.shiftKey || (this.size && !event.ctrlKey && !event.metaKey);
    if (!isWanted) return;
    event.preventDefault();
    event.stopPropagation();
    if (this.ignoreClick) this.ignoreClick = false;
    else if (event.shiftKey && this.anchorId !== null) this.selectRange(index);
    else this.toggle(this.grid.matches[index]);
    this.grid.focus(index, { scroll: false });
  }

  #onKey(event) {
    const index = this.#indexOfEvent(event);
    if (index < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const match = this.grid.matches[index];
    const isTile = !event.target.closest("button");
    if (event.key === " " && isTile) {
      if (event.shiftKey) this.selectRange(index);
      else this.toggle(match);
    } else if (event.key === "f") {
      if (!event.repeat) this.favourites.toggle(match);
    } else if (event.shiftKey && event.key.startsWith("Arrow")) {
      if (!this.matches.has(match.image_id)) this.toggle(match, true);
      setTimeout(() => this.selectRange(this.grid.current)); // after the grid has moved the focus
      return;
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #onPageKey(event) {
    if (this.grid.list.hidden || document.querySelector("dialog:modal, :popover-open")) return;
    if (event.key === "Escape" && this.size && !event.target.closest("input, select, textarea")) this.clear();
    else if (event.key === "a" && (event.ctrlKey || event.metaKey) && !event.target.closest("input, textarea") && this.grid.matches.length) this.selectAll();
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  #onPointerDown(event) {
    this.ignoreClick = false;
    const index = this.#indexOfEvent(event);
    if (event.pointerType !== "touch" || index < 0 || event.target.closest("button")) return;
    const onLongPress = () => {
      this.ignoreClick = true; // the click that follows the long press
      this.toggle(this.grid.matches[index]);
    };
    this.#endPress();
    this.press = { x: event.clientX, y: event.clientY, timer: setTimeout(onLongPress, LONG_PRESS_MS) };
  }

  #onPointerMove(event) {
    if (!this.press) return;
    const distance = Math.hypot(event.clientX - this.press.x, event.clientY - this.press.y);
    if (event.type !== "pointermove" || distance > MAX_PRESS_DISTANCE) this.#endPress();
  }

  #endPress() {
    clearTimeout(this.press?.timer);
    this.press = null;
  }
}

// Decorator of the grid: add the tick and the heart to a new tile.
export const decorateTile = (tile, match) => selection.decorate(tile, match);

