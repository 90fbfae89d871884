// The grid of search results: tiles in justified rows, lazy-loaded thumbnails and keyboard navigation.

import { h, thumbnailUrl } from "./dom.js";
import { justify } from "./justified_layout.js";

const GAP = 6; // pixels between tiles
const MIN_ASPECT_RATIO = 0.4;
const MAX_ASPECT_RATIO = 3.2;
const LARGE_THUMBNAIL_FROM = 400; // device pixels; larger tiles use the 640-pixel thumbnail

export class Grid {
  // onAction(action, match): called with the action "open", "similar", "plus" or "minus".
  // getLink(match): function that returns the URL that opens a match in the viewer.
  constructor(list, { onAction, getLink }) {
    Object.assign(this, { list, onAction, getLink, matches: [], tiles: [], boxes: [], current: 0 });
    list.addEventListener("keydown", (event) => this.#onKey(event));
    list.addEventListener("click", (event) => this.#onClick(event));
    list.addEventListener("focusin", (event) => this.#onFocus(event));
    new ResizeObserver(() => this.#layOut()).observe(list);
  }

  clear() {
    this.list.replaceChildren();
    Object.assign(this, { matches: [], tiles: [], boxes: [], current: 0 });
    this.#layOut();
  }

  add(matches) {
    const first = this.matches.length;
    this.matches.push(...matches);
    const tiles = matches.map((match, i) => this.#createTile(match, first + i));
    this.tiles.push(...tiles);
    this.#layOut(first);
    this.list.append(...tiles);
  }

  focus(index = this.current) {
    const tile = this.tiles[index]?.firstElementChild;
    tile?.focus({ preventScroll: true });
    tile?.scrollIntoView({ block: "nearest" });
  }

  indexOf(imageId) {
    return this.matches.findIndex((match) => match.image_id === imageId);
  }

  #createTile(match, index) {
    const relevance = match.relevance ?? null;
    const label = `${index + 1}. ${match.name}` + (relevance === null ? "" : `, relevance ${relevance.toFixed(2)}`);
    const image = h("img", { alt: "", loading: "lazy", decoding: "async", onload: () => image.classList.add("loaded") });
    image.addEventListener("error", () => image.parentElement.classList.add("missing"));
    const link = h(
      "a",
      { class: "tile", href: this.getLink(match), tabindex: index ? -1 : 0, "aria-label": label },
      image,
      h(
        "span",
        { class: "badges" },
        relevance === null ? null : h("span", { title: "Relevance" }, relevance.toFixed(2)),
        match.n_duplicates ? h("span", { title: "Hidden near-duplicates" }, `+${match.n_duplicates}`) : null,
      ),
    );
    return h("li", { "data-index": index }, link, createActions());
  }

  // Position the tiles. Update tiles before `first` only if their position has changed.
  #layOut(first = 0) {
    const width = this.list.clientWidth;
    if (!width) return;
    const rowHeight = width < 600 ? 130 : width < 1000 ? 180 : 220;
    const { boxes, height } = justify(this.matches.map(aspectRatio), width, rowHeight, GAP);
    this.list.style.height = `${height}px`;
    boxes.forEach((box, i) => {
      if (i < first && isSameBox(this.boxes[i], box)) return;
      const { left, top } = box;
      Object.assign(this.tiles[i].style, { left: `${left}px`, top: `${top}px`, width: `${box.width}px`, height: `${box.height}px` });
      this.#loadThumbnail(i, box);
    });
    this.boxes = boxes;
  }

  #loadThumbnail(index, box) {
    const image = this.tiles[index].querySelector("img");
    const side = Math.max(box.width, box.height) * devicePixelRatio > LARGE_THUMBNAIL_FROM ? 640 : 320;
    if (image.src && !(side === 640 && image.dataset.side === "320")) return;
    image.dataset.side = side;
    image.src = thumbnailUrl(this.matches[index].image_id, side);
  }

  #indexOfEvent(event) {
    return Number(event.target.closest("li")?.dataset.index ?? -1);
  }

  #onFocus(event) {
    const index = this.#indexOfEvent(event);
    if (index < 0) return;
    this.tiles[this.current]?.firstElementChild.setAttribute("tabindex", -1);
    this.tiles[index].firstElementChild.setAttribute("tabindex", 0);
    this.current = index;
  }

  #onClick(event) {
    const index = this.#indexOfEvent(event);
    if (index < 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.current = index;
    this.onAction(event.target.closest("[data-action]")?.dataset.action ?? "open", this.matches[index]);
  }

  #onKey(event) {
    const index = this.#indexOfEvent(event);
    if (index < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = { s: "similar", "+": "plus", "=": "plus", "-": "minus" };
    const target = this.#navigationTarget(index, event.key);
    if (actions[event.key]) this.onAction(actions[event.key], this.matches[index]);
    else if (target !== null) this.focus(target);
    else return;
    event.preventDefault();
  }

  // Return the index of the tile to focus after a key press, or null if the key is not a navigation key.
  #navigationTarget(index, key) {
    const last = this.matches.length - 1;
    const targets = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: last };
    if (key in targets) return Math.min(Math.max(targets[key], 0), last);
    const rowStep = { ArrowUp: -1, ArrowDown: 1 }[key];
    return rowStep ? this.#nearestInRow(index, this.boxes[index].row + rowStep) : null;
  }

  // Return the index of the horizontally nearest tile in a row, or the current index if the row does not exist.
  #nearestInRow(index, row) {
    const centre = centreOf(this.boxes[index]);
    let nearest = null;
    this.boxes.forEach((box, i) => {
      const distance = Math.abs(centreOf(box) - centre);
      if (box.row === row && (nearest === null || distance < nearest.distance)) nearest = { i, distance };
    });
    return nearest ? nearest.i : index;
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

// Return the aspect ratio of a tile, within the allowed range. Assume 4:3 for images of unknown size.
const aspectRatio = ({ width, height }) =>
  Math.min(Math.max((width || 4) / (height || 3), MIN_ASPECT_RATIO), MAX_ASPECT_RATIO);

const centreOf = (box) => box.left + box.width / 2;

const isSameBox = (a, b) => a && a.top === b.top && a.left === b.left && a.width === b.width && a.height === b.height;
