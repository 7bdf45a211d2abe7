// Every page: where it is, what it is called, which file shows it, and how its shortcut goes.

import type { ComponentType } from "preact";
import type { TextKey } from "../i18n";
import { Access } from "./access";
import { Certificates } from "./certificates";
import { Configuration } from "./configuration";
import { Events } from "./events";
import { HighAvailability } from "./high-availability";
import { Nodes } from "./nodes";
import { Overview } from "./overview";
import { Session } from "./session";
import { Sessions } from "./sessions";
import { Vhosts } from "./vhosts";

export interface PageProps {
  /** What follows the path of the page: `["17"]` in `#/sessions/17`. */
  parts: string[];
  query: Record<string, string>;
}

export interface Page {
  path: string[];
  title: TextKey;
  View: ComponentType<PageProps>;
  /** Where it stands in the navigation; absent = nowhere. */
  group?: "watch" | "manage";
  /** `g`, then this key. */
  key?: string;
  /** Does it take more parts: one item of many? */
  items?: boolean;
}

export const pages: Page[] = [
  { path: [], title: "nav.overview", View: Overview, group: "watch", key: "o" },
  { path: ["sessions"], title: "nav.sessions", View: Sessions, group: "watch", key: "s" },
  { path: ["sessions"], title: "nav.sessions", View: Session, items: true },
  { path: ["nodes"], title: "nav.nodes", View: Nodes, group: "watch", key: "n" },
  { path: ["nodes"], title: "nav.nodes", View: Nodes, items: true },
  { path: ["vhosts"], title: "nav.vhosts", View: Vhosts, group: "watch", key: "v" },
  { path: ["vhosts"], title: "nav.vhosts", View: Vhosts, items: true },
  { path: ["ha"], title: "nav.ha", View: HighAvailability, group: "watch", key: "h" },
  { path: ["ha"], title: "nav.ha", View: HighAvailability, items: true },
  { path: ["certificates"], title: "nav.certificates", View: Certificates, group: "manage", key: "c" },
  { path: ["config"], title: "nav.config", View: Configuration, group: "manage", key: "f" },
  { path: ["config"], title: "nav.config", View: Configuration, items: true },
  { path: ["events"], title: "nav.events", View: Events, group: "manage", key: "e" },
  { path: ["access"], title: "nav.access", View: Access, group: "manage", key: "a" },
];

/** The page for these parts of the address. */
export function pageAt(parts: string[]): Page | undefined {
  const begins = (page: Page) => page.path.every((part, i) => parts[i] === part);
  return pages.find((page) =>
    begins(page) && (page.items ? parts.length > page.path.length : parts.length === page.path.length),
  );
}
