// What this browser remembers: theme, language, columns. Without storage it is forgotten, and nothing else happens.

import { store } from "./store";

const PREFIX = "amqp-gateway.";

export function remembered(name: string): string | null {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

export function remember(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, value);
  } catch {
    // Forgotten with the page.
  }
}

export type Theme = "system" | "light" | "dark";
const stored = remembered("theme");
const theme = store<Theme>(stored === "light" || stored === "dark" ? stored : "system");
const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** Counts changes of colours, for what is drawn rather than styled. */
const repaint = store(0);
dark.addEventListener("change", () => repaint.set(repaint.get() + 1));

export const themes = {
  get: theme.get,
  subscribe: theme.subscribe,
  repaint: { get: repaint.get, subscribe: repaint.subscribe },
  choose(next: Theme) {
    remember("theme", next === "system" ? null : next);
    if (next === "system") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = next;
    theme.set(next);
    repaint.set(repaint.get() + 1);
  },
};

/** How much larger letters are than on most pages: very wide screens and readers enlarge them. */
export const letters = () => (parseFloat(getComputedStyle(document.documentElement).fontSize) || 14) / 14;
