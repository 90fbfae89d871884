// Repeat a failed action: by itself after growing delays, and at once when the network or the page comes back.

const FIRST_DELAY_MS = 2_000;
const MAX_DELAY_MS = 30_000;

export class Retry {
  // action(): repeats what failed. The caller calls `succeed` or `fail` afterwards.
  constructor(action) {
    Object.assign(this, { action, timer: 0, nFailures: 0, waiting: false });
    addEventListener("online", () => this.waiting && this.now());
    document.addEventListener("visibilitychange", () => this.waiting && !document.hidden && this.now());
  }

  // Repeat the action later. A hidden page waits until it is visible.
  fail() {
    clearTimeout(this.timer);
    this.waiting = true;
    const delay = Math.min(FIRST_DELAY_MS * 2 ** this.nFailures, MAX_DELAY_MS);
    this.nFailures += 1;
    this.timer = setTimeout(() => document.hidden || this.now(), delay);
  }

  now() {
    clearTimeout(this.timer);
    this.waiting = false;
    this.action();
  }

  // Stop repeating the action.
  succeed() {
    clearTimeout(this.timer);
    Object.assign(this, { waiting: false, nFailures: 0 });
  }
}
