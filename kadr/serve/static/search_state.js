// The page state, and functions that convert the state to and from a URL.
//
// A state is an object { view, q, plus, minus, uploads, filters, sort, showDuplicates, of, image, annotate }.
// view: "duplicates", "map", "favourites", or null for the grid of images. q: search expression.
// plus, minus: IDs of added and subtracted images. uploads: IDs of added image files (see uploads.js).
// filters: { name: text }. sort: order of the images, or null for the default order.
// of: ID of the image whose near-duplicates the view "duplicates" shows, or null.
// image: ID of the image in the viewer, or null. annotate: whether the page is in annotation mode.

const VIEWS = ["duplicates", "map", "favourites"];
const SORTS = ["relevance", "cosine", "newest", "oldest", "name"];

// Name of each filter in the URL and in the API -> function that converts its text to the value in the API.
const FILTERS = {
  folder: String,
  name: String,
  camera: String,
  colour: String,
  after: String,
  before: String,
  dated: (text) => text === "1",
  near: (text) => toObject(["latitude", "longitude", "km"], text),
  box: (text) => toObject(["south", "west", "north", "east"], text),
  min_side: Number,
  min_bytes: Number,
  max_bytes: Number,
  min_relevance: Number,
  min_cosine: Number,
  favourites: (text) => text === "1",
};

const toObject = (names, text) => {
  const values = text.split(",").map(Number);
  return Object.fromEntries(names.map((name, i) => [name, values[i]]));
};

export function parseUrl(query = location.search) {
  const params = new URLSearchParams(query);
  const names = Object.keys(FILTERS).filter((name) => params.get(name));
  const choice = (name, choices) => (choices.includes(params.get(name)) ? params.get(name) : null);
  return {
    view: choice("view", VIEWS),
    q: params.get("q") ?? "",
    plus: params.getAll("plus"),
    minus: params.getAll("minus"),
    uploads: params.getAll("upload"),
    filters: Object.fromEntries(names.map((name) => [name, params.get(name)])),
    sort: choice("sort", SORTS),
    showDuplicates: params.has("duplicates"),
    of: params.get("of"),
    image: params.get("image"),
    annotate: params.has("annotate"),
  };
}

export function toUrl(state) {
  const params = new URLSearchParams();
  if (state.annotate) params.set("annotate", "1");
  if (state.view) params.set("view", state.view);
  if (state.q.trim()) params.set("q", state.q.trim());
  for (const sign of ["plus", "minus"]) for (const imageId of state[sign]) params.append(sign, imageId);
  for (const id of state.uploads) params.append("upload", id);
  for (const [name, value] of Object.entries(state.filters)) if (value) params.set(name, value);
  if (state.sort) params.set("sort", state.sort);
  if (state.showDuplicates) params.set("duplicates", "1");
  if (state.view && state.of) params.set("of", state.of);
  if (state.image) params.set("image", state.image);
  const query = params.toString();
  return query ? `?${query}` : "./";
}

// Return whether the state has no query, so that the page shows all images that pass the filters.
export const isBrowsing = (state) => !state.q.trim() && !state.plus.length && !state.minus.length && !state.uploads.length;

// Return the order of the images: the order in the URL if it fits the search, otherwise the default order.
export function sortOrder(state) {
  if (!isBrowsing(state)) return state.sort ?? "relevance";
  return ["oldest", "name"].includes(state.sort) ? state.sort : "newest";
}

// Return the filters of a state. The favourites view has one more filter than its URL shows.
export const activeFilters = (state) => (state.view === "favourites" ? { ...state.filters, favourites: "1" } : state.filters);

// Return a key that is identical for all states with the same search results.
export const searchKey = (state) => toUrl({ ...state, image: null, annotate: false });

// Build the fields that POST /search, POST /facets and PUT /searches share.
export function buildQuery(state) {
  const terms = [
    ...state.plus.map((imageId) => ({ image_id: imageId, weight: 1 })),
    ...state.minus.map((imageId) => ({ image_id: imageId, weight: -1 })),
  ];
  const filters = Object.entries(activeFilters(state)).map(([name, text]) => [name, FILTERS[name](text)]);
  return {
    text: state.q.trim(),
    terms,
    filters: Object.fromEntries(filters),
    sort: sortOrder(state),
    fold_duplicates: !state.showDuplicates,
  };
}

// Convert the fields of a saved search to a state.
export function parseQuery({ text = "", terms = [], filters = {}, sort = null, fold_duplicates: foldDuplicates = true }) {
  const toText = (value) => {
    if (typeof value === "boolean") return value ? "1" : "0";
    return typeof value === "object" ? Object.values(value).join() : String(value);
  };
  const isActive = (name, value) => name in FILTERS && value !== null && !(name === "favourites" && !value);
  const known = Object.entries(filters).filter(([name, value]) => isActive(name, value));
  const imageIds = (isPlus) => terms.filter((term) => term.image_id && term.weight > 0 === isPlus).map((term) => term.image_id);
  return {
    ...parseUrl(""),
    q: text,
    plus: imageIds(true),
    minus: imageIds(false),
    filters: Object.fromEntries(known.map(([name, value]) => [name, toText(value)])),
    sort,
    showDuplicates: !foldDuplicates,
  };
}

export const searchSimilar = (state, imageId) => ({ ...parseUrl(""), filters: state.filters, plus: [imageId] });

export const searchUpload = (state, uploadId) => ({ ...parseUrl(""), filters: state.filters, uploads: [uploadId] });

// Show the images near an image. km: radius in kilometres.
export const browseNear = ({ latitude, longitude }, km) => ({
  ...parseUrl(""),
  filters: { near: [latitude, longitude].map((degrees) => Number(degrees.toFixed(5))).concat(km).join() },
});

export const removeImage = (state, imageId) => ({
  ...state,
  plus: state.plus.filter((other) => other !== imageId),
  minus: state.minus.filter((other) => other !== imageId),
});

// Add an image to the search (sign "plus") or subtract it (sign "minus").
export function addImage(state, sign, imageId) {
  const others = removeImage(state, imageId);
  return { ...others, [sign]: [...others[sign], imageId], view: null, image: null, annotate: false };
}
