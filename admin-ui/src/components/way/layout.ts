// Where the boxes and lines of the picture go. Pure: a topology and a width in, positions out.

import type { Flow, Place, Topology } from "../../api/types";

/** Of a box, where letters are as large as on most pages. */
export const BOX_HEIGHT = 66;
const HEAD = 26;
const ROW_GAP = 14;
const CLUSTER_GAP = 26;
const WIDEST_BOX = 250;
const NARROWEST_GAP = 84;
/** How far from the outermost box of a column a line passes it. */
const ASIDE = 12;
/** Narrower than this, boxes are a list. */
export const NARROWEST = 740;

export const KINDS = ["listener", "route", "cluster", "node"] as const;

export interface Box { place: Place; x: number; y: number; width: number }
export interface Line {
  flow: Flow;
  from: { x: number; y: number };
  to: { x: number; y: number };
  /** Where it passes a column that it has nothing to do with: between the boxes there. */
  via?: { x: number; width: number; y: number };
  /** Messages a second, both ways. */
  rate: number;
  /** Where its figure is written; absent where there is none. */
  label?: { x: number; y: number };
}
export interface Picture { columns: { kind: string; x: number; width: number }[]; boxes: Box[]; lines: Line[]; height: number }

/** `scale` = how much larger letters are than on most pages. */
export function layout(topology: Topology, width: number, scale = 1): Picture {
  const { columns, boxes, lines, height } = unscaled(topology, width / scale);
  const point = ({ x, y }: { x: number; y: number }) => ({ x: x * scale, y: y * scale });
  return {
    columns: columns.map((column) => ({ ...column, x: column.x * scale, width: column.width * scale })),
    boxes: boxes.map((box) => ({ ...box, ...point(box), width: box.width * scale })),
    lines: lines.map(({ label, via, ...line }) => ({
      ...line, from: point(line.from), to: point(line.to), ...(label ? { label: point(label) } : {}),
      ...(via ? { via: { ...point(via), width: via.width * scale } } : {}),
    })),
    height: height * scale,
  };
}

function unscaled({ places, flows }: Topology, width: number): Picture {
  const kinds = KINDS.filter((kind) => places.some((place) => place.kind === kind));
  const n = Math.max(kinds.length, 1);
  const boxWidth = Math.min(WIDEST_BOX, Math.floor((width - NARROWEST_GAP * (n - 1)) / n));
  const step = n > 1 ? (width - boxWidth) / (n - 1) : 0;
  const columns = kinds.map((kind, i) => ({ kind: kind as string, x: Math.round(i * step), width: boxWidth }));

  const ys = rows(places, flows);
  const boxes = places.flatMap((place): Box[] => {
    const column = columns.find((column) => column.kind === place.kind);
    return column ? [{ place, x: column.x, y: ys.get(place.id) ?? HEAD, width: boxWidth }] : [];
  });
  const drawn = lines(boxes, flows);
  const lowest = [...boxes.map((box) => box.y + BOX_HEIGHT), ...drawn.map((line) => (line.via?.y ?? 0) + ASIDE)];
  return { columns, boxes, lines: drawn, height: Math.max(HEAD, ...lowest) + 4 };
}

/** Nodes below each other, clusters beside their nodes, the others in the middle. */
function rows(places: Place[], flows: Flow[]): Map<string, number> {
  const ys = new Map<string, number>();
  const of = (kind: string) => places.filter((place) => place.kind === kind);
  const leads = (from: string, to: string) => flows.some((flow) => flow.from === from && flow.to === to);

  let y = HEAD;
  const clusters = inOrderOfSources(of("cluster"), places, flows);
  const nodes = of("node");
  for (const cluster of clusters) {
    const own = nodes.filter((node) => leads(cluster.id, node.id));
    const top = y;
    for (const node of own) {
      ys.set(node.id, y);
      y += BOX_HEIGHT + ROW_GAP;
    }
    if (own.length === 0) y += BOX_HEIGHT + ROW_GAP;
    ys.set(cluster.id, (top + y - ROW_GAP - BOX_HEIGHT) / 2);
    y += CLUSTER_GAP - ROW_GAP;
  }
  for (const node of nodes) {
    if (ys.has(node.id)) continue;
    ys.set(node.id, y);
    y += BOX_HEIGHT + ROW_GAP;
  }
  const tall = (count: number) => count * (BOX_HEIGHT + ROW_GAP) - ROW_GAP;
  const most = Math.max(y - CLUSTER_GAP - HEAD, tall(of("listener").length), tall(of("route").length));
  const lower = (most - (y - CLUSTER_GAP - HEAD)) / 2;
  if (lower > 0) for (const [id, at] of ys) ys.set(id, at + lower);
  for (const kind of ["listener", "route"]) {
    const column = of(kind);
    column.forEach((place, i) => {
      ys.set(place.id, HEAD + (most - tall(column.length)) / 2 + i * (BOX_HEIGHT + ROW_GAP));
    });
  }
  return ys;
}

