// One node: what is known of it, its checks, and what an operator can change.

import { useState } from "preact/hooks";
import { patch, url } from "../api/client";
import type { Check, Node } from "../api/types";
import { Action } from "../components/action";
import { Ago, Badge, Empty, Facts, Moment, PageHead, Section, Waiting } from "../components/basics";
import { Chart } from "../components/chart";
import { condition } from "../components/nodes/condition";
import { Table, useTableState, type Column } from "../components/table";
import { done } from "../components/toast";
import { count, duration, t } from "../i18n";
import { usePoll } from "../state/poll";
import { href } from "../state/router";
import { NodeActions } from "./nodes";

export function NodePage({ cluster, node }: { cluster: string; node: string }) {
  const polled = usePoll<Node>(url`nodes/${cluster}/${node}`, 2_000);
  const { data, error, reload } = polled;
  const title = `${cluster}/${node}`;
  // A reload may take it away while somebody looks.
  const gone = error?.status === 404;
  if (!data || gone) {
    return (
      <>
        <PageHead title={title} lead={<a href={href(["nodes"])}>{t("nodes.all")}</a>} />
        {gone ? <Empty title={t("nodes.gone", { name: title })} /> : <Waiting error={error} onRetry={reload} />}
      </>
    );
  }
  const { tone, text } = condition(data);
  return (
    <>
      <PageHead title={title} lead={<a href={href(["nodes"])}>{t("nodes.all")}</a>}>
        <NodeActions node={data} reload={reload} />
      </PageHead>
      <div class="two">
        <div class="panel">
          <h2>{t("nodes.condition")}</h2>
          <Facts
            facts={[
              [t("nodes.state"), <Badge tone={tone}>{text}</Badge>],
              [t("nodes.since"), data.since ? <><Moment at={data.since} /> (<Ago at={data.since} />)</> : null],
              [t("nodes.reason"), data.reason],
              [t("nodes.fitness"), t(`fitness.${data.fitness}` as "fitness.fit")],
              [t("nodes.sessions"), <a href={href(["sessions"], { node: title })}>{count(data.sessions)}</a>],
              [t("nodes.max"), data.max_connections ? count(data.max_connections) : null],
              [t("nodes.weight"), <Weight node={data} reload={reload} />],
              [t("nodes.backup"), data.backup ? t("nodes.backup_yes") : null],
            ]}
          />
        </div>
        <div class="panel">
          <h2>{t("nodes.learned")}</h2>
          <Facts
            facts={[
              [t("nodes.address"), <span class="mono">{data.address}</span>],
              [t("nodes.broker"), data.broker.name ?? t("nodes.not_asked")],
              [t("nodes.version"), data.broker.version ?? t("nodes.not_asked")],
              [t("nodes.alarms"), <Alarms node={data} />],
            ]}
          />
        </div>
      </div>
      <Checks node={data} />
    </>
  );
}

function Alarms({ node }: { node: Node }) {
  const { broker } = node;
  const stands = [
    broker.memory_alarm && t("node_state.memory_alarm"),
    broker.disk_alarm && t("node_state.disk_alarm"),
    broker.maintenance && t("node_state.maintenance"),
    broker.minority && t("node_state.minority"),
    broker.quorum_critical && t("node_state.quorum_critical"),
  ].filter((text): text is string => typeof text === "string");
  if (!stands.length) return <Badge tone="good">{t("nodes.no_alarms")}</Badge>;
  return <>{stands.map((text) => <Badge key={text} tone="bad">{text}</Badge>)}</>;
}

function Weight({ node, reload }: { node: Node; reload: () => void }) {
  const [typed, setTyped] = useState<string | null>(null);
  const value = typed ?? String(node.weight);
  const wanted = Number(value);
  const wrong = !Number.isInteger(wanted) || wanted < 1 || wanted > 4294967295;
  const save = async () => {
    await patch(url`nodes/${node.cluster}/${node.node}`, { weight: wanted });
    setTyped(null);
    done(t("nodes.weight_saved", { name: `${node.cluster}/${node.node}`, weight: wanted }));
    reload();
  };
  return (
    <span class="row-actions">
      <input class="short" type="number" min={1} value={value} aria-label={t("nodes.weight")} aria-invalid={wrong}
        onInput={(event) => setTyped(event.currentTarget.value)} />
      <Action role="operator" small onAct={save}
        why={wrong ? t("nodes.weight_wrong") : wanted === node.weight ? t("nodes.weight_same") : null}>
        {t("nodes.weight_save")}
      </Action>
    </span>
  );
}

function Checks({ node }: { node: Node }) {
  const state = useTableState({ sort: "" });
  const columns: Column<Check>[] = [
    { key: "check", label: t("nodes.check"), cell: (check) => <span class="mono">{check.check}</span> },
    { key: "outcome", label: t("nodes.outcome"), cell: (check) => <Outcome check={check} /> },
    { key: "latency", label: t("nodes.latency"), align: "right", cell: (check) => duration(check.latency_ms / 1_000) },
    { key: "at", label: t("nodes.at"), cell: (check) => <Moment at={check.at} />, yields: 3 },
    { key: "text", label: t("nodes.text"), cell: (check) => check.text ?? "", class: "wraps" },
  ];
  return (
    <Section title={t("nodes.checks")}>
      <Table caption={t("nodes.checks")} columns={columns} rows={node.checks} rowKey={(check) => check.check} state={state}
        empty={<Empty title={t("nodes.no_checks")}>{t("nodes.no_checks_more")}</Empty>} />
      <div class="charts">
        {node.checks.map((check) => (
          <div class="panel" key={check.check}>
            <Chart
              title={t("nodes.latency_of", { check: check.check })}
              at={(check.past ?? []).map((past) => Date.parse(past.at) / 1_000)}
              lines={[{
                label: check.check, color: check.outcome === "failed" ? "--line-2" : "--line-1",
                values: (check.past ?? []).map((past) => past.latency_ms / 1_000),
              }]}
              format={duration}
              atLeast={0.001}
            />
          </div>
        ))}
      </div>
    </Section>
  );
}

function Outcome({ check }: { check: Check }) {
  const tone = check.outcome === "passed" ? "good" : check.outcome === "failed" ? "bad" : "warning";
  return <Badge tone={tone}>{t(`outcome.${check.outcome}` as "outcome.passed")}</Badge>;
}
