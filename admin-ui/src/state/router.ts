// Where the console is: `#/sessions?vhost=%2F`. Paths and queries live behind the `#`, so the gateway has one page only.

import { useEffect, useState } from "preact/hooks";

export interface Location {
  /** The parts of the path, decoded: `["sessions", "17"]`. */
  parts: string[];
  query: Record<string, string>;
}

export function parse(hash: string): Location {
  const [path = "", search = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const parts = path.split("/").filter(Boolean).map(decode);
  return { parts, query: Object.fromEntries(new URLSearchParams(search)) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a page within the console. Parts are encoded; absent and empty values are left out. */
export function href(parts: (string | number)[], query: Record<string, string | number | undefined> = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return `#/${parts.map((part) => encodeURIComponent(part)).join("/")}${text && `?${text}`}`;
}

export const here = (): Location => parse(location.hash);

export function go(to: string): void {
  location.hash = to.replace(/^#/, "");
}

/** Changes the query of this page; with `undefined` or an empty text a name is taken out. No new step for the back key. */
export function setQuery(change: Record<string, string | number | undefined>): void {
  const { parts, query } = here();
  const next = href(parts, { ...query, ...change });
  if (next === location.hash) return;
  history.replaceState(null, "", next);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}

export function useLocation(): Location {
  const [at, setAt] = useState(here);
  useEffect(() => {
    const moved = () => setAt(here());
    window.addEventListener("hashchange", moved);
    return () => window.removeEventListener("hashchange", moved);
  }, []);
  return at;
}
