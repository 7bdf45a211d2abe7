// Texts in the language of the reader, and numbers and times as that language writes them.

import { remember, remembered } from "../state/prefs";
import { store, useStore } from "../state/store";
import { en, type Text, type TextKey } from "./en";
import { zhCN } from "./zh-CN";

export type { TextKey } from "./en";

/** A language is its tag, its own name, and its texts. A text that is missing is a type error. */
const languages: { tag: string; name: string; texts: Record<TextKey, Text> }[] = [
  { tag: "en", name: "English", texts: en },
  { tag: "zh-CN", name: "简体中文", texts: zhCN },
];

function preferred(): string {
  const wanted = [remembered("language"), ...navigator.languages];
  for (const tag of wanted) {
    if (!tag) continue;
    const found = languages.find((l) => l.tag === tag) ?? languages.find((l) => l.tag.split("-")[0] === tag.split("-")[0]);
    if (found) return found.tag;
  }
  return "en";
}

const current = store(preferred());
export const language = {
  get: current.get,
  subscribe: current.subscribe,
  all: languages.map(({ tag, name }) => ({ tag, name })),
  choose(tag: string) {
    remember("language", tag);
    current.set(tag);
  },
};

/** Renders again when the language changes. */
export const useLanguage = () => useStore(language);

type Values = Record<string, string | number>;

/** A text with its `{values}` put in. If it has a singular and a plural, `values.count` decides. */
export function t(key: TextKey, values: Values = {}): string {
  const texts = languages.find((l) => l.tag === current.get())?.texts ?? en;
  return fill(texts[key], current.get(), values);
}

/** As `t`, without looking at the choice: for tests. */
export function fill(text: Text, tag: string, values: Values): string {
  const form = typeof text === "string" ? text : plural(text, tag, Number(values["count"]));
  return form.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? new Intl.NumberFormat(tag).format(value) : value;
  });
}

function plural(text: { one: string; other: string }, tag: string, count: number): string {
  return new Intl.PluralRules(tag).select(count) === "one" ? text.one : text.other;
}

/** Is there such a text? For words of the gateway that may be newer than the console. */
export function known(key: string): key is TextKey {
  return key in en;
}

/** A word of the gateway in the reader's language, or as it is if it is not known here. */
export function word(group: string, value: string): string {
  const key = `${group}.${value.replaceAll("-", "_")}`;
  return known(key) ? t(key) : value;
}

const cache = new Map<string, Intl.NumberFormat>();
function number(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = current.get() + JSON.stringify(options);
  let format = cache.get(key);
  if (!format) cache.set(key, (format = new Intl.NumberFormat(current.get(), options)));
  return format;
}

export const DASH = "–";

/** A whole number: `12,345`. */
export const count = (n: number | null | undefined) =>
  n === null || n === undefined ? DASH : number({ maximumFractionDigits: 0 }).format(n);

/** A number of few digits, the same width for all sizes: `0.4`, `12`, `1.3K`. */
export function short(n: number | null | undefined): string {
  if (n === null || n === undefined || !Number.isFinite(n)) return DASH;
  if (n === 0) return "0";
  if (Math.abs(n) < 10) return number({ maximumFractionDigits: 1 }).format(n);
  if (Math.abs(n) < 1_000) return number({ maximumFractionDigits: 0 }).format(n);
  return METRIC.reduce((text, [size, unit]) => {
    if (text || Math.abs(n) < size) return text;
    const value = n / size;
    return `${number({ maximumFractionDigits: value < 100 ? 1 : 0 }).format(value)}${unit}`;
  }, "");
}
const METRIC: [number, string][] = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];

/** `1.3k/s` */
export const rate = (n: number | null | undefined) => (n === null || n === undefined ? DASH : `${short(n)}/s`);

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
/** `3.4 MiB` */
export function bytes(n: number | null | undefined): string {
  if (n === null || n === undefined || !Number.isFinite(n)) return DASH;
  let unit = 0;
  let value = n;
  while (Math.abs(value) >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${number({ maximumFractionDigits: digits }).format(value)} ${UNITS[unit]}`;
}

/** `3.4 MiB/s` */
export const byteRate = (n: number | null | undefined) => (n === null || n === undefined ? DASH : `${bytes(n)}/s`);

/** Seconds as people say them: `0.8 ms`, `12 s`, `3 min`, `2 h 5 min`, `4 d 3 h`. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return DASH;
  const s = Math.abs(seconds);
  const few = (n: number) => number({ maximumSignificantDigits: 2 }).format(n);
  if (s === 0) return "0 s";
  if (s < 0.001) return `${few(s * 1e6)} µs`;
  if (s < 1) return `${few(s * 1e3)} ms`;
  if (s < 10) return `${few(s)} s`;
  const whole = Math.floor(s);
  if (whole < 120) return `${whole} s`;
  if (whole < 7_200) return `${Math.floor(whole / 60)} min`;
  const hours = Math.floor(whole / 3_600);
  if (hours < 48) return `${hours} h ${Math.floor((whole % 3_600) / 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** As `duration`, by its greatest unit alone: `12 s`, `3 h`, `4 d`. */
export function briefly(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return DASH;
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** `40%` of one */
export const percent = (n: number | null | undefined) =>
  n === null || n === undefined ? DASH : number({ style: "percent", maximumFractionDigits: n < 0.1 ? 1 : 0 }).format(n);

/** The time of day if it was today, else the date with it. `precise` adds milliseconds. */
export function time(at: string | number | Date | null | undefined, precise = false): string {
  if (at === null || at === undefined) return DASH;
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return DASH;
  const today = new Date().toDateString() === date.toDateString();
  return new Intl.DateTimeFormat(current.get(), {
    ...(today ? {} : { year: "numeric", month: "short", day: "numeric" }),
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    ...(precise ? { fractionalSecondDigits: 3 } : {}),
    hourCycle: "h23",
  }).format(date);
}

/** Date, time and zone. */
export const fullTime = (at: string | number | Date) =>
  new Intl.DateTimeFormat(current.get(), { dateStyle: "long", timeStyle: "long", hourCycle: "h23" }).format(new Date(at));
