// Clusters and their nodes: how they are, and taking them in and out of service.

import { get, patch, post, remove, url } from "../api/client";
import type { AdminState, Cluster, Clusters, Node, Nodes as NodeList, RebalanceNode, RebalancePlan } from "../api/types";
import { Action } from "../components/action";
import { Badge, Empty, Facts, PageHead, Section, Waiting } from "../components/basics";
import { confirm } from "../components/confirm";
import { condition } from "../components/nodes/condition";
import { Progress } from "../components/nodes/progress";
import { Table, useTableState, type Column, type TableState } from "../components/table";
import { done } from "../components/toast";
import { count, t } from "../i18n";
import { usePoll } from "../state/poll";
import { href } from "../state/router";
import "./manage.css";
import { NodePage } from "./node";
import type { PageProps } from "./pages";

export function Nodes({ parts }: PageProps) {
  const [cluster, node] = parts;
  if (cluster && node) return <NodePage cluster={cluster} node={node} />;
  return <AllNodes />;
}

function AllNodes() {
  const clusters = usePoll<Clusters>("clusters", 2_000);
  const nodes = usePoll<NodeList>("nodes", 2_000);
  const state = useTableState({ sort: "" });
  const reload = () => {
    clusters.reload();
    nodes.reload();
  };
  return (
    <>
      <PageHead title={t("nav.nodes")} lead={t("lead.nodes")} />
      {!clusters.data || !nodes.data ? (
        <Waiting error={clusters.error ?? nodes.error} onRetry={reload} />
      ) : (
        clusters.data.clusters.map((cluster) => (
          <OneCluster
            key={cluster.cluster}
            cluster={cluster}
            nodes={nodes.data?.nodes.filter((node) => node.cluster === cluster.cluster) ?? []}
            state={state}
            reload={reload}
          />
        ))
      )}
      {clusters.data?.clusters.length === 0 && (
        <div class="panel">
          <Empty title={t("nodes.empty")}>{t("nodes.empty_more")}</Empty>
        </div>
      )}
    </>
  );
}

interface ClusterProps {
  cluster: Cluster;
  nodes: Node[];
  state: TableState;
  reload: () => void;
}

function OneCluster({ cluster, nodes, state, reload }: ClusterProps) {
  const name = cluster.cluster;
  const aside = (
    <>
      <Badge tone={cluster.usable ? "good" : "bad"}>{t(cluster.usable ? "nodes.usable" : "nodes.unusable")}</Badge>{" "}
      {t("nodes.cluster_line", { sessions: count(cluster.sessions), balance: cluster.balance })}
    </>
  );
  return (
    <Section title={t("nodes.cluster", { name })} aside={aside}>
      <Table
        caption={t("nodes.cluster", { name })}
        columns={columns(reload)}
        rows={nodes}
        rowKey={(node) => node.node}
        state={state}
        empty={<Empty title={t("nodes.no_nodes")}>{t("nodes.no_nodes_more")}</Empty>}
      />
      <Rebalance cluster={cluster} reload={reload} />
    </Section>
  );
}

function columns(reload: () => void): Column<Node>[] {
  return [
    {
      key: "node", label: t("nodes.node"),
      cell: (node) => <a href={href(["nodes", node.cluster, node.node])}>{node.node}</a>,
    },
    {
      key: "state", label: t("nodes.state"),
      cell: (node) => {
        const { tone, text } = condition(node);
        return <Badge tone={tone} title={node.reason ?? undefined}>{text}</Badge>;
      },
    },
    { key: "address", label: t("nodes.address"), cell: (node) => <span class="mono">{node.address}</span>, yields: 3 },
    {
      key: "sessions", label: t("nodes.sessions"), align: "right",
      cell: (node) => (
        <a href={href(["sessions"], { node: `${node.cluster}/${node.node}` })}>{count(node.sessions)}</a>
      ),
    },
    { key: "weight", label: t("nodes.weight"), align: "right", cell: (node) => count(node.weight), yields: 3 },
    { key: "version", label: t("nodes.version"), cell: (node) => node.broker.version ?? "–", yields: 1 },
    { key: "checks", label: t("nodes.checks"), cell: (node) => <Checks node={node} />, yields: 2 },
    { key: "actions", label: t("nodes.actions"), cell: (node) => <NodeActions node={node} reload={reload} /> },
  ];
}

