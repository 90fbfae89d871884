// The server's answers; an error carries the server's own words.

import { at } from "./dom.js";

export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is kadr serve running?");
  }
  if (answer.status === 401) {
    await enter();
    return ask(path, options);
  }
  const body = answer.headers.get("content-type")?.includes("json") ? await answer.json() : null;
  if (!answer.ok) throw new Error(body?.detail ?? `The server answered ${answer.status}.`);
  return body;
}

export const send = (path, body, options = {}) =>
  ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    ...options,
  });

let entering = null;

// Ask for the token until the server knows it; whoever else waits for it waits for the same dialog.
function enter() {
  entering ??= new Promise((resolve) => {
    const dialog = at("token");
    const form = dialog.querySelector("form");
    form.onsubmit = async (event) => {
      event.preventDefault();
      const headers = { Authorization: `Bearer ${form.token.value.trim()}` };
      const answer = await fetch("session", { method: "POST", headers }).catch(() => null);
      form.token.value = "";
      if (!answer?.ok) {
        dialog.querySelector(".wrong").textContent = answer ? "That is not the token." : "The server does not answer.";
        return;
      }
      dialog.close();
      entering = null;
      resolve();
    };
    dialog.oncancel = (event) => event.preventDefault();
    dialog.showModal();
  });
  return entering;
}
