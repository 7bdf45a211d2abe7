import { expect, test } from "vitest";
import { add, bodyText, fits, type Kept, MOST, none, resume } from "../src/components/tap/lines";

const line = (key: number, method = "basic.publish", text = 'exchange="orders"'): Kept => ({
  key, at: "2026-01-01T00:00:00Z", session: 1, direction: "from_client", channel: 1, method, text, size: 10, dropped: 0,
});
const many = (from: number, n: number) => Array.from({ length: n }, (_, i) => line(from + i));

test("only the latest lines are kept", () => {
  const lines = add(add(none, many(0, MOST), false), many(MOST, 20), false);
  expect(lines.shown).toHaveLength(MOST);
  expect(lines.shown.at(-1)?.key).toBe(MOST + 19);
});

test("what comes while the reader has stopped it is shown afterwards, and what was too much is told", () => {
  const before = add(none, many(0, 3), false);
  const paused = add(before, many(3, MOST + 7), true);
  expect(paused.shown).toEqual(before.shown);
  expect(paused.held).toHaveLength(MOST);
  expect(paused.lost).toBe(7);
  const after = resume(paused);
  expect(after.held).toEqual([]);
  expect(after.shown).toHaveLength(MOST);
  expect(after.shown[0]?.dropped).toBe(7);
});

test("a filter is words that all have to be there", () => {
  expect(fits(line(1), "ORDERS publish")).toBe(true);
  expect(fits(line(1), "orders deliver")).toBe(false);
  expect(fits(line(1), " ")).toBe(true);
});

test("a body is text where it is one, also when its last character was cut", () => {
  expect(bodyText(btoa("hello\n"))).toBe("hello\n");
  expect(bodyText(btoa("gr\u00c3"))).toBe("gr");
  expect(bodyText(btoa("\u0000\u0001\u00ff"))).toBe("00 01 ff");
});
