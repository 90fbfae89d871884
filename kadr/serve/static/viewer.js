// The viewer: a dialog with one large image, its metadata, similar images and near-duplicates.

import { request } from "./api.js";
import { byId, h, imageUrl, isTextInput, metadataUrl, thumbnailUrl } from "./dom.js";
import { showError, showToast } from "./favourites.js";
import { copyText, originalUrl } from "./file_actions.js";
import { formatBytes, formatDate, formatPlace } from "./formats.js";
import { Retry } from "./retry.js";
import { ZoomableImage } from "./zoomable_image.js";

const N_SIMILAR = 12;

export class Viewer {
  // onAction(action, match): called with "open", "similar", "plus", "minus", "folder", "camera", "day", "near" or "close".
  // getNeighbour(imageId, step, { load }): returns a promise of the match `step` places away, or of null.
  //   load: whether to fetch another page of results if it is necessary.
  // favourites: the favourites of the user.
  constructor({ onAction, getNeighbour, favourites }) {
    Object.assign(this, { dialog: byId("viewer"), onAction, getNeighbour, favourites, match: null, controller: null, preloaded: [] });
    this.retry = new Retry(() => this.match && this.#showImage(this.match));
    this.#build();
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      onAction("close");
    });
    this.dialog.addEventListener("keydown", (event) => this.#onKey(event));
  }

  // Show a search result, or an image with only the fields image_id and name.
  show(match) {
    const isSame = this.dialog.open && this.match?.image_id === match.image_id;
    if (isSame && "path" in this.match === "path" in match) return;
    const returnFocus = !this.dialog.open || !this.dialog.contains(document.activeElement);
    this.match = match;
    this.controller?.abort();
    this.controller = new AbortController();
    if (!isSame) this.#showImage(match);
    this.#showSidebar(match);
    if (!this.dialog.open) this.dialog.showModal();
    if (returnFocus) this.figure.focus();
    this.#loadMetadata(match);
    this.#loadSimilar(match);
    this.#loadNearDuplicates(match);
    this.#prepareNeighbours(match);
  }

  hide() {
    this.match = null;
    this.controller?.abort();
    this.retry.succeed();
    if (document.fullscreenElement) document.exitFullscreen();
    if (this.dialog.open) this.dialog.close();
  }

