// One photo, large, with what is known of it and what looks like it.

import { ask } from "./api.js";
import { at, facts, h, isWriting, photo, thumbnail } from "./dom.js";

const N_SIMILAR = 12;

export class Viewer {
  // act(name, match): name is open, similar, plus, minus or close. step(by): to the next or the previous photo.
  constructor({ act, step }) {
    Object.assign(this, { dialog: at("viewer"), act, step, match: null, asked: null });
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      act("close");
    });
    this.dialog.addEventListener("keydown", (event) => this.#onKey(event));
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && act("close"));
  }

  show(match) {
    if (this.dialog.open && this.match?.image_id === match.image_id && "score" in this.match === "score" in match) return;
    this.match = match;
    this.asked?.abort();
    this.asked = new AbortController();
    this.dialog.replaceChildren(...this.#parts(match));
    this.dialog.setAttribute("aria-label", match.name);
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.querySelector("[data-act=similar]").focus();
    this.#fillFacts(match);
    this.#fillSimilar(match);
  }

  hide() {
    this.match = null;
    this.asked?.abort();
    if (this.dialog.open) this.dialog.close();
  }

  #parts(match) {
    const image = h("img", { src: photo(match.image_id), alt: match.name, class: "large" });
    image.style.backgroundImage = `url("${thumbnail(match.image_id)}")`;
    image.addEventListener("load", () => (image.style.backgroundImage = ""));
    const button = (name, text, key) =>
      h("button", { type: "button", "data-act": name, "aria-keyshortcuts": key, onclick: () => this.act(name, match) }, text);
    const round = (by, sign, label) =>
      h("button", { type: "button", class: `round ${by < 0 ? "before" : "after"}`, "aria-label": label, onclick: () => this.step(by) }, sign);
    return [
      h("figure", {}, round(-1, "‹", "Previous photo"), image, round(1, "›", "Next photo")),
      h(
        "aside",
        {},
        h("button", { type: "button", class: "round close", "aria-label": "Close", onclick: () => this.act("close") }, "×"),
        h("h2", {}, match.name),
        h("dl", {}),
        h(
          "div",
          { class: "choices" },
          button("similar", "Similar photos", "s"),
          button("plus", "Add to the search", "+"),
          button("minus", "Subtract from it", "-"),
          h("a", { href: photo(match.image_id), target: "_blank", rel: "noopener" }, "Open the file"),
        ),
        h("h3", {}, "Looks like it"),
        h("ul", { class: "strip" }),
      ),
    ];
  }

  #showFacts(match, known = {}) {
    const facts = [];
    if (match.relevance != null) {
      const meter = h("meter", { min: 0, max: 1, value: match.relevance, "aria-label": "Relevance" });
      facts.push(["Relevance", h("span", { class: "measure" }, meter, match.relevance.toFixed(2))]);
    }
    if (match.score != null) facts.push(["Cosine", match.score.toFixed(3)]);
    const { width, height } = match.width ? match : known;
    if (width) facts.push(["Pixels", `${width} × ${height}`]);
    if (known.bytes) facts.push(["File", known.bytes < 1e6 ? `${Math.ceil(known.bytes / 1e3)} KB` : `${(known.bytes / 1e6).toFixed(1)} MB`]);
    if (known.taken) facts.push(["Taken", known.taken.replace("T", " ").slice(0, 16)]);
    if (known.latitude != null) facts.push(["Place", `${known.latitude.toFixed(4)}, ${known.longitude.toFixed(4)}`]);
    if (known.colours?.length) facts.push(["Colours", known.colours.join(", ")]);
    if (match.n_duplicates) facts.push(["Folded", `${match.n_duplicates} near-duplicates`]);
    const rows = facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
    this.dialog.querySelector("dl").replaceChildren(...rows);
  }

  async #fillFacts(match) {
    this.#showFacts(match);
    try {
      this.#showFacts(match, await ask(facts(match.image_id), { signal: this.asked.signal }));
    } catch (error) {
      if (error.name !== "AbortError") this.dialog.querySelector("dl").append(h("div", { class: "wrong" }, error.message));
    }
  }

  async #fillSimilar(match) {
    const body = new FormData();
    body.set("image_id", match.image_id);
    body.set("k", N_SIMILAR);
    const strip = this.dialog.querySelector(".strip");
    try {
      const { matches } = await ask("similar", { method: "POST", body, signal: this.asked.signal });
      strip.replaceChildren(
        ...matches.map((other) =>
          h(
            "li",
            {},
            h(
              "button",
              { type: "button", "aria-label": `Look at ${other.name}`, onclick: () => this.act("open", other) },
              h("img", { src: thumbnail(other.image_id), alt: "", loading: "lazy" }),
            ),
          ),
        ),
      );
    } catch (error) {
      if (error.name !== "AbortError") strip.replaceChildren(h("li", { class: "wrong" }, error.message));
    }
  }

  #onKey(event) {
    if (isWriting(event) || !this.match) return;
    const names = { s: "similar", "+": "plus", "=": "plus", "-": "minus" };
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) this.step(by);
    else if (names[event.key]) this.act(names[event.key], this.match);
    else return;
    event.preventDefault();
  }
}