/** Clusters below each other as the routes to them are, so that fewer lines cross. */
function inOrderOfSources(clusters: Place[], places: Place[], flows: Flow[]): Place[] {
  const position = (id: string) => places.filter((place) => place.kind === "route").findIndex((place) => place.id === id);
  const middle = (cluster: Place) => {
    const sources = flows.filter((flow) => flow.to === cluster.id).map((flow) => position(flow.from)).filter((i) => i >= 0);
    return sources.length ? sources.reduce((sum, i) => sum + i, 0) / sources.length : Infinity;
  };
  const known = new Map(clusters.map((cluster) => [cluster.id, middle(cluster)]));
  return [...clusters].sort((a, b) => {
    const [of, other] = [known.get(a.id) ?? Infinity, known.get(b.id) ?? Infinity];
    return of === other ? 0 : of - other;
  });
}

/** Lines leave and reach a box one above the other, in the order of where they go, so that few of them cross. */
function lines(boxes: Box[], flows: Flow[]): Line[] {
  const at = new Map(boxes.map((box) => [box.place.id, box]));
  const known = flows.filter((flow) => at.has(flow.from) && at.has(flow.to));
  const y = (id: string) => at.get(id)?.y ?? 0;
  const port = (own: string, all: Flow[], other: (flow: Flow) => string, flow: Flow) => {
    const order = [...all].sort((a, b) => y(other(a)) - y(other(b)));
    const spread = Math.min(14, (BOX_HEIGHT - 20) / Math.max(all.length, 1));
    return y(own) + BOX_HEIGHT / 2 + (order.indexOf(flow) - (all.length - 1) / 2) * spread;
  };
  const placed: { x: number; y: number }[] = [];
  return known.map((flow) => {
    const from = at.get(flow.from);
    const to = at.get(flow.to);
    const out = known.filter((other) => other.from === flow.from);
    const into = known.filter((other) => other.to === flow.to);
    const start = { x: (from?.x ?? 0) + (from?.width ?? 0), y: port(flow.from, out, (f) => f.to, flow) };
    const end = { x: to?.x ?? 0, y: port(flow.to, into, (f) => f.from, flow) };
    const rate = flow.rates.published + flow.rates.delivered;
    const via = passing(start, end, boxes);
    const line: Line = { flow, from: start, to: end, rate, ...(via ? { via } : {}) };
    if (flow.sessions === 0 && rate === 0) return line;
    const label = room(via ? { x: via.x + via.width, y: via.y } : start, end, placed);
    placed.push(label);
    return { ...line, label };
  });
}

/** Where a line gets past the boxes of a column between its ends: the nearest gap. */
function passing(from: Line["from"], to: Line["to"], boxes: Box[]): Line["via"] {
  const between = boxes.filter((box) => box.x > from.x && box.x + box.width < to.x).sort((a, b) => a.y - b.y);
  const [first, last] = [between[0], between.at(-1)];
  if (!first || !last) return undefined;
  const gaps = [first.y - ASIDE, last.y + BOX_HEIGHT + ASIDE];
  between.slice(1).forEach((box, i) => gaps.push(((between[i]?.y ?? box.y) + BOX_HEIGHT + box.y) / 2));
  const middle = (from.y + to.y) / 2;
  const y = gaps.reduce((best, gap) => (Math.abs(gap - middle) < Math.abs(best - middle) ? gap : best));
  return { x: first.x, width: first.width, y };
}

/** A point of the line where no other figure is. */
function room(from: Line["from"], to: Line["to"], placed: { x: number; y: number }[]): { x: number; y: number } {
  const points = [0.5, 0.62, 0.38, 0.72, 0.28, 0.8, 0.2].map((t) => point(from, to, t));
  const free = points.find((p) => placed.every((q) => Math.abs(p.x - q.x) > 50 || Math.abs(p.y - q.y) > 15));
  return free ?? points[0] ?? from;
}

/** The line as SVG has it: level at both ends. */
export function curve({ from, to, via }: Pick<Line, "from" | "to" | "via">): string {
  const start = `M${from.x} ${from.y}`;
  if (!via) return start + bend(from, to);
  const [before, behind] = [{ x: via.x, y: via.y }, { x: via.x + via.width, y: via.y }];
  return `${start}${bend(from, before)}H${behind.x}${bend(behind, to)}`;
}

function bend(from: Line["from"], to: Line["to"]): string {
  const half = (to.x - from.x) / 2;
  return `C${from.x + half} ${from.y} ${to.x - half} ${to.y} ${to.x} ${to.y}`;
}

function point(from: Line["from"], to: Line["to"], t: number): { x: number; y: number } {
  const half = (to.x - from.x) / 2;
  const bezier = (a: number, b: number, c: number, d: number) =>
    (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t ** 2 * c + t ** 3 * d;
  return {
    x: bezier(from.x, from.x + half, to.x - half, to.x),
    y: bezier(from.y, from.y, to.y, to.y),
  };
}

/** How wide a line is: ten times the messages add the same again. */
export const thickness = (rate: number) => Math.min(8, 1.5 + Math.log10(1 + rate) * 1.5);

/** How fast it moves: 0 = not at all, 3 = fast. */
export const pace = (rate: number) => (rate <= 0 ? 0 : rate < 10 ? 1 : rate < 1_000 ? 2 : 3);
