// Lines over time: uPlot in the console's colours and the reader's language.

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { language, t, time } from "../i18n";
import { letters, themes } from "../state/prefs";
import { useStore } from "../state/store";

export interface Line {
  label: string;
  /** A CSS variable: `--line-1`. */
  color: string;
  values: (number | null)[];
  /** What it is at this moment, if that is known better than by the last of the values. */
  now?: number | null | undefined;
}

export interface ChartProps {
  /** What it shows, for those who do not see it. */
  title: string;
  /** Seconds since 1970. */
  at: number[];
  lines: Line[];
  height?: number;
  /** How values are written. */
  format: (n: number | null | undefined) => string;
  /** The axis goes up to this at least. */
  atLeast?: number;
  /** Are values bytes, whose round numbers are powers of two? */
  binary?: boolean;
}

const POWERS_OF_TWO = Array.from({ length: 48 }, (_, i) => 2 ** i);

export function Chart({ title, at, lines, height: plain = 120, format, atLeast = 1, binary = false }: ChartProps) {
  const scale = letters();
  const height = Math.round(plain * scale);
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const repaint = useStore(themes.repaint);
  const tag = useStore(language);
  const data = [at, ...lines.map((line) => line.values)] as uPlot.AlignedData;
  const shape = lines.map((line) => line.label + line.color).join();

  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const colors = getComputedStyle(document.documentElement);
    const color = (name: string) => colors.getPropertyValue(name).trim();
    const axis = { stroke: color("--dim"), font: `${11 * scale}px ${color("--sans")}`, grid: { stroke: color("--grid"), width: 1 } };
    const made = new uPlot(
      {
        width: Math.max(element.clientWidth, 80),
        height,
        padding: [8, 18, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
        scales: { y: { range: (_, __, max) => [0, Math.max(max ?? 0, atLeast) * 1.08] } },
        axes: [
          { ...axis, space: 70 * scale, size: 22 * scale, ticks: { show: false }, values: (_, ticks) => ticks.map(clock) },
          {
            ...axis, space: 28 * scale, size: 58 * scale, gap: 4, ticks: { show: false }, ...(binary ? { incrs: POWERS_OF_TWO } : {}),
            values: (_, ticks) => ticks.map((tick) => format(tick)),
          },
        ],
        series: [
          {},
          ...lines.map((line) => ({
            label: line.label, stroke: color(line.color), width: 1.5, spanGaps: false, points: { show: false },
          })),
        ],
        hooks: { setCursor: [(u) => setCursor(u.cursor.idx ?? null)] },
      },
      data,
      element,
    );
    plot.current = made;
    const watch = new ResizeObserver(() => {
      const width = element.clientWidth;
      if (width > 0 && width !== made.width) made.setSize({ width, height });
    });
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, height, repaint, tag]);

  useEffect(() => plot.current?.setData(data), [at, ...lines.map((line) => line.values)]);

  const index = cursor ?? at.length - 1;
  const shown = (line: Line) => (cursor === null && line.now !== undefined ? line.now : line.values[index]);
  return (
    <figure class="chart" aria-label={title}>
      <figcaption class="legend">
        {lines.map((line) => (
          <span key={line.label}>
            <i class={`key ${line.color.slice(2)}`} />
            {line.label} <b>{format(shown(line))}</b>
          </span>
        ))}
        <span class="legend-time dim">{cursor === null ? "" : time((at[index] ?? 0) * 1_000)}</span>
      </figcaption>
      <div class="plot" ref={host} style={{ height: `${height}px` }} aria-hidden="true">
        {at.length === 0 && <p class="plot-none dim">{t("chart.none")}</p>}
      </div>
    </figure>
  );
}

function clock(seconds: number): string {
  const date = new Date(seconds * 1_000);
  const two = (n: number) => String(n).padStart(2, "0");
  const minutes = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return date.getSeconds() ? `${minutes}:${two(date.getSeconds())}` : minutes;
}
