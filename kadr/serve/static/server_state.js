// Watch GET /health: a new version of the index, and the progress of `kadr index`.

import { request } from "./api.js";
import { formatNumber } from "./dom.js";

const INTERVAL_MS = 60_000;
const INDEXING_INTERVAL_MS = 5_000;

export class ServerState {
  // onChange(health, isNewVersion): called after each response.
  constructor(onChange) {
    Object.assign(this, { onChange, health: null, timer: 0, first: null });
    document.addEventListener("visibilitychange", () => document.hidden || this.check());
  }

  async check() {
    clearTimeout(this.timer);
    try {
      const health = await request("health");
      const isNewVersion = this.health !== null && this.health.loaded_at !== health.loaded_at;
      this.health = health;
      const { indexing } = health;
      if (!indexing) this.first = null;
      else this.first ??= indexing;
      this.onChange(health, isNewVersion);
    } catch {
      // The search shows that the server does not respond.
    }
    const interval = this.health?.indexing ? INDEXING_INTERVAL_MS : INTERVAL_MS;
    this.timer = setTimeout(() => document.hidden || this.check(), interval);
  }

  // Return the progress of `kadr index` as a sentence, or null.
  describeIndexing() {
    const indexing = this.health?.indexing;
    if (!indexing) return null;
    const left = this.#minutesLeft(indexing);
    const counts = `${formatNumber(indexing.n_done)} of ${formatNumber(indexing.n_total)} images are searchable so far`;
    if (left === null) return `${counts}.`;
    return `${counts}, ${left < 1 ? "less than a minute" : `${Math.round(left)} min`} left.`;
  }

  // Estimate the time left from the images that were indexed since the page was opened.
  #minutesLeft({ n_done: nDone, n_total: nTotal, updated_at: updatedAt }) {
    const n = nDone - this.first.n_done;
    const minutes = (updatedAt - this.first.updated_at) / 60;
    return n > 0 ? ((nTotal - nDone) * minutes) / n : null;
  }
}