function Checks({ node }: { node: Node }) {
  if (!node.checks.length) return <span class="dim">{t("nodes.no_checks")}</span>;
  return (
    <span class="lamps">
      {node.checks.map((check) => {
        const tone = check.outcome === "passed" ? "good" : check.outcome === "failed" ? "bad" : "warning";
        return <Badge key={check.check} tone={tone} title={check.text ?? undefined}>{check.check}</Badge>;
      })}
    </span>
  );
}

/** The buttons of a node, or how far its drain is. */
export function NodeActions({ node, reload }: { node: Node; reload: () => void }) {
  const name = `${node.cluster}/${node.node}`;
  const set = async (state: AdminState, said: string) => {
    await patch<Node>(url`nodes/${node.cluster}/${node.node}`, { admin_state: state });
    done(said);
    reload();
  };
  const ask = async (state: "draining" | "disabled") => {
    const drain = state === "draining";
    const yes = await confirm({
      title: t(drain ? "nodes.drain_title" : "nodes.disable_title", { name }),
      body: <p>{t(drain ? "nodes.drain_body" : "nodes.disable_body", { sessions: count(node.sessions) })}</p>,
      action: t(drain ? "nodes.drain" : "nodes.disable"),
      danger: drain,
    });
    if (yes) await set(state, t(drain ? "nodes.draining_now" : "nodes.disabled_now", { name }));
  };
  return (
    <span class="row-actions">
      {node.drain && <Progress done={node.drain.closed} of={node.drain.total} label={t("nodes.drain_of", { name })} />}
      {node.admin_state !== "enabled" && (
        <Action role="operator" small label={t("nodes.enable_name", { name })}
          onAct={() => set("enabled", t("nodes.enabled_now", { name }))}>
          {t("nodes.enable")}
        </Action>
      )}
      {node.admin_state === "enabled" && (
        <>
          <Action role="operator" small label={t("nodes.drain_name", { name })} onAct={() => ask("draining")}>
            {t("nodes.drain")}
          </Action>
          <Action role="operator" small label={t("nodes.disable_name", { name })} onAct={() => ask("disabled")}>
            {t("nodes.disable")}
          </Action>
        </>
      )}
    </span>
  );
}

function Rebalance({ cluster, reload }: { cluster: Cluster; reload: () => void }) {
  const name = cluster.cluster;
  const run = cluster.rebalance;
  const begin = async () => {
    const plan = await get<RebalancePlan>(url`clusters/${name}/rebalance`);
    if (!plan.planned) return done(t("nodes.even", { name }));
    const moves = ({ sessions, surplus }: RebalanceNode) =>
      surplus ? t("nodes.rebalance_moves", { count: surplus, sessions: count(sessions) }) : count(sessions);
    const yes = await confirm({
      title: t("nodes.rebalance_title", { name }),
      body: (
        <>
          <p>{t("nodes.rebalance_body", { count: plan.planned, rate: plan.rate })}</p>
          <Facts facts={plan.nodes.map((node) => [node.node, moves(node)])} />
        </>
      ),
      action: t("nodes.rebalance"),
    });
    if (!yes) return;
    const { planned } = await post<{ planned: number }>(url`clusters/${name}/rebalance`);
    done(t("nodes.rebalancing", { count: planned }));
    reload();
  };
  const stop = async () => {
    await remove(url`clusters/${name}/rebalance`);
    reload();
  };
  if (run) {
    return (
      <p class="below">
        <Progress done={run.moved} of={run.planned} label={t("nodes.rebalance_of", { name })} />
        <Action role="operator" small onAct={stop}>{t("nodes.rebalance_stop")}</Action>
      </p>
    );
  }
  return (
    <p class="below">
      <Action role="operator" small label={t("nodes.rebalance_name", { name })} onAct={begin}>
        {t("nodes.rebalance")}
      </Action>
    </p>
  );
}
