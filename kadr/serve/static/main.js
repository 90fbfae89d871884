// The page: shows what its address says, and changes the address by what people do.

import { ask } from "./api.js";
import { at, h, isWriting, thumbnail } from "./dom.js";
import { Filters } from "./filters.js";
import { Grid } from "./grid.js";
import { Judge } from "./judge.js";
import { Results } from "./results.js";
import { address, isEmpty, read, searchOf, similarTo, withoutPhoto, withPhoto } from "./state.js";
import { startTheme } from "./theme.js";
import { Viewer } from "./viewer.js";

const TYPED_MS = 300;
const EXAMPLES = ["two dogs in the snow", "a child on a swing", "people at the sea - boat", "dog + water"];

let state = read();
let shown = null; // address of the search whose photos the grid holds
let health = null;
let typing = 0;
let loading = null; // address of the search whose next page is under way
let wanted = false; // whether the first photo is to have the focus once it is there
const scrolled = new Map(); // address of a search -> where its page was scrolled to

const results = new Results();
const judge = new Judge();
const grid = new Grid(at("grid"), { act, link: (match) => address({ ...state, photo: match.image_id }) });
const viewer = new Viewer({ act, step });
const filters = new Filters((chosen, allCopies) => go({ ...state, filters: chosen, allCopies }));

function go(next, { replace = false } = {}) {
  if (address(next) === address(state)) return;
  scrolled.set(searchOf(state), scrollY);
  history[replace ? "replaceState" : "pushState"](null, "", address(next));
  state = next;
  show();
}

function act(name, match) {
  if (name === "open") go({ ...state, photo: match.image_id }, { replace: state.photo !== null });
  else if (name === "similar") go(similarTo(state, match.image_id));
  else if (name === "close") go({ ...state, photo: null });
  else go(withPhoto(state, name, match.image_id));
}

// The viewer's neighbour in the grid.
function step(by) {
  const match = grid.matches[grid.indexOf(state.photo) + by];
  if (match) act("open", match);
}

function show() {
  if (document.activeElement !== at("q")) at("q").value = state.q;
  document.title = [state.judge ? "Judge" : state.q.trim() || (isEmpty(state) ? "" : "Similar photos"), "kadr"].filter(Boolean).join(" · ");
  at("open-judge").href = address({ ...state, photo: null, judge: true });
  at("open-judge").toggleAttribute("aria-current", state.judge);
  at("start").hidden = state.judge || !isEmpty(state);
  at("grid").hidden = at("status").hidden = at("end").hidden = state.judge;
  filters.show(state);
  showChips();
  if (state.judge) {
    viewer.hide();
    if (health) judge.show(state.q.trim(), health.judging);
    return;
  }
  judge.hide();
  if (shown !== searchOf(state)) showSearch();
  showPhoto();
}

async function showSearch() {
  shown = searchOf(state);
  grid.clear();
  at("status").textContent = "";
  if (isEmpty(state)) return;
  const kept = results.of(state);
  if (kept) {
    grid.add(kept.matches);
    say(kept.more);
    focusFirst();
    scrollTo(0, scrolled.get(shown) ?? 0);
    return;
  }
  scrollTo(0, 0);
  await more();
}

// One more page of the search that is shown.
async function more() {
  const name = shown;
  if (loading === name) return;
  loading = name;
  at("main").setAttribute("aria-busy", true);
  const late = setTimeout(() => grid.matches.length || (at("status").textContent = "Searching…"), 200);
  try {
    const [matches, others] = await results.next(state);
    if (name !== shown) return;
    grid.add(matches);
    say(others);
    focusFirst();
    showPhoto();
  } catch (error) {
    if (error.name !== "AbortError" && name === shown) at("status").replaceChildren(h("span", { class: "wrong" }, error.message));
  } finally {
    clearTimeout(late);
    if (loading === name) loading = null;
    if (name === shown) at("main").removeAttribute("aria-busy");
  }
}

