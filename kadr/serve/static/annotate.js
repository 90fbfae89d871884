// Annotation mode: the user rates image-text pairs on the scale of the project, one pair at a time.

import { AnnotationPairs } from "./annotation_pairs.js";
import { byId, formatCount, h, imageUrl, isTextInput } from "./dom.js";
import { RatingOutbox } from "./rating_outbox.js";
import { Retry } from "./retry.js";
import { readSetting, writeSetting } from "./storage.js";
import { ZoomableImage } from "./zoomable_image.js";

const NAMES = [
  ["Does not fit", "Nothing in the text matches the photo"],
  ["Partly fits", "Only minor details match"],
  ["Nearly fits", "A minor detail is wrong"],
  ["Fits", "Everything in the text is correct"],
];
const MIN_REMAINING = 8; // load more pairs when fewer pairs than this remain
const N_PRELOADED = 3;

export class AnnotationMode {
  constructor() {
    Object.assign(this, { section: byId("annotation"), active: false, pairs: null, index: 0, shownImage: null });
    this.outbox = new RatingOutbox({ onChange: () => this.#showUnsent(), onSaved: (...saved) => this.#onSaved(...saved) });
    this.retry = new Retry(() => this.#showPair());
    document.addEventListener("keydown", (event) => this.#onKey(event));
  }

  // Show the search results for `text` to rate, or the suggested pairs if `text` is empty.
  // error: reason why the images cannot be rated, or null if they can be rated.
  async show(text, error) {
    this.section.hidden = false;
    if (this.active && this.text === text && this.error === error) return;
    Object.assign(this, { active: true, text, error, pairs: null });
    this.#build();
    if (error) return this.#showMessage("These photos cannot be rated", error);
    this.rater = readSetting("rater") ?? "";
    if (!this.rater) return this.#showNameForm();
    await this.#start();
  }

  hide() {
    this.section.hidden = true;
    this.active = false;
    this.retry.succeed();
  }

  #build() {
    const button = (text, key, title, onclick) =>
      h("button", { type: "button", class: "quiet", title, onclick, "aria-keyshortcuts": key.name }, h("span", {}, text), h("kbd", {}, key.sign));
    this.figure = h("figure", {});
    this.zoom = new ZoomableImage(this.figure, { onSwipe: (step) => this.#step(step) });
    this.quote = h("blockquote", {});
    this.ratingButtons = h("div", { class: "ratings", role: "group", "aria-label": "Rating" });
    this.back = button("Back", { name: "ArrowLeft", sign: "←" }, "Previous pair (←)", () => this.#step(-1));
    this.skip = button("Skip", { name: "ArrowRight", sign: "→" }, "Next pair (→)", () => this.#step(1));
    this.undo = button("Undo", { name: "u", sign: "u" }, "Withdraw the last rating (u)", () => this.#undo());
    this.progress = h("progress", { "aria-label": "Rated pairs" });
    this.count = h("p", { class: "count" });
    this.unsent = h("div", { class: "unsent", role: "alert", hidden: true });
    this.announcement = h("p", { class: "announcement", role: "status" });
    this.message = h("div", { class: "message", hidden: true, tabindex: -1 });
    this.pairView = h(
      "div",
      { class: "pair", hidden: true },
      this.figure,
      h("div", { class: "question" }, h("p", { class: "lead" }, "How well does this text fit the photo?"), this.quote, this.ratingButtons),
    );
    this.bottom = h("div", { class: "steps", hidden: true }, this.back, this.undo, this.skip);
    this.top = h("div", { class: "annotation-top" }, this.#createCloseLink(), this.progress, this.count);
    this.top.classList.add("empty");
    this.section.replaceChildren(this.top, this.announcement, this.unsent, this.pairView, this.message, this.bottom);
    this.#showUnsent();
  }

  #createCloseLink() {
    const url = new URL(location);
    url.searchParams.delete("annotate");
    return h("a", { class: "quiet close-annotation", href: url.search || "./", "aria-label": "Back to search" }, "×");
  }

  async #start() {
    this.#showMessage("Loading pairs…", "");
    const pairs = new AnnotationPairs(this.rater, this.text, [...this.outbox.entries.values()]);
    this.pairs = pairs;
    this.index = 0;
    await this.#load(async () => {
      this.index = await pairs.start();
    });
  }

  // Run a request for pairs, then show the current pair. If the request fails, show the error and repeat the request.
  async #load(loadPairs) {
    const { pairs } = this;
    this.retry.action = () => this.#load(loadPairs);
    try {
      await loadPairs();
      this.retry.succeed();
    } catch (error) {
      if (pairs !== this.pairs || !this.active) return;
      if (error.retryable) this.retry.fail();
      const again = h("button", { type: "button", class: "main", onclick: () => this.retry.now() }, "Try again");
      this.#showMessage("The pairs cannot be loaded", error.message, again);
      return;
    }
    if (pairs === this.pairs && this.active) this.#showPair();
  }

  #showNameForm() {
    const form = h(
      "form",
      { class: "name" },
      h("h1", {}, "Who is rating?"),
      h("p", {}, "Your ratings are stored under this name, so that the model can learn how you rate."),
      h("label", {}, "Your name", h("input", { name: "rater", required: true, maxlength: 64, pattern: ".*\\S.*", autocomplete: "nickname" })),
      h("button", { class: "main" }, "Start"),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.rater = form.elements.rater.value.trim();
      writeSetting("rater", this.rater);
      this.#start();
    });
    this.#showOnly(this.message);
    this.message.replaceChildren(form);
    form.elements.rater.focus();
  }

  // Show the current pair. At the end of the loaded pairs, load more pairs, or show the end if there are none.
  #showPair() {
    const pair = this.pairs.pairs[this.index];
    this.#showProgress();
    if (!pair && !this.pairs.isComplete) return this.#loadMore();
    if (!pair) return this.#showEnd();
    const hadFocus = this.message.contains(document.activeElement);
    this.#showOnly(this.pairView);
    this.#showImage(pair);
    this.quote.textContent = pair.text;
    this.quote.scrollTop = 0;
    this.quote.toggleAttribute("tabindex", false);
    if (this.quote.scrollHeight > this.quote.clientHeight + 1) this.quote.tabIndex = 0; // to scroll by keyboard
    this.#showRatingButtons(pair);
    const position = this.pairs.nLeft ? `${formatCount(this.pairs.nLeft, "pair")} left.` : "";
    this.announcement.textContent = `${pair.text}. ${position}`;
    if (hadFocus) this.ratingButtons.firstElementChild?.focus();
    if (this.pairs.pairs.length - this.index < MIN_REMAINING && !this.pairs.isComplete) this.pairs.fetchMore().catch(() => {});
    for (const next of this.pairs.pairs.slice(this.index + 1, this.index + 1 + N_PRELOADED)) new Image().src = imageUrl(next);
  }

  async #loadMore() {
    const { pairs } = this;
    if (this.message.hidden) this.#showMessage("Loading pairs…", "");
    await this.#load(async () => {
      while (this.index >= pairs.pairs.length && !pairs.isComplete) await pairs.fetchMore();
    });
  }

  // Show the image of a pair. The pair can be rated only when its image is visible.
  #showImage(pair) {
    const source = imageUrl(pair);
    if (this.shownImage?.getAttribute("src") === source && this.figure.contains(this.shownImage)) return;
    const image = h("img", { src: source, alt: "Photo to rate", width: pair.width, height: pair.height });
    this.shownImage = image;
    this.figure.classList.remove("failed");
    this.figure.classList.add("loading");
    image.addEventListener("load", () => this.#onImage(image, null));
    image.addEventListener("error", () => this.#onImage(image, pair));
    this.figure.replaceChildren(image);
    this.zoom.setImage(image);
  }

  #onImage(image, failedPair) {
    if (image !== this.shownImage) return;
    this.figure.classList.remove("loading");
    this.figure.classList.toggle("failed", failedPair !== null);
    this.#showRatingButtons(this.pairs.pairs[this.index]);
    if (!failedPair) return;
    const again = () => {
      image.removeAttribute("src");
      this.#showImage(failedPair);
    };
    const button = h("button", { type: "button", class: "main", onclick: again }, "Try again");
    this.figure.append(h("p", { role: "alert" }, "This photo cannot be loaded. You can skip it. ", button));
  }

  get #canRate() {
    return Boolean(this.pairs?.pairs[this.index]) && !this.figure.classList.contains("loading") && !this.figure.classList.contains("failed");
  }

  #showRatingButtons(pair) {
    const { steps } = this.pairs;
    if (this.ratingButtons.dataset.steps !== steps.join()) {
      this.ratingButtons.dataset.steps = steps.join();
      this.ratingButtons.replaceChildren(...steps.map((rating, index) => this.#createRatingButton(rating, index)));
    }
    const selected = pair ? this.pairs.ratingOf(pair) : null;
    for (const button of this.ratingButtons.children) {
      button.setAttribute("aria-pressed", selected !== null && Number(button.dataset.rating) === selected);
      button.setAttribute("aria-disabled", !this.#canRate);
    }
    this.#showSteps(selected);
  }

  #showSteps(selected = null) {
    const canUndo = selected !== null || this.pairs.lastRated() >= 0;
    this.back.disabled = !this.index;
    this.skip.disabled = !this.pairs.pairs[this.index];
    this.undo.disabled = !canUndo;
    this.undo.firstElementChild.textContent = selected === null ? "Undo" : "Withdraw";
  }

  #createRatingButton(rating, index) {
    const { steps } = this.pairs;
    const key = stepKeys(steps)[index];
    const [name, meaning] = stepName(index, steps.length);
    return h(
      "button",
      { type: "button", class: "rating", "data-rating": rating, "aria-keyshortcuts": key, onclick: () => this.#rate(rating) },
      h("kbd", {}, key),
      h("span", {}, h("b", {}, key === String(rating) ? name : `${rating} ${name}`), h("small", {}, meaning)),
    );
  }

  #rate(rating) {
    if (!this.#canRate) return;
    const pair = this.pairs.pairs[this.index];
    this.pairs.rate(pair, rating);
    this.outbox.put(pair, this.rater, rating);
    this.#step(1);
  }

  // Withdraw the rating of the shown pair. If it has none, go to the pair that was rated last and withdraw its rating.
  #undo() {
    const shown = this.pairs?.pairs[this.index];
    const hasRating = shown && this.pairs.ratingOf(shown) !== null;
    const index = hasRating ? this.index : (this.pairs?.lastRated() ?? -1);
    if (index < 0) return;
    const pair = this.pairs.pairs[index];
    this.index = index;
    this.pairs.withdraw(pair);
    this.outbox.put(pair, this.rater, null);
    this.#showPair();
    this.announcement.textContent = `Rating withdrawn. ${pair.text}.`;
  }

  #step(step) {
    const index = this.index + step;
    if (!this.pairs || index < 0 || index > this.pairs.pairs.length) return;
    this.index = index;
    this.#showPair();
  }

  #onSaved(entry, response) {
    if (!this.pairs || !response || entry.rater !== this.rater) return;
    if (!this.outbox.size) this.pairs.nByRater = response.n_by_rater;
    this.#showProgress();
    if (!this.outbox.size && this.active && this.isAtEnd) this.#showEnd();
  }

  #showProgress() {
    const { nByRater, nLeft, nPairs } = this.pairs;
    this.top.classList.remove("empty");
    this.progress.max = Math.max(nPairs, 1);
    this.progress.value = nPairs - nLeft;
    this.count.replaceChildren(
      `${formatCount(nByRater, "rating")} by `,
      h("button", { type: "button", class: "link", title: "Change name", onclick: () => this.#changeName() }, this.rater),
      ` · ${formatCount(nLeft, "pair")} left`,
    );
  }

  #showEnd() {
    const { nPairs, nLeft, noPairsReason } = this.pairs;
    const next = "The next pipeline run uses your ratings.";
    if (!nPairs) this.#showMessage("There is nothing to rate", noPairsReason ?? "");
    else if (nLeft > 0) {
      const again = h("button", { type: "button", class: "main", onclick: () => this.#restart() }, "Rate the skipped pairs");
      this.#showMessage(`${formatCount(nLeft, "pair")} left`, "You have reached the end, and have skipped these pairs.", again);
    } else if (this.outbox.size) this.#showMessage("Saving…", `${formatCount(this.outbox.size, "rating")} are not saved yet.`);
    else this.#showMessage("Done", `You have rated all ${formatCount(nPairs, "pair")}. ${next}`);
    this.isAtEnd = true;
    this.bottom.hidden = false;
    this.#showSteps();
  }

  #restart() {
    this.#showMessage("Loading pairs…", "");
    const { pairs } = this;
    this.#load(async () => {
      this.index = await pairs.restart();
    });
  }

  #changeName() {
    writeSetting("rater", null);
    this.active = false;
    this.show(this.text, this.error);
  }

  #showMessage(title, text, ...actions) {
    this.#showOnly(this.message);
    this.message.replaceChildren(h("h1", {}, title), h("p", {}, text), ...actions);
    this.announcement.textContent = `${title}. ${text}`;
  }

  #showOnly(view) {
    this.isAtEnd = false;
    this.pairView.hidden = view !== this.pairView;
    this.message.hidden = view !== this.message;
    this.bottom.hidden = view !== this.pairView;
  }

  // Say how many ratings are not saved yet, if the server has not answered or has rejected a rating.
  #showUnsent() {
    if (!this.unsent) return;
    const { size, error, nRejected } = this.outbox;
    this.section.dataset.unsent = size;
    this.unsent.hidden = !size || !error;
    if (this.unsent.hidden) return;
    const button = (text, onclick) => h("button", { type: "button", class: "link", onclick }, text);
    this.unsent.replaceChildren(
      h("p", {}, `${formatCount(size, "rating")} not saved. ${error}`),
      button("Try again", () => this.outbox.retry()),
      ...(nRejected ? [button("Discard", () => this.outbox.discardRejected())] : []),
    );
  }

  #onKey(event) {
    if (!this.active || this.section.hidden || !this.pairs || document.querySelector("dialog[open]")) return;
    const isUndo = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !event.target.closest("input");
    if (!isUndo && isTextInput(event)) return;
    const step = stepKeys(this.pairs.steps).indexOf(event.key);
    if (isUndo || event.key === "u") event.repeat || this.#undo();
    else if (step >= 0) event.repeat || this.#rate(this.pairs.steps[step]);
    else if (event.key === "ArrowLeft" || event.key === "Backspace") event.repeat || this.#step(-1);
    else if (event.key === "ArrowRight") event.repeat || this.#step(1);
    else return;
    event.preventDefault();
  }
}

// Name and meaning of a step. If the scale does not have four steps, only its two ends have a name.
const stepName = (index, n) => {
  if (n === NAMES.length) return NAMES[index];
  if (index === 0) return NAMES[0];
  return index === n - 1 ? NAMES[NAMES.length - 1] : ["", ""];
};

// Key of each step: its digit if all steps are digits, otherwise its position. The tenth key is 0, and the eleventh is -.
const stepKeys = (steps) => {
  const areDigits = steps.every((step) => Number.isInteger(step) && step >= 0 && step <= 9);
  return areDigits ? steps.map(String) : steps.map((_, index) => "1234567890-"[index]);
};
