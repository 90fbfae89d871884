// Fetch pages of search results, and cache the pages so that a repeated search needs no request.

import { ApiError, postJson, request } from "./api.js";
import { buildQuery, searchKey } from "./search_state.js";
import { getUpload } from "./uploads.js";

const FIRST_PAGE_SIZE = 100;
const PAGE_SIZE = 200;
const MAX_CACHED_SEARCHES = 10;
const NO_UPLOAD = "The image of this search is no longer on the page. Drop, paste or pick the image again.";

export class ResultPages {
  constructor() {
    this.cache = new Map(); // search key -> { matches, offset, more, reading }
    this.controller = null;
  }

  getCached(state) {
    return this.cache.get(searchKey(state)) ?? null;
  }

  // Fetch the next page of results. Return the new matches and the description of the results so far.
  async fetchNext(state) {
    const key = searchKey(state);
    const results = this.cache.get(key) ?? { matches: [], imageIds: new Set(), offset: 0, more: true };
    const page = await this.#fetch(state, results.offset ? PAGE_SIZE : FIRST_PAGE_SIZE, results.offset);
    const matches = page.matches.filter(({ image_id: imageId }) => !results.imageIds.has(imageId)); // a new index shifts pages
    for (const match of matches) results.imageIds.add(match.image_id);
    results.matches.push(...matches);
    results.offset += page.matches.length;
    results.more = page.more && page.matches.length > 0;
    results.reading = readReading(page);
    this.#store(key, results);
    return { ...results, newMatches: matches };
  }

  // Fetch the same number of results again, because the index has changed. Return the results.
  async refresh(state) {
    const key = searchKey(state);
    const { offset } = this.cache.get(key) ?? { offset: FIRST_PAGE_SIZE };
    const results = { matches: [], imageIds: new Set(), offset: 0, more: true };
    while (results.more && results.offset < Math.max(offset, FIRST_PAGE_SIZE)) {
      const page = await this.#fetch(state, PAGE_SIZE, results.offset);
      results.matches.push(...page.matches.filter(({ image_id: imageId }) => !results.imageIds.has(imageId)));
      results.imageIds = new Set(results.matches.map((match) => match.image_id));
      results.offset += page.matches.length;
      results.more = page.more && page.matches.length > 0;
      results.reading = readReading(page);
    }
    this.cache.clear();
    this.#store(key, results);
    return results;
  }

  #store(key, results) {
    this.cache.delete(key);
    this.cache.set(key, results);
    if (this.cache.size > MAX_CACHED_SEARCHES) this.cache.delete(this.cache.keys().next().value);
  }

  async #fetch(state, k, offset) {
    this.controller?.abort();
    this.controller = new AbortController();
    const { signal } = this.controller;
    const query = { ...buildQuery(state), k, offset };
    if (!state.uploads.length) return postJson("search", query, { signal });
    return request("similar", { method: "POST", body: createForm(state, query), signal });
  }
}

function createForm(state, { terms, filters, ...fields }) {
  const form = new FormData();
  for (const id of state.uploads) {
    const upload = getUpload(id);
    if (!upload) throw new ApiError(NO_UPLOAD);
    form.append("image", upload.file, upload.name);
  }
  const texts = { ...fields, terms: JSON.stringify(terms), filters: JSON.stringify(filters) };
  for (const [name, value] of Object.entries(texts)) form.set(name, value);
  return form;
}

function readReading({ read_as: readAs = null, hints = [], n_images: nImages = null }) {
  return { readAs, hints, nImages };
}
