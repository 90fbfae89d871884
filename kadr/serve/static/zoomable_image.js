// Zoom, pan and swipe of one image that fills a container.
//
// Mouse: the wheel zooms, a double click zooms in and out, dragging moves the zoomed image.
// Touch: two fingers zoom, a double tap zooms in and out, one finger moves the zoomed image or swipes to another image.

const MAX_SCALE = 12;
const MIN_CLICK_SCALE = 2.5; // smallest scale after a double click or a double tap
const WHEEL_SPEED = 0.0022; // exponent per pixel of the wheel
const SWIPE_DISTANCE = 48; // pixels
const DOUBLE_TAP_MS = 320;
const TAP_DISTANCE = 12; // pixels between pointer down and up

export class ZoomableImage {
  // container: positioned element with hidden overflow. onSwipe(step): called with 1 (next) or -1 (previous).
  // onChange(transform): called with { scale, x, y } after a user action. x and y are fractions of the container.
  constructor(container, { onSwipe = () => {}, onChange = () => {} } = {}) {
    Object.assign(this, { container, onSwipe, onChange, image: null, pointers: new Map(), lastTap: null, start: null });
    this.transform = { scale: 1, x: 0, y: 0 };
    container.classList.add("zoomable");
    container.addEventListener("wheel", (event) => this.#onWheel(event), { passive: false });
    container.addEventListener("dblclick", (event) => this.#onDoubleClick(event));
    container.addEventListener("pointerdown", (event) => this.#onPointerDown(event));
    container.addEventListener("pointermove", (event) => this.#onPointerMove(event));
    container.addEventListener("pointerup", (event) => this.#onPointerEnd(event, true));
    container.addEventListener("pointercancel", (event) => this.#onPointerEnd(event, false));
  }

  // Use another image. The image must be a descendant of the container.
  setImage(image) {
    this.image = image;
    image.draggable = false;
    this.pointers.clear();
    this.setTransform({ scale: 1, x: 0, y: 0 });
  }

  get isZoomed() {
    return this.transform.scale > 1;
  }

  // Zoom in if the image is not zoomed, and out if it is.
  toggle() {
    const { left, top, width, height } = this.container.getBoundingClientRect();
    this.#toggleAt({ clientX: left + width / 2, clientY: top + height / 2 });
  }

  setTransform({ scale, x, y }) {
    const { clientWidth: width, clientHeight: height } = this.container;
    const shown = fittedSize(this.image, width, height);
    const limit = (length, size) => Math.max(0, (length * scale - size) / 2 / size || 0);
    const clamp = (value, bound) => Math.min(Math.max(value, -bound), bound);
    this.transform = { scale, x: clamp(x, limit(shown.width, width)), y: clamp(y, limit(shown.height, height)) };
    this.#apply();
  }

  #apply(dragX = 0) {
    if (!this.image) return;
    const { scale, x, y } = this.transform;
    const { clientWidth: width, clientHeight: height } = this.container;
    const isMoved = scale > 1 || dragX;
    this.image.style.transform = isMoved ? `translate(${x * width + dragX}px, ${y * height}px) scale(${scale})` : "";
    this.container.classList.toggle("zoomed", scale > 1);
  }

  // Zoom so that the point under the pointer stays in place.
  #zoomAt(point, scale) {
    const nextScale = Math.min(Math.max(scale, 1), MAX_SCALE);
    const { left, top, width, height } = this.container.getBoundingClientRect();
    const factor = nextScale / this.transform.scale;
    const px = (point.clientX - left) / width - 0.5;
    const py = (point.clientY - top) / height - 0.5;
    const { x, y } = this.transform;
    this.setTransform({ scale: nextScale, x: px - (px - x) * factor, y: py - (py - y) * factor });
    this.onChange(this.transform);
  }

  #toggleAt(point) {
    const { clientWidth: width, clientHeight: height } = this.container;
    const pixelScale = (this.image?.naturalWidth || 0) / fittedSize(this.image, width, height).width / devicePixelRatio;
    this.#zoomAt(point, this.isZoomed ? 1 : Math.max(MIN_CLICK_SCALE, pixelScale || 0));
  }

  #onWheel(event) {
    event.preventDefault();
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * 16 : event.deltaY;
    this.#zoomAt(event, this.transform.scale * Math.exp(-pixels * WHEEL_SPEED * (event.ctrlKey ? 4 : 1)));
  }

  #onDoubleClick(event) {
    if (event.target.closest("button") || event.pointerType === "touch") return;
    if (performance.now() - (this.lastTouchZoom ?? -Infinity) > DOUBLE_TAP_MS * 2) this.#toggleAt(event);
  }

  #onPointerDown(event) {
    if (event.target.closest("button, a") || event.button) return;
    this.container.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
    this.#startGesture();
  }