  #build() {
    const round = (name, text, label, onclick, key) =>
      h("button", { type: "button", class: `round ${name}`, "aria-label": label, title: label, "aria-keyshortcuts": key, onclick }, text);
    this.previous = round("previous", "‹", "Previous photo", () => this.#step(-1), "ArrowLeft");
    this.next = round("next", "›", "Next photo", () => this.#step(1), "ArrowRight");
    this.close = round("close", "×", "Close", () => this.onAction("close"), "Escape");
    this.fullScreen = round("full-screen", "⤢", "Full screen", () => this.#toggleFullScreen(), "Enter");
    this.fullScreen.hidden = !document.fullscreenEnabled;
    this.stage = h("div", { class: "stage" });
    this.figure = h("figure", { tabindex: -1 }, this.stage, this.previous, this.next, this.fullScreen);
    this.sidebar = h("aside", { "aria-label": "About this photo" });
    this.position = h("p", { class: "visually-hidden", role: "status" });
    this.dialog.replaceChildren(this.figure, this.sidebar, this.close, this.position);
    this.zoom = new ZoomableImage(this.stage, { onSwipe: (step) => this.#step(step) });
  }

  #showImage(match) {
    const image = h("img", { alt: match.name, class: "large" });
    image.style.backgroundImage = `url("${thumbnailUrl(match, 640)}")`;
    image.addEventListener("load", () => {
      image.style.backgroundImage = "";
      this.retry.succeed();
    });
    image.addEventListener("error", () => this.#showFailure(match, image));
    this.retry.succeed();
    this.stage.replaceChildren(image);
    this.zoom.setImage(image);
    image.src = imageUrl(match);
  }

  // Say why the image cannot be shown. If the server does not respond, try again later.
  async #showFailure(match, image) {
    let reason = "The file is damaged, or the browser cannot display it.";
    let retryable = false;
    try {
      await request(imageUrl(match), { signal: this.controller.signal });
    } catch (error) {
      if (error.name === "AbortError") return;
      ({ message: reason, retryable } = error);
    }
    if (this.match !== match || !image.isConnected) return;
    const again = h("button", { type: "button", class: "main", onclick: () => this.#showImage(match) }, "Try again");
    image.replaceWith(h("div", { class: "failure", role: "alert" }, h("p", {}, "This photo cannot be shown."), h("p", {}, reason), again));
    if (retryable) this.retry.fail();
  }

  #showSidebar(match) {
    const button = (action, text, key) =>
      h("button", { type: "button", "data-action": action, "aria-keyshortcuts": key, onclick: () => this.onAction(action, match) }, text);
    const link = (text, properties) => h("a", properties, text);
    this.dialog.setAttribute("aria-label", match.name);
    this.metadata = h("dl", {});
    this.similar = h("ul", { class: "strip" });
    this.nearDuplicates = h("div", { class: "near-duplicates", hidden: true });
    this.sidebar.replaceChildren(
      h("div", { class: "title" }, h("h2", {}, match.name), this.favourites.createButton(match)),
      this.metadata,
      h(
        "div",
        { class: "choices" },
        button("similar", "More like this", "s"),
        button("plus", "Add to search", "+"),
        button("minus", "Subtract from search", "-"),
        h("button", { type: "button", class: "copy", "aria-keyshortcuts": "c", onclick: () => this.#copyPath() }, "Copy path"),
        link("Open original", { href: imageUrl(match), target: "_blank", rel: "noopener" }),
        link("Download", { href: originalUrl(match), download: match.name }),
      ),
      this.nearDuplicates,
      h("h3", {}, "Similar photos"),
      this.similar,
    );
    this.sidebar.scrollTop = 0;
    this.position.textContent = match.name;
  }

  async #loadMetadata(match) {
    this.#showMetadata(match);
    try {
      const metadata = await request(metadataUrl(match.image_id), { signal: this.controller.signal });
      if (this.match === match) this.#showMetadata({ ...metadata, ...withoutNulls(match) });
    } catch (error) {
      if (error.name !== "AbortError") this.metadata.append(h("div", { class: "error" }, h("dt", {}, "Error"), h("dd", {}, error.message)));
    }
  }

  #showMetadata(match) {
    this.full = match;
    const rows = describe(match, this.onAction).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
    this.metadata.replaceChildren(...rows);
  }

  async #loadSimilar(match) {
    const body = new FormData();
    body.set("image_id", match.image_id);
    body.set("k", N_SIMILAR);
    const { similar } = this;
    try {
      const { matches } = await request("similar", { method: "POST", body, signal: this.controller.signal });
      similar.replaceChildren(...matches.map((other) => this.#createStripItem(other)));
    } catch (error) {
      if (error.name !== "AbortError") similar.replaceChildren(h("li", { class: "error" }, error.message));
    }
  }

  // Show the near-duplicates of the image, if there are any, and a button that compares them.
  async #loadNearDuplicates(match) {
    const { nearDuplicates } = this;
    try {
      const query = new URLSearchParams({ image_id: match.image_id });
      const { groups } = await request(`duplicates?${query}`, { signal: this.controller.signal });
      const [group] = groups;
      if (!group) return;
      const others = group.images.filter((other) => other.image_id !== match.image_id);
      const own = group.images.find((image) => image.image_id === match.image_id) ?? this.full;
      const compare = async () => {
        const { CompareDialog } = await import("./compare.js");
        new CompareDialog([own, ...others]).show();
      };
      nearDuplicates.replaceChildren(
        h("h3", {}, `Near-duplicates (${group.n_images - 1})`),
        h("ul", { class: "strip" }, ...others.slice(0, 6).map((other) => this.#createStripItem(other))),
        h("button", { type: "button", class: "quiet", onclick: compare }, "Compare"),
      );
      nearDuplicates.hidden = false;
    } catch (error) {
      if (error.name !== "AbortError") nearDuplicates.hidden = true;
    }
  }

  #createStripItem(match) {
    const image = h("img", { src: thumbnailUrl(match), alt: "", loading: "lazy" });
    const open = () => this.onAction("open", match);
    return h("li", {}, h("button", { type: "button", "aria-label": `Open ${match.name}`, onclick: open }, image));
  }

  // Load the images before and after this image, and disable the buttons at the ends.
  async #prepareNeighbours(match) {
    const neighbours = await Promise.all([-1, 1].map((step) => this.getNeighbour(match.image_id, step, { load: false })));
    if (this.match !== match) return;
    const { saveData } = navigator.connection ?? {};
    this.preloaded = saveData ? [] : neighbours.filter(Boolean).map((neighbour) => Object.assign(new Image(), { src: imageUrl(neighbour) }));
    this.previous.disabled = !neighbours[0];
    if (!neighbours[1]) neighbours[1] = await this.getNeighbour(match.image_id, 1, { load: true });
    if (this.match === match) this.next.disabled = !neighbours[1];
  }

  async #step(step) {
    const { match } = this;
    const neighbour = match && (await this.getNeighbour(match.image_id, step, { load: true }));
    if (neighbour && this.match === match) this.onAction("open", neighbour);
  }

  async #copyPath() {
    const isCopied = await copyText(this.full.path ?? this.match.image_id);
    if (isCopied) showToast("Copied the path.");
    else showError("The browser does not allow copying.");
  }

  #toggleFullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.figure.requestFullscreen().catch(() => showError("The browser does not allow full screen."));
  }

  #onKey(event) {
    if (isTextInput(event) || !this.match) return;
    const actions = { s: "similar", "+": "plus", "=": "plus", "-": "minus" };
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) this.#step(step);
    else if (actions[event.key]) this.onAction(actions[event.key], this.match);
    else if (event.key === "f") event.repeat || this.favourites.toggle(this.match);
    else if (event.key === "c") this.#copyPath();
    else if (event.key === "z") this.zoom.toggle();
    else if (event.key === "Enter" && event.target === this.figure) this.#toggleFullScreen();
    else return;
    event.preventDefault();
  }
}

