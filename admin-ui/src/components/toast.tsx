// Short messages at the edge of the page: what was done, and what went wrong.

import { ApiError } from "../api/client";
import { t } from "../i18n";
import { store, useStore } from "../state/store";
import { Aspect, type Tone } from "./basics";

interface Message {
  id: number;
  tone: Tone;
  title: string;
  lines: string[];
}

const MOST = 4;
const SHOWN_MS = 6_000;
const messages = store<Message[]>([]);
let last = 0;

function show(tone: Tone, title: string, lines: string[], forMs: number | null): void {
  const id = ++last;
  messages.set([...messages.get(), { id, tone, title, lines }].slice(-MOST));
  if (forMs) window.setTimeout(() => dismiss(id), forMs);
}

function dismiss(id: number): void {
  messages.set(messages.get().filter((message) => message.id !== id));
}

/** Something was done. It goes away by itself. */
export const done = (text: string) => show("good", text, [], SHOWN_MS);

/** Good to know; it stays until it is dismissed. */
export const note = (text: string) => show("unknown", text, [], null);

/** Something went wrong. It stays until it is dismissed. */
export function failed(error: unknown): void {
  if (error instanceof ApiError) {
    if (error.status === 401) return;
    const text = error.status === 0 ? t("error.unreachable") : error.detail || error.title;
    show("bad", t("error.title"), [text, ...error.reasons.filter((reason) => reason !== text)], null);
    return;
  }
  show("bad", t("error.title"), [String(error)], null);
}

export function Toasts() {
  const shown = useStore(messages);
  return (
    <div class="toasts" role="status" aria-live="polite" aria-label={t("toast.region")}>
      {shown.map((message) => (
        <div class={`toast ${message.tone}`} key={message.id}>
          <Aspect tone={message.tone} />
          <div>
            <strong>{message.title}</strong>
            {message.lines.map((line) => (
              <p key={line}>{line}</p>
            ))}
          </div>
          <button type="button" class="bare" aria-label={t("toast.dismiss")} onClick={() => dismiss(message.id)}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}
