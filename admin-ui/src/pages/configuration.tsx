// The configuration: what is in force, what the file would change, and what there was before.

import { useState } from "preact/hooks";
import { post, url } from "../api/client";
import type { Change, Checked, Config, ConfigProblem, Diff, Reloaded, Revision, RevisionText } from "../api/types";
import { Action } from "../components/action";
import { Badge, Empty, Facts, Moment, PageHead, Section, Waiting } from "../components/basics";
import { DiffText } from "../components/diff-text";
import { confirm } from "../components/confirm";
import { Table, useTableState, type Column } from "../components/table";
import { done } from "../components/toast";
import { count, t } from "../i18n";
import { usePoll } from "../state/poll";
import { href } from "../state/router";
import "./manage.css";
import type { PageProps } from "./pages";

export function Configuration({ parts }: PageProps) {
  const { data, error, reload } = usePoll<Config>("config", 5_000);
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [number] = parts;
  if (number) return <OneRevision number={number} />;
  if (!data) {
    return (
      <>
        <PageHead title={t("nav.config")} lead={t("lead.config")} />
        <Waiting error={error} onRetry={reload} />
      </>
    );
  }
  return (
    <>
      <PageHead title={t("nav.config")} lead={t("lead.config")}>
        <Orders show={setOutcome} reload={reload} />
      </PageHead>
      <div class="panel">
        <Facts
          facts={[
            [t("config.file"), <span class="mono">{data.file}</span>],
            [t("config.running"), t("config.running_line", { revision: data.running.revision, by: data.running.by })],
            [t("config.since"), <Moment at={data.running.at} />],
            [t("config.state"), data.file_differs
              ? <Badge tone="warning">{t("config.differs")}</Badge>
              : <Badge tone="good">{t("config.same")}</Badge>],
            [t("config.watch"), t(data.reload_on_change ? "config.watched" : "config.not_watched")],
          ]}
        />
      </div>
      <div role="status">{outcome && <ShowOutcome outcome={outcome} close={() => setOutcome(null)} />}</div>
      <History config={data} show={setOutcome} reload={reload} />
      <Section title={t("config.text")} aside={t("config.masked")}>
        <pre class="panel text" tabIndex={0} aria-label={t("config.text")}>{data.text}</pre>
      </Section>
    </>
  );
}

interface Outcome {
  title: string;
  good: boolean;
  problems: ConfigProblem[];
  changes: Change[];
  text?: string;
  sessions?: number;
}

function Orders({ show, reload }: { show: (outcome: Outcome) => void; reload: () => void }) {
  const check = async () => {
    const checked = await post<Checked>("config/check");
    const title = t(checked.valid ? "config.valid" : "config.invalid");
    show({ title, good: checked.valid, problems: checked.problems, changes: [] });
  };
  const diff = async () => {
    const found = await post<Diff>("config/diff");
    show(ofDiff(found));
  };
  const reloadFile = async () => {
    const found = await post<Diff>("config/diff");
    show(ofDiff(found));
    if (!found.valid) return;
    const yes = await confirm({
      title: t("config.reload_title"),
      body: (
        <>
          <p>{found.changes.length ? t("config.reload_body", { count: found.changes.length }) : t("config.no_changes")}</p>
          {found.sessions_closed > 0 && <p>{t("config.closes", { count: found.sessions_closed })}</p>}
        </>
      ),
      action: t("config.reload"),
    });
    if (!yes) return;
    show(tell(await post<Reloaded>("config/reload")));
    reload();
  };
  return (
    <>
      <Action role="operator" onAct={check}>{t("config.check")}</Action>
      <Action role="operator" onAct={diff}>{t("config.diff")}</Action>
      <Action role="operator" tone="primary" onAct={reloadFile}>{t("config.reload")}</Action>
    </>
  );
}

/** What has come of a reload or a rollback; a message says it, too, unless something is wrong. */
function tell(reloaded: Reloaded): Outcome {
  const { revision, problems, changes, sessions_closed: sessions } = reloaded;
  const good = !problems.some((problem) => problem.severity === "error");
  const title = t(good ? "config.reloaded" : "config.reloaded_but", { revision });
  if (good) done(title);
  return { title, good, problems, changes, sessions };
}

function ofDiff(diff: Diff): Outcome {
  const title = !diff.valid ? t("config.invalid") : diff.changes.length ? t("config.would_change") : t("config.no_changes");
  return {
    title, good: diff.valid, problems: diff.problems, changes: diff.changes, text: diff.text,
    sessions: diff.sessions_closed,
  };
}

