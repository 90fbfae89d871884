// Send requests to the server. If a request fails, throw an error that contains the message of the server.

import { byId } from "./dom.js";

const NO_RESPONSE = "The server is not responding. Check that kadr serve is running.";
const NO_TOKEN = "The server requires an access token.";
const TIMEOUT_MS = 60_000;
const TEMPORARY = new Set([429, 500, 502, 503, 504]);

// A failed request. status: HTTP status, or 0 without a response. retryable: whether the same request can succeed later.
export class ApiError extends Error {
  constructor(message, status = 0, retryable = false) {
    super(message);
    Object.assign(this, { name: "ApiError", status, retryable });
  }
}

// Send a request and return the parsed JSON response, or null if the response is not JSON.
// An aborted request throws an AbortError.
export async function request(path, options = {}) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  let response;
  let body = null;
  try {
    response = await fetch(path, { ...options, signal });
    if (response.headers.get("content-type")?.includes("json")) body = await response.json();
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(NO_RESPONSE, 0, true);
  }
  if (response.status === 401) {
    await openSession();
    return request(path, options);
  }
  if (!response.ok) {
    const message = body?.detail ?? `The server returned status ${response.status}.`;
    throw new ApiError(message, response.status, TEMPORARY.has(response.status));
  }
  return body;
}

// Send a request with a JSON body and return the parsed JSON response.
export const sendJson = (method, path, body, options = {}) =>
  request(path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    ...options,
  });

export const postJson = (path, body, options = {}) => sendJson("POST", path, body, options);

let pendingSession = null;

// Show the token dialog until the server accepts a token or the user closes the dialog. Concurrent calls share one dialog.
function openSession() {
  pendingSession ??= showTokenDialog().finally(() => (pendingSession = null));
  return pendingSession;
}

function showTokenDialog() {
  const dialog = byId("token");
  const form = dialog.querySelector("form");
  const message = dialog.querySelector(".error");
  return new Promise((resolve, reject) => {
    form.onsubmit = async (event) => {
      event.preventDefault();
      message.textContent = "";
      const headers = { Authorization: `Bearer ${form.token.value.trim()}` };
      const response = await fetch("session", { method: "POST", headers }).catch(() => null);
      if (response?.ok) {
        resolve();
        dialog.close();
        return;
      }
      const body = await response?.json().catch(() => null);
      message.textContent = loginError(response, body);
      form.token.select();
    };
    dialog.onclose = () => {
      form.reset();
      message.textContent = "";
      reject(new ApiError(NO_TOKEN, 401));
    };
    byId("cancel-token").onclick = () => dialog.close();
    dialog.showModal();
  });
}

function loginError(response, body) {
  if (!response) return NO_RESPONSE;
  return response.status === 401 ? "The token is incorrect." : (body?.detail ?? `The server returned status ${response.status}.`);
}
