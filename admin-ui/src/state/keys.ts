// Shortcuts: `/` to the search box, `g` and a letter to a page.

import { useEffect } from "preact/hooks";
import { pages } from "../pages/pages";
import { go, href } from "./router";

const TOGETHER_MS = 1_200;

export function useShortcuts(): void {
  useEffect(() => {
    let gAt = 0;
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || writes(event.target) || document.querySelector("dialog[open]")) return;
      if (event.key === "/") {
        const search = document.querySelector<HTMLInputElement>("input[type=search]");
        if (!search) return;
        event.preventDefault();
        search.focus();
        search.select();
        return;
      }
      if (event.key === "g") {
        gAt = event.timeStamp;
        return;
      }
      if (event.timeStamp - gAt > TOGETHER_MS) return;
      gAt = 0;
      const page = pages.find((page) => page.key === event.key);
      if (page) go(href(page.path));
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, []);
}

function writes(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
