// The properties in which near-duplicates differ: pixels, file size, date and sharpness.

import { formatNumber, h } from "./dom.js";
import { formatBytes, formatDate } from "./formats.js";

// value(match): number or text to compare, or null. best: which value is named. note: name of the best value.
const FACTS = [
  { label: "Pixels", value: (match) => (match.width ? match.width * match.height : null), text: (match) => `${match.width} × ${match.height}`, best: 1, note: "largest" },
  { label: "File size", value: (match) => match.bytes, text: (match) => formatBytes(match.bytes), best: 1, note: "largest" },
  { label: "Sharpness", value: (match) => match.sharpness, text: (match) => formatNumber(Math.round(match.sharpness)), best: 1, note: "sharpest" },
  { label: "Date", value: (match) => match.taken, text: (match) => formatDate(match.taken), best: -1, note: "oldest" },
];

// Create the list of properties of one of several images. A value that is better than another one is named.
export function createFacts(match, matches) {
  const rows = FACTS.filter(({ value }) => value(match) != null).map(({ label, value, text, best, note }) => {
    const values = matches.map(value).filter((other) => other != null);
    const sorted = values.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    const isBest = value(match) === (best > 0 ? sorted.at(-1) : sorted[0]);
    const differs = sorted[0] !== sorted.at(-1);
    const shown = h("dd", { class: !differs ? "same" : isBest ? "better" : "worse" }, text(match), differs && isBest ? h("small", {}, note) : null);
    return h("div", {}, h("dt", {}, label), shown);
  });
  return h("dl", { class: "facts" }, ...rows);
}
