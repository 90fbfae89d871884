// The view of near-duplicates: groups of images side by side. The user marks copies and gets a list of them.
// The page never deletes files.

import { request } from "./api.js";
import { announce, formatCount, formatNumber, h, thumbnailUrl } from "./dom.js";
import { showError, showToast } from "./favourites.js";
import { copyText, saveFile } from "./file_actions.js";
import { formatBytes } from "./formats.js";
import { createFacts } from "./image_facts.js";
import { Retry } from "./retry.js";

const PAGE_SIZE = 20; // groups
const LARGE_PAGE_SIZE = 200;

export class DuplicatesView {
  // onAction("open", match): opens an image in the viewer.
  constructor(root, { onAction }) {
    Object.assign(this, { root, onAction, groups: [], more: true, loading: null, marked: new Map(), nGroups: 0 });
    this.retry = new Retry(() => this.#load());
    this.observer = new IntersectionObserver((entries) => entries.at(-1).isIntersecting && this.#load(), { rootMargin: "1000px" });
  }

  show() {
    if (this.element?.isConnected) return;
    this.element ??= this.#build();
    this.root.replaceChildren(this.element);
    this.#drawBar();
    if (this.groups.length) this.observer.observe(this.end);
    else this.#load();
  }

  hide() {
    this.observer.disconnect();
    this.retry.succeed();
    this.root.replaceChildren();
    document.body.classList.remove("has-selection");
  }

  async getNeighbour(imageId, step, { load = false } = {}) {
    const find = () => {
      const images = this.groups.flatMap((group) => group.images);
      return images[images.findIndex((image) => image.image_id === imageId) + step] ?? null;
    };
    if (!this.groups.some((group) => group.images.some((image) => image.image_id === imageId))) return null;
    if (!find() && load && this.more) await this.#load();
    return find();
  }

  #build() {
    this.status = h("p", { class: "status", role: "status" });
    this.list = h("ol", { class: "duplicate-groups" });
    this.end = h("div", { class: "end" });
    this.keepAll = h("button", { type: "button", class: "button", onclick: () => this.#keepBestOfAll() }, "Keep the best of every group");
    this.keepAll.hidden = true;
    this.bar = h("div", { class: "selection-bar", role: "region", "aria-label": "Marked copies", hidden: true });
    const help = "The best photo of a group is the largest one, then the sharpest, then the oldest. kadr never deletes files: mark copies, and use the list of their paths.";
    return h(
      "div",
      { class: "duplicates" },
      h("div", { class: "duplicates-head" }, this.status, this.keepAll, h("p", { class: "help" }, help)),
      this.list,
      this.end,
      this.bar,
    );
  }

  // Load the next groups. Return whether it succeeded.
  #load(k = PAGE_SIZE) {
    if (!this.more) return Promise.resolve(true);
    this.loading ??= this.#fetch(k).finally(() => (this.loading = null));
    return this.loading;
  }

  async #fetch(k) {
    if (!this.groups.length) this.status.textContent = "Looking for near-duplicates…";
    try {
      const { groups, more, n_groups: nGroups } = await request(`duplicates?${new URLSearchParams({ offset: this.groups.length, k })}`);
      this.groups.push(...groups);
      Object.assign(this, { more, nGroups });
      this.list.append(...groups.map((group) => this.#createGroup(group)));
      this.end.replaceChildren();
      this.keepAll.hidden = !nGroups;
      this.status.textContent = nGroups
        ? `${formatCount(nGroups, "group")} of near-duplicates`
        : "No photo of this collection has a near-duplicate.";
      this.retry.succeed();
      this.observer.disconnect();
      if (more) this.observer.observe(this.end);
      return true;
    } catch (error) {
      this.observer.disconnect();
      if (error.retryable) this.retry.fail();
      const again = h("button", { type: "button", class: "main", onclick: () => this.retry.now() }, "Try again");
      if (!this.groups.length) this.status.textContent = "";
      this.end.replaceChildren(h("div", { class: "error", role: "alert" }, h("p", {}, error.message), again));
      return false;
    }
  }

  #createGroup(group) {
    const hidden = group.n_images - group.images.length;
    const button = (text, onclick) => h("button", { type: "button", class: "button", onclick }, text);
    const item = h(
      "li",
      { class: "duplicate-group" },
      h(
        "div",
        { class: "group-head" },
        h("h2", {}, `${formatNumber(group.n_images)} photos`),
        button("Keep the best", () => this.#keepBest(group)),
        button("Compare", () => this.#compare(group)),
      ),
      h("ul", { class: "copies" }, ...group.images.map((match) => this.#createCopy(match, group))),
      hidden > 0 ? h("p", { class: "help" }, `${formatNumber(hidden)} more copies are not shown.`) : null,
    );
    return item;
  }

  #createCopy(match, group) {
    const isBest = match.image_id === group.best;
    const box = h("input", { type: "checkbox", "data-mark": match.image_id, onchange: () => this.#mark([match], box.checked) });
    box.checked = this.marked.has(match.image_id);
    const image = h("img", { src: thumbnailUrl(match), alt: "", loading: "lazy", decoding: "async" });
    const open = h("button", { type: "button", class: "copy-image", "aria-label": `Open ${match.name}`, onclick: () => this.onAction("open", match) }, image);
    return h(
      "li",
      { class: "copy", "data-image-id": match.image_id },
      open,
      h("p", { class: "copy-name" }, isBest ? h("span", { class: "best" }, "Best") : null, h("b", {}, match.name), h("small", {}, match.folder ?? "")),
      createFacts(match, group.images),
      h("label", { class: "mark" }, box, " Mark as copy"),
    );
  }

  #keepBest(group) {
    this.#mark(group.images.filter((match) => match.image_id !== group.best), true);
    this.#mark(group.images.filter((match) => match.image_id === group.best), false);
  }

  async #keepBestOfAll() {
    this.keepAll.disabled = true;
    let isLoaded = true;
    while (this.more && isLoaded) {
      announce(`Loading groups: ${this.groups.length} of ${this.nGroups}.`);
      isLoaded = await this.#load(LARGE_PAGE_SIZE);
    }
    if (isLoaded) for (const group of this.groups) this.#keepBest(group);
    this.keepAll.disabled = false;
  }

  async #compare(group) {
    const { CompareDialog } = await import("./compare.js");
    new CompareDialog(group.images).show();
  }

  #mark(matches, isMarked) {
    for (const match of matches) {
      if (isMarked) this.marked.set(match.image_id, match);
      else this.marked.delete(match.image_id);
      const copy = this.list.querySelector(`.copy[data-image-id="${CSS.escape(match.image_id)}"]`);
      copy?.classList.toggle("marked", isMarked);
      if (copy) copy.querySelector("input").checked = isMarked;
    }
    this.#drawBar();
  }

  #drawBar() {
    const n = this.marked.size;
    this.bar.hidden = !n;
    document.body.classList.toggle("has-selection", n > 0 && this.element.isConnected);
    if (!n) return;
    const bytes = [...this.marked.values()].reduce((total, match) => total + (match.bytes ?? 0), 0);
    const paths = () => `${[...this.marked.values()].map((match) => match.path).join("\n")}\n`;
    const button = (text, onclick) => h("button", { type: "button", onclick }, text);
    const clear = () => this.#mark([...this.marked.values()], false);
    this.bar.replaceChildren(
      h("button", { type: "button", class: "icon", "aria-label": "Unmark all", title: "Unmark all", onclick: clear }, "×"),
      h("b", {}, `${formatNumber(n)} cop${n === 1 ? "y" : "ies"}, ${formatBytes(bytes)}`),
      button("Copy paths", () => this.#copy(paths())),
      button("Download list", () => saveFile(new Blob([paths()], { type: "text/plain" }), "copies.txt")),
    );
  }

  async #copy(paths) {
    if (await copyText(paths)) showToast(`Copied ${formatNumber(this.marked.size)} paths.`);
    else showError("The browser does not allow copying.");
  }
}
