// The results of a search or of browsing: the grid, the line above it, and the messages about failed requests.

import { byId, formatCount, h } from "./dom.js";
import { Retry } from "./retry.js";
import { chooseSections } from "./sections.js";
import { activeFilters, isBrowsing, searchKey, sortOrder } from "./search_state.js";

const BUSY_DELAY_MS = 300;
const PREFETCH_MARGIN = "2000px";
const END_HEIGHT = 100; // pixels of the message below the grid
const ORDERS = {
  relevance: "best first",
  cosine: "most similar first",
  newest: "newest first",
  oldest: "oldest first",
  name: "by folder and name",
};

export class Results {
  // onDraw(): called after new matches are in the grid. onClearFilters(), onShowDuplicates(): called by the buttons of the status line.
  constructor(grid, pages, { onDraw, onClearFilters, onShowDuplicates }) {
    Object.assign(this, { grid, pages, onDraw, onClearFilters, onShowDuplicates, state: null, key: null, loading: null, error: null });
    this.status = byId("status");
    this.end = byId("end");
    this.retry = new Retry(() => this.#load());
    this.observer = new IntersectionObserver((entries) => entries.at(-1).isIntersecting && this.loadNext(), {
      rootMargin: PREFETCH_MARGIN,
    });
  }

  // Show the results of a state. anchor: scroll position to restore, or null. n: number of images to load for the anchor.
  async show(state, { anchor = null, n = 0 } = {}) {
    this.state = state;
    if (this.key === searchKey(state)) return;
    this.key = searchKey(state);
    this.retry.succeed();
    Object.assign(this, { error: null, loading: null, results: null });
    this.observer.disconnect();
    this.grid.clear();
    this.status.replaceChildren();
    this.end.replaceChildren();
    scrollTo(0, 0);
    const cached = this.pages.getCached(state);
    if (cached) this.#draw(cached, cached.matches);
    else await this.#load();
    const { key } = this;
    while (anchor && this.results?.more && this.results.matches.length < n && !this.error && key === this.key) await this.#load();
    if (anchor && key === this.key) this.grid.scrollToAnchor(anchor);
  }

  // Load the next page, unless a request is running or the last one failed.
  async loadNext() {
    if (this.results?.more && !this.error) await this.#load();
  }

  // Try again after an error. Return whether there was one.
  tryAgain() {
    if (!this.error) return false;
    this.retry.now();
    return true;
  }

  // Load the same results from a new version of the index. The page does not jump.
  async refresh() {
    const { key } = this;
    const results = await this.pages.refresh(this.state);
    if (key !== this.key) return;
    this.getSection = chooseSections(results.matches, sortOrder(this.state));
    this.results = results;
    this.grid.replace(results.matches, this.getSection, this.#total(results));
    this.#showStatus();
    this.#watchEnd();
    this.onDraw();
  }

  // Return the match `step` places after an image, or null. load: whether to fetch the next page if it is necessary.
  async getNeighbour(imageId, step, { load = false } = {}) {
    const index = this.grid.indexOf(imageId);
    if (index < 0) return null;
    if (!this.grid.matches[index + step] && load) await (this.loading ?? this.loadNext());
    return this.grid.matches[index + step] ?? null;
  }

  // Forget the results, so that the next call of `show` draws them again.
  reset() {
    this.key = null;
    this.retry.succeed();
  }

  #load() {
    const { key } = this;
    if (this.loading?.key === key) return this.loading;
    const promise = this.#fetchPage(key).finally(() => this.loading === promise && (this.loading = null));
    promise.key = key;
    this.loading = promise;
    return promise;
  }

  async #fetchPage(key) {
    const { state } = this;
    byId("main").setAttribute("aria-busy", true);
    const busyTimer = setTimeout(() => this.#showBusy(key), BUSY_DELAY_MS);
    try {
      const { newMatches, ...results } = await this.pages.fetchNext(state);
      if (key !== this.key) return;
      this.error = null;
      this.retry.succeed();
      this.#draw(results, newMatches);
    } catch (error) {
      if (error.name !== "AbortError" && key === this.key) this.#fail(error);
    } finally {
      clearTimeout(busyTimer);
      if (key === this.key) byId("main").removeAttribute("aria-busy");
    }
  }

  #draw(results, newMatches) {
    if (!this.grid.matches.length) this.getSection = chooseSections(results.matches, sortOrder(this.state));
    this.results = results;
    const firstNew = this.grid.matches.length;
    this.grid.add(newMatches, this.getSection, this.#total(results));
    if (this.focusNew) this.grid.focus(firstNew);
    this.focusNew = false;
    this.#showStatus();
    this.#watchEnd();
    this.onDraw();
  }

  // Return the number of all results, or null if it is not known yet.
  #total({ matches, more, reading }) {
    if (!more) return matches.length;
    return isBrowsing(this.state) ? reading.nImages : null;
  }