function ShowOutcome({ outcome, close }: { outcome: Outcome; close: () => void }) {
  const { title, good, problems, changes, text, sessions } = outcome;
  const dismiss = <button type="button" class="small" onClick={close}>{t("toast.dismiss")}</button>;
  return (
    <Section title={title} aside={dismiss} class="outcome">
      <div class="panel">
        {(!good || (problems.length === 0 && changes.length === 0 && !text)) && (
          <p class="notice"><Badge tone={good ? "good" : "bad"}>{title}</Badge></p>
        )}
        <Problems problems={problems} />
        {sessions ? <p class="notice"><Badge tone="warning">{t("config.closes", { count: sessions })}</Badge></p> : null}
        <ul class="changes">
          {changes.map((change) => (
            <li key={change.section + change.how}>
              <Badge tone={change.needs_restart ? "warning" : "unknown"}>{t(`change.${change.how}` as "change.added")}</Badge>{" "}
              <span class="mono">{change.section}</span>
              {change.needs_restart && <> – {t("config.needs_restart")}</>}
              <ul>{change.what.map((what) => <li key={what} class="dim">{what}</li>)}</ul>
            </li>
          ))}
        </ul>
        {text && <DiffText text={text} />}
      </div>
    </Section>
  );
}

function Problems({ problems }: { problems: ConfigProblem[] }) {
  if (!problems.length) return null;
  return (
    <ul class="problems">
      {problems.map((problem, i) => (
        <li key={i}>
          <Badge tone={problem.severity === "error" ? "bad" : "warning"}>{t(`problem.${problem.severity}` as "problem.error")}</Badge>{" "}
          <span class="mono">{problem.file}:{problem.line}:{problem.column}</span> {problem.message}
          {problem.advice && <span class="dim"> {problem.advice}</span>}
        </li>
      ))}
    </ul>
  );
}

function History(props: { config: Config; show: (outcome: Outcome) => void; reload: () => void }) {
  const { config, show, reload } = props;
  const state = useTableState({ sort: "" });
  const back = async (revision: number) => {
    const yes = await confirm({
      title: t("config.rollback_title", { revision }),
      body: <p>{t("config.rollback_body")}</p>,
      action: t("config.rollback"),
      danger: true,
    });
    if (!yes) return;
    show(tell(await post<Reloaded>("config/rollback", { revision })));
    reload();
  };
  const columns: Column<Revision>[] = [
    { key: "revision", label: t("config.revision"), cell: (one) => <RevisionLink one={one} /> },
    { key: "at", label: t("config.at"), cell: (one) => <Moment at={one.at} /> },
    { key: "by", label: t("config.by"), cell: (one) => (one.from ? `${one.by} (${one.from})` : one.by), yields: 3 },
    {
      key: "outcome", label: t("config.outcome"),
      cell: (one) => (
        <Badge tone={one.outcome === "applied" ? "good" : "bad"}>{t(`revision.${one.outcome}` as "revision.applied")}</Badge>
      ),
    },
    { key: "changes", label: t("config.changes"), cell: (one) => one.changes.join("; "), class: "wraps", yields: 2 },
    {
      key: "actions", label: t("nodes.actions"),
      cell: (one) => (
        <Action role="admin" small label={t("config.rollback_to", { revision: one.revision })}
          onAct={() => back(one.revision)}
          why={one.revision === config.running.revision ? t("config.is_running") : one.available ? null : t("config.not_kept")}>
          {t("config.rollback")}
        </Action>
      ),
    },
  ];
  return (
    <Section title={t("config.history")} aside={t("config.history_kept")}>
      <Table caption={t("config.history")} columns={columns} rows={config.history}
        rowKey={(one) => `${one.revision} ${one.at}`} state={state} empty={<Empty title={t("config.no_history")} />} />
    </Section>
  );
}

function RevisionLink({ one }: { one: Revision }) {
  if (!one.revision || !one.available) return <>{one.revision ? count(one.revision) : "–"}</>;
  return <a href={href(["config", one.revision])}>{count(one.revision)}</a>;
}

function OneRevision({ number }: { number: string }) {
  const { data, error, reload } = usePoll<RevisionText>(url`config/revisions/${number}`, 60_000);
  const title = t("config.revision_title", { revision: number });
  return (
    <>
      <PageHead title={title} lead={<a href={href(["config"])}>{t("config.back")}</a>} />
      {!data && <Waiting error={error} onRetry={reload} />}
      {data && <pre class="panel text" tabIndex={0} aria-label={title}>{data.text}</pre>}
    </>
  );
}
