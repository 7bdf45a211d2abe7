// The way of sessions: listeners, routes, clusters and nodes, and what passes between them.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Flow, Place, Topology } from "../../api/types";
import { count, rate, t, type TextKey } from "../../i18n";
import { letters } from "../../state/prefs";
import { href } from "../../state/router";
import { Aspect, Badge, toneOf } from "../basics";
import { BOX_HEIGHT, type Box, curve, KINDS, layout, type Line, NARROWEST, pace, thickness } from "./layout";
import "./way.css";

const TITLES: Record<string, TextKey> = {
  listener: "overview.listeners", route: "overview.routes", cluster: "overview.clusters", node: "overview.nodes",
};

export function Way({ topology }: { topology: Topology }) {
  const host = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const scale = letters();
  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const measure = () => setWidth(element.clientWidth);
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  return (
    <div class="way" ref={host}>
      {width > 0 &&
        (width < NARROWEST * scale ? <List topology={topology} /> : <Drawn topology={topology} width={width} scale={scale} />)}
    </div>
  );
}

/** Where a box leads to: the sessions of a listener, the configuration of a route, the page of a node. */
function leads(place: Place): string {
  const name = place.id.slice(place.id.indexOf(":") + 1);
  if (place.kind === "listener") return href(["sessions"], { listener: name });
  if (place.kind === "route") return href(["config"]);
  return href(["nodes", ...name.split("/")]);
}

const messages = (flow: Flow) => flow.rates.published + flow.rates.delivered;

/** What a reader who sees no lines is told of a box. */
function inWords(place: Place, topology: Topology): string {
  const names = new Map(topology.places.map((other) => [other.id, other.name]));
  const out = topology.flows
    .filter((flow) => flow.from === place.id && flow.sessions > 0)
    .map((flow) => `${t("overview.to", { name: names.get(flow.to) ?? flow.to })} ${rate(messages(flow))}`);
  return [t("overview.sessions_n", { count: place.sessions }), ...out].join(", ");
}

function Drawn({ topology, width, scale }: { topology: Topology; width: number; scale: number }) {
  const picture = layout(topology, width, scale);
  return (
    <div class="way-drawn" style={{ height: `${picture.height}px` }}>
      {picture.columns.map(({ kind, x, width: wide }) => (
        <h3 key={kind} class="way-title" style={{ left: `${x}px`, width: `${wide}px` }}>
          {t(TITLES[kind] ?? "overview.nodes")}
        </h3>
      ))}
      <svg width={width} height={picture.height} aria-hidden="true">
        {picture.lines.map((line) => (
          <Track key={`${line.flow.from} ${line.flow.to}`} line={line} />
        ))}
        {picture.lines.map((line) => line.label && (
          <text key={`${line.flow.from} ${line.flow.to} n`} x={line.label.x} y={line.label.y + 4} text-anchor="middle">
            {rate(line.rate)}
          </text>
        ))}
      </svg>
      {picture.boxes.map((box) => (
        <PlaceBox key={box.place.id} box={box} height={BOX_HEIGHT * scale} words={inWords(box.place, topology)} />
      ))}
    </div>
  );
}

function Track({ line }: { line: Line }) {
  const d = curve(line);
  const moves = pace(line.rate);
  const used = line.flow.sessions > 0 || moves > 0;
  const { x, y } = line.to;
  return (
    <g class={used ? "track used" : "track"}>
      <path d={d} stroke-width={used ? thickness(line.rate) : 1.5} />
      {moves > 0 && <path class={`flow pace-${moves}`} d={d} />}
      <path class="head" d={`M${x - 8} ${y - 5}L${x} ${y}L${x - 8} ${y + 5}z`} />
    </g>
  );
}

function PlaceBox({ box: { place, x, y, width }, height, words }: { box: Box; height: number; words: string }) {
  const tone = toneOf(place.health);
  return (
    <a
      class={`place ${tone}`} href={leads(place)}
      style={{ left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` }}
      title={`${place.name}\n${place.state}\n${place.note}`}
    >
      <span class="place-name">
        <Aspect tone={tone} />
        <b>{place.name}</b>
        <span class="place-sessions" title={t("overview.sessions_n", { count: place.sessions })}>
          {count(place.sessions)}
        </span>
      </span>
      <span class={`place-state ${tone}`}>{place.state}</span>
      <span class="place-note">{place.note}</span>
      <span class="unseen">{words}</span>
    </a>
  );
}

/** The same as a list, for narrow pages. */
function List({ topology }: { topology: Topology }) {
  const names = new Map(topology.places.map((place) => [place.id, place.name]));
  return (
    <div class="way-list">
      {KINDS.map((kind) => {
        const places = topology.places.filter((place) => place.kind === kind);
        if (places.length === 0) return null;
        return (
          <section key={kind}>
            <h3 class="way-title">{t(TITLES[kind] ?? "overview.nodes")}</h3>
            <ul>
              {places.map((place) => (
                <li key={place.id} class={`place-row ${toneOf(place.health)}`}>
                  <a href={leads(place)}>
                    <b>{place.name}</b>
                  </a>
                  <Badge tone={toneOf(place.health)}>{place.state}</Badge>
                  <span class="dim place-row-note">{place.note}</span>
                  <span class="place-row-sessions">{t("overview.sessions_n", { count: place.sessions })}</span>
                  {topology.flows
                    .filter((flow) => flow.from === place.id && flow.sessions > 0)
                    .map((flow) => (
                      <span class="place-row-flow" key={flow.to}>
                        <span class="dim">{t("overview.to", { name: names.get(flow.to) ?? flow.to })}</span>{" "}
                        {rate(messages(flow))}
                      </span>
                    ))}
                </li>
              ))}
            </ul>
          </section>
        );
      })}
    </div>
  );
}
