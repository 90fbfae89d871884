// The grid of images: tiles in justified rows with headings, and keyboard navigation.
//
// The document contains only the tiles near the visible part of the page, so that 100,000 images take little memory.

import { h, thumbnailUrl } from "./dom.js";
import { shortPath } from "./filter_labels.js";
import { JustifiedLayout } from "./justified_layout.js";

const GAP = 6; // pixels between tiles
const HEADING_HEIGHT = 52; // pixels
const MARGIN = 1000; // pixels above and below the window in which tiles exist
const MIN_ASPECT_RATIO = 0.4;
const MAX_ASPECT_RATIO = 3.2;
const LARGE_THUMBNAIL_FROM = 480; // device pixels; larger tiles use the 640-pixel thumbnail
const MAX_PIXEL_RATIO = 2;

export class Grid {
  // onAction(action, match): called with the action "open", "similar", "plus" or "minus".
  // getLink(match): function that returns the URL that opens a match in the viewer.
  // onEnd(): called when the user moves to the last image. header: element that always covers the top of the window.
  constructor(list, { onAction, getLink, onEnd, header }) {
    Object.assign(this, { list, onAction, getLink, onEnd, header, current: 0, decorateTile: null, frame: 0 });
    this.tiles = new Map(); // index of a match -> li element
    this.headings = new Map(); // index of a heading -> li element
    this.clear();
    list.addEventListener("keydown", (event) => this.#onKey(event));
    list.addEventListener("click", (event) => this.#onClick(event));
    list.addEventListener("focusin", (event) => this.#onFocus(event));
    addEventListener("scroll", () => this.#requestFrame(), { passive: true });
    addEventListener("resize", () => this.#requestFrame());
    new ResizeObserver(() => this.#onResize()).observe(list);
  }

  clear() {
    Object.assign(this, { matches: [], indexes: new Map(), sections: [], total: null, current: 0, layout: this.#createLayout() });
    this.tiles.clear();
    this.headings.clear();
    this.list.replaceChildren();
    this.list.style.height = "0px";
  }

  // Append matches. getSection(match): title of the section of a match, or null. total: number of all matches, or null.
  add(matches, getSection = () => null, total = null) {
    matches.forEach((match, i) => this.indexes.set(match.image_id, this.matches.length + i));
    this.matches.push(...matches);
    const sections = matches.map(getSection);
    this.sections.push(...sections);
    this.total = total;
    const start = this.layout.rows.at(-1)?.start ?? 0;
    this.layout.append(matches.map(aspectRatio), sections);
    this.#removeFrom(start); // the last row can have changed
    this.#draw();
  }

  // Replace all matches. The first visible image that is still a match stays where it is.
  replace(matches, getSection, total) {
    const anchor = this.getAnchor();
    const oldMatches = this.matches;
    const { boxes } = this.layout;
    const focusedId = this.list.contains(document.activeElement) ? oldMatches[this.current]?.image_id : null;
    this.clear();
    this.add(matches, getSection, total);
    const kept = oldMatches.findIndex((match, i) => i >= anchor.index && this.indexes.has(match.image_id));
    if (kept >= 0 && anchor.distance !== null) {
      const distance = anchor.distance + boxes[kept].top - boxes[anchor.index].top;
      this.scrollToAnchor({ index: this.indexes.get(oldMatches[kept].image_id), distance });
    } else this.scrollToAnchor(anchor);
    if (focusedId) this.focus(this.indexes.get(focusedId) ?? 0, { scroll: false });
  }

  // Set a function (li, match) that is called once for each new tile element.
  setDecorator(decorateTile) {
    this.decorateTile = decorateTile;
    for (const [index, tile] of this.tiles) decorateTile(tile, this.matches[index]);
  }

  focus(index = this.current, { scroll = true } = {}) {
    if (!this.matches[index]) return;
    this.#setCurrent(index);
    if (scroll) this.#scrollIntoView(index);
    this.#draw();
    this.tiles.get(index)?.querySelector(".tile").focus({ preventScroll: true });
  }

  indexOf(imageId) {
    return this.indexes.get(imageId) ?? -1;
  }

  // Return the first visible image and its distance from the top of the window in pixels.
  getAnchor() {
    const top = this.#visibleTop();
    const row = this.layout.rows[this.layout.rowAt(top)];
    return row && scrollY > 0 ? { index: row.start, distance: row.top - top } : { index: 0, distance: null };
  }

  scrollToAnchor({ index, distance }) {
    const box = this.layout.boxes[Math.min(index, this.layout.boxes.length - 1)];
    scrollTo(0, box && distance !== null ? box.top - distance + this.#listTop() - this.#stickyHeight() : 0);
    this.#draw();
  }

  #createLayout() {
    const width = this.list.clientWidth;
    const rowHeight = width < 600 ? 130 : width < 1000 ? 180 : 220;
    return new JustifiedLayout(width, rowHeight, GAP, HEADING_HEIGHT);
  }

  #onResize() {
    if (this.list.clientWidth === this.layout.width || !this.list.clientWidth) return;
    const anchor = this.getAnchor();
    this.layout = this.#createLayout();
    this.layout.append(this.matches.map(aspectRatio), this.sections);
    this.#removeFrom(0);
    this.#draw();
    if (anchor.distance !== null) this.scrollToAnchor(anchor);
  }

  #requestFrame() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.#draw();
    });
  }

  // Create the tiles and headings near the window, and remove all others. The focused tile always exists.
  #draw() {
    const { layout } = this;
    if (!layout.width || !layout.rows.length) return;
    this.list.style.height = `${layout.height}px`;
    const top = scrollY - this.#listTop() - MARGIN;
    const bottom = top + innerHeight + 2 * MARGIN;
    const start = layout.rows[layout.rowAt(top)].start;
    const end = layout.rows[layout.rowAt(bottom)].end;
    const wanted = Array.from({ length: end - start }, (_, i) => start + i);
    if (this.current < start) wanted.unshift(this.current);
    else if (this.current >= end) wanted.push(this.current);
    const wantedHeadings = [...layout.headings.keys()].filter(
      (i) => layout.headings[i].top > top - HEADING_HEIGHT && layout.headings[i].top < bottom,
    );
    removeOthers(this.tiles, new Set(wanted));
    removeOthers(this.headings, new Set(wantedHeadings));
    const entries = [
      ...wanted.map((index) => ({ order: index, element: () => this.#getTile(index) })),
      ...wantedHeadings.map((i) => ({ order: layout.headings[i].start - 0.5, element: () => this.#getHeading(i) })),
    ].sort((a, b) => b.order - a.order);
    let next = null;
    for (const entry of entries) {
      const element = entry.element();
      if (!element.isConnected || element.nextElementSibling !== next) this.list.insertBefore(element, next);
      next = element;
    }
  }

  #removeFrom(index) {
    for (const [key, tile] of this.tiles) {
      if (key < index) continue;
      const box = this.layout.boxes[key];
      if (box) place(tile, box);
    }
    for (const heading of this.headings.values()) heading.remove();
    this.headings.clear();
  }

  #getTile(index) {
    if (!this.tiles.has(index)) {
      const tile = this.#createTile(this.matches[index], index);
      place(tile, this.layout.boxes[index]);
      this.tiles.set(index, tile);
      this.decorateTile?.(tile, this.matches[index]);
    }
    return this.tiles.get(index);
  }

  #getHeading(index) {
    if (!this.headings.has(index)) {
      const { top, title } = this.layout.headings[index];
      const heading = h("li", { class: "heading" }, h("h2", {}, title));
      place(heading, { left: 0, top, width: this.layout.width, height: HEADING_HEIGHT });
      this.headings.set(index, heading);
    }
    return this.headings.get(index);
  }

  #createTile(match, index) {
    const box = this.layout.boxes[index];
    const isInFirstWindow = box.top + this.#listTop() < innerHeight;
    const image = h("img", {
      alt: "",
      width: box.width,
      height: box.height,
      decoding: "async",
      fetchpriority: isInFirstWindow ? "high" : "low",
      onload: () => image.classList.add("loaded"),
      onerror: () => image.parentElement.classList.add("missing"),
      src: thumbnailUrl(match, thumbnailSide(box)),
    });
    const link = h(
      "a",
      { class: "tile", href: this.getLink(match), tabindex: index === this.current ? 0 : -1 },
      image,
      h("span", { class: "caption" }, h("b", {}, match.name), " ", match.folder ? shortPath(match.folder) : null),
      h("span", { class: "badges" }, ...createBadges(match)),
    );
    const position = { "data-index": index, "data-image-id": match.image_id, "aria-posinset": index + 1 };
    return h("li", { class: "cell", ...position, "aria-setsize": this.total ?? -1 }, link, createActions());
  }

  #setCurrent(index) {
    this.tiles.get(this.current)?.querySelector(".tile").setAttribute("tabindex", -1);
    this.tiles.get(index)?.querySelector(".tile").setAttribute("tabindex", 0);
    this.current = index;
  }

  // Scroll by the smallest distance that shows a tile below the header of the page.
  #scrollIntoView(index) {
    const { top, height } = this.layout.boxes[index];
    const pageTop = top + this.#listTop();
    const highest = pageTop - this.#stickyHeight() - GAP;
    const lowest = pageTop + height + GAP - innerHeight;
    if (scrollY > highest) scrollTo(0, this.layout.boxes[index].row === 0 ? 0 : highest);
    else if (scrollY < lowest) scrollTo(0, lowest);
  }

  #listTop() {
    return this.list.getBoundingClientRect().top + scrollY;
  }

  #stickyHeight() {
    return this.header.offsetHeight;
  }

  #visibleTop() {
    return scrollY + this.#stickyHeight() - this.#listTop();
  }

