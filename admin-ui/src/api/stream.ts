// Server-Sent Events that come back after the gateway was away, but do not press it.

import { address, type Query } from "./client";

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;

/** How a stream stands. */
export type StreamState = "connecting" | "open" | "waiting" | "refused";

export interface StreamHandlers<T> {
  event(value: T, id: string): void;
  state?(state: StreamState): void;
}

/** Follows `path` until the function that it returns is called. `names` are those of its events besides `message`. */
export function follow<T>(path: string, query: Query, names: string[], handlers: StreamHandlers<T>): () => void {
  let source: EventSource | null = null;
  let timer = 0;
  let pause = FIRST_PAUSE_MS;
  let ended = false;
  let everOpen = false;

  const received = (event: MessageEvent<string>) => {
    try {
      handlers.event(JSON.parse(event.data) as T, event.lastEventId);
    } catch {
      // A line that is no JSON is not ours.
    }
  };
  const open = () => {
    handlers.state?.("connecting");
    source = new EventSource(address(path, query));
    source.onopen = () => {
      pause = FIRST_PAUSE_MS;
      everOpen = true;
      handlers.state?.("open");
    };
    source.onmessage = received;
    for (const name of names) source.addEventListener(name, received as EventListener);
    source.onerror = () => {
      if (ended || !source) return;
      // A browser gives up for good on any answer but 200: that is an order refused, unless it worked before.
      const refused = source.readyState === EventSource.CLOSED && !everOpen;
      source.close();
      if (refused) {
        handlers.state?.("refused");
        return;
      }
      handlers.state?.("waiting");
      timer = window.setTimeout(open, pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    };
  };
  open();
  return () => {
    ended = true;
    window.clearTimeout(timer);
    source?.close();
  };
}
