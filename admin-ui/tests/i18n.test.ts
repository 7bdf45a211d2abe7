import { expect, test } from "vitest";
import { en, type Text } from "../src/i18n/en";
import { zhCN } from "../src/i18n/zh-CN";
import { fill } from "../src/i18n/index";

const forms = (text: Text) => (typeof text === "string" ? [text] : [text.one, text.other]);
const names = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();

test("every language fills in the same values as English", () => {
  for (const [key, text] of Object.entries(en)) {
    const wanted = names(forms(text as Text)[1] ?? forms(text as Text)[0] ?? "");
    for (const form of forms(zhCN[key as keyof typeof en])) expect(names(form), key).toEqual(wanted);
  }
});

test("the count decides between singular and plural", () => {
  const text = { one: "{count} session", other: "{count} sessions" };
  expect(fill(text, "en", { count: 1 })).toBe("1 session");
  expect(fill(text, "en", { count: 1200 })).toBe("1,200 sessions");
});

test("a value that is not given is left to be seen", () => {
  expect(fill("from {a} to {b}", "en", { a: "here" })).toBe("from here to {b}");
});
