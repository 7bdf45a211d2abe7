// Who uses the console, and how they like it.

import { useEffect, useRef, useState } from "preact/hooks";
import { post } from "../api/client";
import { t, time, word } from "../i18n";
import { session } from "../state/session";
import { useStore } from "../state/store";
import { LanguageChoice, ThemeChoice } from "./choices";
import { failed } from "./toast";

export function UserMenu() {
  const { who } = useStore(session);
  const [open, setOpen] = useState(false);
  const host = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return undefined;
    const away = (event: Event) => {
      if (!host.current?.contains(event.target as Node)) setOpen(false);
    };
    const escape = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      setOpen(false);
      button.current?.focus();
    };
    document.addEventListener("pointerdown", away);
    document.addEventListener("focusin", away);
    document.addEventListener("keydown", escape);
    return () => {
      document.removeEventListener("pointerdown", away);
      document.removeEventListener("focusin", away);
      document.removeEventListener("keydown", escape);
    };
  }, [open]);
  if (!who) return null;
  const logOut = async () => {
    try {
      await post("logout");
      session.loggedOut();
    } catch (error) {
      failed(error);
    }
  };
  return (
    <div class="user" ref={host}>
      <button
        ref={button} type="button" class="user-button" aria-expanded={open} aria-controls="user-panel"
        onClick={() => setOpen(!open)}
      >
        <span class="unseen">{t("user.menu")}: </span>
        <span class="user-name">{who.name}</span>
        <span class="user-role">{word("role", who.role)}</span>
      </button>
      {open && (
        <div class="user-panel" id="user-panel" role="group" aria-label={t("user.menu")}>
          <p>
            <strong>{who.name}</strong> · {word("role", who.role)}
          </p>
          {who.by === "local" && <p class="dim">{t("user.local")}</p>}
          {who.expires_at && <p class="dim">{t("user.until", { time: time(who.expires_at) })}</p>}
          <LanguageChoice />
          <ThemeChoice />
          {who.by === "cookie" && (
            <button type="button" onClick={logOut}>
              {t("user.logout")}
            </button>
          )}
        </div>
      )}
    </div>
  );
}
