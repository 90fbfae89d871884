// Entry point of the page: render the state that the URL describes, and update the URL after user actions.

import { AnnotationMode } from "./annotate.js";
import { request } from "./api.js";
import { byId, h, isTextInput, thumbnailUrl } from "./dom.js";
import { FilterForm } from "./filters.js";
import { Grid } from "./grid.js";
import { ResultPages } from "./result_pages.js";
import { addImage, isEmpty, parseUrl, removeImage, searchKey, searchSimilar, toUrl } from "./search_state.js";
import { initTheme } from "./theme.js";
import { Viewer } from "./viewer.js";

const TYPING_DELAY_MS = 300;
const BUSY_DELAY_MS = 200;
const PREFETCH_MARGIN = "1200px";
const EXAMPLES = ["two dogs in the snow", "a child on a swing", "people at the sea - boat", "dog + water"];

let state = parseUrl();
let shownSearch = null; // key of the search whose results are in the grid
let loadingSearch = null; // key of the search whose next page is loading
let health = null; // response of GET /health
let typingTimer = 0;
let focusResults = false; // whether to focus the first result after loading
const scrollPositions = new Map(); // search key -> vertical scroll position

const resultPages = new ResultPages();
const annotationMode = new AnnotationMode();
const grid = new Grid(byId("grid"), {
  onAction: handleAction,
  getLink: (match) => toUrl({ ...state, image: match.image_id }),
});
const viewer = new Viewer({ onAction: handleAction, onStep: showNeighbour });
const filterForm = new FilterForm((filters, showDuplicates) => navigate({ ...state, filters, showDuplicates }));

function navigate(nextState, { replace = false } = {}) {
  if (toUrl(nextState) === toUrl(state)) return;
  scrollPositions.set(searchKey(state), scrollY);
  history[replace ? "replaceState" : "pushState"](null, "", toUrl(nextState));
  state = nextState;
  render();
}

function handleAction(action, match) {
  if (action === "open") navigate({ ...state, image: match.image_id }, { replace: state.image !== null });
  else if (action === "similar") navigate(searchSimilar(state, match.image_id));
  else if (action === "close") navigate({ ...state, image: null });
  else navigate(addImage(state, action, match.image_id));
}

// Show the next (step 1) or previous (step -1) image of the grid in the viewer.
function showNeighbour(step) {
  const match = grid.matches[grid.indexOf(state.image) + step];
  if (match) handleAction("open", match);
}

function render() {
  if (document.activeElement !== byId("q")) byId("q").value = state.q;
  document.title = [pageTitle(), "kadr"].filter(Boolean).join(" · ");
  byId("open-annotation").href = toUrl({ ...state, image: null, annotate: true });
  byId("open-annotation").toggleAttribute("aria-current", state.annotate);
  byId("start").hidden = state.annotate || !isEmpty(state);
  byId("grid").hidden = byId("status").hidden = byId("end").hidden = state.annotate;
  filterForm.show(state);
  renderChips();
  if (state.annotate) {
    viewer.hide();
    if (health) annotationMode.show(state.q.trim(), health.annotation_error);
    return;
  }
  annotationMode.hide();
  if (shownSearch !== searchKey(state)) showSearch();
  renderViewer();
}

function pageTitle() {
  if (state.annotate) return "Annotate";
  return state.q.trim() || (isEmpty(state) ? "" : "Similar photos");
}

async function showSearch() {
  shownSearch = searchKey(state);
  grid.clear();
  byId("status").textContent = "";
  if (isEmpty(state)) return;
  const cached = resultPages.getCached(state);
  if (cached) {
    grid.add(cached.matches);
    showCount(cached.more);
    focusFirstResult();
    scrollTo(0, scrollPositions.get(shownSearch) ?? 0);
    return;
  }
  scrollTo(0, 0);
  await loadNextPage();
}

async function loadNextPage() {
  const search = shownSearch;
  if (loadingSearch === search) return;
  loadingSearch = search;
  byId("main").setAttribute("aria-busy", true);
  const busyTimer = setTimeout(() => grid.matches.length || (byId("status").textContent = "Searching…"), BUSY_DELAY_MS);
  try {
    const [matches, more] = await resultPages.fetchNext(state);
    if (search !== shownSearch) return;
    grid.add(matches);
    showCount(more);
    focusFirstResult();
    renderViewer();
  } catch (error) {
    if (error.name !== "AbortError" && search === shownSearch) showError(error);
  } finally {
    clearTimeout(busyTimer);
    if (loadingSearch === search) loadingSearch = null;
    if (search === shownSearch) byId("main").removeAttribute("aria-busy");
  }
}

function focusFirstResult() {
  if (!focusResults || !grid.matches.length) return;
  focusResults = false;
  grid.focus(0);
}

