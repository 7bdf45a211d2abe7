// The state of a session.

import type { Session } from "../../api/types";
import { t, word } from "../../i18n";
import { Badge, type Tone } from "../basics";

export function SessionState({ session }: { session: Session }) {
  if (session.state === "open" && session.client_held) {
    return <Badge tone="warning" title={t("sessions.held_client")}>{t("session.state.client_held")}</Badge>;
  }
  if (session.state === "open" && session.node_held) {
    return <Badge tone="warning" title={t("sessions.held_node")}>{t("session.state.node_held")}</Badge>;
  }
  const tone: Tone = session.state === "open" ? "good" : session.state === "waiting" ? "warning" : session.state === "closing" ? "bad" : "unknown";
  return <Badge tone={tone}>{word("session.state", session.state)}</Badge>;
}
