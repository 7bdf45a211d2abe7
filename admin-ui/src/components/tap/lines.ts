// The lines of a tap that are kept: bounded, and held back while the reader has stopped them.

import type { TapLine } from "../../api/types";

/** A line with a number of its own, since two can be the same. */
export interface Kept extends TapLine { key: number }

export interface Lines {
  shown: Kept[];
  /** Come while the reader has stopped them. */
  held: Kept[];
  /** Held back and thrown away since, for there were too many. */
  lost: number;
}

export const MOST = 500;
export const none: Lines = { shown: [], held: [], lost: 0 };

export function add(lines: Lines, more: Kept[], paused: boolean): Lines {
  if (!paused) return { ...lines, shown: [...lines.shown, ...more].slice(-MOST) };
  const held = [...lines.held, ...more];
  return { ...lines, held: held.slice(-MOST), lost: lines.lost + Math.max(0, held.length - MOST) };
}

/** Those held back are shown; what was thrown away of them is told by the first. */
export function resume({ shown, held, lost }: Lines): Lines {
  const [first, ...others] = held;
  const told = first ? [{ ...first, dropped: first.dropped + lost }, ...others] : [];
  return { shown: [...shown, ...told].slice(-MOST), held: [], lost: 0 };
}

/** Does any text of the line hold all words of the filter? */
export function fits(line: TapLine, filter: string): boolean {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const text = `${line.method} ${line.text} ${line.direction} ${line.channel}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

/** A body as text where it is one, else its octets in hexadecimal digits. */
export function bodyText(base64: string): string {
  const octets = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  // The last character may have been cut in two.
  const text = new TextDecoder().decode(octets).replace(/\uFFFD{1,3}$/, "");
  if (!/[\u0000-\u0008\u000e-\u001f\uFFFD]/.test(text)) return text;
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join(" ");
}
