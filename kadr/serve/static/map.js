// The map: the places of the images on a coarse outline of the land. It needs no tiles and no other server.

import { postJson } from "./api.js";
import { announce, formatCount, formatNumber, h, thumbnailUrl } from "./dom.js";
import { formatPlace } from "./formats.js";
import { LAND } from "./land_outline.js";
import { Retry } from "./retry.js";

const SVG = "http://www.w3.org/2000/svg";
const MAX_SCALE = 40_000; // pixels per degree: 1 pixel is about 3 m
const CLUSTER_PX = 52; // images that are closer than this share one marker
const LOAD_DELAY_MS = 250;
const GRID_STEPS = [90, 60, 30, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001]; // degrees
const MIN_GRID_PX = 90;
const PAN_PX = 120; // pixels per key press

export class MapView {
  // onAction(action, match): "open" opens an image, "box" shows the images in { south, west, north, east }.
  // getFilters(): filters of the page, in the form of POST /facets.
  constructor(root, { onAction, getFilters }) {
    Object.assign(this, { root, onAction, getFilters, places: [], pointers: new Map(), loadedBox: null, timer: 0, key: null });
    this.view = { longitude: 0, latitude: 20, scale: 0 }; // the centre, and pixels per degree
    this.retry = new Retry(() => this.#load(this.hasView));
    this.resizeObserver = new ResizeObserver(() => this.#draw());
  }

  show() {
    const key = JSON.stringify(this.getFilters() ?? {});
    if (this.element?.isConnected && key === this.key) return;
    this.element ??= this.#build();
    this.root.replaceChildren(this.element);
    this.resizeObserver.observe(this.stage);
    this.#closeCard();
    if (key !== this.key) Object.assign(this, { key, hasView: false, places: [] });
    this.#load(this.hasView);
  }

  hide() {
    clearTimeout(this.timer);
    this.retry.succeed();
    this.resizeObserver.disconnect();
    this.controller?.abort();
    this.root.replaceChildren();
  }

  getNeighbour() {
    return Promise.resolve(null);
  }

  #build() {
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("aria-hidden", "true");
    this.land = document.createElementNS(SVG, "path");
    this.land.setAttribute("class", "land");
    this.land.setAttribute("d", LAND);
    this.graticule = document.createElementNS(SVG, "path");
    this.graticule.setAttribute("class", "graticule");
    this.svg.append(this.graticule, this.land);
    this.labels = h("div", { class: "map-labels", "aria-hidden": "true" });
    this.markers = h("ul", { class: "markers", "aria-label": "Places" });
    const button = (text, label, onclick) => h("button", { type: "button", class: "icon", "aria-label": label, title: label, onclick }, text);
    const controls = h(
      "div",
      { class: "map-controls" },
      button("+", "Zoom in (+)", () => this.#zoomBy(2)),
      button("−", "Zoom out (-)", () => this.#zoomBy(0.5)),
      button("⤢", "Show all places (0)", () => this.#fit()),
    );
    this.card = h("div", { class: "map-card", role: "dialog", "aria-label": "Place", hidden: true });
    this.stage = h(
      "div",
      { class: "map-stage", tabindex: 0, role: "application", "aria-label": "Map. Arrow keys move it, plus and minus zoom." },
      this.svg,
      this.labels,
      this.markers,
    );
    this.status = h("p", { class: "status", role: "status" });
    this.showArea = h("button", { type: "button", class: "button", hidden: true, onclick: () => this.onAction("box", this.#box()) }, "Show the photos in this area");
    const attribution = h("p", { class: "attribution" }, "Land: Natural Earth");
    this.#listen();
    return h("div", { class: "map" }, h("div", { class: "map-head" }, this.status, this.showArea), h("div", { class: "map-frame" }, this.stage, controls, attribution, this.card));
  }

  #listen() {
    const { stage } = this;
    stage.addEventListener("wheel", (event) => this.#onWheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.#onPointerDown(event));
    stage.addEventListener("pointermove", (event) => this.#onPointerMove(event));
    for (const type of ["pointerup", "pointercancel"]) stage.addEventListener(type, (event) => this.pointers.delete(event.pointerId));
    stage.addEventListener("dblclick", (event) => event.target.closest("button") || this.#zoomBy(2, event));
    stage.addEventListener("keydown", (event) => this.#onKey(event));
  }

  async #load(keepsView) {
    clearTimeout(this.timer);
    this.controller?.abort();
    this.controller = new AbortController();
    const filters = { ...this.getFilters() };
    const isWhole = !keepsView || this.#isWholeWorld();
    if (!isWhole) filters.box = this.#box(0.3);
    try {
      if (!keepsView) this.status.textContent = "Loading places…";
      const { places, n_with_place: nWithPlace } = await postJson("facets", { filters }, { signal: this.controller.signal });
      this.retry.succeed();
      this.places = places;
      if (!keepsView) {
        this.hasView = true;
        this.allPlaces = places;
        this.#fit();
        this.showArea.hidden = !places.length;
        this.status.textContent = places.length
          ? `${formatCount(nWithPlace)} with a known place`
          : "No photo has a known place. Places come from the GPS data of the files.";
      } else this.#draw();
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error.retryable) this.retry.fail();
      const again = h("button", { type: "button", class: "link", onclick: () => this.retry.now() }, "Try again");
      this.status.replaceChildren(h("span", { class: "error" }, error.message), " ", again);
    }
  }

  // Load the places of the visible area in a finer grid, after the user has stopped moving the map.
  #loadSoon() {
    clearTimeout(this.timer);
    if (this.places.length) this.timer = setTimeout(() => this.#load(true), LOAD_DELAY_MS);
  }

  get #size() {
    return { width: this.stage.clientWidth || 1, height: this.stage.clientHeight || 1 };
  }

  get #minScale() {
    const { width, height } = this.#size;
    return Math.min(width / 360, height / 180);
  }

  // Return the visible area. margin: how much larger the area is, as a fraction of the window.
  #box(margin = 0) {
    const { width, height } = this.#size;
    const { longitude, latitude, scale } = this.view;
    const dx = (width / 2 / scale) * (1 + margin);
    const dy = (height / 2 / scale) * (1 + margin);
    const round = (value, bound) => Math.min(Math.max(Number(value.toFixed(5)), -bound), bound);
    return { south: round(latitude - dy, 90), west: round(longitude - dx, 180), north: round(latitude + dy, 90), east: round(longitude + dx, 180) };
  }

  #isWholeWorld() {
    const { west, east } = this.#box();
    return east - west >= 359;
  }

  // Move the map so that all places are visible.
  #fit() {
    this.#closeCard();
    const places = this.allPlaces ?? [];
    if (!places.length) return this.#setView({ longitude: 0, latitude: 10, scale: this.#minScale });
    const longitudes = places.map((place) => place.longitude);
    const latitudes = places.map((place) => place.latitude);
    const [west, east, south, north] = [min(longitudes), max(longitudes), min(latitudes), max(latitudes)];
    const { width, height } = this.#size;
    const scale = Math.min((width - 120) / Math.max(east - west, 0.02), (height - 120) / Math.max(north - south, 0.02));
    this.#setView({ longitude: (west + east) / 2, latitude: (south + north) / 2, scale });
  }

  #setView({ longitude, latitude, scale }) {
    const { width, height } = this.#size;
    const bounded = Math.min(Math.max(scale, this.#minScale), MAX_SCALE);
    const limit = (value, bound, length) => {
      const range = Math.max(0, bound - length / 2 / bounded); // 0 if the window shows more than the world
      return Math.min(Math.max(value, -range), range);
    };
    this.view = { longitude: limit(longitude, 180, width), latitude: limit(latitude, 90, height), scale: bounded };
    this.#draw();
    this.#loadSoon();
  }

  // Zoom so that the place under the pointer, or the centre, stays where it is.
  #zoomBy(factor, point = null) {
    const { width, height } = this.#size;
    const { left, top } = this.stage.getBoundingClientRect();
    const x = point ? point.clientX - left - width / 2 : 0;
    const y = point ? point.clientY - top - height / 2 : 0;
    const { longitude, latitude, scale } = this.view;
    const nextScale = Math.min(Math.max(scale * factor, this.#minScale), MAX_SCALE);
    const change = 1 / scale - 1 / nextScale;
    this.#setView({ longitude: longitude + x * change, latitude: latitude - y * change, scale: nextScale });
  }

  #panBy(x, y) {
    const { longitude, latitude, scale } = this.view;
    this.#setView({ longitude: longitude + x / scale, latitude: latitude - y / scale, scale });
  }

  #onWheel(event) {
    event.preventDefault();
    this.#zoomBy(Math.exp(-event.deltaY * 0.002 * (event.ctrlKey ? 4 : 1)), event);
  }

  #onPointerDown(event) {
    if (event.target.closest("button") || event.button) return;
    this.#closeCard();
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
  }

  #onPointerMove(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const other = [...this.pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
    this.pointers.set(event.pointerId, event);
    if (!other) return this.#panBy(before.clientX - event.clientX, before.clientY - event.clientY);
    const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
    this.#zoomBy(distance(event, other) / Math.max(distance(before, other), 1), middle);
  }

  #onKey(event) {
    const moves = { ArrowLeft: [-PAN_PX, 0], ArrowRight: [PAN_PX, 0], ArrowUp: [0, -PAN_PX], ArrowDown: [0, PAN_PX] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (moves[event.key]) this.#panBy(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.#zoomBy(2);
    else if (event.key === "-") this.#zoomBy(0.5);
    else if (event.key === "0") this.#fit();
    else if (event.key === "Escape" && !this.card.hidden) this.#closeCard({ focus: true });
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #toScreen({ longitude, latitude }) {
    const { width, height } = this.#size;
    const { longitude: centreX, latitude: centreY, scale } = this.view;
    return { x: (longitude - centreX) * scale + width / 2, y: (centreY - latitude) * scale + height / 2 };
  }

  #draw() {
    if (!this.element?.isConnected || !this.view.scale) return;
    const { width, height } = this.#size;
    const { longitude, latitude, scale } = this.view;
    const unit = 10; // units of the outline per degree
    const viewWidth = (width / scale) * unit;
    const viewHeight = (height / scale) * unit;
    this.svg.setAttribute("viewBox", `${longitude * unit - viewWidth / 2} ${-latitude * unit - viewHeight / 2} ${viewWidth} ${viewHeight}`);
    this.#drawGraticule(unit);
    this.#drawMarkers();
  }

