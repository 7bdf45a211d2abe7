// The live tap of one session: decoded methods as they pass.

import { useEffect, useRef, useState } from "preact/hooks";
import type { ApiError } from "../../api/client";
import { follow, type StreamState } from "../../api/stream";
import type { TapLine } from "../../api/types";
import { bytes, count, t, time } from "../../i18n";
import { useForbidden } from "../action";
import { Badge, Empty, Section, type Tone } from "../basics";
import { Tip } from "../tip";
import { add, bodyText, fits, type Kept, type Lines, MOST, none, resume } from "./lines";
import "./tap.css";

const OCTETS = 256;
const DRAW_MS = 200;

export function Tap({ session, ended }: { session: number; ended: boolean }) {
  const [on, setOn] = useState(false);
  const [bodies, setBodies] = useState(false);
  const [paused, setPaused] = useState(false);
  const [filter, setFilter] = useState("");
  const noBodies = useForbidden("admin");
  const { lines, state, error, clear, goOn } = useTap(on && !ended ? session : null, bodies, paused);
  const shown = lines.shown.filter((line) => fits(line, filter));
  const turn = () => {
    setOn(!on);
    setPaused(false);
  };
  const turnPause = () => {
    if (paused) goOn();
    setPaused(!paused);
  };
  return (
    <Section title={t("tap.title")} aside={t("tap.lead")} class="tap">
      <div class="tap-bar">
        <button type="button" class={on ? "" : "primary"} onClick={turn} disabled={ended && !on}>
          {on ? t("tap.stop") : t("tap.start")}
        </button>
        <button type="button" onClick={turnPause} disabled={!on}>
          {paused ? t("tap.resume") : t("tap.pause")}
        </button>
        <button type="button" onClick={clear} disabled={lines.shown.length === 0}>
          {t("tap.clear")}
        </button>
        <Tip text={noBodies}>
          <label class="tap-bodies">
            <input
              type="checkbox" checked={bodies} aria-disabled={noBodies !== null} title={t("tap.bodies_more", { count: OCTETS })}
              onClick={(event) => noBodies && event.preventDefault()} onChange={(event) => setBodies(event.currentTarget.checked)}
            />
            {t("tap.bodies")}
            {noBodies && <span class="unseen"> ({noBodies})</span>}
          </label>
        </Tip>
        <input
          type="search" class="tap-filter" value={filter} aria-label={t("tap.filter")} placeholder={t("tap.filter_hint")}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
        <span class="tap-state" role="status">
          {ended ? <Badge tone="quiet">{t("tap.ended")}</Badge> : on && <StateBadge state={state} paused={paused} lines={lines} />}
        </span>
      </div>
      {error ? (
        <div class="tap-lines"><Empty title={error.detail || t("tap.refused")} /></div>
      ) : (
        <Shown lines={shown} on={on} any={lines.shown.length > 0} follows={!paused} />
      )}
      <p class="dim tap-foot">{t("tap.lines", { shown: shown.length, max: MOST })}</p>
    </Section>
  );
}

/** Follows a session while it is not null. Lines come in crowds: they are drawn a few times a second. */
function useTap(session: number | null, bodies: boolean, paused: boolean) {
  const [lines, setLines] = useState<Lines>(none);
  const [state, setState] = useState<StreamState>("connecting");
  const [error, setError] = useState<ApiError | null>(null);
  const stopped = useRef(paused);
  stopped.current = paused;
  const last = useRef(0);
  useEffect(() => {
    setError(null);
    if (session === null) return undefined;
    let crowd: Kept[] = [];
    const leave = follow<TapLine>("tap", { session, bodies: bodies ? OCTETS : undefined }, {
      event: (line) => {
        crowd.push({ ...line, key: ++last.current });
        // A hidden page draws seldom: what would be thrown away anyway is not kept for it.
        if (crowd.length > 2 * MOST) crowd = crowd.slice(-MOST);
      },
      state: (next, problem) => {
        setState(next);
        setError(problem ?? null);
      },
    });
    const timer = window.setInterval(() => {
      if (crowd.length === 0) return;
      const more = crowd;
      crowd = [];
      setLines((lines) => add(lines, more, stopped.current));
    }, DRAW_MS);
    return () => {
      leave();
      window.clearInterval(timer);
      setLines((lines) => resume(lines));
    };
  }, [session, bodies]);
  return { lines, state, error, clear: () => setLines(none), goOn: () => setLines(resume) };
}

function StateBadge({ state, paused, lines }: { state: StreamState; paused: boolean; lines: Lines }) {
  if (paused) return <Badge tone="warning">{t("tap.paused", { count: lines.held.length + lines.lost })}</Badge>;
  const [tone, text]: [Tone, string] =
    state === "open" ? ["good", t("tap.open")]
    : state === "waiting" ? ["warning", t("tap.lost")]
    : state === "refused" ? ["bad", t("link.lost")]
    : ["unknown", t("tap.connecting")];
  return <Badge tone={tone}>{text}</Badge>;
}

function Shown({ lines, on, any, follows }: { lines: Kept[]; on: boolean; any: boolean; follows: boolean }) {
  const host = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  useEffect(() => {
    // It follows the newest line, unless the reader has scrolled up to read.
    if (host.current && follows && atEnd.current) host.current.scrollTop = host.current.scrollHeight;
  }, [lines, follows]);
  const scrolled = () => {
    const element = host.current;
    if (element) atEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < 24;
  };
  return (
    <div class="tap-lines" ref={host} onScroll={scrolled} tabIndex={0} role="region" aria-label={t("tap.title")}>
      {lines.length === 0 ? (
        <Empty title={any ? t("tap.none_fit") : on ? t("tap.waiting") : t("tap.idle")} />
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">{t("tap.time")}</th>
              <th scope="col">{t("tap.direction")}</th>
              <th scope="col" class="right">{t("tap.channel")}</th>
              <th scope="col">{t("tap.method")}</th>
              <th scope="col">{t("tap.text")}</th>
              <th scope="col" class="right">{t("tap.size")}</th>
            </tr>
          </thead>
          <tbody>{lines.map((line) => <Row key={line.key} line={line} />)}</tbody>
        </table>
      )}
    </div>
  );
}

function Row({ line }: { line: Kept }) {
  const client = line.direction === "from_client";
  return (
    <>
      {line.dropped > 0 && (
        <tr class="tap-dropped"><td colSpan={6}>{t("tap.dropped", { count: line.dropped })}</td></tr>
      )}
      <tr class={client ? "tap-client" : "tap-node"}>
        <td class="dim">{time(line.at, true)}</td>
        <td title={client ? t("tap.from_client") : t("tap.from_node")}>
          {client ? t("tap.client") : <span aria-hidden="true">← </span>}
          {client ? <span aria-hidden="true"> →</span> : t("tap.node")}
        </td>
        <td class="right">{line.channel}</td>
        <td class="tap-method">{line.method}</td>
        <td class="tap-text">
          {line.text}
          {line.body && <span class="tap-body">{bodyText(line.body)}</span>}
        </td>
        <td class="right dim" title={bytes(line.size)}>{count(line.size)}</td>
      </tr>
    </>
  );
}
