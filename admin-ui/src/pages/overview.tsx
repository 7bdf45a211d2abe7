// Is anything wrong, and what passes: the page to keep open.

import type { ComponentChildren } from "preact";
import type { Alarm, History, Status, Topology, VirtualRouters } from "../api/types";
import { Ago, Aspect, Badge, Empty, Moment, PageHead, RouterState, Section, severityTone, Skeleton, Waiting } from "../components/basics";
import { Chart, type ChartProps } from "../components/chart";
import { Way } from "../components/way/way";
import { byteRate, bytes, count, duration, percent, rate, short, t, word } from "../i18n";
import { usePoll } from "../state/poll";
import { href } from "../state/router";
import "./overview.css";

const LIVE_MS = 2_000;
const HISTORY_MS = 10_000;

export function Overview() {
  const status = usePoll<Status>("status", LIVE_MS);
  const topology = usePoll<Topology>("topology", LIVE_MS);
  const routers = usePoll<VirtualRouters>("virtual-routers", LIVE_MS);
  const history = usePoll<History>("history", HISTORY_MS);
  const now = status.data;
  return (
    <>
      <PageHead title={t("nav.overview")} lead={now ? <Facts now={now} /> : "\u00a0"} />
      <div class="overview-top">
        <Section title={t("overview.alarms")}>
          {now ? <Alarms status={now} /> : status.error ? <Waiting error={status.error} onRetry={status.reload} /> : <Skeleton height={62} />}
        </Section>
        <Section title={t("overview.ha")}>
          {routers.data ? <Routers {...routers.data} /> : <Skeleton height={62} />}
        </Section>
      </div>
      <Section title={t("overview.path")} aside={t("overview.path_lead")}>
        <div class="panel">
          {!topology.data ? (
            <Skeleton height={320} />
          ) : topology.data.places.length === 0 ? (
            <Empty title={t("overview.path_empty")}>{t("overview.path_empty_more")}</Empty>
          ) : (
            <Way topology={topology.data} />
          )}
        </div>
      </Section>
      <Figures now={now} history={history.data} />
    </>
  );
}

function Facts({ now }: { now: Status }) {
  return (
    <span class="overview-facts">
      <span class="mono">{now.gateway}</span>
      <span>{t("overview.up_for", { duration: duration((Date.parse(now.now) - Date.parse(now.started_at)) / 1_000) })}</span>
      <a href={href(["config"])}>{t("overview.revision", { revision: String(now.revision) })}</a>
      <span>{t("overview.process", { id: String(now.process_id) })}</span>
    </span>
  );
}

/** The page that tells more of what an alarm is about. */
function about(alarm: Alarm): string {
  switch (alarm.kind) {
    case "node":
    case "cluster":
      return href(["nodes", ...alarm.subject.split("/")]);
    case "listener":
      return href(["sessions"], { listener: alarm.subject });
    case "virtual-router":
      return href(["ha", alarm.subject]);
    case "certificate":
      return href(["certificates"]);
    case "config":
      return href(["config"]);
    default:
      return href(["events"]);
  }
}

function Alarms({ status }: { status: Status }) {
  const { alarms, not_ready, ready, stopping } = status;
  const fine = alarms.length === 0 && ready && !stopping;
  return (
    <div class={fine ? "panel alarms fine" : "panel alarms"} aria-live="polite">
      {fine && (
        <p class="all-good">
          <Aspect tone="good" /> <strong>{t("overview.no_alarms")}</strong>{" "}
          <span class="dim">{t("overview.no_alarms_more")}</span>
        </p>
      )}
      {stopping && <p class="alarm"><Badge tone="bad">{t("overview.stopping")}</Badge></p>}
      {!ready && !stopping && (
        <p class="alarm">
          <Badge tone="bad">{word("severity", "critical")}</Badge>
          <span class="alarm-text">{t("overview.not_ready", { reasons: not_ready.join("; ") })}</span>
        </p>
      )}
      {alarms.map((alarm) => (
        <p class="alarm" key={`${alarm.kind} ${alarm.subject} ${alarm.text}`}>
          <Badge tone={severityTone(alarm.severity)}>{word("severity", alarm.severity)}</Badge>
          <span class="alarm-text">
            <a href={about(alarm)}>{alarm.subject}</a>: {alarm.text}
          </span>
          {alarm.since && (
            <span class="dim alarm-since" >
              <Moment at={alarm.since} />
            </span>
          )}
        </p>
      ))}
    </div>
  );
}

