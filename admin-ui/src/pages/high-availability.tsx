// The virtual routers of this gateway: who has the shared addresses, how it came to that, and moving them.

import { post, url } from "../api/client";
import type { VirtualRouter, VirtualRouters } from "../api/types";
import { Action } from "../components/action";
import { Ago, Badge, Empty, Facts, Moment, PageHead, RouterState, Section, Waiting } from "../components/basics";
import { confirm } from "../components/confirm";
import { done } from "../components/toast";
import { count, duration, t, word } from "../i18n";
import { usePoll } from "../state/poll";
import { href } from "../state/router";
import "./manage.css";
import type { PageProps } from "./pages";

export function HighAvailability({ parts }: PageProps) {
  const { data, error, reload } = usePoll<VirtualRouters>("virtual-routers", 2_000);
  const [only] = parts;
  const shown = data?.virtual_routers.filter((router) => !only || router.virtual_router === only) ?? [];
  const unknown = only && data?.virtual_routers.length ? only : null;
  return (
    <>
      <PageHead title={t("nav.ha")} lead={only ? <a href={href(["ha"])}>{t("ha.all")}</a> : t("lead.ha")} />
      {!data && <Waiting error={error} onRetry={reload} />}
      {data && shown.length === 0 && (
        <div class="panel">
          {unknown ? <Empty title={t("ha.unknown", { name: unknown })} /> : <Empty title={t("ha.empty")}>{t("ha.empty_more")}</Empty>}
        </div>
      )}
      {shown.map((router) => <OneRouter key={router.virtual_router} router={router} reload={reload} />)}
    </>
  );
}

function OneRouter({ router, reload }: { router: VirtualRouter; reload: () => void }) {
  const name = router.virtual_router;
  const { peer, counters } = router;
  return (
    <Section title={name} aside={<RouterState state={router.state} />}>
      <div class="panel">
        {router.alarms.map((alarm) => (
          <p class="notice" role="status" key={alarm.alarm}>
            <Badge tone="warning">{alarm.alarm}</Badge> {alarm.text}
          </p>
        ))}
        <div class="two">
          <Facts
            facts={[
              [t("ha.addresses"), <span class="mono">{router.addresses.join(", ")}</span>],
              [t("ha.held"), t(router.holds_addresses ? "ha.held_here" : "ha.held_not")],
              [t("ha.since"), router.since ? <><Moment at={router.since} /> (<Ago at={router.since} />)</> : null],
              [t("ha.reason"), router.reason],
              [t("ha.priority"), priority(router)],
              [t("ha.peer"), peer
                ? t("ha.peer_line", { address: peer.address, priority: peer.priority, ago: duration(peer.heard_ms / 1_000) })
                // Whoever is active hears no backup, so that it has a peer or none is not known.
                : t(router.state === "active" ? "ha.no_peer_active" : "ha.no_peer")],
            ]}
          />
          <Facts
            facts={[
              [t("ha.interface"), <span class="mono">{router.interface}</span>],
              [t("ha.vrid"), `${router.virtual_router_id} (VRRP v${router.version})`],
              [t("ha.group"), router.sync_group],
              [t("ha.sent"), count(counters.sent)],
              [t("ha.received"), count(counters.received)],
              [t("ha.announced"), count(counters.announcements)],
              [t("ha.errors"), errors(counters.errors)],
            ]}
          />
        </div>
        <p class="below">
          {router.released && <span class="dim">{t("ha.released")}</span>}
          <Move router={router} reload={reload} />
        </p>
        <h3>{t("ha.transitions")}</h3>
        <Timeline router={router} />
      </div>
    </Section>
  );

  function priority({ priority: configured, effective_priority: effective }: VirtualRouter) {
    const less = effective !== null && effective !== undefined && effective < configured;
    return less ? t("ha.priority_less", { effective, configured }) : count(configured);
  }

  function errors(of: Record<string, number>) {
    const all = Object.entries(of).filter(([, times]) => times > 0);
    return all.length ? all.map(([reason, times]) => `${reason}: ${count(times)}`).join(", ") : t("ha.no_errors");
  }
}

function Move({ router, reload }: { router: VirtualRouter; reload: () => void }) {
  const name = router.virtual_router;
  const release = async () => {
    const yes = await confirm({
      title: t("ha.release_title", { name }),
      body: (
        <p>
          {t("ha.release_body")} {router.sync_group && t("ha.release_group", { group: router.sync_group })}
        </p>
      ),
      action: t("ha.release"),
      danger: true,
    });
    if (!yes) return;
    await post(url`virtual-routers/${name}/release`);
    done(t("ha.releasing", { name }));
    reload();
  };
  const reclaim = async () => {
    const yes = await confirm({
      title: t("ha.reclaim_title", { name }),
      body: <p>{t("ha.reclaim_body")}</p>,
      action: t("ha.reclaim"),
    });
    if (!yes) return;
    await post(url`virtual-routers/${name}/reclaim`);
    done(t("ha.reclaiming", { name }));
    reload();
  };
  return router.released ? (
    <Action role="operator" label={t("ha.reclaim_name", { name })} onAct={reclaim}>{t("ha.reclaim")}</Action>
  ) : (
    <Action role="operator" label={t("ha.release_name", { name })} onAct={release}
      why={router.holds_addresses ? null : t("ha.release_why")}>
      {t("ha.release")}
    </Action>
  );
}

/** The latest transition first. */
function Timeline({ router }: { router: VirtualRouter }) {
  const history = [...router.history].reverse();
  if (!history.length) return <p class="dim">{t("ha.no_transitions")}</p>;
  return (
    // It scrolls: by keys, too.
    <ol class="timeline" tabIndex={0} aria-label={t("ha.transitions")}>
      {history.map((step) => (
        <li key={step.at + step.to}>
          <Moment at={step.at} precise />
          <span>{t("ha.step", { from: word("vrrp", step.from), to: word("vrrp", step.to) })}</span>
          <span class="dim">{t("ha.step_why", { reason: step.reason, priority: step.priority })}</span>
        </li>
      ))}
    </ol>
  );
}
