// One session: what it is, what it does, and what passes on it.

import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { url } from "../api/client";
import type { Session as SessionFacts, SessionHistory, Step } from "../api/types";
import { Empty, Facts, Moment, PageHead, Skeleton, Waiting } from "../components/basics";
import { Chart } from "../components/chart";
import { CloseSession } from "../components/sessions/close";
import { SessionState } from "../components/sessions/state";
import { Tap } from "../components/tap/tap";
import { byteRate, bytes, count, duration, rate, t } from "../i18n";
import { usePoll } from "../state/poll";
import { href } from "../state/router";
import type { PageProps } from "./pages";
import "./session.css";

const EVERY_MS = 1_000;
const HISTORY_MS = 2_000;

export function Session({ parts }: PageProps) {
  const id = Number(parts[0]);
  const path = Number.isSafeInteger(id) ? url`sessions/${id}` : null;
  const facts = usePoll<SessionFacts>(path, EVERY_MS);
  const gone = path === null || facts.error?.status === 404;
  // What was there stays to be read.
  const history = usePoll<SessionHistory>(path && !gone ? `${path}/history` : null, HISTORY_MS);
  const last = useRef<SessionHistory | null>(null);
  if (history.data) last.current = history.data;
  const session = facts.data;
  return (
    <>
      <nav class="back"><a href={href(["sessions"])}>‹ {t("session.back")}</a></nav>
      <PageHead title={t("session.title", { id: String(parts[0]) })} lead={session ? <Lead session={session} gone={gone} /> : "\u00a0"}>
        {session && !gone && <CloseSession session={session} onClosed={facts.reload} />}
      </PageHead>
      {gone && (
        <div class="panel gone" role="status">
          <strong>{t("session.gone", { id: String(parts[0]) })}</strong> <span class="dim">{t("session.gone_more")}</span>
        </div>
      )}
      {session ? (
        <>
          <Cards session={session} />
          <Charts history={last.current} session={session} steps={last.current?.steps ?? null} />
          <Tap session={id} ended={gone} />
        </>
      ) : (
        !gone && (facts.error ? <Waiting error={facts.error} onRetry={facts.reload} /> : <Skeleton lines={12} />)
      )}
    </>
  );
}

function Lead({ session: s, gone }: { session: SessionFacts; gone: boolean }) {
  return (
    <span class="session-lead">
      <b>{s.client ?? s.product ?? t("sessions.unnamed")}</b>
      <span class="mono">{s.source}</span>
      {!gone && <SessionState session={s} />}
    </span>
  );
}

function Card({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="panel">
      <h2>{title}</h2>
      {children}
    </section>
  );
}

const mono = (value: string | null | undefined) => (value ? <span class="mono">{value}</span> : null);
const link = (to: string, value: string) => <a href={to}>{value}</a>;

function Cards({ session: s }: { session: SessionFacts }) {
  const product = [s.product, s.version].filter(Boolean).join(" ");
  const tls = s.tls ? [s.tls, s.cipher].filter(Boolean).join(" · ") : t("session.no_tls");
  const total = (n: number) => <span class="dim">{t("session.total_of", { total: count(n) })}</span>;
  return (
    <div class="cards">
      <Card title={t("session.client")}>
        <Facts
          facts={[
            [t("sessions.client"), s.client],
            [t("sessions.product"), product || null],
            [t("session.platform"), s.platform],
            [t("session.protocol"), s.protocol],
            [t("session.source"), mono(s.source)],
            [t("session.proxy"), mono(s.proxy)],
            [t("session.tls"), tls],
            [t("session.sni"), mono(s.sni)],
            [t("session.common_name"), s.common_name],
          ]}
        />
      </Card>
      <Card title={t("session.way")}>
        <Facts
          facts={[
            [t("sessions.user"), s.user && link(href(["sessions"], { user: s.user }), s.user)],
            [t("sessions.vhost"), s.vhost && link(href(["sessions"], { vhost: s.vhost }), s.vhost)],
            [t("session.listener"), link(href(["sessions"], { listener: s.listener }), s.listener)],
            [t("session.route"), s.route ?? (s.cluster ? t("session.route_none") : null)],
            [t("session.node"), s.cluster && s.node ? link(href(["nodes", s.cluster, s.node]), `${s.cluster}/${s.node}`) : null],
            [t("session.since"), <><Moment at={s.since} /> <span class="dim">({duration(s.age_s)})</span></>],
            [t("session.handshake"), s.handshake_ms == null ? null : duration(s.handshake_ms / 1_000)],
            [t("session.waited"), s.waited_ms > 0 ? duration(s.waited_ms / 1_000) : null],
            [t("session.heartbeat"), s.heartbeat_s ? duration(s.heartbeat_s) : t("session.heartbeat_none")],
          ]}
        />
      </Card>
      <Card title={t("session.work")}>
        <Facts
          facts={[
            [t("sessions.channels"), count(s.channels)],
            [t("sessions.published"), <>{rate(s.rates.published)} {total(s.totals.published)}</>],
            [t("session.confirmed"), <>{rate(s.rates.confirmed)} {total(s.totals.confirmed)}</>],
            [t("session.unconfirmed"), count(s.unconfirmed)],
            [t("sessions.delivered"), <>{rate(s.rates.delivered)} {total(s.totals.delivered)}</>],
            [t("session.acknowledged"), <>{rate(s.rates.acknowledged)} {total(s.totals.acknowledged)}</>],
            [t("session.returned"), count(s.totals.returned)],
            [t("sessions.from_client"), <>{byteRate(s.rates.bytes_from_client)} <span class="dim">{t("session.total_of", { total: bytes(s.totals.bytes_from_client) })}</span></>],
            [t("sessions.from_node"), <>{byteRate(s.rates.bytes_from_node)} <span class="dim">{t("session.total_of", { total: bytes(s.totals.bytes_from_node) })}</span></>],
          ]}
        />
      </Card>
    </div>
  );
}

function Charts({ history, session, steps }: { history: SessionHistory | null; session: SessionFacts; steps: Step[] | null }) {
  const at = history?.at ?? [];
  const { rates } = session;
  return (
    <div class="cards">
      <Card title={t("session.messages_chart")}>
        <Chart
          title={t("session.messages_chart")} at={at} format={rate}
          lines={[
            { label: t("overview.published"), color: "--line-1", values: history?.published ?? [], now: rates.published },
            { label: t("overview.delivered"), color: "--line-2", values: history?.delivered ?? [], now: rates.delivered },
          ]}
        />
      </Card>
      <Card title={t("session.bytes_chart")}>
        <Chart
          title={t("session.bytes_chart")} at={at} format={byteRate} atLeast={64} binary
          lines={[
            { label: t("sessions.from_client"), color: "--line-1", values: history?.bytes_from_client ?? [], now: rates.bytes_from_client },
            { label: t("sessions.from_node"), color: "--line-2", values: history?.bytes_from_node ?? [], now: rates.bytes_from_node },
          ]}
        />
      </Card>
      <Card title={t("session.steps")}>
        {!steps ? <Skeleton lines={4} /> : steps.length === 0 ? <Empty title={t("table.empty")} /> : (
          <ol class="steps">
            {steps.map((step, i) => (
              <li key={i}>
                <span class="dim"><Moment at={step.at} precise /></span> <span>{step.text}</span>
              </li>
            ))}
          </ol>
        )}
      </Card>
    </div>
  );
}