  #indexOfEvent(event) {
    return Number(event.target.closest(".cell")?.dataset.index ?? -1);
  }

  #onFocus(event) {
    const index = this.#indexOfEvent(event);
    if (index >= 0) this.#setCurrent(index);
  }

  #onClick(event) {
    const index = this.#indexOfEvent(event);
    const target = event.target.closest("[data-action], .tile");
    if (index < 0 || !target || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.#setCurrent(index);
    this.onAction(target.dataset.action ?? "open", this.matches[index]);
  }

  #onKey(event) {
    const index = this.#indexOfEvent(event);
    if (index < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = { s: "similar", "+": "plus", "=": "plus", "-": "minus" };
    const target = this.#navigationTarget(index, event.key);
    if (actions[event.key]) this.onAction(actions[event.key], this.matches[index]);
    else if (target !== null) this.focus(target);
    else return;
    if (target === this.matches.length - 1) this.onEnd();
    event.preventDefault();
  }

  // Return the index of the tile to focus after a key press, or null if the key is not a navigation key.
  #navigationTarget(index, key) {
    const { layout } = this;
    const last = this.matches.length - 1;
    const targets = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: last };
    if (key in targets) return Math.min(Math.max(targets[key], 0), last);
    const { row, top } = layout.boxes[index];
    const distance = innerHeight - this.#stickyHeight() - layout.rows[row].height;
    const rows = {
      ArrowUp: row - 1,
      ArrowDown: row + 1,
      PageUp: Math.min(row - 1, layout.rowAt(top - distance)),
      PageDown: Math.max(row + 1, layout.rowAt(top + distance)),
    };
    if (!(key in rows)) return null;
    return layout.nearestInRow(index, Math.min(Math.max(rows[key], 0), layout.rows.length - 1)) ?? index;
  }
}

