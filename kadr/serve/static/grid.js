// The grid of found photos: justified tiles, walked by arrow keys, pictures loaded as they come into sight.

import { h, thumbnail } from "./dom.js";
import { justify } from "./justify.js";

const GAP = 6;
const RATIOS = [0.4, 3.2]; // the narrowest and the widest tile

export class Grid {
  // act(name, match): name is open, similar, plus or minus. link(match): address of the photo's view.
  constructor(list, { act, link }) {
    Object.assign(this, { list, act, link, matches: [], tiles: [], boxes: [], current: 0 });
    list.addEventListener("keydown", (event) => this.#onKey(event));
    list.addEventListener("click", (event) => this.#onClick(event));
    list.addEventListener("focusin", (event) => this.#onFocus(event));
    new ResizeObserver(() => this.#place()).observe(list);
  }

  clear() {
    this.list.replaceChildren();
    Object.assign(this, { matches: [], tiles: [], boxes: [], current: 0 });
    this.#place();
  }

  add(matches) {
    const first = this.matches.length;
    this.matches.push(...matches);
    const tiles = matches.map((match, i) => this.#tile(match, first + i));
    this.tiles.push(...tiles);
    this.#place(first);
    this.list.append(...tiles);
  }

  focus(number = this.current) {
    const tile = this.tiles[number]?.firstElementChild;
    tile?.focus({ preventScroll: true });
    tile?.scrollIntoView({ block: "nearest" });
  }

  indexOf(id) {
    return this.matches.findIndex((match) => match.image_id === id);
  }

  #tile(match, number) {
    const relevance = match.relevance ?? null;
    const rank = `${number + 1}. ${match.name}`;
    const said = relevance === null ? "" : `, relevance ${relevance.toFixed(2)}`;
    const image = h("img", { alt: "", loading: "lazy", decoding: "async", onload: () => image.classList.add("there") });
    image.addEventListener("error", () => image.parentElement.classList.add("lost"));
    const link = h(
      "a",
      { class: "tile", href: this.link(match), tabindex: number ? -1 : 0, "aria-label": rank + said },
      image,
      h(
        "span",
        { class: "badges" },
        relevance === null ? null : h("span", { title: "Relevance" }, relevance.toFixed(2)),
        match.n_duplicates ? h("span", { title: "Near-duplicates folded" }, `+${match.n_duplicates}`) : null,
      ),
    );
    const action = (name, sign, title) => h("button", { type: "button", tabindex: -1, "data-act": name, title }, sign);
    const actions = h(
      "div",
      { class: "actions" },
      action("similar", "Similar", "Photos like this one (s)"),
      action("plus", "+", "Add the photo to the search (+)"),
      action("minus", "−", "Subtract the photo from the search (-)"),
    );
    for (const button of actions.children) button.setAttribute("aria-label", button.title);
    return h("li", { "data-number": number }, link, actions);
  }

  #place(from = 0) {
    const width = this.list.clientWidth;
    if (!width) return;
    const wanted = width < 600 ? 130 : width < 1000 ? 180 : 220;
    const ratios = this.matches.map(({ width: w, height: v }) => Math.min(Math.max((w || 4) / (v || 3), RATIOS[0]), RATIOS[1]));
    const { boxes, height } = justify(ratios, width, wanted, GAP);
    this.list.style.height = `${height}px`;
    boxes.forEach((box, i) => {
      const old = this.boxes[i];
      if (i < from && old && old.top === box.top && old.left === box.left && old.width === box.width && old.height === box.height) return;
      const tile = this.tiles[i];
      Object.assign(tile.style, { left: `${box.left}px`, top: `${box.top}px`, width: `${box.width}px`, height: `${box.height}px` });
      const image = tile.querySelector("img");
      const side = Math.max(box.width, box.height) * devicePixelRatio > 400 ? 640 : 320;
      if (!image.src || (side === 640 && image.dataset.side === "320")) {
        image.dataset.side = side;
        image.src = thumbnail(this.matches[i].image_id, side);
      }
    });
    this.boxes = boxes;
  }

  #numberOf(event) {
    return Number(event.target.closest("li")?.dataset.number ?? -1);
  }

  #onFocus(event) {
    const number = this.#numberOf(event);
    if (number < 0) return;
    this.tiles[this.current]?.firstElementChild.setAttribute("tabindex", -1);
    this.tiles[number].firstElementChild.setAttribute("tabindex", 0);
    this.current = number;
  }

  #onClick(event) {
    const number = this.#numberOf(event);
    if (number < 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.current = number;
    this.act(event.target.closest("[data-act]")?.dataset.act ?? "open", this.matches[number]);
  }

  #onKey(event) {
    const number = this.#numberOf(event);
    if (number < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const names = { s: "similar", "+": "plus", "=": "plus", "-": "minus" };
    const to = this.#neighbour(number, event.key);
    if (names[event.key]) this.act(names[event.key], this.matches[number]);
    else if (to !== null) this.focus(to);
    else return;
    event.preventDefault();
  }

  // The tile that an arrow, Home or End leads to; null where the key leads nowhere.
  #neighbour(number, key) {
    const last = this.matches.length - 1;
    const steps = { ArrowLeft: number - 1, ArrowRight: number + 1, Home: 0, End: last };
    if (key in steps) return Math.min(Math.max(steps[key], 0), last);
    const step = { ArrowUp: -1, ArrowDown: 1 }[key];
    if (!step) return null;
    const here = this.boxes[number];
    const middle = here.left + here.width / 2;
    let best = null;
    this.boxes.forEach((box, i) => {
      const far = Math.abs(box.left + box.width / 2 - middle);
      if (box.row === here.row + step && (best === null || far < best.far)) best = { i, far };
    });
    return best ? best.i : number;
  }
}
