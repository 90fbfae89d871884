// The dialog with the saved searches: save, open, delete and export searches.

import { request, sendJson } from "./api.js";
import { byId, h } from "./dom.js";
import { labelFilters } from "./filter_labels.js";
import { buildQuery, parseQuery, toUrl } from "./search_state.js";

const MAX_NAME = 200; // characters
const FILE_NAME = "kadr_searches.json";

export class SavedSearches {
  // onOpen(state): called with the state of the search that the user opens.
  constructor(onOpen) {
    Object.assign(this, { onOpen, dialog: byId("saved"), list: byId("saved-list"), message: byId("saved-message"), state: null, searches: [] });
    this.form = this.dialog.querySelector("form");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save(this.form.elements.name.value.trim());
    });
    byId("close-saved").addEventListener("click", () => this.dialog.close());
    byId("export-saved").addEventListener("click", () => this.#export());
  }

  // Show the dialog. state: the search that the user can save.
  async open(state) {
    this.state = state;
    this.form.elements.name.value = suggestName(state);
    this.form.querySelector("fieldset").disabled = state.uploads.length > 0;
    this.message.textContent = state.uploads.length ? "A search by an image file cannot be saved." : "";
    this.list.replaceChildren();
    this.dialog.showModal();
    await this.#run(() => this.#load());
  }

  async #load() {
    const response = await request("searches");
    this.searches = response.searches;
    byId("export-saved").hidden = !this.searches.length;
    byId("no-saved").hidden = this.searches.length > 0;
    this.list.replaceChildren(...this.searches.map((search) => this.#createItem(search)));
  }

  async #save(name) {
    await this.#run(async () => {
      await sendJson("PUT", searchPath(name), buildQuery(this.state));
      await this.#load();
      this.message.textContent = `Saved "${name}".`;
    });
  }

  async #delete(name) {
    await this.#run(async () => {
      await request(searchPath(name), { method: "DELETE" });
      await this.#load();
      this.message.textContent = `Deleted "${name}".`;
      byId("close-saved").focus();
    });
  }

  // Run an action and show its error in the dialog.
  async #run(action) {
    this.message.classList.remove("error");
    try {
      await action();
    } catch (error) {
      this.message.classList.add("error");
      this.message.textContent = error.message;
    }
  }

  #createItem(search) {
    const state = parseQuery(search);
    const open = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.dialog.close();
      this.onOpen(state);
    };
    const details = [state.q, ...labelFilters(state.filters).map(({ text }) => text)].filter(Boolean).join(" · ");
    return h(
      "li",
      {},
      h("a", { href: toUrl(state), onclick: open }, h("b", {}, search.name), h("small", {}, details)),
      h("button", { type: "button", class: "icon", "aria-label": `Delete ${search.name}`, onclick: () => this.#delete(search.name) }, "×"),
    );
  }

  #export() {
    const content = new Blob([`${JSON.stringify(this.searches, null, 2)}\n`], { type: "application/json" });
    const link = h("a", { href: URL.createObjectURL(content), download: FILE_NAME });
    link.click();
    URL.revokeObjectURL(link.href);
  }
}

const searchPath = (name) => `searches/${encodeURIComponent(name)}`;

const suggestName = (state) =>
  [state.q.trim(), ...labelFilters(state.filters).map(({ text }) => text)].filter(Boolean).join(", ").slice(0, MAX_NAME);
