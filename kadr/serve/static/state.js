// The page's whole state is its address: what is searched for, the filters, the open photo, the judging mode.

const FILTERS = ["folder", "after", "before", "min_side", "min_relevance", "colour"];
const NUMBERS = new Set(["min_side", "min_relevance"]);

// {q, plus: [id], minus: [id], filters: {name: text}, allCopies, photo, judge}
export function read(search = location.search) {
  const given = new URLSearchParams(search);
  const filters = Object.fromEntries(FILTERS.filter((name) => given.get(name)).map((name) => [name, given.get(name)]));
  return {
    q: given.get("q") ?? "",
    plus: given.getAll("plus"),
    minus: given.getAll("minus"),
    filters,
    allCopies: given.has("all_copies"),
    photo: given.get("photo"),
    judge: given.has("judge"),
  };
}

export function address(state) {
  const pairs = new URLSearchParams();
  if (state.judge) pairs.set("judge", "1");
  if (state.q.trim()) pairs.set("q", state.q.trim());
  for (const sign of ["plus", "minus"]) for (const id of state[sign]) pairs.append(sign, id);
  for (const [name, value] of Object.entries(state.filters)) if (value) pairs.set(name, value);
  if (state.allCopies) pairs.set("all_copies", "1");
  if (state.photo) pairs.set("photo", state.photo);
  const text = pairs.toString();
  return text ? `?${text}` : "./";
}

export const isEmpty = (state) => !state.q.trim() && !state.plus.length && !state.minus.length;

// What two states have in common where they show the same photos.
export const searchOf = (state) => address({ ...state, photo: null, judge: false });

export function request(state, k, offset) {
  const terms = [
    ...state.plus.map((id) => ({ image_id: id, weight: 1 })),
    ...state.minus.map((id) => ({ image_id: id, weight: -1 })),
  ];
  const filters = Object.fromEntries(
    Object.entries(state.filters).map(([name, value]) => [name, NUMBERS.has(name) ? Number(value) : value]),
  );
  return { text: state.q.trim(), terms, filters, fold_duplicates: !state.allCopies, k, offset };
}

export const similarTo = (state, id) => ({ ...state, q: "", plus: [id], minus: [], photo: null, judge: false });

// The state with a photo added to (plus) or subtracted from (minus) the search.
export function withPhoto(state, sign, id) {
  const others = { plus: state.plus.filter((other) => other !== id), minus: state.minus.filter((other) => other !== id) };
  return { ...state, ...others, [sign]: [...others[sign], id], photo: null, judge: false };
}

export const withoutPhoto = (state, id) => ({
  ...state,
  plus: state.plus.filter((other) => other !== id),
  minus: state.minus.filter((other) => other !== id),
});
