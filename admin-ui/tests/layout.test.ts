import { expect, test } from "vitest";
import type { Flow, Place, Topology } from "../src/api/types";
import { BOX_HEIGHT, layout, thickness } from "../src/components/way/layout";

const place = (id: string): Place => ({
  id, kind: id.split(":")[0] ?? "", name: id, note: "", health: "good", state: "up", sessions: 1,
});
const flow = (from: string, to: string, published = 0): Flow => ({
  from, to, sessions: 1,
  rates: {
    bytes_from_client: 0, bytes_from_node: 0, published, delivered: 0, acknowledged: 0, confirmed: 0, returned: 0,
  },
});
const topology: Topology = {
  places: ["listener:a", "listener:b", "route:1", "route:2", "cluster:m", "cluster:n", "node:m/1", "node:m/2", "node:n/1"].map(place),
  flows: [
    flow("listener:a", "route:1"), flow("listener:a", "route:2"), flow("listener:b", "route:2", 5), flow("route:1", "cluster:n"),
    flow("route:2", "cluster:m"), flow("cluster:m", "node:m/1"), flow("cluster:m", "node:m/2"), flow("cluster:n", "node:n/1"),
    flow("cluster:n", "node:gone"),
  ],
};

test("boxes do not overlap and stay within the width", () => {
  for (const width of [740, 1_100, 3_000]) {
    const { boxes, height } = layout(topology, width);
    expect(boxes).toHaveLength(topology.places.length);
    for (const a of boxes) {
      expect(a.x + a.width).toBeLessThanOrEqual(width);
      expect(a.y + BOX_HEIGHT).toBeLessThanOrEqual(height);
      for (const b of boxes) {
        if (a !== b && a.x === b.x) expect(Math.abs(a.y - b.y)).toBeGreaterThanOrEqual(BOX_HEIGHT);
      }
    }
  }
});

test("columns go from clients to brokers, and what is not there takes no room", () => {
  const without = { places: topology.places.filter((p) => p.kind !== "route"), flows: [flow("listener:a", "cluster:m")] };
  expect(layout(topology, 1_000).columns.map((c) => c.kind)).toEqual(["listener", "route", "cluster", "node"]);
  expect(layout(without, 1_000).columns.map((c) => c.kind)).toEqual(["listener", "cluster", "node"]);
});

test("a line past a column goes between its boxes", () => {
  const past = layout({ ...topology, flows: [...topology.flows, flow("listener:a", "cluster:m", 1)] }, 1_200);
  const via = past.lines.at(-1)?.via;
  expect(via).toBeDefined();
  for (const { place, y } of past.boxes.filter((box) => box.place.kind === "route")) {
    expect((via?.y ?? y) > y && (via?.y ?? y) < y + BOX_HEIGHT, place.id).toBe(false);
  }
  expect(past.lines.filter((line) => line.via)).toHaveLength(1);
});

test("a flow to a place that nobody knows is not drawn", () => {
  expect(layout(topology, 1_000).lines).toHaveLength(topology.flows.length - 1);
});

test("an empty gateway is an empty picture", () => {
  expect(layout({ places: [], flows: [] }, 1_000).boxes).toEqual([]);
});

test("more traffic makes a wider line, within bounds", () => {
  expect(thickness(0)).toBeLessThan(thickness(10));
  expect(thickness(10)).toBeLessThan(thickness(10_000));
  expect(thickness(1e12)).toBeLessThanOrEqual(8);
});
