// What happened, and who did what: the latest first, new ones as they come.

import { useEffect, useState } from "preact/hooks";
import type { ApiError } from "../api/client";
import { follow, type StreamState } from "../api/stream";
import type { Event, EventKind } from "../api/types";
import { Badge, Empty, Moment, PageHead, severityTone } from "../components/basics";
import { Table, useTableState, type Column } from "../components/table";
import { t } from "../i18n";
import { setQuery } from "../state/router";
import "./manage.css";
import type { PageProps } from "./pages";

const KINDS: EventKind[] = [
  "node", "cluster", "virtual-router", "config", "operator", "login", "certificate", "gateway",
];
/** Events that the page keeps. */
const KEPT = 1_000;

export function Events({ query }: PageProps) {
  const kind = KINDS.find((known) => known === query["kind"]);
  const [events, setEvents] = useState<Event[]>([]);
  const [stream, setStream] = useState<StreamState>("connecting");
  const [refusal, setRefusal] = useState<ApiError | null>(null);
  const [words, setWords] = useState("");
  const table = useTableState({ sort: "" });

  useEffect(() => {
    setEvents([]);
    return follow<Event>("events", { kind, limit: KEPT }, {
      event: (event) => {
        // The notice of a gap has no number: what was missed follows it.
        if (typeof event.id !== "number") return;
        // A gateway that was started anew counts from one again.
        const is = (one: Event) => one.id === event.id && one.at === event.at;
        setEvents((before) => (before.some(is) ? before : [event, ...before].slice(0, KEPT)));
      },
      state: (state, error) => {
        setStream(state);
        if (error) setRefusal(error);
        else if (state === "open") setRefusal(null);
      },
    });
  }, [kind]);

  const fits = (event: Event) => JSON.stringify(event).toLowerCase().includes(words.toLowerCase());
  const shown = [...events].sort(latestFirst).filter((event) => !words || fits(event));
  return (
    <>
      <PageHead title={t("nav.events")} lead={t("lead.events")}>
        <Badge tone={stream === "open" ? "good" : "warning"}>{t(stream === "open" ? "link.live" : "link.lost")}</Badge>
      </PageHead>
      {refusal && (
        <p class="notice" role="alert">
          <Badge tone="warning">{t("error.title")}</Badge> {refusal.message}
        </p>
      )}
      <div class="fields">
        <label>
          <span>{t("events.kind")}</span>
          <select value={kind ?? ""} onChange={(event) => setQuery({ kind: event.currentTarget.value || undefined })}>
            <option value="">{t("events.all")}</option>
            {KINDS.map((one) => <option key={one} value={one}>{kindName(one)}</option>)}
          </select>
        </label>
        <label>
          <span>{t("sessions.search")}</span>
          <input type="search" data-search value={words} placeholder={t("events.search_hint")}
            onInput={(event) => setWords(event.currentTarget.value)} />
        </label>
      </div>
      <Table caption={t("nav.events")} columns={columns()} rows={shown} rowKey={(event) => `${event.id} ${event.at}`} state={table}
        empty={<Empty title={t("events.empty")}>{t("events.empty_more")}</Empty>} />
    </>
  );
}

/** By time; of the same moment, by number. */
const latestFirst = (a: Event, b: Event) => Date.parse(b.at) - Date.parse(a.at) || b.id - a.id;

const kindName = (kind: EventKind) => t(`kind.${kind.replace("-", "_")}` as "kind.node");

function columns(): Column<Event>[] {
  return [
    { key: "at", label: t("events.at"), cell: (event) => <Moment at={event.at} precise /> },
    {
      key: "severity", label: t("events.severity"), yields: 3,
      cell: (event) => <Badge tone={severityTone(event.severity)}>{t(`severity.${event.severity}`)}</Badge>,
    },
    { key: "kind", label: t("events.kind"), cell: (event) => kindName(event.kind), yields: 2 },
    { key: "subject", label: t("events.subject"), cell: (event) => <span class="mono">{event.subject}</span>, yields: 3 },
    { key: "text", label: t("events.text"), cell: (event) => <Said event={event} />, class: "wraps" },
    { key: "actor", label: t("events.actor"), cell: (event) => <Who event={event} />, yields: 1 },
  ];
}

/** Details of an order that its text says in other words. */
const SAID = ["method", "path", "outcome", "status", "by"];

function Said({ event }: { event: Event }) {
  const details = Object.entries(event.details).filter(
    ([name, value]) => !SAID.includes(name) && !event.text.includes(String(value)),
  );
  return (
    <>
      {event.text}
      {details.length > 0 && (
        <span class="dim"> {details.map(([name, value]) => `${name}=${value}`).join(" ")}</span>
      )}
    </>
  );
}

function Who({ event }: { event: Event }) {
  const { actor } = event;
  if (!actor) return <span class="dim">–</span>;
  return <span title={actor.by}>{actor.from ? `${actor.name} (${actor.from})` : actor.name}</span>;
}
