// Fetch pages of search results, and cache the pages so that a repeated search needs no request.

import { postJson } from "./api.js";
import { buildRequest, searchKey } from "./search_state.js";

const PAGE_SIZE = 100;
const MAX_CACHED_SEARCHES = 20;

export class ResultPages {
  constructor() {
    this.cache = new Map(); // search key -> { matches, more }
    this.controller = null;
  }

  getCached(state) {
    return this.cache.get(searchKey(state)) ?? null;
  }

  // Fetch the next page of results. Return [new matches, whether there are more results].
  async fetchNext(state) {
    const key = searchKey(state);
    const cached = this.cache.get(key) ?? { matches: [], more: true };
    this.controller?.abort();
    this.controller = new AbortController();
    const body = buildRequest(state, PAGE_SIZE, cached.matches.length);
    const { matches, more } = await postJson("search", body, { signal: this.controller.signal });
    this.cache.delete(key);
    this.cache.set(key, { matches: [...cached.matches, ...matches], more });
    if (this.cache.size > MAX_CACHED_SEARCHES) this.cache.delete(this.cache.keys().next().value);
    return [matches, more];
  }
}
