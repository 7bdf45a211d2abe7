// Buttons that do something to the gateway.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Role } from "../api/types";
import { t, word } from "../i18n";
import { may, session } from "../state/session";
import { useStore } from "../state/store";
import { Tip } from "./tip";
import { failed } from "./toast";

/** May whoever uses the console do what takes this role? Null if so, else the sentence that says why not. */
export function useForbidden(role: Role): string | null {
  const own = useStore(session).who?.role;
  if (may(own, role)) return null;
  return t("role.takes", { role: word("role", role), own: own ? word("role", own) : "–" });
}

export interface ActionProps {
  role: Role;
  /** Why it cannot be done now, whatever the role. */
  why?: string | null;
  /** What a screen reader says, if the words on the button do not tell it. */
  label?: string;
  tone?: "plain" | "primary" | "danger";
  small?: boolean;
  onAct: () => Promise<unknown> | void;
  children: ComponentChildren;
}

/**
 * A button that takes a role. Without it the button stays where it is and says what it takes: it can be focused, but
 * does nothing. While the order is under way it does not take another; what goes wrong is told in a message.
 */
export function Action({ role, why, label, tone = "plain", small, onAct, children }: ActionProps) {
  const [busy, setBusy] = useState(false);
  const reason = useForbidden(role) ?? why ?? null;
  const act = async () => {
    if (reason || busy) return;
    setBusy(true);
    try {
      await onAct();
    } catch (error) {
      failed(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Tip text={reason}>
      <button
        type="button"
        class={`${tone}${small ? " small" : ""}`}
        aria-disabled={reason !== null || busy}
        aria-busy={busy}
        aria-label={reason ? `${label ?? (typeof children === "string" ? children : "")} (${reason})` : label}
        onClick={act}
      >
        {children}
      </button>
    </Tip>
  );
}
