// Closing one session.

import { remove, url } from "../../api/client";
import type { Closing, Session } from "../../api/types";
import { t } from "../../i18n";
import { Action } from "../action";
import { confirm } from "../confirm";
import { done } from "../toast";

export function CloseSession({ session, small, onClosed }: { session: Session; small?: boolean; onClosed?: () => void }) {
  const close = async () => {
    const client = session.client ?? session.product ?? session.source;
    const sure = await confirm({
      title: t("sessions.close_title", { id: String(session.id) }),
      body: <p>{t("sessions.close_body", { client })}</p>,
      action: t("sessions.close_one", { id: String(session.id) }),
      danger: true,
    });
    if (!sure) return;
    await remove<Closing>(url`sessions/${session.id}`);
    done(t("sessions.closed", { id: String(session.id) }));
    onClosed?.();
  };
  const label = t("sessions.close_one", { id: String(session.id) });
  return (
    <Action role="operator" tone={small ? "plain" : "danger"} small={small ?? false} label={label} onAct={close}>
      {t("sessions.close")}
    </Action>
  );
}
