// A dialog that shows two images side by side. Zooming and moving one image does the same with the other image.

import { h, imageUrl } from "./dom.js";
import { createFacts } from "./image_facts.js";
import { ZoomableImage } from "./zoomable_image.js";

export class CompareDialog {
  // images: two or more images. The first two are shown first.
  constructor(images) {
    this.images = images;
    const close = h("button", { type: "button", class: "icon close-compare", "aria-label": "Close", onclick: () => this.dialog.close() }, "×");
    this.panes = [0, 1].map((side) => this.#createPane(side));
    this.dialog = h(
      "dialog",
      { class: "compare", tabindex: -1, "aria-label": "Compare two photos" },
      h("div", { class: "panes" }, ...this.panes.map((pane) => pane.element)),
      close,
    );
    this.dialog.addEventListener("keydown", (event) => this.#onKey(event));
    this.dialog.addEventListener("cancel", (event) => event.stopPropagation());
    this.dialog.addEventListener("close", () => this.dialog.remove());
  }

  show() {
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.dialog.focus(); // the keys work at once
    for (const side of [0, 1]) this.#showImage(side, this.images[side]);
  }

  #createPane(side) {
    const stage = h("div", { class: "stage" });
    const choose = h("select", { "aria-label": side ? "Right photo" : "Left photo" });
    choose.append(...this.images.map((image, index) => h("option", { value: index, selected: index === side }, image.name)));
    choose.addEventListener("change", () => this.#showImage(side, this.images[choose.value]));
    const facts = h("div", {});
    const zoom = new ZoomableImage(stage, { onChange: (transform) => this.panes[1 - side].zoom.setTransform(transform) });
    const element = h("section", { class: "pane", "aria-label": side ? "Right" : "Left" }, stage, h("div", { class: "about" }, choose, facts));
    return { element, stage, choose, facts, zoom, image: null };
  }

  #showImage(side, match) {
    const pane = this.panes[side];
    pane.match = match;
    const image = h("img", { src: imageUrl(match), alt: match.name, class: "large" });
    image.addEventListener("error", () => image.replaceWith(h("p", { class: "failure", role: "alert" }, "This photo cannot be shown.")));
    pane.stage.replaceChildren(image);
    pane.zoom.setImage(image);
    const shown = this.panes.map((other) => other.match).filter(Boolean);
    for (const other of this.panes) if (other.match) other.facts.replaceChildren(createFacts(other.match, shown));
  }

  #onKey(event) {
    event.stopPropagation(); // the viewer below has the same keys
    if (event.key !== "z" || event.target.closest("select")) return;
    this.panes[0].zoom.toggle();
    event.preventDefault();
  }
}