  // Store the positions at which a gesture of one or two pointers starts.
  #startGesture() {
    const points = [...this.pointers.values()];
    this.start = { points, transform: this.transform, isPinch: points.length > 1 || (this.start?.isPinch && points.length > 0) };
  }

  #onPointerMove(event) {
    if (!this.pointers.has(event.pointerId)) return;
    this.pointers.set(event.pointerId, event);
    const points = [...this.pointers.values()];
    if (points.length > 1) this.#pinch(points);
    else if (this.isZoomed) this.#pan(points[0]);
    else if (event.pointerType !== "mouse" && !this.start.isPinch) this.#apply(this.#dragX(event));
  }

  #dragX(event) {
    const [from] = this.start.points;
    return event.clientX - from.clientX;
  }

  #pan(point) {
    const { points, transform } = this.start;
    const x = transform.x + (point.clientX - points[0].clientX) / this.container.clientWidth;
    const y = transform.y + (point.clientY - points[0].clientY) / this.container.clientHeight;
    this.setTransform({ scale: this.transform.scale, x, y });
    this.onChange(this.transform);
  }

  #pinch(points) {
    const { points: from, transform } = this.start;
    this.transform = transform;
    const middle = middleOf(from);
    this.#zoomAt(middle, transform.scale * (distanceOf(points) / Math.max(distanceOf(from), 1)));
    const { scale, x, y } = this.transform;
    const to = middleOf(points);
    const dx = (to.clientX - middle.clientX) / this.container.clientWidth;
    const dy = (to.clientY - middle.clientY) / this.container.clientHeight;
    this.setTransform({ scale, x: x + dx, y: y + dy });
    this.onChange(this.transform);
  }

  #onPointerEnd(event, isComplete) {
    if (!this.pointers.delete(event.pointerId)) return;
    const [from] = this.start.points;
    const dx = event.clientX - from.clientX;
    const dy = event.clientY - from.clientY;
    const { isPinch } = this.start;
    this.#startGesture();
    if (this.pointers.size) return;
    this.#apply();
    if (!isComplete || isPinch || event.pointerType === "mouse") return;
    if (Math.hypot(dx, dy) < TAP_DISTANCE) this.#onTap(event);
    else if (!this.isZoomed && Math.abs(dx) > SWIPE_DISTANCE && Math.abs(dx) > 1.5 * Math.abs(dy)) this.onSwipe(dx < 0 ? 1 : -1);
  }

  #onTap(event) {
    const isDouble = this.lastTap && event.timeStamp - this.lastTap.timeStamp < DOUBLE_TAP_MS && distanceOf([this.lastTap, event]) < 40;
    this.lastTap = isDouble ? null : event;
    if (!isDouble) return;
    this.lastTouchZoom = performance.now(); // the browser can send a dblclick event for the same double tap
    this.#toggleAt(event);
  }
}

// Return the size at which an image with object-fit: contain is shown in a container.
function fittedSize(image, width, height) {
  if (!image?.naturalWidth) return { width, height };
  const scale = Math.min(width / image.naturalWidth, height / image.naturalHeight);
  return { width: image.naturalWidth * scale, height: image.naturalHeight * scale };
}

const distanceOf = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);

const middleOf = ([a, b]) => ({ clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 });
