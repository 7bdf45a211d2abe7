// Two texts as `diff -u` compares them.

import { t } from "../i18n";

/** Lines that are added and removed, in colour and with their signs. */
export function DiffText({ text }: { text: string }) {
  const kind = (line: string) =>
    /^(@@|---|\+\+\+) /.test(line) ? "where" : line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : "";
  return (
    <pre class="text diff" tabIndex={0} aria-label={t("config.diff")}>
      {text.trimEnd().split("\n").map((line, i) => (
        <span key={i} class={kind(line)}>
          {line || "\u00a0"}
        </span>
      ))}
    </pre>
  );
}
