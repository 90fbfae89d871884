// Annotation mode: the user rates image-text pairs from 1 to 4, one pair at a time.

import { postJson, request } from "./api.js";
import { byId, h, imageUrl, isTextInput } from "./dom.js";

const RATINGS = [
  [1, "Does not fit", "Nothing in the text matches the photo"],
  [2, "Partly fits", "Only minor details match"],
  [3, "Nearly fits", "A minor detail is wrong"],
  [4, "Fits", "Everything in the text is correct"],
];
const BATCH_SIZE = 20; // pairs per request
const MIN_REMAINING = 5; // request more pairs when fewer pairs than this remain
const MAX_REQUESTED = 200;

export class AnnotationMode {
  constructor() {
    Object.assign(this, { section: byId("annotation"), active: false, busy: false });
    document.addEventListener("keydown", (event) => this.#onKey(event));
  }

  // Show the search results for `text` to rate, or the suggested pairs if `text` is empty.
  // error: reason why ratings cannot be stored, or null if they can be stored.
  async show(text, error) {
    this.section.hidden = false;
    if (this.active && this.text === text) return;
    Object.assign(this, { active: true, text, pairs: [], index: 0, ratings: new Map(), nRatings: null, complete: false });
    if (error) return this.#showMessage("Annotation is not available", error);
    this.rater = localStorage.getItem("kadr.rater") ?? "";
    if (!this.rater) return this.#showNameForm();
    await this.#start();
  }

  hide() {
    this.section.hidden = true;
    this.active = false;
  }

  async #start() {
    this.section.replaceChildren(h("p", { class: "status" }, "Loading pairs…"));
    if (await this.#fetchPairs()) this.#showPair();
  }

  // Fetch more pairs and append them. Return whether the request succeeded.
  async #fetchPairs() {
    const { text, rater } = this;
    try {
      const nSkipped = this.pairs.filter((pair) => !this.ratings.has(pairKey(pair))).length; // the server sends skipped pairs again
      const params = new URLSearchParams({ rater, text, k: Math.min(MAX_REQUESTED, nSkipped + BATCH_SIZE) });
      const { pairs, n_ratings: nRatings } = await request(`annotation/pairs?${params}`);
      if (text !== this.text || rater !== this.rater) return false;
      const knownKeys = new Set(this.pairs.map(pairKey));
      const newPairs = pairs.filter((pair) => !knownKeys.has(pairKey(pair)));
      this.complete = !newPairs.length;
      this.pairs.push(...newPairs);
      this.nRatings ??= nRatings;
      return true;
    } catch (error) {
      this.#showMessage("Cannot load pairs", error.message);
      return false;
    }
  }

  #showNameForm() {
    const form = h(
      "form",
      { class: "name" },
      h("h1", {}, "Who is rating?"),
      h("p", {}, "Your ratings are stored under this name, so that the model can learn how you rate."),
      h("label", {}, "Name", h("input", { name: "rater", required: true, maxlength: 64, pattern: ".*\\S.*", autocomplete: "nickname" })),
      h("button", { class: "main" }, "Start"),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.rater = form.elements.rater.value.trim();
      localStorage.setItem("kadr.rater", this.rater);
      this.#start();
    });
    this.section.replaceChildren(form);
    form.elements.rater.focus();
  }

  #showPair() {
    const pair = this.pairs[this.index];
    if (!pair) {
      const reason = this.text ? "You have rated all search results that can be rated." : "There are no more suggested pairs.";
      return this.#showMessage("Done", `${reason} The next pipeline run uses your ratings.`);
    }
    const image = h("img", { src: imageUrl(pair.image_id), alt: "Photo to rate", width: pair.width, height: pair.height });
    this.section.replaceChildren(h("figure", {}, image), this.#createQuestion(pair));
    for (const { image_id: imageId } of this.pairs.slice(this.index + 1, this.index + 3)) new Image().src = imageUrl(imageId);
  }

  #createQuestion(pair) {
    return h(
      "div",
      { class: "question" },
      h("p", { class: "lead" }, "How well does this text fit the photo?"),
      h("blockquote", {}, pair.text),
      this.#createRatingButtons(this.ratings.get(pairKey(pair))),
      h("p", { class: "error", role: "alert" }),
      this.#createStepButtons(),
      h(
        "p",
        { class: "count" },
        `${this.ratings.size} rated in this session, ${this.nRatings ?? 0} in the file. Rater: `,
        h("button", { type: "button", class: "link", title: "Change name", onclick: () => this.#changeName() }, this.rater),
      ),
    );
  }

  #createRatingButtons(selected) {
    const button = ([rating, name, meaning]) =>
      h(
        "button",
        {
          type: "button",
          class: "rating",
          "data-rating": rating,
          "aria-pressed": rating === selected,
          "aria-keyshortcuts": rating,
          onclick: () => this.#rate(rating),
        },
        h("kbd", {}, rating),
        h("span", {}, h("b", {}, name), h("small", {}, meaning)),
      );
    return h("div", { class: "ratings", role: "group", "aria-label": "Rating" }, ...RATINGS.map(button));
  }

  #createStepButtons() {
    const button = (text, key, step, disabled) =>
      h("button", { type: "button", class: "quiet", disabled, onclick: () => this.#step(step) }, `${text} `, h("kbd", {}, key));
    return h("div", { class: "steps" }, button("Back", "←", -1, !this.index), button("Skip", "→", 1));
  }

  async #rate(rating) {
    const pair = this.pairs[this.index];
    if (!pair || this.busy) return;
    this.busy = true;
    const button = this.section.querySelector(`[data-rating="${rating}"]`);
    button.setAttribute("aria-pressed", true);
    try {
      const body = { image_id: pair.image_id, text: pair.text, rater: this.rater, rating };
      this.nRatings = (await postJson("annotation/ratings", body)).n_ratings;
      this.ratings.set(pairKey(pair), rating);
      await this.#step(1);
    } catch (error) {
      this.section.querySelector(".error").textContent = `The rating was not saved. ${error.message}`;
      button.setAttribute("aria-pressed", false);
    } finally {
      this.busy = false;
    }
  }

  async #step(step) {
    const index = this.index + step;
    if (index < 0) return;
    this.index = index;
    const nRemaining = this.pairs.length - index;
    if (nRemaining <= 0 && !this.complete) await this.#fetchPairs();
    else if (nRemaining < MIN_REMAINING && !this.complete) this.#fetchPairs();
    this.#showPair();
  }

  #changeName() {
    localStorage.removeItem("kadr.rater");
    this.active = false;
    this.show(this.text, null);
  }

  #showMessage(title, text) {
    this.section.replaceChildren(
      h("div", { class: "message" }, h("h1", {}, title), h("p", {}, text), h("a", { href: "./" }, "Back to search")),
    );
  }

  #onKey(event) {
    if (!this.active || isTextInput(event) || !this.pairs.length) return;
    if (/^[1-4]$/.test(event.key)) this.#rate(Number(event.key));
    else if (event.key === "ArrowLeft" || event.key === "Backspace") this.#step(-1);
    else if (event.key === "ArrowRight") this.#step(1);
    else return;
    event.preventDefault();
  }
}

const pairKey = (pair) => JSON.stringify([pair.image_id, pair.text]);
