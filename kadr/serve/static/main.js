// Entry point of the page: render the state that the URL describes, and update the URL after user actions.

import { addUpload, getUpload } from "./uploads.js";
import { announce, byId, h, isTextInput, thumbnailUrl } from "./dom.js";
import { labelFilters } from "./filter_labels.js";
import { FilterPanel } from "./filters.js";
import { Grid } from "./grid.js";
import { initImageInput } from "./image_input.js";
import { ResultPages } from "./result_pages.js";
import { Results } from "./results.js";
import { SavedSearches } from "./saved_searches.js";
import {
  activeFilters,
  addImage,
  browseNear,
  isBrowsing,
  parseUrl,
  removeImage,
  searchSimilar,
  searchUpload,
  sortOrder,
  toUrl,
} from "./search_state.js";
import { ServerState } from "./server_state.js";
import { initTheme } from "./theme.js";

const TYPING_DELAY_MS = 300;
const SCROLL_DELAY_MS = 200;
const NEAR_KM = 10;
const MAX_TERMS = 16;
const EXAMPLES = ["two dogs in the snow", "a child on a swing", "people at the sea - boat", "dog + water"];
const VIEW_TITLES = { duplicates: "Near-duplicates", map: "Map", favourites: "Favourites" };

let state = parseUrl();
let typingTimer = 0;
let scrollTimer = 0;
let focusResults = false; // whether to focus the first result after loading
let overlays = null; // promise of { viewer, favourites }, which are loaded after the first results
let annotationMode = null;
let hasNewVersion = false; // whether the index has changed since the results were loaded
let currentView = null; // view "duplicates" or "map", if it is shown
const views = {}; // name -> view object

const grid = new Grid(byId("grid"), {
  onAction: handleAction,
  getLink: (match) => toUrl({ ...state, image: match.image_id }),
  onEnd: () => results.loadNext(),
  header: document.querySelector(".bar"),
});
const results = new Results(grid, new ResultPages(), {
  onDraw,
  onClearFilters: () => navigate({ ...state, filters: {} }),
  onShowDuplicates: () => navigate({ ...state, showDuplicates: true }),
});
const filterPanel = new FilterPanel((filters, showDuplicates) => {
  navigate({ ...state, filters, showDuplicates, view: currentView ? null : state.view, image: null });
});
const savedSearches = new SavedSearches(navigate);
const serverState = new ServerState(showServerState);

function navigate(nextState, { replace = false } = {}) {
  if (toUrl(nextState) === toUrl(state)) return;
  storePosition();
  const position = replace ? history.state : { opened: Boolean(nextState.image) && !state.image };
  history[replace ? "replaceState" : "pushState"](position, "", toUrl(nextState));
  state = nextState;
  if (byId("notice").querySelector(".error")) showNotice();
  render();
}

// Store the scroll position in the entry of the browser history.
function storePosition() {
  clearTimeout(scrollTimer);
  if (byId("grid").hidden) return;
  history.replaceState({ ...history.state, anchor: grid.getAnchor(), n: grid.matches.length }, "");
}

// Carry out an action of a tile, of the viewer or of a view.
function handleAction(action, match) {
  const actions = {
    open: () => navigate({ ...state, image: match.image_id }, { replace: state.image !== null }),
    close: closeViewer,
    similar: () => navigate(searchSimilar(state, match.image_id)),
    plus: () => navigate(addImage(state, "plus", match.image_id)),
    minus: () => navigate(addImage(state, "minus", match.image_id)),
    near: () => navigate(browseNear(match, NEAR_KM)),
    folder: () => navigate({ ...parseUrl(""), filters: { folder: match.folder } }),
    camera: () => navigate({ ...parseUrl(""), filters: { camera: match.camera } }),
    day: () => navigate({ ...parseUrl(""), filters: dayFilters(match.taken) }),
    box: () => navigate({ ...state, view: null, filters: { ...state.filters, box: Object.values(match).join() } }),
    favourites: () => navigate({ ...parseUrl(""), view: "favourites" }),
    duplicates: () => navigate({ ...parseUrl(""), view: "duplicates", of: match.image_id }),
    "search-by-images": () => navigate({ ...parseUrl(""), plus: match.slice(0, MAX_TERMS).map((image) => image.image_id) }),
  };
  actions[action]?.();
}

