// Send requests to the server. If a request fails, throw an error that contains the message of the server.

import { byId } from "./dom.js";

const NO_RESPONSE = "The server is not responding. Check that kadr serve is running.";

// Send a request and return the parsed JSON response, or null if the response is not JSON.
export async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(NO_RESPONSE);
  }
  if (response.status === 401) {
    await openSession();
    return request(path, options);
  }
  const body = response.headers.get("content-type")?.includes("json") ? await response.json() : null;
  if (!response.ok) throw new Error(body?.detail ?? `The server returned status ${response.status}.`);
  return body;
}

// Send a POST request with a JSON body and return the parsed JSON response.
export const postJson = (path, body, options = {}) =>
  request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    ...options,
  });

let pendingSession = null;

// Show the token dialog until the server accepts a token. Concurrent calls share one dialog.
function openSession() {
  pendingSession ??= new Promise((resolve) => {
    const dialog = byId("token");
    const form = dialog.querySelector("form");
    form.onsubmit = async (event) => {
      event.preventDefault();
      const headers = { Authorization: `Bearer ${form.token.value.trim()}` };
      const response = await fetch("session", { method: "POST", headers }).catch(() => null);
      form.token.value = "";
      if (!response?.ok) {
        dialog.querySelector(".error").textContent = response ? "The token is incorrect." : NO_RESPONSE;
        return;
      }
      dialog.close();
      pendingSession = null;
      resolve();
    };
    dialog.oncancel = (event) => event.preventDefault();
    dialog.showModal();
  });
  return pendingSession;
}