  // Restart the observer to receive an event even if the end of the grid is already visible.
  #watchEnd() {
    this.end.replaceChildren();
    this.observer.disconnect();
    if (this.results.more) this.observer.observe(this.end);
  }

  #showBusy(key) {
    if (key !== this.key) return;
    if (this.grid.matches.length) this.end.replaceChildren(h("p", {}, "Loading more photos…"));
    else if (!this.error) {
      this.status.textContent = isBrowsing(this.state) ? "Loading…" : "Searching…";
      this.statusText = null;
    }
  }

  #showStatus() {
    const { reading } = this.results;
    const notes = [...(reading.readAs ? [`Read as: ${reading.readAs}`] : []), ...reading.hints];
    const children = [...this.#summarize(), ...notes.map((note) => h("span", { class: "note" }, note))];
    const text = children.map((child) => child.textContent ?? child).join("\n");
    if (text === this.statusText && this.status.childNodes.length) return; // screen readers read every change aloud
    this.statusText = text;
    this.status.replaceChildren(...children);
  }

  #summarize() {
    const { results, state } = this;
    const order = ORDERS[sortOrder(state)];
    const total = this.#total(results);
    const hasFilters = Object.keys(activeFilters(state)).length > 0;
    const clear = hasFilters ? [" ", linkButton("Clear the filters", this.onClearFilters)] : [];
    if (!results.matches.length && isBrowsing(state)) {
      if (state.view === "favourites") return ["There are no favourites yet."];
      return [hasFilters ? "No photos pass the filters." : "There are no photos yet. Run kadr index FOLDER.", ...clear];
    }
    if (!results.matches.length) return ["No photos found. Try other words.", ...clear];
    if (total === null) return [`${capitalize(order)}, from ${formatCount(results.reading.nImages)}`];
    const nHidden = results.matches.reduce((sum, match) => sum + (match.n_duplicates ?? 0), 0);
    const hidden = nHidden ? [`, ${nHidden} near-duplicate${nHidden === 1 ? "" : "s"} hidden. `, linkButton("Show", this.onShowDuplicates)] : [];
    return [`${formatCount(total)}, ${order}`, ...hidden];
  }

  // Repeat the failed request for the user. The button vanishes, so the first new image gets the focus.
  #repeat() {
    this.focusNew = true;
    this.retry.now();
  }

  #fail(error) {
    this.error = error;
    this.observer.disconnect();
    if (error.retryable) this.retry.fail();
    const action = error.status === 401 ? "Sign in" : "Try again";
    const message = h("span", { class: "error" }, error.message);
    const children = [message, " ", linkButton(action, () => this.#repeat())];
    if (!this.grid.matches.length) {
      this.statusText = null;
      if (this.status.querySelector(".error")?.textContent !== error.message) this.status.replaceChildren(...children);
    } else if (this.end.querySelector(".error")?.textContent !== error.message) {
      const isNear = this.end.getBoundingClientRect().top < innerHeight + END_HEIGHT;
      this.end.replaceChildren(h("p", { role: "alert" }, h("span", {}, "Cannot load more photos. "), ...children));
      if (isNear) this.end.scrollIntoView({ block: "nearest" });
    }
  }
}

const linkButton = (text, onclick) => h("button", { type: "button", class: "link", onclick }, text);

const capitalize = (text) => text[0].toUpperCase() + text.slice(1);
