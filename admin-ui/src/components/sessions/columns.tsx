// The columns of the table of sessions, and which of them are shown.

import { useState } from "preact/hooks";
import type { Session } from "../../api/types";
import { briefly, byteRate, count, DASH, fullTime, rate, t } from "../../i18n";
import { remember, remembered } from "../../state/prefs";
import { href } from "../../state/router";
import type { Column } from "../table";
import { CloseSession } from "./close";
import { SessionState } from "./state";

const dash = <span class="dim">{DASH}</span>;
const text = (value: string | null | undefined) => (value ? <span title={value}>{value}</span> : dash);
const quiet = (n: number, written: string) => (n === 0 ? <span class="dim">0</span> : written);

/** Always there: whose session it is, and how it is. */
const FIXED = ["client", "state"];
const FROM_START = ["product", "source", "user", "vhost", "node", "channels", "published", "delivered", "unconfirmed", "age"];

function all(onClosed: () => void): Column<Session>[] {
  return [
    { key: "id", label: t("sessions.id"), width: 5, sortable: true, align: "right", yields: 2, cell: (s) => <a href={href(["sessions", s.id])}>{s.id}</a> },
    { key: "client", label: t("sessions.client"), width: 9.2, sortable: true, cell: (s) => <ClientName session={s} /> },
    { key: "state", label: t("sessions.state"), width: 6.6, sortable: true, cell: (s) => <SessionState session={s} /> },
    { key: "product", label: t("sessions.product"), width: 8.4, sortable: true, yields: 1, cell: (s) => text([s.product, s.version].filter(Boolean).join(" ")) },
    { key: "source", label: t("sessions.source"), width: 10.2, sortable: true, yields: 1, class: "mono", cell: (s) => text(s.source) },
    { key: "user", label: t("sessions.user"), width: 5.8, sortable: true, yields: 3, cell: (s) => text(s.user) },
    { key: "vhost", label: t("sessions.vhost"), width: 6.2, sortable: true, yields: 3, cell: (s) => text(s.vhost) },
    { key: "listener", label: t("sessions.listener"), width: 6, sortable: true, yields: 2, cell: (s) => text(s.listener) },
    { key: "node", label: t("sessions.node"), width: 7.5, sortable: true, yields: 3, cell: (s) => <NodeName session={s} /> },
    { key: "channels", label: t("sessions.channels"), width: 5.2, sortable: true, align: "right", yields: 2, cell: (s) => quiet(s.channels, count(s.channels)) },
    { key: "published", label: t("sessions.published"), width: 5.6, sortable: true, align: "right", cell: (s) => quiet(s.rates.published, rate(s.rates.published)) },
    { key: "delivered", label: t("sessions.delivered"), width: 5.6, sortable: true, align: "right", cell: (s) => quiet(s.rates.delivered, rate(s.rates.delivered)) },
    { key: "from_client", label: t("sessions.from_client"), width: 7, sortable: true, align: "right", yields: 2, cell: (s) => quiet(s.rates.bytes_from_client, byteRate(s.rates.bytes_from_client)) },
    { key: "from_node", label: t("sessions.from_node"), width: 7, sortable: true, align: "right", yields: 2, cell: (s) => quiet(s.rates.bytes_from_node, byteRate(s.rates.bytes_from_node)) },
    { key: "unconfirmed", label: t("sessions.unconfirmed"), hint: t("sessions.unconfirmed_long"), width: 4.6, sortable: true, align: "right", yields: 3, cell: (s) => quiet(s.unconfirmed, count(s.unconfirmed)) },
    { key: "age", label: t("sessions.age"), width: 4.4, sortable: true, align: "right", yields: 3, cell: (s) => <time dateTime={s.since} title={fullTime(s.since)}>{briefly(s.age_s)}</time> },
    { key: "close", label: t("sessions.actions"), width: 5, yields: 3, cell: (s) => <CloseSession session={s} small onClosed={onClosed} /> },
  ];
}

export function columnsOf(chosen: string[], onClosed: () => void): Column<Session>[] {
  return all(onClosed).filter(({ key }) => FIXED.includes(key) || key === "close" || chosen.includes(key));
}

function ClientName({ session: s }: { session: Session }) {
  const name = s.client ?? s.product;
  return (
    <>
      <a href={href(["sessions", s.id])} title={s.client ?? s.source}>
        {s.client ?? <i>{name ?? t("sessions.unnamed")}</i>}
      </a>
      <span class="dim under">{[s.user, s.vhost].filter(Boolean).join(" @ ")}</span>
    </>
  );
}

function NodeName({ session: s }: { session: Session }) {
  if (!s.cluster || !s.node) return dash;
  return <a href={href(["nodes", s.cluster, s.node])} title={`${s.cluster}/${s.node}`}>{s.cluster}/{s.node}</a>;
}

export function useColumns(): [string[], (chosen: string[]) => void] {
  const [chosen, setChosen] = useState(() => remembered("sessions.columns")?.split(",") ?? FROM_START);
  return [
    chosen,
    (next) => {
      remember("sessions.columns", next.join(","));
      setChosen(next);
    },
  ];
}

export function ColumnChoice({ chosen, onChoose }: { chosen: string[]; onChoose: (chosen: string[]) => void }) {
  const choices = all(() => undefined).filter(({ key }) => !FIXED.includes(key) && key !== "close");
  const turn = (key: string) => onChoose(chosen.includes(key) ? chosen.filter((other) => other !== key) : [...chosen, key]);
  return (
    <details class="column-choice">
      <summary>{t("table.columns")}</summary>
      <div class="column-panel">
        {choices.map(({ key, label }) => (
          <label key={key}>
            <input type="checkbox" checked={chosen.includes(key)} onChange={() => turn(key)} /> {label}
          </label>
        ))}
      </div>
    </details>
  );
}
