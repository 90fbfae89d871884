// What a search found so far, page after page; a search that was shown before comes back at once.

import { send } from "./api.js";
import { request, searchOf } from "./state.js";

const PAGE = 100;
const KEPT = 20;

export class Results {
  constructor() {
    this.kept = new Map(); // address of the search -> {matches, more}
    this.asked = null;
  }

  of(state) {
    return this.kept.get(searchOf(state)) ?? null;
  }

  // The next page of the search: [new matches, whether there are more].
  async next(state) {
    const name = searchOf(state);
    const found = this.kept.get(name) ?? { matches: [], more: true };
    this.asked?.abort();
    this.asked = new AbortController();
    const body = request(state, PAGE, found.matches.length);
    const { matches, more } = await send("search", body, { signal: this.asked.signal });
    this.kept.delete(name);
    this.kept.set(name, { matches: [...found.matches, ...matches], more });
    if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
    return [matches, more];
  }
}
