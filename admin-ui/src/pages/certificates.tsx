// The certificates in use, and how long they last.

import type { Certificate, Certificates as List } from "../api/types";
import { Badge, Empty, Facts, Moment, PageHead, Waiting, type Tone } from "../components/basics";
import { sorted, Table, useTableState, type Column } from "../components/table";
import { t, word } from "../i18n";
import { usePoll } from "../state/poll";
import "./manage.css";
import type { PageProps } from "./pages";

export function Certificates(_: PageProps) {
  const { data, error, reload } = usePoll<List>("certificates", 10_000);
  const state = useTableState({ sort: "ends" });
  const all = columns();
  return (
    <>
      <PageHead title={t("nav.certificates")} lead={t("lead.certificates")} />
      {!data ? (
        <Waiting error={error} onRetry={reload} />
      ) : (
        <Table
          caption={t("nav.certificates")}
          columns={all}
          rows={sorted(data.certificates, all, state)}
          rowKey={(certificate) => certificate.used_by + certificate.of + certificate.fingerprint}
          state={state}
          empty={<Empty title={t("certificates.empty")}>{t("certificates.empty_more")}</Empty>}
        />
      )}
    </>
  );
}

function columns(): Column<Certificate>[] {
  return [
    { key: "name", label: t("certificates.name"), by: (one) => one.name, cell: (one) => <Name certificate={one} /> },
    {
      key: "used", label: t("certificates.used_by"), by: (one) => one.used_by + one.of,
      cell: (one) => `${word("used_by", one.used_by)} ${one.of}`,
    },
    { key: "ends", label: t("certificates.ends"), by: (one) => one.not_after, cell: (one) => <Ends certificate={one} />, class: "wraps" },
    { key: "key", label: t("certificates.key"), by: (one) => one.key_type, cell: (one) => one.key_type, yields: 2 },
    { key: "issuer", label: t("certificates.issuer"), by: (one) => one.issuer, cell: (one) => one.issuer, yields: 1, class: "wraps" },
    { key: "loaded", label: t("certificates.loaded"), by: (one) => one.loaded_at, cell: (one) => <Moment at={one.loaded_at} />, yields: 3 },
  ];
}

function Name({ certificate: one }: { certificate: Certificate }) {
  return (
    <>
      <details class="more">
        <summary>{one.name}</summary>
        <Facts
          facts={[
            [t("certificates.sans"), one.sans.join(", ")],
            [t("certificates.from"), <Moment at={one.not_before} />],
            [t("certificates.serial"), <span class="mono">{one.serial}</span>],
            [t("certificates.fingerprint"), <span class="mono">{one.fingerprint}</span>],
            [t("certificates.file"), <span class="mono">{one.file}</span>],
          ]}
        />
      </details>
      {one.refused && <p class="notice"><Badge tone="bad">{t("certificates.refused")}</Badge> {one.refused}</p>}
    </>
  );
}

function Ends({ certificate: one }: { certificate: Certificate }) {
  const tone: Tone = one.days_left < 3 ? "bad" : one.days_left < 14 ? "warning" : "good";
  return (
    <>
      <Moment at={one.not_after} />{" "}
      <Badge tone={tone}>
        {one.days_left < 0 ? t("certificates.expired") : t("certificates.days", { count: one.days_left })}
      </Badge>
    </>
  );
}
