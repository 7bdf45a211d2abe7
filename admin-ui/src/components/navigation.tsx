// The pages, at the left; at the width of a phone behind a button of the top bar.

import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n";
import { type Page, pages } from "../pages/pages";
import { href, type Location } from "../state/router";
import { session } from "../state/session";
import { useStore } from "../state/store";
import { Badge } from "./basics";
import { Mark } from "./mark";
import { useStale } from "./stale";

export function Navigation(props: { at: Location; open: boolean; onOpen: (open: boolean) => void }) {
  const { at, open, onOpen } = props;
  const { who } = useStore(session);
  const stale = useStale();
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return undefined;
    const escape = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      onOpen(false);
      button.current?.focus();
    };
    document.addEventListener("keydown", escape);
    return () => document.removeEventListener("keydown", escape);
  }, [open]);
  return (
    <>
      <header class="bar">
        <button
          ref={button} type="button" class="bare burger" aria-expanded={open} aria-controls="nav"
          aria-label={open ? t("app.close_menu") : t("app.menu")} onClick={() => onOpen(!open)}
        >
          <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
            <path d={open ? "M4 4l12 12M16 4 4 16" : "M2 5h16M2 10h16M2 15h16"} />
          </svg>
        </button>
        <a href="#/" class="home">
          <Mark />
        </a>
      </header>
      <nav id="nav" class={open ? "nav open" : "nav"} aria-label={t("app.pages")}>
        <a href="#/" class="home wide">
          <Mark />
        </a>
        <div class="whose">
          <span class="gateway-name" title={who?.gateway}>
            {who?.gateway}
          </span>
          <Badge tone={stale ? "bad" : "good"}>{stale ? t("link.lost") : t("link.live")}</Badge>
        </div>
        <Group title={t("nav.watch")} group="watch" at={at} />
        <Group title={t("nav.manage")} group="manage" at={at} />
        <p class="nav-foot dim">{who && t("overview.version", { version: who.version })}</p>
      </nav>
      {open && <div class="shade" onClick={() => onOpen(false)} />}
    </>
  );
}

function Group({ title, group, at }: { title: string; group: Page["group"]; at: Location }) {
  return (
    <div class="nav-group">
      <h2>{title}</h2>
      <ul>
        {pages
          .filter((page) => page.group === group)
          .map((page) => (
            <li key={page.title}>
              <a href={href(page.path)} aria-current={at.parts[0] === page.path[0] ? "page" : undefined}>
                {t(page.title)}
              </a>
            </li>
          ))}
      </ul>
    </div>
  );
}
