// Image files to search by: dropped, pasted or picked by the user. The page keeps the files until it is closed.

import { ApiError } from "./api.js";

const MAX_BYTES = 19_500_000; // the server accepts request bodies of 20 MB
const REDUCED_SIDE = 2048; // pixels of the longer side of a reduced copy
const EXTENSIONS = /\.(jpe?g|png|webp|gif|bmp|tiff?|avif|hei[cf]|jxl|jp2|dng|cr[23]|nef|arw|orf|rw2|raf)$/i;

const uploads = new Map(); // ID -> { file, name, preview }

// Add an image file and return its ID. The browser reduces a file that is too large for the server.
export async function addUpload(file) {
  if (!file.type.startsWith("image/") && !EXTENSIONS.test(file.name)) {
    throw new ApiError(`${file.name} is not an image. Choose an image file, e.g. JPEG, PNG, WebP or HEIC.`);
  }
  if (!file.size) throw new ApiError(`${file.name} is empty. Choose another image.`);
  const content = file.size > MAX_BYTES ? await reduce(file) : file;
  const id = Math.random().toString(36).slice(2, 10);
  uploads.set(id, { file: content, name: file.name || "Pasted image", preview: URL.createObjectURL(content) });
  return id;
}

export const getUpload = (id) => uploads.get(id) ?? null;

// Return the first image file of a drop or a paste, or null if there is none.
export function findImageFile(transfer) {
  const files = [...(transfer?.files ?? [])];
  return files.find((file) => file.type.startsWith("image/")) ?? files[0] ?? null;
}

async function reduce(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) {
    const megabytes = (file.size / 1e6).toFixed(0);
    throw new ApiError(`${file.name} has ${megabytes} MB, expected at most 20 MB. Choose a smaller copy of the image.`);
  }
  const scale = Math.min(1, REDUCED_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
}