function dayFilters(taken) {
  const day = new Date(`${taken.slice(0, 10)}T00:00:00Z`);
  return { after: taken.slice(0, 10), before: new Date(day.getTime() + 86_400_000).toISOString().slice(0, 10) };
}

function closeViewer() {
  if (history.state?.opened) history.back();
  else navigate({ ...state, image: null }, { replace: true });
}

function render(position = null) {
  if (document.activeElement !== byId("q")) byId("q").value = state.q;
  const title = pageTitle();
  document.title = [title, "kadr"].filter(Boolean).join(" · ");
  byId("title").textContent = title || "Photos";
  const isGrid = !state.annotate && !["duplicates", "map"].includes(state.view);
  for (const id of ["grid", "results-bar", "end"]) byId(id).hidden = !isGrid;
  byId("save-search").hidden = !hasSearch();
  renderMenu();
  renderChips();
  renderFilterChips(isGrid);
  renderSort();
  filterPanel.show(state);
  renderOverlays(isGrid);
  if (isGrid) results.show(state, position ?? {});
}

function pageTitle() {
  if (state.annotate) return "Annotate";
  if (state.view) return VIEW_TITLES[state.view];
  return state.q.trim() || (isBrowsing(state) ? "" : "Similar photos");
}

const hasSearch = () => !isBrowsing(state) || Object.keys(state.filters).length > 0;

