// Favourites: images that the user has marked with a heart. The server stores them.

import { ApiError, request } from "./api.js";
import { announce, byId, formatCount, h } from "./dom.js";
import { Retry } from "./retry.js";

const HEART = "M12 20.5 4.6 13a4.9 4.9 0 0 1 0-6.9 4.8 4.8 0 0 1 6.8 0l.6.6.6-.6a4.8 4.8 0 0 1 6.8 0 4.9 4.9 0 0 1 0 6.9z";

export class Favourites extends EventTarget {
  constructor() {
    super();
    Object.assign(this, { imageIds: new Set(), nMissing: 0, isLoaded: false, changes: new Map() });
    this.retry = new Retry(() => this.load());
  }

  // Load the favourites. Changes that the user makes during the request are kept.
  async load() {
    this.changes.clear();
    try {
      const { image_ids: imageIds, n_missing: nMissing } = await request("favourites");
      Object.assign(this, { imageIds: new Set(imageIds), nMissing, isLoaded: true });
      for (const [imageId, isFavourite] of this.changes) this.imageIds[isFavourite ? "add" : "delete"](imageId);
      this.retry.succeed();
      this.#changed();
    } catch (error) {
      if (error.retryable) this.retry.fail();
    }
  }

  has(imageId) {
    return this.imageIds.has(imageId);
  }

  // Add an image to the favourites or remove it. Return whether the server stored the change.
  async set(match, isFavourite) {
    const { image_id: imageId } = match;
    if (this.has(imageId) === isFavourite) return true;
    this.#apply(imageId, isFavourite);
    try {
      await request(favouriteUrl(imageId), { method: isFavourite ? "PUT" : "DELETE" });
      announce(`${match.name ?? imageId} ${isFavourite ? "is a favourite" : "is no favourite"}.`);
      return true;
    } catch (error) {
      this.#apply(imageId, !isFavourite);
      showError(error);
      return false;
    }
  }

  toggle(match) {
    return this.set(match, !this.has(match.image_id));
  }

  // Create a button with a heart for an image. The button shows the current state until it is removed from the page.
  createButton(match, properties = {}) {
    const button = h(
      "button",
      { type: "button", class: "heart", title: "Favourite (f)", "data-favourite": match.image_id, ...properties },
      heartIcon(),
    );
    button.addEventListener("click", (event) => {
      event.preventDefault();
      event.stopPropagation();
      this.toggle(match);
    });
    button.setAttribute("aria-label", `Favourite ${match.name ?? match.image_id}`);
    button.setAttribute("aria-pressed", this.has(match.image_id));
    return button;
  }

  // Create the line above the grid of favourites: their number and the export.
  header() {
    const count = h("p", { role: "status" });
    const show = () => {
      const n = this.imageIds.size;
      const missing = this.nMissing ? ` ${this.nMissing} more ${this.nMissing === 1 ? "is" : "are"} not in this index.` : "";
      const summary = n ? `${formatCount(n, "favourite")}.` : "Mark a photo with the heart or the key f.";
      count.textContent = this.isLoaded ? `${summary}${missing}` : "";
      links.hidden = !n && !this.nMissing;
    };
    const link = (text, href) => h("a", { class: "button", href, download: href }, text);
    const links = h("div", { class: "links" }, link("Export as CSV", "favourites.csv"), link("Export as JSON", "favourites.json"));
    const header = h("div", { class: "favourites-header" }, count, links);
    const update = () => (header.isConnected ? show() : this.removeEventListener("change", update));
    show();
    this.addEventListener("change", update);
    return header;
  }

  #apply(imageId, isFavourite) {
    this.changes.set(imageId, isFavourite);
    this.imageIds[isFavourite ? "add" : "delete"](imageId);
    this.#changed();
  }

  #changed() {
    for (const button of document.querySelectorAll("[data-favourite]")) {
      button.setAttribute("aria-pressed", this.has(button.dataset.favourite));
    }
    this.dispatchEvent(new Event("change"));
  }
}

const favouriteUrl = (imageId) => `favourites/${imageId.split("/").map(encodeURIComponent).join("/")}`;

export function heartIcon() {
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  icon.setAttribute("viewBox", "0 0 24 24");
  icon.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", HEART);
  icon.append(path);
  return icon;
}

// Show an error message at the bottom of the window, also above an open dialog.
export function showError(error) {
  const message = error instanceof ApiError || error instanceof Error ? error.message : String(error);
  showToast(message, "error");
}

export function showToast(message, kind = "") {
  document.querySelector(".toast")?.remove();
  const toast = h("p", { class: `toast ${kind}`, role: kind === "error" ? "alert" : "status" }, message);
  (document.querySelector("dialog:modal") ?? byId("main")).append(toast);
  setTimeout(() => toast.remove(), kind === "error" ? 8000 : 3000);
}