const withoutNulls = (match) => Object.fromEntries(Object.entries(match).filter(([, value]) => value !== null));

// Return the rows to show for an image, each as [name, value].
function describe(match, onAction) {
  const link = (action, text, title) => h("button", { type: "button", class: "link", title, onclick: () => onAction(action, match) }, text);
  const rows = [];
  if (match.relevance != null) {
    const meter = h("meter", { min: 0, max: 1, value: match.relevance, "aria-label": "Relevance" });
    rows.push(["Relevance", h("span", { class: "relevance" }, meter, match.relevance.toFixed(2))]);
  }
  if (match.score != null) rows.push(["Cosine", match.score.toFixed(3)]);
  if (match.matched?.length) rows.push(["Words", match.matched.join(", ")]);
  if (match.folder) rows.push(["Folder", link("folder", match.folder, "Show the photos of this folder")]);
  if (match.path) rows.push(["Path", match.path]);
  if (match.width) rows.push(["Pixels", `${match.width} × ${match.height}`]);
  if (match.bytes != null) rows.push(["File size", formatBytes(match.bytes)]);
  if (match.taken) {
    const isFileDate = match.taken_source === "file";
    rows.push([isFileDate ? "File date" : "Taken", link("day", formatDate(match.taken), "Show the photos of this day")]);
    if (!isFileDate) rows.push(["Date from", DATE_SOURCES[match.taken_source] ?? match.taken_source]);
  }
  if (match.camera) rows.push(["Camera", link("camera", match.camera, "Show the photos of this camera")]);
  if (match.latitude != null) rows.push(["Place", link("near", formatPlace(match), "Show the photos within 10 km")]);
  if (match.description) rows.push(["Description", match.description]);
  if (match.image_text) rows.push(["Text in photo", match.image_text]);
  if (match.colours?.length) rows.push(["Colours", match.colours.join(", ")]);
  return rows;
}

const DATE_SOURCES = { exif: "EXIF", xmp: "XMP", gps: "GPS", name: "file name" };
