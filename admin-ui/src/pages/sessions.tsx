// All sessions, a page of them at a time: filtered, sorted and paged by the gateway.

import { useEffect, useState } from "preact/hooks";
import { remove } from "../api/client";
import type { Closing, Sessions as SessionsPage } from "../api/types";
import { Action } from "../components/action";
import { Badge, Empty, PageHead, Skeleton, Waiting } from "../components/basics";
import { confirm } from "../components/confirm";
import { Filters, filterOf, inWords } from "../components/sessions/filters";
import { ColumnChoice, columnsOf, useColumns } from "../components/sessions/columns";
import { Pager, Table, useTableState } from "../components/table";
import { done } from "../components/toast";
import { count, t } from "../i18n";
import { usePoll } from "../state/poll";
import { setQuery } from "../state/router";
import type { PageProps } from "./pages";
import "./sessions.css";

const EVERY_MS = 2_000;
const PAGE_SIZE = 50;

export function Sessions({ query }: PageProps) {
  const state = useTableState({ sort: "id" });
  const filter = filterOf(query);
  const asked = { ...filter, sort: state.sort, descending: state.descending, page: state.page, page_size: PAGE_SIZE };
  const { data, error, reload } = usePoll<SessionsPage>("sessions", EVERY_MS, asked);
  const busy = useBusy(JSON.stringify(asked), data);
  const [chosen, choose] = useColumns();

  // A page behind the last one is what is left when sessions end.
  const pages = data ? Math.max(1, Math.ceil(data.filtered / PAGE_SIZE)) : null;
  useEffect(() => {
    if (!busy && pages !== null && state.page > pages) setQuery({ page: pages > 1 ? pages : undefined });
  }, [busy, pages, state.page]);

  const filtered = Object.keys(filter).length > 0;
  return (
    <>
      <PageHead title={t("nav.sessions")} lead={t("sessions.lead")} />
      <Filters query={query} />
      <div class="sessions-bar">
        <p aria-live="polite">
          {data && (
            <>
              <b>{count(data.filtered)}</b>{" "}
              {filtered ? t("sessions.of_total", { count: data.total }) : t("sessions.total", { count: data.total })}
            </>
          )}
        </p>
        <ColumnChoice chosen={chosen} onChoose={choose} />
        <CloseAll filter={filter} found={data?.filtered ?? 0} busy={busy} onClosed={reload} />
      </div>
      {data && error && error.status >= 400 && (
        <p class="notice" role="alert">
          <Badge tone="bad">{t("error.title")}</Badge> {[error.detail, ...error.reasons].filter(Boolean).join(" ")}
        </p>
      )}
      {!data ? (
        error ? <Waiting error={error} onRetry={reload} /> : <Skeleton lines={14} />
      ) : (
        <div class="sessions-table">
          <Table
            caption={t("nav.sessions")} columns={columnsOf(chosen, reload)} rows={data.sessions} rowKey={(session) => session.id}
            state={state} minRows={8} busy={busy} rowClass={(session) => (session.state === "closing" ? "closing" : "")}
            empty={
              filtered ? (
                <Empty title={t("sessions.empty_filtered")}>
                  <button type="button" onClick={clear}>{t("sessions.clear")}</button>
                </Empty>
              ) : (
                <Empty title={t("sessions.empty")}>{t("sessions.empty_more")}</Empty>
              )
            }
          />
          {data.filtered > 0 && <Pager page={Math.min(state.page, pages ?? 1)} size={PAGE_SIZE} total={data.filtered} />}
        </div>
      )}
    </>
  );

  function clear() {
    setQuery(Object.fromEntries([...Object.keys(filter), "page"].map((name) => [name, undefined])));
  }
}

/** Is what is shown the answer to an earlier question? */
function useBusy(question: string, data: unknown): boolean {
  const [answered, setAnswered] = useState({ question, data });
  useEffect(() => {
    if (data !== answered.data) setAnswered({ question, data });
  }, [question, data]);
  return data !== null && data === answered.data && question !== answered.question;
}

function CloseAll(props: { filter: Record<string, string>; found: number; busy: boolean; onClosed: () => void }) {
  const { filter, found, busy, onClosed } = props;
  const filtered = Object.keys(filter).length > 0;
  // Until the answer is there, the number is that of another filter.
  const empty = busy ? t("app.loading") : found === 0 ? t("sessions.empty_filtered") : null;
  const why = filtered ? empty : t("sessions.close_all_why");
  const close = async () => {
    const sure = await confirm({
      title: t("sessions.close_all_title", { count: found }),
      body: (
        <>
          <ul class="confirm-filter">
            {inWords(filter).map(([name, value]) => (
              <li key={name}>
                <span class="dim">{name}</span> <b class="mono">{value}</b>
              </li>
            ))}
          </ul>
          <p>{t("sessions.close_all_body")}</p>
        </>
      ),
      action: t("sessions.close_all_do", { count: found }),
      danger: true,
    });
    if (!sure) return;
    const closing = await remove<Closing>("sessions", filter);
    done(t("sessions.closed_all", { count: closing.sessions, rate: closing.rate }));
    onClosed();
  };
  return (
    <Action role="operator" tone="danger" why={why} onAct={close}>
      {filtered && !busy && found > 0 ? t("sessions.close_all", { total: found }) : t("sessions.close_all_none")}
    </Action>
  );
}
