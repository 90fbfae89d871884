// Settings that the browser stores. A browser can block storage: then the settings last as long as the page is open.

const settings = new Map();

export function readSetting(name) {
  if (settings.has(name)) return settings.get(name);
  try {
    return localStorage.getItem(`kadr.${name}`);
  } catch {
    return null;
  }
}

// Store a setting. The value null deletes the setting.
export function writeSetting(name, value) {
  settings.set(name, value);
  try {
    if (value === null) localStorage.removeItem(`kadr.${name}`);
    else localStorage.setItem(`kadr.${name}`, value);
  } catch {
    // The setting stays in `settings`.
  }
}
