// Who uses what: vhosts and users, their rates, what was refused, and where they are led.

import type { Share, User, Users, Vhost, Vhosts as VhostList } from "../api/types";
import { Empty, PageHead, Section, Waiting } from "../components/basics";
import { Pager, sorted, Table, useTableState, type Column } from "../components/table";
import { byteRate, count, duration, rate, t } from "../i18n";
import { usePoll } from "../state/poll";
import { href, setQuery } from "../state/router";
import "./manage.css";
import type { PageProps } from "./pages";

/** Rows a page. */
const SIZE = 50;

export function Vhosts({ parts, query }: PageProps) {
  const [chosen] = parts;
  const users = query["by"] === "user";
  const tab = (by: string | undefined, text: string, on: boolean) => (
    <button type="button" role="tab" aria-selected={on} onClick={() => setQuery({ by, page: undefined, sort: undefined, desc: undefined })}>
      {text}
    </button>
  );
  return (
    <>
      <PageHead title={t("nav.vhosts")} lead={t("lead.vhosts")} />
      <div class="tabs" role="tablist">
        {tab(undefined, t("vhosts.by_vhost"), !users)}
        {tab("user", t("vhosts.by_user"), users)}
      </div>
      <div role="tabpanel">{users ? <ByUser chosen={chosen} /> : <ByVhost chosen={chosen} />}</div>
    </>
  );
}

function ByVhost({ chosen }: { chosen: string | undefined }) {
  const { data, error, reload } = usePoll<VhostList>("vhosts", 2_000);
  if (!data) return <Waiting error={error} onRetry={reload} />;
  const rows = data.vhosts.filter((row) => !chosen || row.vhost === chosen);
  const columns: Column<Vhost>[] = [
    {
      key: "vhost", label: t("sessions.vhost"), by: (row) => row.vhost,
      cell: (row) => <a href={href(["sessions"], { vhost: row.vhost })}>{row.vhost}</a>,
    },
    { key: "routed", label: t("vhosts.routed"), by: (row) => row.routed, cell: (row) => <Routed to={row.routed} /> },
    { key: "users", label: t("vhosts.users"), cell: (row) => row.users.join(", "), class: "wraps", yields: 2 },
    ...common<Vhost>(),
  ];
  return <List caption={t("vhosts.by_vhost")} rows={rows} columns={columns} rowKey={(row) => row.vhost} />;
}

function ByUser({ chosen }: { chosen: string | undefined }) {
  const { data, error, reload } = usePoll<Users>("users", 2_000);
  if (!data) return <Waiting error={error} onRetry={reload} />;
  const rows = data.users.filter((row) => !chosen || row.user === chosen);
  const columns: Column<User>[] = [
    {
      key: "user", label: t("sessions.user"), by: (row) => row.user,
      cell: (row) => <a href={href(["sessions"], { user: row.user })}>{row.user}</a>,
    },
    { key: "vhosts", label: t("vhosts.vhosts"), cell: (row) => row.vhosts.join(", "), class: "wraps", yields: 2 },
    ...common<User>(),
  ];
  return <List caption={t("vhosts.by_user")} rows={rows} columns={columns} rowKey={(row) => row.user} />;
}

type Row = Vhost | User;

function common<R extends Row>(): Column<R>[] {
  return [
    { key: "sessions", label: t("nodes.sessions"), align: "right", by: (row) => row.sessions, cell: (row) => count(row.sessions) },
    { key: "published", label: t("sessions.published"), align: "right", by: (row) => row.rates.published, cell: (row) => rate(row.rates.published) },
    { key: "delivered", label: t("sessions.delivered"), align: "right", by: (row) => row.rates.delivered, cell: (row) => rate(row.rates.delivered), yields: 3 },
    { key: "bytes", label: t("sessions.from_client"), align: "right", by: (row) => row.rates.bytes_from_client, cell: (row) => byteRate(row.rates.bytes_from_client), yields: 1 },
    { key: "unconfirmed", label: t("sessions.unconfirmed"), hint: t("sessions.unconfirmed_long"), align: "right", by: (row) => row.unconfirmed, cell: (row) => count(row.unconfirmed), yields: 2 },
    { key: "refused", label: t("vhosts.refused"), hint: t("vhosts.refused_long"), align: "right", by: (row) => row.refused, cell: (row) => count(row.refused), yields: 3 },
    { key: "delayed", label: t("vhosts.delayed"), hint: t("vhosts.delayed_long"), align: "right", by: (row) => row.delayed_seconds, cell: (row) => duration(row.delayed_seconds), yields: 1 },
    { key: "nodes", label: t("vhosts.nodes"), cell: (row) => <Shares nodes={row.nodes} />, class: "wraps", yields: 1 },
  ];
}

interface ListProps<R> {
  caption: string;
  rows: R[];
  columns: Column<R>[];
  rowKey: (row: R) => string;
}

function List<R>({ caption, rows, columns, rowKey }: ListProps<R>) {
  const state = useTableState({ sort: "sessions", descending: true });
  const ordered = sorted(rows, columns, state);
  const shown = ordered.slice((state.page - 1) * SIZE, state.page * SIZE);
  return (
    <Section title={caption} aside={count(rows.length)}>
      <Table caption={caption} columns={columns} rows={shown} rowKey={rowKey} state={state}
        empty={<Empty title={t("vhosts.empty")}>{t("vhosts.empty_more")}</Empty>} />
      {rows.length > SIZE && <Pager page={state.page} size={SIZE} total={rows.length} />}
    </Section>
  );
}

function Routed({ to }: { to: string }) {
  if (to === "rejected") return <>{t("vhosts.rejected")}</>;
  if (to === "depends") return <span class="dim">{t("vhosts.depends")}</span>;
  return <a href={href(["nodes"])}>{to}</a>;
}

function Shares({ nodes }: { nodes: Share[] }) {
  return <>{nodes.map((share) => `${share.at}: ${count(share.sessions)}`).join(", ")}</>;
}
