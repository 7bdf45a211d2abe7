import { expect, test } from "vitest";
import { type Column, compare, sorted } from "../src/components/table";

interface Row { name: string; weight: number | null }
const rows: Row[] = [{ name: "rabbit10", weight: 1 }, { name: "rabbit2", weight: null }, { name: "rabbit1", weight: 3 }];
const columns: Column<Row>[] = [
  { key: "name", label: "", cell: () => "", by: (row) => row.name },
  { key: "weight", label: "", cell: () => "", by: (row) => row.weight },
];
const names = (sort: string, descending = false) =>
  sorted(rows, columns, { sort, descending, page: 1 }).map((row) => row.name);

test("names with numbers are in the order of these", () => {
  expect(names("name")).toEqual(["rabbit1", "rabbit2", "rabbit10"]);
});

test("what is absent comes first, and last the other way round", () => {
  expect(names("weight")).toEqual(["rabbit2", "rabbit10", "rabbit1"]);
  expect(names("weight", true)).toEqual(["rabbit1", "rabbit10", "rabbit2"]);
});

test("a column that nobody knows leaves the order as it is", () => {
  expect(names("nothing")).toEqual(rows.map((row) => row.name));
  expect(compare(undefined, null)).not.toBeNaN();
});
