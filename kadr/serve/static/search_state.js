// The page state, and functions that convert the state to and from a URL.
//
// A state is an object { q, plus: [imageId], minus: [imageId], filters: { name: text }, showDuplicates, image, annotate }.
// q: search expression. plus, minus: IDs of added and subtracted images. image: ID of the image in the viewer, or null.
// annotate: whether the page is in annotation mode.

const FILTER_NAMES = ["folder", "after", "before", "min_side", "min_relevance", "colour"];
const NUMERIC_FILTERS = new Set(["min_side", "min_relevance"]);

export function parseUrl(query = location.search) {
  const params = new URLSearchParams(query);
  const filters = Object.fromEntries(FILTER_NAMES.filter((name) => params.get(name)).map((name) => [name, params.get(name)]));
  return {
    q: params.get("q") ?? "",
    plus: params.getAll("plus"),
    minus: params.getAll("minus"),
    filters,
    showDuplicates: params.has("duplicates"),
    image: params.get("image"),
    annotate: params.has("annotate"),
  };
}

export function toUrl(state) {
  const params = new URLSearchParams();
  if (state.annotate) params.set("annotate", "1");
  if (state.q.trim()) params.set("q", state.q.trim());
  for (const sign of ["plus", "minus"]) for (const imageId of state[sign]) params.append(sign, imageId);
  for (const [name, value] of Object.entries(state.filters)) if (value) params.set(name, value);
  if (state.showDuplicates) params.set("duplicates", "1");
  if (state.image) params.set("image", state.image);
  const query = params.toString();
  return query ? `?${query}` : "./";
}

export const isEmpty = (state) => !state.q.trim() && !state.plus.length && !state.minus.length;

// Return a key that is identical for all states with the same search results.
export const searchKey = (state) => toUrl({ ...state, image: null, annotate: false });

// Build the JSON body of a POST /search request.
export function buildRequest(state, k, offset) {
  const terms = [
    ...state.plus.map((imageId) => ({ image_id: imageId, weight: 1 })),
    ...state.minus.map((imageId) => ({ image_id: imageId, weight: -1 })),
  ];
  const filters = Object.fromEntries(
    Object.entries(state.filters).map(([name, value]) => [name, NUMERIC_FILTERS.has(name) ? Number(value) : value]),
  );
  return { text: state.q.trim(), terms, filters, fold_duplicates: !state.showDuplicates, k, offset };
}

export const searchSimilar = (state, imageId) => ({
  ...state,
  q: "",
  plus: [imageId],
  minus: [],
  image: null,
  annotate: false,
});

export const removeImage = (state, imageId) => ({
  ...state,
  plus: state.plus.filter((other) => other !== imageId),
  minus: state.minus.filter((other) => other !== imageId),
});

// Add an image to the search (sign "plus") or subtract it (sign "minus").
export function addImage(state, sign, imageId) {
  const others = removeImage(state, imageId);
  return { ...others, [sign]: [...others[sign], imageId], image: null, annotate: false };
}