function showCount(more) {
  const count = grid.matches.length;
  byId("end").dataset.more = more ? "1" : "";
  byId("status").textContent = count
    ? `${formatCount(count)}, best first${more ? ". Scroll for more." : ""}`
    : "No photos found. Try other words, or clear the filters.";
  if (more) watchEnd();
}

const formatCount = (count) => `${count.toLocaleString("en")} photo${count === 1 ? "" : "s"}`;

const showError = (error) => byId("status").replaceChildren(h("span", { class: "error" }, error.message));

function renderViewer() {
  if (!state.image) {
    const lastIndex = viewer.match && grid.indexOf(viewer.match.image_id);
    viewer.hide();
    if (lastIndex !== null && lastIndex >= 0) grid.focus(lastIndex);
    return;
  }
  const match = grid.matches[grid.indexOf(state.image)];
  viewer.show(match ?? { image_id: state.image, name: state.image.split("/").pop() });
}

function renderChips() {
  byId("chips").replaceChildren(...["plus", "minus"].flatMap((sign) => state[sign].map((imageId) => createChip(sign, imageId))));
}

function createChip(sign, imageId) {
  const label = `Remove ${sign === "plus" ? "added" : "subtracted"} photo ${imageId}`;
  return h(
    "li",
    { class: `chip ${sign}` },
    h("span", { "aria-hidden": "true" }, sign === "plus" ? "+" : "−"),
    h("img", { src: thumbnailUrl(imageId), alt: "" }),
    h("button", { type: "button", "aria-label": label, onclick: () => navigate(removeImage(state, imageId)) }, "×"),
  );
}

// Load the next page before the user reaches the end of the grid. The last entry describes the current position.
const endObserver = new IntersectionObserver(
  (entries) => entries.at(-1).isIntersecting && byId("end").dataset.more && loadNextPage(),
  { rootMargin: PREFETCH_MARGIN },
);

// Restart the observer to receive an event even if the end of the grid is already visible.
function watchEnd() {
  endObserver.unobserve(byId("end"));
  endObserver.observe(byId("end"));
}

// Search after a short pause in typing. Searches during continuous typing share one browser history entry.
function onType() {
  focusResults = false;
  const replace = typingTimer > 0 && !isEmpty(state);
  clearTimeout(typingTimer);
  typingTimer = setTimeout(() => navigate({ ...state, q: byId("q").value, image: null }, { replace }), TYPING_DELAY_MS);
}

function onSubmit(event) {
  event.preventDefault();
  clearTimeout(typingTimer);
  typingTimer = 0;
  navigate({ ...state, q: byId("q").value, image: null });
  focusResults = true;
  focusFirstResult();
}

function onSearchKey(event) {
  const imageIds = [...state.plus, ...state.minus];
  if (event.key === "Backspace" && !byId("q").value && imageIds.length) navigate(removeImage(state, imageIds.at(-1)));
  else if (event.key === "ArrowDown" && grid.matches.length) grid.focus(0);
  else if (event.key === "Escape") byId("q").blur();
  else return;
  event.preventDefault();
}

function onPageKey(event) {
  if (isTextInput(event) || document.querySelector("dialog[open]")) return;
  const isGridKey = event.key.startsWith("Arrow") && document.activeElement === document.body && !state.annotate;
  if (event.key === "/") byId("q").select();
  else if (event.key === "Escape" && state.annotate) navigate({ ...state, annotate: false });
  else if (isGridKey) grid.focus();
  else return;
  event.preventDefault();
}

function onAnnotationLink(event) {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  navigate({ ...state, image: null, annotate: !state.annotate });
}

function onPopState() {
  scrollPositions.set(searchKey(state), scrollY);
  state = parseUrl();
  byId("q").value = state.q;
  render();
}

async function loadHealth() {
  try {
    health = await request("health");
  } catch (error) {
    showError(error);
    return;
  }
  byId("about").textContent = `${formatCount(health.n_images)}. Combine words with + and −, or start from a photo.`;
  filterForm.addColours(health.colours ?? [], state.filters.colour);
  if (state.annotate) render();
}

byId("q").addEventListener("input", onType);
byId("q").addEventListener("blur", () => (typingTimer = 0));
byId("q").addEventListener("keydown", onSearchKey);
byId("search").addEventListener("submit", onSubmit);
byId("open-annotation").addEventListener("click", onAnnotationLink);
document.addEventListener("keydown", onPageKey);
addEventListener("popstate", onPopState);
history.scrollRestoration = "manual";

initTheme();
const exampleLinks = EXAMPLES.map((text) => h("li", {}, h("a", { href: toUrl({ ...parseUrl(""), q: text }) }, text)));
byId("start").querySelector(".examples").append(...exampleLinks);
render();
loadHealth();