function focusFirst() {
  if (!wanted || !grid.matches.length) return;
  wanted = false;
  grid.focus(0);
}

function say(others) {
  const n = grid.matches.length;
  at("end").dataset.more = others ? "1" : "";
  at("status").textContent = n
    ? `${n.toLocaleString("en")} photos, the best first${others ? "; more as you scroll" : ""}`
    : "No photo passes. Ask otherwise, or clear a filter.";
  if (others) watchEnd();
}

function showPhoto() {
  if (!state.photo) {
    const last = viewer.match && grid.indexOf(viewer.match.image_id);
    viewer.hide();
    if (last !== null && last >= 0) grid.focus(last);
    return;
  }
  const known = grid.matches[grid.indexOf(state.photo)];
  viewer.show(known ?? { image_id: state.photo, name: state.photo.split("/").pop() });
}

function showChips() {
  const chip = (sign, id) =>
    h(
      "li",
      { class: `chip ${sign}` },
      h("span", { "aria-hidden": "true" }, sign === "plus" ? "+" : "−"),
      h("img", { src: thumbnail(id), alt: "" }),
      h(
        "button",
        { type: "button", "aria-label": `Remove ${sign === "plus" ? "added" : "subtracted"} photo ${id}`, onclick: () => go(withoutPhoto(state, id)) },
        "×",
      ),
    );
  at("chips").replaceChildren(...["plus", "minus"].flatMap((sign) => state[sign].map((id) => chip(sign, id))));
}

// The next page is asked for when the end of this one comes near.
const endInSight = new IntersectionObserver(([entry]) => entry.isIntersecting && at("end").dataset.more && more(), { rootMargin: "1200px" });
function watchEnd() {
  endInSight.unobserve(at("end"));
  endInSight.observe(at("end"));
}

function onTyped() {
  wanted = false;
  const replace = typing > 0; // one burst of typing is one step back
  clearTimeout(typing);
  typing = setTimeout(() => go({ ...state, q: at("q").value, photo: null }, { replace: replace && !isEmpty(state) }), TYPED_MS);
}

at("q").addEventListener("input", onTyped);
at("q").addEventListener("blur", () => (typing = 0));
at("search").addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(typing);
  typing = 0;
  go({ ...state, q: at("q").value, photo: null });
  wanted = true;
  focusFirst();
});
at("q").addEventListener("keydown", (event) => {
  const chips = [...state.plus, ...state.minus];
  if (event.key === "Backspace" && !at("q").value && chips.length) go(withoutPhoto(state, chips.at(-1)));
  else if (event.key === "ArrowDown" && grid.matches.length) grid.focus(0);
  else if (event.key === "Escape") at("q").blur();
  else return;
  event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if (isWriting(event) || document.querySelector("dialog[open]")) return;
  if (event.key === "/") at("q").select();
  else if (event.key === "Escape" && state.judge) go({ ...state, judge: false });
  else if (event.key.startsWith("Arrow") && document.activeElement === document.body && !state.judge) grid.focus();
  else return;
  event.preventDefault();
});
at("open-judge").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go({ ...state, photo: null, judge: !state.judge });
});
addEventListener("popstate", () => {
  scrolled.set(searchOf(state), scrollY);
  state = read();
  at("q").value = state.q;
  show();
});
history.scrollRestoration = "manual";

startTheme();
at("start").querySelector(".examples").append(
  ...EXAMPLES.map((text) => h("li", {}, h("a", { href: address({ ...read(""), q: text }) }, text))),
);
show();
ask("health")
  .then((found) => {
    health = found;
    at("about").textContent = `${found.n_photos.toLocaleString("en")} photos. Join words with + and −, or start from a photo.`;
    filters.offerColours(found.colours ?? [], state.filters.colour);
    if (state.judge) show();
  })
  .catch((error) => (at("status").textContent = error.message));
