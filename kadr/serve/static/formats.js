// Functions that format the properties of an image for people.

import { formatNumber } from "./dom.js";

export const formatBytes = (bytes) => (bytes < 1e6 ? `${formatNumber(Math.max(1, Math.round(bytes / 1e3)))} KB` : `${(bytes / 1e6).toFixed(1)} MB`);

export const formatDate = (taken) => taken.replace("T", " ").slice(0, 16);

export function formatPlace({ latitude, longitude }) {
  const north = `${Math.abs(latitude).toFixed(4)}° ${latitude < 0 ? "S" : "N"}`;
  return `${north}, ${Math.abs(longitude).toFixed(4)}° ${longitude < 0 ? "W" : "E"}`;
}
