// Says that what is shown is old.

import { duration, t, time } from "../i18n";
import { link } from "../state/link";
import { useNow } from "../state/poll";
import { useStore } from "../state/store";

/** One failed request may be chance; a failure this long after the last answer is not. */
const OLD_MS = 4_000;

export function useStale(): boolean {
  const { answeredAt, failing } = useStore(link);
  const now = useNow();
  return failing && (answeredAt === null || now - answeredAt > OLD_MS);
}

export function StaleBanner() {
  const { answeredAt } = useStore(link);
  const now = useNow();
  const stale = useStale();
  return (
    <div role="alert" class="stale-host">
      {stale && (
        <p class="stale">
          {answeredAt === null
            ? t("link.never")
            : t("link.stale_since", { duration: duration((now - answeredAt) / 1_000), time: time(answeredAt) })}
        </p>
      )}
    </div>
  );
}
