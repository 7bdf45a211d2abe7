// Who are you?

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get, post } from "../api/client";
import type { LoggedIn, WhoAmI } from "../api/types";
import { Mark } from "../components/mark";
import { StaleBanner } from "../components/stale";
import { LanguageChoice, ThemeChoice } from "../components/choices";
import { t } from "../i18n";
import { useNow } from "../state/poll";
import { session } from "../state/session";

type Fault = { kind: "wrong" } | { kind: "wait"; until: number | null } | { kind: "other"; text: string };

export function Login() {
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<Fault | null>(null);
  const name = useRef<HTMLInputElement>(null);
  const secret = useRef<HTMLInputElement>(null);
  const now = useNow(500);
  useEffect(() => {
    document.title = `${t("login.title")} · ${t("app.name")}`;
    name.current?.focus();
  }, []);

  const waits = fault?.kind === "wait" && fault.until !== null ? Math.ceil((fault.until - now) / 1_000) : 0;
  useEffect(() => {
    if (fault?.kind === "wait" && fault.until !== null && waits <= 0) setFault(null);
  }, [fault, waits]);

  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy || waits > 0) return;
    setBusy(true);
    setFault(null);
    try {
      await post<LoggedIn>("login", { username, password });
      session.loggedIn(await get<WhoAmI>("whoami"));
    } catch (error) {
      setFault(faultOf(error));
      setPassword("");
      secret.current?.focus();
    } finally {
      setBusy(false);
    }
  };
  return (
    <div class="login-page">
      <StaleBanner />
      <main class="login">
        <Mark />
        <h1>{t("login.title")}</h1>
        <form onSubmit={submit} aria-describedby="login-fault">
          <label>
            <span>{t("login.username")}</span>
            <input
              ref={name} name="username" autoComplete="username" autoCapitalize="none" spellcheck={false} required
              value={username} onInput={(e) => setUsername(e.currentTarget.value)}
            />
          </label>
          <label>
            <span>{t("login.password")}</span>
            <input
              ref={secret} name="password" type="password" autoComplete="current-password" required
              value={password} onInput={(e) => setPassword(e.currentTarget.value)}
            />
          </label>
          <p id="login-fault" class="login-fault" role="alert">
            {fault && faultText(fault, waits)}
          </p>
          <button type="submit" class="primary" aria-busy={busy} disabled={waits > 0}>
            {t("login.submit")}
          </button>
        </form>
        <p class="dim">{t("login.hint")}</p>
        <div class="login-choices">
          <LanguageChoice />
          <ThemeChoice />
        </div>
      </main>
    </div>
  );
}

function faultOf(error: unknown): Fault {
  if (!(error instanceof ApiError)) return { kind: "other", text: String(error) };
  if (error.status === 429) {
    return { kind: "wait", until: error.retryAfter === null ? null : Date.now() + error.retryAfter * 1_000 };
  }
  if (error.status === 401) return { kind: "wrong" };
  return { kind: "other", text: error.status === 0 ? t("error.unreachable") : error.detail || error.title };
}

function faultText(fault: Fault, waits: number): string {
  if (fault.kind === "wrong") return t("login.wrong");
  if (fault.kind === "other") return fault.text;
  return fault.until === null ? t("login.wait_unknown") : t("login.wait", { count: Math.max(1, waits) });
}
