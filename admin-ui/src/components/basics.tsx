// The small parts that every page is made of.

import type { ComponentChildren } from "preact";
import { duration, fullTime, t, time, word } from "../i18n";
import { useNow } from "../state/poll";

export type Tone = "good" | "warning" | "bad" | "unknown" | "quiet";

/** A state in words, colour and shape: each of them tells it alone. */
export function Badge({ tone, children, title }: { tone: Tone; children: ComponentChildren; title?: string }) {
  return (
    <span class={`badge ${tone}`} title={title}>
      <Aspect tone={tone} />
      <span>{children}</span>
    </span>
  );
}

/** The shape of a state: disc good, triangle warning, square bad, ring unknown. */
export function Aspect({ tone }: { tone: Tone }) {
  return (
    <svg class={`aspect ${tone}`} viewBox="0 0 12 12" width="10" height="10" aria-hidden="true">
      {tone === "good" && <circle cx="6" cy="6" r="5" />}
      {tone === "warning" && <path d="M6 .8 11.6 11H.4z" />}
      {tone === "bad" && <rect x="1" y="1" width="10" height="10" />}
      {tone === "unknown" && <circle cx="6" cy="6" r="4" fill="none" stroke-width="2" />}
      {tone === "quiet" && <rect x="1" y="5" width="10" height="2.4" />}
    </svg>
  );
}

/** The health that the API tells, as a tone. */
export function toneOf(health: string): Tone {
  return health === "good" || health === "warning" || health === "bad" ? health : "unknown";
}

export function severityTone(severity: string): Tone {
  return severity === "critical" ? "bad" : severity === "warning" ? "warning" : "unknown";
}

/** The head of a page: its name, a sentence, and what can be done. */
export function PageHead(props: { title: string; lead?: ComponentChildren; children?: ComponentChildren }) {
  return (
    <header class="page-head">
      <div>
        <h1 tabIndex={-1}>{props.title}</h1>
        {props.lead && <p class="lead">{props.lead}</p>}
      </div>
      {props.children && <div class="page-actions">{props.children}</div>}
    </header>
  );
}

/** A part of a page under a heading. */
export function Section(props: { title: string; aside?: ComponentChildren; children: ComponentChildren; class?: string }) {
  return (
    <section class={`section ${props.class ?? ""}`}>
      <div class="section-head">
        <h2>{props.title}</h2>
        {props.aside && <div class="section-aside">{props.aside}</div>}
      </div>
      {props.children}
    </section>
  );
}

/** What is said where there is nothing, and what to do about it. */
export function Empty(props: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{props.title}</p>
      {props.children && <div class="empty-more">{props.children}</div>}
    </div>
  );
}

/** Holds the place of what is on its way, so that nothing jumps when it comes. `lines` of a row's height each. */
export function Skeleton({ lines = 3, height }: { lines?: number; height?: number }) {
  if (height) return <div class="skeleton block" style={{ height: `${height}px` }} aria-hidden="true" />;
  return (
    <div class="skeleton" aria-hidden="true">
      {Array.from({ length: lines }, (_, i) => (
        <div class="skeleton-line" key={i} />
      ))}
    </div>
  );
}

/** Facts by name. Those that are null or undefined are left out. */
export function Facts({ facts }: { facts: [string, ComponentChildren | null | undefined][] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) =>
        value === null || value === undefined ? null : (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ),
      )}
    </dl>
  );
}

/** A moment: the time of day, the whole of it as a tooltip. */
export function Moment({ at, precise }: { at: string | null | undefined; precise?: boolean }) {
  if (!at) return <span class="dim">{time(null)}</span>;
  return (
    <time dateTime={at} title={fullTime(at)}>
      {time(at, precise)}
    </time>
  );
}

/** How long ago a moment was; it counts on. */
export function Ago({ at }: { at: string | null | undefined }) {
  const now = useNow(1_000);
  if (!at) return <span class="dim">{duration(null)}</span>;
  return (
    <time dateTime={at} title={fullTime(at)}>
      {duration(Math.max(0, (now - Date.parse(at)) / 1_000))}
    </time>
  );
}

/** A state of a virtual router. */
export function RouterState({ state }: { state: string }) {
  const tone: Tone = state === "active" ? "good" : state === "fault" ? "bad" : state === "backup" ? "quiet" : "unknown";
  return <Badge tone={tone}>{word("vrrp", state)}</Badge>;
}

/** What a page shows until its first answer has come, or instead of it. */
export function Waiting({ error, onRetry }: { error: { message: string } | null; onRetry?: () => void }) {
  if (!error) return <Skeleton lines={6} />;
  return (
    <Empty title={error.message || t("error.unreachable")}>
      {onRetry && (
        <button type="button" onClick={onRetry}>
          {t("error.reload")}
        </button>
      )}
    </Empty>
  );
}
