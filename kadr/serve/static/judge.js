// The judging mode: one pair of photo and text after the other, marked 1 to 4 by key or button.

import { ask, send } from "./api.js";
import { at, h, isWriting, photo } from "./dom.js";

const MARKS = [
  [1, "Does not fit", "nothing of the text is in the photo"],
  [2, "Fits in part", "minor things of it are right"],
  [3, "Nearly fits", "a minor thing of it is wrong"],
  [4, "Fits", "all of it is right"],
];
const AT_ONCE = 20;
const FEW = 5;

export class Judge {
  constructor() {
    Object.assign(this, { place: at("judge"), on: false, busy: false });
    document.addEventListener("keydown", (event) => this.#onKey(event));
  }

  // text: rate what this text finds; "" rates the pairs whose rating tells most. refusal: why none can be kept.
  async show(text, refusal) {
    this.place.hidden = false;
    if (this.on && this.text === text) return;
    Object.assign(this, { on: true, text, pairs: [], number: 0, marks: new Map(), nRated: null, whole: false });
    if (refusal) return this.#say("No ratings can be kept", refusal);
    this.rater = localStorage.getItem("kadr.rater") ?? "";
    if (!this.rater) return this.#askName();
    await this.#start();
  }

  hide() {
    this.place.hidden = true;
    this.on = false;
  }

  async #start() {
    this.place.replaceChildren(h("p", { class: "status" }, "Looking for pairs…"));
    if (await this.#fetch()) this.#draw();
  }

  // More pairs behind those that are here; whether that worked.
  async #fetch() {
    const { text, rater } = this;
    try {
      const known = this.pairs.filter((pair) => !this.marks.has(nameOf(pair))).length; // skipped ones come again
      const given = new URLSearchParams({ rater, text, k: Math.min(200, known + AT_ONCE) });
      const { pairs, n_rated: n } = await ask(`pairs?${given}`);
      if (text !== this.text || rater !== this.rater) return false;
      const here = new Set(this.pairs.map(nameOf));
      const others = pairs.filter((pair) => !here.has(nameOf(pair)));
      this.whole = !others.length;
      this.pairs.push(...others);
      this.nRated ??= n;
      return true;
    } catch (error) {
      this.#say("No pairs came", error.message);
      return false;
    }
  }

  #askName() {
    const form = h(
      "form",
      { class: "name" },
      h("h1", {}, "Who is rating?"),
      h("p", {}, "Your marks are kept under this name, so that kadr can learn how you rate."),
      h("label", {}, "Name", h("input", { name: "rater", required: true, maxlength: 64, pattern: ".*\\S.*", autocomplete: "nickname" })),
      h("button", { class: "main" }, "Begin"),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.rater = form.elements.rater.value.trim();
      localStorage.setItem("kadr.rater", this.rater);
      this.#start();
    });
    this.place.replaceChildren(form);
    form.elements.rater.focus();
  }

  #draw() {
    const pair = this.pairs[this.number];
    if (!pair) {
      const next = this.text ? "Nothing else that this text finds may be rated by you." : "There is no pair left to rate.";
      this.#say("Done", `${next} The next run of the pipeline takes the ratings in.`);
      return;
    }
    const given = this.marks.get(nameOf(pair));
    const image = h("img", { src: photo(pair.image_id), alt: "The photo to rate", width: pair.width, height: pair.height });
    const marks = MARKS.map(([mark, name, meaning]) =>
      h(
        "button",
        { type: "button", class: "mark", "data-mark": mark, "aria-pressed": mark === given, "aria-keyshortcuts": mark, onclick: () => this.#rate(mark) },
        h("kbd", {}, mark),
        h("span", {}, h("b", {}, name), h("small", {}, meaning)),
      ),
    );
    const quiet = (text, key, act, off) =>
      h("button", { type: "button", class: "quiet", disabled: off, onclick: act }, `${text} `, h("kbd", {}, key));
    this.place.replaceChildren(
      h("figure", {}, image),
      h(
        "div",
        { class: "question" },
        h("p", { class: "lead" }, "How well does the text fit the photo?"),
        h("blockquote", {}, pair.text),
        h("div", { class: "marks", role: "group", "aria-label": "Mark" }, ...marks),
        h("p", { class: "wrong", role: "alert" }),
        h(
          "div",
          { class: "steps" },
          quiet("Back", "←", () => this.#step(-1), !this.number),
          quiet("Skip", "→", () => this.#step(1)),
        ),
        h(
          "p",
          { class: "count" },
          `${this.marks.size} rated now, ${this.nRated ?? 0} in the file, as `,
          h("button", { type: "button", class: "link", onclick: () => this.#rename() }, this.rater),
        ),
      ),
    );
    for (const next of this.pairs.slice(this.number + 1, this.number + 3)) new Image().src = photo(next.image_id);
  }

  async #rate(mark) {
    const pair = this.pairs[this.number];
    if (!pair || this.busy) return;
    this.busy = true;
    this.place.querySelector(`[data-mark="${mark}"]`).setAttribute("aria-pressed", true);
    try {
      const body = { image_id: pair.image_id, text: pair.text, rater: this.rater, rating: mark };
      this.nRated = (await send("ratings", body)).n_rated;
      this.marks.set(nameOf(pair), mark);
      await this.#step(1);
    } catch (error) {
      this.place.querySelector(".wrong").textContent = `Not kept: ${error.message}`;
      this.place.querySelector(`[data-mark="${mark}"]`).setAttribute("aria-pressed", false);
    } finally {
      this.busy = false;
    }
  }

  async #step(by) {
    const to = this.number + by;
    if (to < 0) return;
    this.number = to;
    const left = this.pairs.length - to;
    if (left <= 0 && !this.whole) await this.#fetch();
    else if (left < FEW && !this.whole) this.#fetch();
    this.#draw();
  }

  #rename() {
    localStorage.removeItem("kadr.rater");
    const text = this.text;
    this.on = false;
    this.show(text, null);
  }

  #say(title, text) {
    this.place.replaceChildren(h("div", { class: "said" }, h("h1", {}, title), h("p", {}, text), h("a", { href: "./" }, "To the search")));
  }

  #onKey(event) {
    if (!this.on || isWriting(event) || !this.pairs.length) return;
    if (/^[1-4]$/.test(event.key)) this.#rate(Number(event.key));
    else if (event.key === "ArrowLeft" || event.key === "Backspace") this.#step(-1);
    else if (event.key === "ArrowRight") this.#step(1);
    else return;
    event.preventDefault();
  }
}

const nameOf = (pair) => JSON.stringify([pair.image_id, pair.text]);
