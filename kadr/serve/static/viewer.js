// The viewer: a dialog with one large image, its metadata and similar images.

import { request } from "./api.js";
import { byId, h, imageUrl, isTextInput, metadataUrl, thumbnailUrl } from "./dom.js";

const N_SIMILAR = 12;

export class Viewer {
  // onAction(action, match): called with the action "open", "similar", "plus", "minus" or "close".
  // onStep(step): called when the user moves to the next (1) or previous (-1) image.
  constructor({ onAction, onStep }) {
    Object.assign(this, { dialog: byId("viewer"), onAction, onStep, match: null, controller: null });
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      onAction("close");
    });
    this.dialog.addEventListener("keydown", (event) => this.#onKey(event));
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && onAction("close"));
  }

  // Show a search result, or an image with only the fields image_id and name.
  show(match) {
    if (this.dialog.open && this.match?.image_id === match.image_id && "score" in this.match === "score" in match) return;
    this.match = match;
    this.controller?.abort();
    this.controller = new AbortController();
    this.dialog.replaceChildren(this.#createFigure(match), this.#createSidebar(match));
    this.dialog.setAttribute("aria-label", match.name);
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.querySelector("[data-action=similar]").focus();
    this.#loadMetadata(match);
    this.#loadSimilar(match);
  }

  hide() {
    this.match = null;
    this.controller?.abort();
    if (this.dialog.open) this.dialog.close();
  }

  #createFigure(match) {
    const image = h("img", { src: imageUrl(match.image_id), alt: match.name, class: "large" });
    image.style.backgroundImage = `url("${thumbnailUrl(match.image_id)}")`;
    image.addEventListener("load", () => (image.style.backgroundImage = ""));
    const stepButton = (step, name, text, label) =>
      h("button", { type: "button", class: `round ${name}`, "aria-label": label, onclick: () => this.onStep(step) }, text);
    return h(
      "figure",
      {},
      stepButton(-1, "previous", "‹", "Previous photo"),
      image,
      stepButton(1, "next", "›", "Next photo"),
    );
  }

  #createSidebar(match) {
    const button = (action, text, key) =>
      h("button", { type: "button", "data-action": action, "aria-keyshortcuts": key, onclick: () => this.onAction(action, match) }, text);
    return h(
      "aside",
      {},
      h("button", { type: "button", class: "round close", "aria-label": "Close", onclick: () => this.onAction("close") }, "×"),
      h("h2", {}, match.name),
      h("dl", {}),
      h(
        "div",
        { class: "choices" },
        button("similar", "More like this", "s"),
        button("plus", "Add to search", "+"),
        button("minus", "Subtract from search", "-"),
        h("a", { href: imageUrl(match.image_id), target: "_blank", rel: "noopener" }, "Open file"),
      ),
      h("h3", {}, "Similar photos"),
      h("ul", { class: "strip" }),
    );
  }

  #showMetadata(match, metadata = {}) {
    const rows = describe(match, metadata).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
    this.dialog.querySelector("dl").replaceChildren(...rows);
  }

  async #loadMetadata(match) {
    this.#showMetadata(match);
    try {
      this.#showMetadata(match, await request(metadataUrl(match.image_id), { signal: this.controller.signal }));
    } catch (error) {
      if (error.name !== "AbortError") this.dialog.querySelector("dl").append(h("div", { class: "error" }, error.message));
    }
  }

  async #loadSimilar(match) {
    const body = new FormData();
    body.set("image_id", match.image_id);
    body.set("k", N_SIMILAR);
    const strip = this.dialog.querySelector(".strip");
    try {
      const { matches } = await request("similar", { method: "POST", body, signal: this.controller.signal });
      strip.replaceChildren(...matches.map((similar) => this.#createStripItem(similar)));
    } catch (error) {
      if (error.name !== "AbortError") strip.replaceChildren(h("li", { class: "error" }, error.message));
    }
  }

  #createStripItem(match) {
    const image = h("img", { src: thumbnailUrl(match.image_id), alt: "", loading: "lazy" });
    const open = () => this.onAction("open", match);
    return h("li", {}, h("button", { type: "button", "aria-label": `Open ${match.name}`, onclick: open }, image));
  }

  #onKey(event) {
    if (isTextInput(event) || !this.match) return;
    const actions = { s: "similar", "+": "plus", "=": "plus", "-": "minus" };
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) this.onStep(step);
    else if (actions[event.key]) this.onAction(actions[event.key], this.match);
    else return;
    event.preventDefault();
  }
}

// Return the metadata rows to show for an image, each as [name, value].
function describe(match, metadata) {
  const rows = [];
  if (match.relevance != null) {
    const meter = h("meter", { min: 0, max: 1, value: match.relevance, "aria-label": "Relevance" });
    rows.push(["Relevance", h("span", { class: "relevance" }, meter, match.relevance.toFixed(2))]);
  }
  if (match.score != null) rows.push(["Similarity", match.score.toFixed(3)]);
  const { width, height } = match.width ? match : metadata;
  if (width) rows.push(["Pixels", `${width} × ${height}`]);
  if (metadata.bytes) rows.push(["File size", formatBytes(metadata.bytes)]);
  if (metadata.taken) rows.push(["Taken", metadata.taken.replace("T", " ").slice(0, 16)]);
  if (metadata.latitude != null) rows.push(["Place", `${metadata.latitude.toFixed(4)}, ${metadata.longitude.toFixed(4)}`]);
  if (metadata.colours?.length) rows.push(["Colours", metadata.colours.join(", ")]);
  if (match.n_duplicates) rows.push(["Hidden", `${match.n_duplicates} near-duplicate${match.n_duplicates === 1 ? "" : "s"}`]);
  return rows;
}

const formatBytes = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} KB` : `${(bytes / 1e6).toFixed(1)} MB`);