  #drawGraticule(unit) {
    const step = GRID_STEPS.findLast((degrees) => degrees * this.view.scale >= MIN_GRID_PX) ?? GRID_STEPS[0];
    const { south, west, north, east } = this.#box(0.1);
    const lines = [];
    const labels = [];
    for (let x = Math.ceil(west / step); x * step <= east; x += 1) {
      lines.push(`M${x * step * unit} ${-north * unit}V${-south * unit}`);
      labels.push(this.#createLabel(x * step, step, "E", "W", { left: this.#toScreen({ longitude: x * step, latitude: 0 }).x, bottom: 4 }));
    }
    for (let y = Math.ceil(south / step); y * step <= north; y += 1) {
      lines.push(`M${west * unit} ${-y * step * unit}H${east * unit}`);
      labels.push(this.#createLabel(y * step, step, "N", "S", { left: 4, top: this.#toScreen({ longitude: 0, latitude: y * step }).y }));
    }
    this.graticule.setAttribute("d", lines.join(""));
    this.labels.replaceChildren(...labels);
  }

  #createLabel(degrees, step, positive, negative, position) {
    const decimals = Math.max(0, Math.ceil(-Math.log10(step)));
    const side = Math.abs(degrees) < step / 2 ? "" : ` ${degrees < 0 ? negative : positive}`;
    const label = h("span", {}, `${Math.abs(degrees).toFixed(decimals)}°${side}`);
    for (const [edge, pixels] of Object.entries(position)) label.style[edge] = `${pixels}px`;
    return label;
  }