function renderMenu() {
  const current = state.annotate ? "annotate" : (state.view ?? "");
  for (const link of document.querySelectorAll("#menu [data-view]")) {
    if (link.dataset.view === current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  byId("open-annotation").href = toUrl({ ...state, view: null, image: null, annotate: true });
}

function renderChips() {
  byId("chips").replaceChildren(
    ...state.uploads.map(createUploadChip),
    ...["plus", "minus"].flatMap((sign) => state[sign].map((imageId) => createChip(sign, imageId))),
  );
  byId("chips").hidden = isBrowsing(state) || Boolean(!state.uploads.length && !state.plus.length && !state.minus.length);
}

function createChip(sign, imageId) {
  const label = `Remove ${sign === "plus" ? "added" : "subtracted"} photo ${imageId}`;
  const image = h("img", { src: thumbnailUrl({ image_id: imageId }), alt: "", width: 34, height: 26 });
  return h(
    "li",
    { class: `chip ${sign}` },
    h("span", { "aria-hidden": "true" }, sign === "plus" ? "+" : "−"),
    image,
    h("button", { type: "button", "aria-label": label, onclick: () => navigate(removeImage(state, imageId)) }, "×"),
  );
}

function createUploadChip(id) {
  const upload = getUpload(id);
  const name = upload?.name ?? "image";
  const image = upload && h("img", { src: upload.preview, alt: name, width: 34, height: 26 });
  image?.addEventListener("error", () => image.replaceWith(h("small", {}, name))); // a format that the browser cannot display
  const remove = () => navigate({ ...state, uploads: state.uploads.filter((other) => other !== id) });
  return h("li", { class: "chip" }, image, h("button", { type: "button", "aria-label": `Remove ${name}`, onclick: remove }, "×"));
}

function renderFilterChips(isGrid) {
  const remove = (names) => Object.fromEntries(Object.entries(state.filters).filter(([name]) => !names.includes(name)));
  const chips = labelFilters(state.filters).map(({ names, text }) =>
    createFilterChip(text, () => navigate({ ...state, filters: remove(names), image: null })),
  );
  if (state.showDuplicates) chips.push(createFilterChip("With near-duplicates", () => navigate({ ...state, showDuplicates: false })));
  byId("active-filters").hidden = !isGrid || !chips.length;
  byId("active-filters").replaceChildren(...chips);
}

const createFilterChip = (text, onclick) =>
  h("li", {}, h("button", { type: "button", class: "choice", "aria-label": `Remove filter ${text}`, onclick }, text, h("span", { "aria-hidden": "true" }, " ×")));

function renderSort() {
  const browsing = isBrowsing(state);
  for (const option of byId("sort").options) {
    const needsQuery = ["relevance", "cosine"].includes(option.value);
    option.hidden = option.disabled = (needsQuery && browsing) || (option.value === "cosine" && !serverState.health?.relevance);
  }
  byId("sort").value = sortOrder(state);
}

// Show the viewer, a view or the annotation mode, if the state has one.
async function renderOverlays(isGrid) {
  const rendered = state;
  try {
    if (state.image || overlays) {
      const { viewer, favourites } = await loadOverlays();
      if (rendered !== state) return;
      renderViewer(viewer);
      renderFavouritesHeader(favourites);
    }
    await renderView(isGrid ? null : state.view);
    if (rendered === state) await renderAnnotation();
  } catch (error) {
    byId("view").hidden = false;
    byId("view").replaceChildren(h("p", { class: "error", role: "alert" }, `The page cannot load this view. Check that kadr serve is running, and reload the page. (${error.message})`));
  }
}

function loadOverlays() {
  overlays ??= Promise.all([import("./viewer.js"), import("./favourites.js"), import("./selection.js")]).then(createOverlays);
  overlays.catch(() => (overlays = null));
  return overlays;
}

function createOverlays([{ Viewer }, { Favourites }, { Selection, decorateTile }]) {
  const favourites = new Favourites();
  const viewer = new Viewer({ onAction: handleAction, getNeighbour, favourites });
  new Selection(grid, { onAction: handleAction, favourites });
  grid.setDecorator(decorateTile);
  favourites.load();
  return { viewer, favourites };
}

const getNeighbour = (imageId, step, options) => (currentView ?? results).getNeighbour(imageId, step, options);

function renderViewer(viewer) {
  if (state.image) {
    const match = grid.matches[grid.indexOf(state.image)];
    viewer.show(match ?? { image_id: state.image, name: state.image.split("/").pop() });
    return;
  }
  const lastIndex = viewer.match ? grid.indexOf(viewer.match.image_id) : -1;
  viewer.hide();
  if (lastIndex >= 0 && !byId("grid").hidden) grid.focus(lastIndex);
}

function renderFavouritesHeader(favourites) {
  byId("view-header").hidden = state.view !== "favourites";
  if (state.view === "favourites") byId("view-header").replaceChildren(favourites.header());
}

async function renderView(name) {
  if (name && !views[name]) {
    if (name === "map") views.map = new (await import("./map.js")).MapView(byId("view"), { onAction: handleAction, getFilters: () => activeFilters(state) });
    else views.duplicates = new (await import("./duplicates.js")).DuplicatesView(byId("view"), { onAction: handleAction });
  }
  const view = name ? views[name] : null;
  if (currentView !== view) currentView?.hide();
  currentView = view;
  byId("view").hidden = !view;
  view?.show(state);
}

async function renderAnnotation() {
  if (!state.annotate) {
    annotationMode?.hide();
    return;
  }
  if (!serverState.health) return; // `showServerState` renders again
  annotationMode ??= new (await import("./annotate.js")).AnnotationMode();
  if (state.annotate) annotationMode.show(state.q.trim(), serverState.health.annotation_error);
}

// Called after new matches are in the grid.
async function onDraw() {
  if (focusResults && grid.matches.length) {
    focusResults = false;
    grid.focus(0);
  }
  const loaded = await loadOverlays().catch(() => null); // without a server, the next action loads the modules again
  if (!loaded) return;
  renderFavouritesHeader(loaded.favourites);
  if (state.image) renderViewer(loaded.viewer);
}

// Show what GET /health says.
function showServerState(health, isNewVersion) {
  filterPanel.setAbilities({ hasRelevance: health.relevance });
  renderSort();
  hasNewVersion ||= isNewVersion;
  showNotice();
  if (hasNewVersion && !grid.matches.length) refreshResults();
  if (state.annotate && !annotationMode) renderOverlays(false);
}

// Show an error of the user's last action, the progress of indexing, or that the index has changed.
function showNotice(error = null) {
  const progress = serverState.describeIndexing() ?? (hasNewVersion ? "The collection has changed." : null);
  const text = error ?? progress;
  const isNew = byId("notice").hidden || error;
  byId("notice").hidden = !text;
  const button = !error && hasNewVersion ? h("button", { type: "button", class: "link", onclick: refreshResults }, "Show the changes") : null;
  byId("notice").replaceChildren(h("span", { class: error ? "error" : "" }, text ?? ""), ...(button ? [button] : []));
  if (text && isNew) announce(text);
}

async function refreshResults() {
  try {
    await results.refresh();
    hasNewVersion = false;
    filterPanel.reset();
    showNotice();
    announce("The photos are up to date.");
  } catch (error) {
    if (error.name !== "AbortError") showNotice(error.message);
  }
}

// Search after a short pause in typing. Searches during continuous typing share one browser history entry.
function onType() {
  focusResults = false;
  const replace = typingTimer > 0 && !isBrowsing(state);
  clearTimeout(typingTimer);
  typingTimer = setTimeout(() => searchText({ replace }), TYPING_DELAY_MS);
}

function searchText(options) {
  const isView = state.view !== null;
  navigate({ ...state, q: byId("q").value, view: isView && !byId("q").value.trim() ? state.view : null, image: null }, options);
}

function onSubmit(event) {
  event.preventDefault();
  clearTimeout(typingTimer);
  typingTimer = 0;
  searchText();
  if (results.tryAgain()) return;
  focusResults = true;
  if (results.results) onDraw();
}

function onSearchKey(event) {
  const imageIds = [...state.plus, ...state.minus];
  if (event.key === "Backspace" && !byId("q").value && state.uploads.length + imageIds.length) {
    if (imageIds.length) navigate(removeImage(state, imageIds.at(-1)));
    else navigate({ ...state, uploads: state.uploads.slice(0, -1) });
  } else if (event.key === "ArrowDown" && grid.matches.length) grid.focus();
  else if (event.key === "Escape") byId("q").blur();
  else return;
  event.preventDefault();
}

function onPageKey(event) {
  if (isTextInput(event) || document.querySelector("dialog:modal, :popover-open")) return;
  const isGridKey = event.key.startsWith("Arrow") && document.activeElement === document.body && !byId("grid").hidden;
  if (event.key === "/") byId("q").select();
  else if (event.key === "?") byId("help").showModal();
  else if (event.key === "Escape" && state.annotate) navigate({ ...state, annotate: false });
  else if (isGridKey && grid.matches.length) grid.focus();
  else return;
  event.preventDefault();
}

// Follow a link of the page without loading the page again.
function onLink(event) {
  const link = event.target.closest("a.brand, #menu a, .examples a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  byId("menu").hidePopover();
  byId("help").close();
  navigate(parseUrl(new URL(link.href).search));
}

async function searchByFile(file) {
  try {
    const id = await addUpload(file);
    byId("q").value = "";
    focusResults = true;
    navigate(searchUpload(state, id));
  } catch (error) {
    showNotice(error.message);
  }
}

function onPopState(event) {
  state = parseUrl();
  byId("q").value = state.q;
  render(event.state);
}

byId("q").addEventListener("input", onType);
byId("q").addEventListener("blur", () => (typingTimer = 0));
byId("q").addEventListener("keydown", onSearchKey);
byId("search").addEventListener("submit", onSubmit);
byId("sort").addEventListener("change", () => navigate({ ...state, sort: byId("sort").value, image: null }));
byId("save-search").addEventListener("click", () => savedSearches.open(state));
byId("open-saved").addEventListener("click", () => savedSearches.open(state));
byId("open-help").addEventListener("click", () => byId("help").showModal());
byId("close-help").addEventListener("click", () => byId("help").close());
for (const id of ["open-saved", "open-help"]) byId(id).addEventListener("click", () => byId("menu").hidePopover());
document.addEventListener("click", onLink);
document.addEventListener("keydown", onPageKey);
addEventListener("popstate", onPopState);
addEventListener("scroll", () => {
  clearTimeout(scrollTimer);
  scrollTimer = setTimeout(storePosition, SCROLL_DELAY_MS);
}, { passive: true });
history.scrollRestoration = "manual";

initTheme();
initImageInput({ onFile: searchByFile, onError: showNotice });
byId("help").querySelector(".examples").append(...EXAMPLES.map((text) => h("li", {}, h("a", { href: toUrl({ ...parseUrl(""), q: text }) }, text))));
render(history.state);
serverState.check();
