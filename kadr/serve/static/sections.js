// Titles of the sections of the grid: months or years if the images are sorted by date, folders if they are sorted by name.

import { monthTitle, shortPath } from "./filter_labels.js";

const MIN_PER_SECTION = 3; // smaller sections on average get larger periods, or no titles

const N_CHECKED = 100;
const NO_DATE = "Without a date";
const byMonth = (match) => (match.taken ? monthTitle(match.taken) : NO_DATE);
const byYear = (match) => (match.taken ? String(Number(match.taken.slice(0, 4))) : NO_DATE);
const byFolder = (match) => (match.folder ? shortPath(match.folder) : null);

// Return the function that titles each match. The first matches decide which one. sort: order of the results.
export function chooseSections(allMatches, sort) {
  const matches = allMatches.slice(0, N_CHECKED);
  const candidates = { newest: [byMonth, byYear], oldest: [byMonth, byYear], name: [byFolder] }[sort] ?? [];
  const isLarge = (title) => matches.length >= MIN_PER_SECTION * new Set(matches.map(title)).size;
  const chosen = candidates.find(isLarge);
  return chosen ?? (() => null);
}