function Routers({ virtual_routers }: VirtualRouters) {
  if (virtual_routers.length === 0) return <p class="panel dim">{t("overview.ha_empty")}</p>;
  return (
    <ul class="panel routers">
      {virtual_routers.map((router) => (
        <li key={router.virtual_router}>
          <a href={href(["ha", router.virtual_router])}>{router.virtual_router}</a>
          <span class="router-state">
            <RouterState state={router.state} /> {router.since && <span class="dim"><Ago at={router.since} /></span>}
          </span>
          <span class="mono router-addresses">{router.addresses.join(", ")}</span>
          <span class="dim router-peer">
            {router.peer
              ? t("overview.ha_peer", {
                  address: router.peer.address, priority: String(router.peer.priority), ago: duration(router.peer.heard_ms / 1_000),
                })
              : t(router.state === "active" ? "overview.ha_no_peer_active" : "overview.ha_no_peer")}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Figures({ now, history }: { now: Status | null; history: History | null }) {
  const at = history?.at ?? [];
  const rates = now?.rates;
  return (
    <div class="figures-host"><div class="figures">
      <Figure
        wide title={t("overview.messages")} at={at} format={rate}
        aside={now && t("overview.unconfirmed", { count: now.unconfirmed })}
        lines={[
          { label: t("overview.published"), color: "--line-1", values: history?.published ?? [], now: rates?.published },
          { label: t("overview.delivered"), color: "--line-2", values: history?.delivered ?? [], now: rates?.delivered },
          { label: t("overview.confirmed"), color: "--line-3", values: history?.confirmed ?? [], now: rates?.confirmed },
        ]}
      />
      <Figure
        title={t("overview.bytes")} at={at} format={byteRate} atLeast={1024} binary
        lines={[
          { label: t("overview.from_clients"), color: "--line-1", values: history?.bytes_from_client ?? [], now: rates?.bytes_from_client },
          { label: t("overview.from_nodes"), color: "--line-2", values: history?.bytes_from_node ?? [], now: rates?.bytes_from_node },
        ]}
      />
      <Figure
        title={t("overview.sessions")} at={at} format={count}
        aside={now && `${t("overview.channels", { count: now.channels })} · ${t("overview.of_max", { max: now.max_connections })}`}
        lines={[{ label: t("overview.sessions"), color: "--line-1", values: history?.sessions ?? [], now: now?.sessions }]}
      />
      <Figure
        title={t("overview.handshakes")} at={at} format={rate}
        aside={now && t("overview.in_handshake", { count: now.in_handshake })}
        lines={[{ label: t("overview.handshakes"), color: "--line-1", values: history?.handshakes ?? [] }]}
      />
      <Figure
        title={t("overview.handshake_p99_title")} at={at} format={duration} atLeast={0.01}
        aside={t("overview.handshake_p99")}
        lines={[{ label: "p99", color: "--line-2", values: history?.handshake_p99_s ?? [] }]}
      />
      <Figure
        title={t("overview.process_title")} at={at} format={(n) => percent(n)} atLeast={0.1}
        aside={now && t("overview.of_cores", { count: now.process.cores })}
        lines={[{ label: t("overview.cpu_of_core"), color: "--line-1", values: history?.cpu ?? [], now: now?.process.cpu }]}
      />
      <Figure
        title={t("overview.memory")} at={at} format={bytes} atLeast={16 * 1024 * 1024} binary
        aside={now && t("overview.files", { open: short(now.process.open_files), max: short(now.process.max_open_files) })}
        lines={[{ label: t("overview.memory_in_ram"), color: "--line-3", values: history?.memory_bytes ?? [], now: now?.process.memory_bytes }]}
      />
    </div></div>
  );
}

function Figure({ aside, wide, ...chart }: ChartProps & { aside?: ComponentChildren; wide?: boolean }) {
  return (
    <section class={wide ? "panel figure wide" : "panel figure"}>
      <div class="figure-head">
        <h2>{chart.title}</h2>
        <span class="dim">{aside}</span>
      </div>
      <Chart height={130} {...chart} />
    </section>
  );
}
