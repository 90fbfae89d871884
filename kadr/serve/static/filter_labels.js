// Short descriptions of active filters, for the chips above the grid.

const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const MEGABYTE = 1e6;

// Return [{ names, text }] for the active filters. names: filters that the chip removes.
export function labelFilters(filters) {
  const labels = [];
  const add = (names, text) => labels.push({ names, text });
  if (filters.folder) add(["folder"], `Folder: ${shortPath(filters.folder)}`);
  if (filters.after || filters.before) add(["after", "before"], labelDates(filters));
  if (filters.dated) add(["dated"], filters.dated === "0" ? "Without a date" : "With a date");
  if (filters.camera) add(["camera"], `Camera: ${filters.camera}`);
  if (filters.near) add(["near"], labelPlace(filters.near));
  if (filters.box) add(["box"], "In the area of the map");
  if (filters.colour) add(["colour"], `Colour: ${filters.colour}`);
  if (filters.name) add(["name"], `Name: ${filters.name}`);
  if (filters.min_side) add(["min_side"], `At least ${filters.min_side} pixels`);
  if (filters.min_bytes) add(["min_bytes"], `At least ${filters.min_bytes / MEGABYTE} MB`);
  if (filters.max_bytes) add(["max_bytes"], `At most ${filters.max_bytes / MEGABYTE} MB`);
  if (filters.min_relevance) add(["min_relevance"], `Relevance from ${filters.min_relevance}`);
  if (filters.min_cosine) add(["min_cosine"], `Similarity from ${filters.min_cosine}`);
  if (filters.favourites) add(["favourites"], "Favourites");
  return labels;
}

// Return the last two parts of a path.
export const shortPath = (path) => path.split("/").filter(Boolean).slice(-2).join("/") || path;

// Return the title of a month, e.g. "May 2024" for "2024-05".
export const monthTitle = (month) => `${MONTHS[Number(month.slice(5, 7)) - 1]} ${Number(month.slice(0, 4))}`;

export const monthName = (month) => MONTHS[Number(month.slice(5, 7)) - 1].slice(0, 3);

// Return the filters { after, before } for a year ("2024") or a month ("2024-05").
export function dateRange(period) {
  const [year, month] = period.split("-").map(Number);
  const format = (y, m) => `${String(y).padStart(4, "0")}-${String(m).padStart(2, "0")}-01`;
  if (!month) return { after: format(year, 1), before: format(year + 1, 1) };
  return { after: format(year, month), before: month === 12 ? format(year + 1, 1) : format(year, month + 1) };
}

function labelDates({ after, before }) {
  if (!before) return `From ${after}`;
  if (!after) return `Before ${before}`;
  const isPeriod = (period) => dateRange(period).after === after && dateRange(period).before === before;
  if (isPeriod(after.slice(0, 4))) return after.slice(0, 4);
  if (isPeriod(after.slice(0, 7))) return monthTitle(after);
  if (Date.parse(before) - Date.parse(after) === 86_400_000) return `On ${after}`;
  return `${after} to before ${before}`;
}

function labelPlace(near) {
  const [latitude, longitude, km] = near.split(",").map(Number);
  return `Within ${km} km of ${latitude.toFixed(2)}, ${longitude.toFixed(2)}`;
}