function createActions() {
  const button = (action, text, title) =>
    h("button", { type: "button", tabindex: -1, "data-action": action, title, "aria-label": title }, text);
  return h(
    "div",
    { class: "actions" },
    button("similar", "More like this", "More like this (s)"),
    button("plus", "+", "Add photo to search (+)"),
    button("minus", "−", "Subtract photo from search (-)"),
  );
}

function createBadges({ relevance, n_duplicates: nDuplicates, words }) {
  const found = [...new Set(Object.values(words ?? {}).flat())];
  const badge = (title, meaning, text) => h("span", { title }, h("span", { class: "visually-hidden" }, meaning), text);
  return [
    relevance == null ? null : badge("Relevance", ", relevance ", relevance.toFixed(2)),
    nDuplicates ? badge("Hidden near-duplicates", ", hidden near-duplicates: ", `+${nDuplicates}`) : null,
    found.length ? badge("Words in the name or text of the photo", ", contains ", found.join(" ")) : null,
  ];
}

function place(element, box) {
  const { left, top, width, height } = box;
  Object.assign(element.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
}

function removeOthers(elements, wanted) {
  for (const [key, element] of elements) {
    if (wanted.has(key)) continue;
    element.remove();
    elements.delete(key);
  }
}

function thumbnailSide({ width, height }) {
  return Math.max(width, height) * Math.min(devicePixelRatio, MAX_PIXEL_RATIO) > LARGE_THUMBNAIL_FROM ? 640 : 320;
}

// Return the aspect ratio of a tile, within the allowed range. Assume 4:3 for images of unknown size.
const aspectRatio = ({ width, height }) =>
  Math.min(Math.max((width || 4) / (height || 3), MIN_ASPECT_RATIO), MAX_ASPECT_RATIO);
