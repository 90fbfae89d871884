// The outbox of annotation mode: ratings that the server has not confirmed yet.
//
// The page shows the next pair at once and sends the rating in the background. The browser stores unsent ratings, so that
// no rating is lost if the server stops, the connection breaks or the user reloads the page.

import { postJson, request } from "./api.js";
import { Retry } from "./retry.js";
import { readSetting, writeSetting } from "./storage.js";

const SETTING = "unsent-ratings";

export class RatingOutbox {
  // onChange(): called when `entries` or `error` changes. onSaved(entry, response): called after the server saved an entry.
  constructor({ onChange, onSaved }) {
    Object.assign(this, { onChange, onSaved, error: null, sending: null });
    this.later = new Retry(() => this.#send());
    this.entries = new Map(readEntries().map((entry) => [entryKey(entry), entry])); // entry: { image_id, text, rater, rating }
    if (this.size) this.#send();
  }

  get size() {
    return this.entries.size;
  }

  // Save a rating, or withdraw the rating if `rating` is null. A newer entry for the same pair replaces an unsent one.
  put(pair, rater, rating) {
    const entry = { image_id: pair.image_id, text: pair.text, rater, rating };
    this.entries.delete(entryKey(entry));
    this.entries.set(entryKey(entry), entry);
    this.#changed();
    this.#send();
  }

  // Send the unsent entries now.
  retry() {
    for (const entry of this.entries.values()) entry.rejection = undefined;
    this.#send();
  }

  // Discard the entries that the server has rejected.
  discardRejected() {
    for (const [key, entry] of this.entries) if (entry.rejection) this.entries.delete(key);
    this.error = null;
    this.#changed();
    this.#send();
  }

  get nRejected() {
    return [...this.entries.values()].filter((entry) => entry.rejection).length;
  }

  #send() {
    this.sending ??= this.#sendAll().finally(() => (this.sending = null));
  }

  async #sendAll() {
    for (let entry = this.#next(); entry; entry = this.#next()) {
      try {
        const response = await sendEntry(entry);
        if (this.entries.get(entryKey(entry)) === entry) this.entries.delete(entryKey(entry));
        this.error = null;
        this.later.succeed();
        this.onSaved(entry, response);
        this.#changed();
      } catch (error) {
        this.error = error.message;
        if (!error.retryable && error.status !== 401) entry.rejection = error.message;
        this.#changed();
        if (error.status === 401) return;
        if (error.retryable) return this.later.fail();
      }
    }
  }

  #next() {
    return [...this.entries.values()].find((entry) => !entry.rejection);
  }

  #changed() {
    writeSetting(SETTING, JSON.stringify([...this.entries.values()]));
    this.onChange();
  }
}

async function sendEntry({ image_id, text, rater, rating }) {
  if (rating !== null) return postJson("annotation/ratings", { image_id, text, rater, rating });
  try {
    return await request(`annotation/ratings?${new URLSearchParams({ image_id, text, rater })}`, { method: "DELETE" });
  } catch (error) {
    if (error.status === 404) return null; // the rating has never been saved, or has been withdrawn before
    throw error;
  }
}

function readEntries() {
  try {
    const entries = JSON.parse(readSetting(SETTING) ?? "[]");
    return Array.isArray(entries) ? entries.map((entry) => ({ ...entry, rejection: undefined })) : [];
  } catch {
    return [];
  }
}

const entryKey = ({ image_id, text, rater }) => JSON.stringify([rater, image_id, text]);
