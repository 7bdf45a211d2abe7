// Asks again and again, while somebody looks.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get, type Query } from "../api/client";

/** However often it has failed, it is tried again after this, or as seldom as always. */
const AFTER_FAILURE_MS = 5_000;

export interface Polled<T> {
  /** The last answer; kept while later ones fail. */
  data: T | null;
  /** Why the last attempt failed; null when it did not. */
  error: ApiError | null;
  /** When the last answer came, in milliseconds since 1970. */
  at: number | null;
  /** Asks now. */
  reload(): void;
}

/**
 * Asks for `path` every `everyMs`, one request at a time, and not while the page is hidden. With `path` null it waits.
 * When path or query change, the old answer stays until the new one is there, unless `fresh` says to forget it.
 */
export function usePoll<T>(path: string | null, everyMs: number, query?: Query, fresh = false): Polled<T> {
  const [state, setState] = useState<Omit<Polled<T>, "reload">>({ data: null, error: null, at: null });
  const key = path === null ? null : `${path}?${JSON.stringify(query ?? {})}`;
  const again = useRef<() => void>(() => {});

  useEffect(() => {
    if (key === null || path === null) return undefined;
    const controller = new AbortController();
    let timer = 0;
    let asking = false;
    // Somebody has changed something since the question was sent: its answer may be that of before.
    let outdated = false;
    let failures = 0;
    if (fresh) setState({ data: null, error: null, at: null });

    const pause = () => (failures ? Math.max(everyMs, Math.min(everyMs * 2 ** failures, AFTER_FAILURE_MS)) : everyMs);
    const ask = async () => {
      if (asking || controller.signal.aborted) return;
      window.clearTimeout(timer);
      asking = true;
      try {
        const data = await get<T>(path, query, controller.signal);
        failures = 0;
        if (!controller.signal.aborted) setState({ data, error: null, at: Date.now() });
      } catch (error) {
        failures += 1;
        if (controller.signal.aborted) return;
        const known = error instanceof ApiError ? error : new ApiError(0, "error", String(error));
        setState((before) => ({ ...before, error: known }));
      } finally {
        asking = false;
        if (!controller.signal.aborted && !document.hidden) {
          timer = window.setTimeout(ask, outdated ? 0 : pause());
          outdated = false;
        }
      }
    };
    const shown = () => {
      if (document.hidden) window.clearTimeout(timer);
      else void ask();
    };
    again.current = () => {
      outdated = asking;
      void ask();
    };
    document.addEventListener("visibilitychange", shown);
    void ask();
    return () => {
      controller.abort();
      window.clearTimeout(timer);
      document.removeEventListener("visibilitychange", shown);
    };
  }, [key, everyMs]);

  const reload = useCallback(() => again.current(), []);
  return { ...state, reload };
}

/** The time now, taken anew every `everyMs`. */
export function useNow(everyMs = 1_000): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), everyMs);
    return () => window.clearInterval(timer);
  }, [everyMs]);
  return now;
}
