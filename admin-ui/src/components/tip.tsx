// A word of explanation beside what is pointed at or in focus. One for the whole console, above everything.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { store, useStore } from "../state/store";

const shown = store<{ host: object; text: string; left: number; top: number } | null>(null);
const WIDTH = 272;

/** Shows `text` for its children; nothing without a text. */
export function Tip({ text, children }: { text: string | null | undefined; children: ComponentChildren }) {
  // Its own only: others may have one when this goes.
  const host = useRef({}).current;
  const hide = () => {
    if (shown.get()?.host === host) shown.set(null);
  };
  useEffect(() => hide, []);
  const show = (event: Event) => {
    if (!text || !(event.currentTarget instanceof HTMLElement)) return;
    const at = event.currentTarget.getBoundingClientRect();
    const left = Math.max(8, Math.min(at.right - WIDTH, window.innerWidth - WIDTH - 8));
    shown.set({ host, text, left, top: at.bottom + 6 });
  };
  return (
    <span class="tip-host" onMouseEnter={show} onMouseLeave={hide} onFocusIn={show} onFocusOut={hide}>
      {children}
    </span>
  );
}

/** Where it appears; once in the layout. What it says is in the label of its button, too, so nobody is told twice. */
export function TipHost() {
  const tip = useStore(shown);
  if (!tip) return null;
  return (
    <div class="tip" aria-hidden="true" style={{ left: `${tip.left}px`, top: `${tip.top}px` }}>
      {tip.text}
    </div>
  );
}
