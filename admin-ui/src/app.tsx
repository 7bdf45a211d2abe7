// The frame around all pages: navigation, top bar, the page itself, messages and questions.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ApiError, get } from "./api/client";
import type { WhoAmI } from "./api/types";
import { ConfirmHost } from "./components/confirm";
import { Navigation } from "./components/navigation";
import { StaleBanner } from "./components/stale";
import { TipHost } from "./components/tip";
import { note, Toasts } from "./components/toast";
import { UserMenu } from "./components/user-menu";
import { t, useLanguage } from "./i18n";
import { Login } from "./pages/login";
import { pageAt } from "./pages/pages";
import { useShortcuts } from "./state/keys";
import { useLocation } from "./state/router";
import { session } from "./state/session";
import { useStore } from "./state/store";

const ASK_AGAIN_MS = 3_000;

export function App() {
  const tag = useLanguage();
  const { stage } = useStore(session);
  useLayoutEffect(() => {
    document.documentElement.lang = tag;
  }, [tag]);
  useWhoAmI(stage);
  return (
    <>
      {stage === "asking" && (
        <div class="first">
          <StaleBanner />
          <p class="dim" role="status">
            {t("app.loading")}
          </p>
        </div>
      )}
      {stage === "out" && <Login />}
      {stage === "in" && <Frame />}
      <Toasts />
      <ConfirmHost />
      <TipHost />
    </>
  );
}

/** Asks who it is until the gateway says so, and from time to time whether another version answers now. */
function useWhoAmI(stage: string): void {
  useEffect(() => {
    if (stage === "out") return undefined;
    let timer = 0;
    let told = false;
    const ask = async () => {
      try {
        const who = await get<WhoAmI>("whoami");
        const before = session.get().who;
        if (before && before.version !== who.version && !told) {
          told = true;
          note(t("app.updated", { version: who.version }));
        }
        session.loggedIn(before && JSON.stringify(before) === JSON.stringify(who) ? before : who);
        timer = window.setTimeout(ask, 60_000);
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return;
        timer = window.setTimeout(ask, ASK_AGAIN_MS);
      }
    };
    if (stage === "asking") void ask();
    else timer = window.setTimeout(ask, 60_000);
    return () => window.clearTimeout(timer);
  }, [stage]);
}

function Frame() {
  const at = useLocation();
  const { who } = useStore(session);
  const [open, setOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  const page = pageAt(at.parts);
  const path = at.parts.join("/");
  const name = page ? t(page.title) : t("error.not_found");
  useShortcuts();

  // Another page begins at its top, with its heading in focus, and closes the drawer.
  const first = useRef(true);
  useEffect(() => {
    setOpen(false);
    if (first.current) {
      first.current = false;
      return;
    }
    window.scrollTo(0, 0);
    main.current?.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
  }, [path]);
  useEffect(() => {
    document.title = `${name} · ${who?.gateway ?? t("app.name")}`;
  }, [name, who?.gateway]);

  return (
    <div class="frame">
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        {t("app.skip")}
      </a>
      <Navigation at={at} open={open} onOpen={setOpen} />
      <div class="beside">
        <StaleBanner />
        <div class="content">
          <UserMenu />
          <main id="main" ref={main} tabIndex={-1}>
            {page ? <page.View key={path} parts={at.parts.slice(page.path.length)} query={at.query} /> : <NotFound />}
          </main>
        </div>
      </div>
    </div>
  );
}

function NotFound() {
  return (
    <>
      <h1 tabIndex={-1}>{t("error.not_found")}</h1>
      <p>
        <a href="#/">{t("error.go_home")}</a>
      </p>
    </>
  );
}