  #drawMarkers() {
    const focused = this.markers.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const clusters = this.#cluster();
    this.markers.replaceChildren(...clusters.map((cluster) => this.#createMarker(cluster)));
    if (focused) this.markers.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  // Group the places whose markers would overlap. Large places come first.
  #cluster() {
    const { width, height } = this.#size;
    const cells = new Map();
    const clusters = [];
    for (const place of this.places) {
      const { x, y } = this.#toScreen(place);
      if (x < -CLUSTER_PX || y < -CLUSTER_PX || x > width + CLUSTER_PX || y > height + CLUSTER_PX) continue;
      const [column, row] = [Math.floor(x / CLUSTER_PX), Math.floor(y / CLUSTER_PX)];
      const near = [-1, 0, 1].flatMap((dx) => [-1, 0, 1].flatMap((dy) => cells.get(`${column + dx},${row + dy}`) ?? []));
      const cluster = near.find((other) => Math.hypot(other.x - x, other.y - y) < CLUSTER_PX);
      if (cluster) cluster.places.push(place);
      else {
        const created = { x, y, places: [place] };
        clusters.push(created);
        const key = `${column},${row}`;
        cells.set(key, [...(cells.get(key) ?? []), created]);
      }
    }
    return clusters;
  }

  #createMarker(cluster) {
    const [first] = cluster.places;
    const count = cluster.places.reduce((sum, place) => sum + place.count, 0);
    const label = `${formatCount(count)} near ${formatPlace(first)}`;
    const size = Math.min(28 + 8 * Math.log10(count), 52);
    const button = h("button", { type: "button", class: "marker", "data-key": first.image_id, "aria-label": label }, count > 1 ? compact(count) : "");
    button.addEventListener("click", () => this.#openCard(cluster, count));
    Object.assign(button.style, { left: `${cluster.x}px`, top: `${cluster.y}px`, width: `${size}px`, height: `${size}px` });
    return h("li", {}, button);
  }

  // Show a photo of a place, and the actions on its photos.
  #openCard(cluster, count) {
    const [first] = cluster.places;
    const match = { image_id: first.image_id, name: first.image_id.split("/").pop() };
    const box = this.#boxOf(cluster.places);
    const button = (text, onclick, className = "button") => h("button", { type: "button", class: className, onclick }, text);
    const canZoom = cluster.places.length > 1 && this.view.scale < MAX_SCALE;
    this.opener = first.image_id;
    this.card.replaceChildren(
      h("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => this.#closeCard({ focus: true }) }, "×"),
      h("button", { type: "button", class: "copy-image", "aria-label": `Open ${match.name}`, onclick: () => this.onAction("open", match) }, h("img", { src: thumbnailUrl(match), alt: "" })),
      h("p", {}, h("b", {}, formatCount(count)), h("small", {}, formatPlace(first))),
      button("Show the photos here", () => this.onAction("box", box), "main"),
      ...(canZoom ? [button("Zoom in", () => this.#zoomTo(box))] : []),
    );
    this.card.hidden = false;
    this.card.querySelector(".main").focus();
    announce(`${formatCount(count)} near ${formatPlace(first)}`);
  }

  #closeCard({ focus = false } = {}) {
    if (!this.card || this.card.hidden) return;
    this.card.hidden = true;
    if (focus) (this.markers.querySelector(`[data-key="${CSS.escape(this.opener)}"]`) ?? this.stage).focus();
  }

  // Return the area of places, with a margin: a place is the mean of the images in a cell of a grid.
  #boxOf(places) {
    const margin = Math.max(0.002, (0.3 * CLUSTER_PX) / this.view.scale);
    const round = (value, bound) => Math.min(Math.max(Number(value.toFixed(5)), -bound), bound);
    const longitudes = places.map((place) => place.longitude);
    const latitudes = places.map((place) => place.latitude);
    return {
      south: round(min(latitudes) - margin, 90),
      west: round(min(longitudes) - margin, 180),
      north: round(max(latitudes) + margin, 90),
      east: round(max(longitudes) + margin, 180),
    };
  }

  #zoomTo({ south, west, north, east }) {
    this.#closeCard({ focus: true });
    const { width, height } = this.#size;
    const scale = Math.max(Math.min(width / (east - west), height / (north - south)) * 0.8, this.view.scale * 2);
    this.#setView({ longitude: (west + east) / 2, latitude: (south + north) / 2, scale });
  }
}

const min = (values) => values.reduce((a, b) => Math.min(a, b));

const max = (values) => values.reduce((a, b) => Math.max(a, b));

const distance = (a, b) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);

const compact = (count) => (count < 10_000 ? formatNumber(count) : `${Math.round(count / 1000)}k`);
