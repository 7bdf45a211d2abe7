// Server-Sent Events that come back after the gateway was away, but do not press it. By `fetch`, since the browser's own
// EventSource does not tell why it is refused.

import { link } from "../state/link";
import { session } from "../state/session";
import { address, ApiError, problemOf, type Query } from "./client";

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;

/** How a stream stands. */
export type StreamState = "connecting" | "open" | "waiting" | "refused";

export interface Received {
  /** Its name; `message` if it has none. */
  event: string;
  data: string;
  id: string;
}

export interface StreamHandlers<T> {
  event(value: T, name: string): void;
  state?(state: StreamState, error?: ApiError): void;
}

/** Follows `path` until the function that it returns is called. After a break it goes on behind the last event it had. */
export function follow<T>(path: string, query: Query, handlers: StreamHandlers<T>): () => void {
  const controller = new AbortController();
  let pause = FIRST_PAUSE_MS;
  let last = "";
  let timer = 0;

  const open = async () => {
    handlers.state?.("connecting");
    try {
      const response = await fetch(address(path, query), {
        headers: { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) },
        credentials: "same-origin",
        cache: "no-store",
        signal: controller.signal,
      });
      if (!response.ok || !response.body) throw await problemOf(response);
      link.answered();
      pause = FIRST_PAUSE_MS;
      handlers.state?.("open");
      await read(response.body, (received) => {
        if (received.id) last = received.id;
        handlers.event(JSON.parse(received.data) as T, received.event);
      });
      handlers.state?.("waiting");
      again();
    } catch (error) {
      if (controller.signal.aborted) return;
      if (error instanceof ApiError && error.status < 500) {
        if (error.status === 401) session.loggedOut();
        handlers.state?.("refused", error);
        return;
      }
      if (error instanceof ApiError) handlers.state?.("refused", error);
      else handlers.state?.("waiting");
      again();
    }
  };
  const again = () => {
    if (controller.signal.aborted) return;
    timer = window.setTimeout(open, pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  };
  void open();
  return () => {
    controller.abort();
    window.clearTimeout(timer);
  };
}

async function read(body: ReadableStream<Uint8Array>, receive: (received: Received) => void): Promise<void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parse = parser(receive);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    parse(decoder.decode(value, { stream: true }));
  }
}

/** Takes a stream of events apart, in whatever pieces it comes. */
export function parser(receive: (received: Received) => void): (text: string) => void {
  let rest = "";
  let data: string[] = [];
  let event = "";
  let id = "";
  return (text) => {
    const lines = (rest + text).split(/\r\n|\n/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (data.length) receive({ event: event || "message", data: data.join("\n"), id });
        data = [];
        event = "";
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue;
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "data") data.push(value);
      else if (name === "event") event = value;
      else if (name === "id") id = value;
    }
  };
}
