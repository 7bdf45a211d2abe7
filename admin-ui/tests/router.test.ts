import { expect, test } from "vitest";
import { href, parse } from "../src/state/router";

test("what href writes, parse reads", () => {
  const at = href(["vhosts", "/", "a b"], { search: "x=1&y", page: 2, none: "" });
  expect(at).toBe("#/vhosts/%2F/a%20b?search=x%3D1%26y&page=2");
  expect(parse(at)).toEqual({ parts: ["vhosts", "/", "a b"], query: { search: "x=1&y", page: "2" } });
});

test("an address that nobody wrote is read all the same", () => {
  expect(parse("")).toEqual({ parts: [], query: {} });
  expect(parse("#/%zz?%zz")).toEqual({ parts: ["%zz"], query: { "%zz": "" } });
});
