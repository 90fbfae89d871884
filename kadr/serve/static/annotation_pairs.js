// The image-text pairs that one rater rates in annotation mode, and the rater's ratings of them.

import { request } from "./api.js";

const BATCH_SIZE = 20; // pairs per request
const N_PREVIOUS = 20; // previous ratings that the rater can go back to after a reload

export class AnnotationPairs {
  // rater: name of the rater. text: search text whose results are rated, or "" for the suggested pairs.
  // unsent: entries of the outbox whose ratings the server does not know yet.
  constructor(rater, text, unsent) {
    Object.assign(this, { rater, text, pairs: [], ratings: new Map(), history: [], cursor: 0, fetching: null });
    Object.assign(this, { steps: [], nByRater: 0, nPairs: 0, nLeft: 0, noPairsReason: null });
    for (const entry of unsent) if (entry.rater === rater) this.ratings.set(pairKey(entry), entry.rating);
  }

  // Whether all unrated pairs have been loaded.
  get isComplete() {
    return this.cursor === null;
  }

  ratingOf(pair) {
    return this.ratings.get(pairKey(pair)) ?? null;
  }

  // Load the last ratings of the rater and the first unrated pairs. Return the position of the first unrated pair.
  async start() {
    const params = new URLSearchParams({ rater: this.rater, k: N_PREVIOUS });
    const { ratings } = await request(`annotation/ratings?${params}`);
    const previous = ratings.filter((pair) => !this.text || pair.text === this.text);
    for (const { rating, ...pair } of previous) {
      if (!this.ratings.has(pairKey(pair))) this.ratings.set(pairKey(pair), rating);
      this.history.push(pairKey(pair));
    }
    this.pairs = previous.map(({ rating, ...pair }) => pair);
    await this.fetchMore();
    return previous.length;
  }

  // Load the next unrated pairs. Concurrent calls share one request.
  fetchMore() {
    this.fetching ??= this.#fetch().finally(() => (this.fetching = null));
    return this.fetching;
  }

  async #fetch() {
    if (this.isComplete) return;
    const params = new URLSearchParams({ rater: this.rater, text: this.text, k: BATCH_SIZE, cursor: this.cursor });
    const response = await request(`annotation/pairs?${params}`);
    const knownKeys = new Set(this.pairs.map(pairKey));
    const isNew = (pair) => !knownKeys.has(pairKey(pair)) && this.ratingOf(pair) === null;
    this.pairs.push(...response.pairs.filter(isNew));
    if (!this.cursor) {
      this.nLeft = response.n_pairs_left - this.#countUnsent(response);
      this.nByRater = response.n_by_rater;
    }
    this.cursor = response.next_cursor;
    this.steps = response.steps;
    this.nPairs = response.n_pairs;
    this.noPairsReason = response.no_pairs_reason;
  }

  // Count the pairs of the first page that the server lists as unrated although this page has their ratings.
  #countUnsent({ pairs }) {
    return pairs.filter((pair) => this.ratingOf(pair) !== null).length;
  }

  // Start again with the pairs that the rater has skipped.
  async restart() {
    const rated = this.pairs.filter((pair) => this.ratingOf(pair) !== null);
    this.pairs = rated;
    this.cursor = 0;
    await this.fetchMore();
    return rated.length;
  }

  rate(pair, rating) {
    if (this.ratingOf(pair) === null) this.#count(1);
    this.ratings.set(pairKey(pair), rating);
    this.#forget(pair);
    this.history.push(pairKey(pair));
  }

  withdraw(pair) {
    if (this.ratingOf(pair) !== null) this.#count(-1);
    this.ratings.set(pairKey(pair), null);
    this.#forget(pair);
  }

  // Return the position of the pair that was rated last, or -1 if there is none.
  lastRated() {
    const key = this.history.at(-1);
    return this.pairs.findIndex((pair) => pairKey(pair) === key);
  }

  #forget(pair) {
    this.history = this.history.filter((key) => key !== pairKey(pair));
  }

  #count(change) {
    this.nByRater += change;
    this.nLeft -= change;
  }
}

export const pairKey = ({ image_id, text }) => JSON.stringify([image_id, text]);
