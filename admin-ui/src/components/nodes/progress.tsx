// How far something is: a bar, and the numbers beside it.

import { count, t } from "../../i18n";

export function Progress({ done, of, label }: { done: number; of: number; label: string }) {
  return (
    <span class="progress">
      <progress value={done} max={Math.max(of, 1)} aria-label={label} />
      <span class="progress-text">{t("progress.of", { done: count(done), of: count(of) })}</span>
    </span>
  );
}
