// Which sessions are listed. The filter is in the address of the page: it can be sent to a colleague.

import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Clusters, Listeners, Nodes, Users, Vhosts } from "../../api/types";
import { t, type TextKey } from "../../i18n";
import { usePoll } from "../../state/poll";
import { setQuery } from "../../state/router";

const FIELDS = ["client", "user", "vhost", "node", "cluster", "listener", "source"] as const;
type Field = (typeof FIELDS)[number];
const NAMES = ["search", ...FIELDS] as const;
const labelOf = (name: string): TextKey => (name === "search" ? "sessions.search" : `sessions.filter_${name as Field}`);

const PAUSE_MS = 300;
const OFFERS_MS = 30_000;

/** What of the query of the page is a filter. */
export function filterOf(query: Record<string, string>): Record<string, string> {
  return Object.fromEntries(NAMES.flatMap((name) => (query[name] ? [[name, query[name]]] : [])));
}

/** The filter for people: its names and values. */
export const inWords = (filter: Record<string, string>): [string, string][] =>
  Object.entries(filter).map(([name, value]) => [t(labelOf(name)), value]);

export function Filters({ query }: { query: Record<string, string> }) {
  const offers = useOffers();
  const filter = filterOf(query);
  const used = FIELDS.filter((name) => filter[name]).length;
  const [open, setOpen] = useState(() => used > 0 || window.innerWidth > 800);
  const clear = () => setQuery({ ...Object.fromEntries(NAMES.map((name) => [name, undefined])), page: undefined });
  return (
    <search class="filters">
      <FilterField name="search" value={query["search"] ?? ""} />
      <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          {t("sessions.filters")}
          {used > 0 && <span class="filter-count"> {used}</span>}
        </summary>
        <div class="filter-fields">
          {FIELDS.map((name) => (
            <FilterField key={name} name={name} value={query[name] ?? ""} offers={offers[name]} />
          ))}
        </div>
      </details>
      <button type="button" class="clear" disabled={Object.keys(filter).length === 0} onClick={clear}>
        {t("sessions.clear")}
      </button>
    </search>
  );
}

/** A field that takes effect when its writer pauses. */
function FilterField({ name, value, offers }: { name: string; value: string; offers?: string[] | undefined }) {
  const id = useId();
  const [text, setText] = useState(value);
  const timer = useRef(0);
  const written = useRef(value);
  useEffect(() => {
    // Changed from elsewhere: a link, "clear all", the back key.
    if (value !== written.current) setText(value);
    written.current = value;
  }, [value]);
  const write = (next: string, pause: number) => {
    setText(next);
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(() => {
      written.current = next.trim();
      setQuery({ [name]: next.trim(), page: undefined });
    }, pause);
  };
  useEffect(() => () => window.clearTimeout(timer.current), []);
  const exact = offers !== undefined;
  return (
    <label class={name === "search" ? "filter-search" : "filter-field"}>
      <span>{t(labelOf(name))}</span>
      <input
        type={name === "search" ? "search" : "text"} value={text} list={exact ? id : undefined} spellcheck={false}
        autoCapitalize="none" autoComplete="off" placeholder={name === "search" ? t("sessions.search_hint") : ""}
        onInput={(event) => write(event.currentTarget.value, PAUSE_MS)}
        onKeyDown={(event) => {
          if (event.key === "Enter") write(event.currentTarget.value, 0);
          if (event.key === "Escape" && text) write("", 0);
        }}
      />
      {exact && (
        <datalist id={id}>
          {offers.map((offer) => (
            <option key={offer} value={offer} />
          ))}
        </datalist>
      )}
    </label>
  );
}

/** What there is to choose from, where only an exact name finds something. */
function useOffers(): Partial<Record<Field, string[]>> {
  const vhosts = usePoll<Vhosts>("vhosts", OFFERS_MS).data?.vhosts;
  const users = usePoll<Users>("users", OFFERS_MS).data?.users;
  const nodes = usePoll<Nodes>("nodes", OFFERS_MS).data?.nodes;
  const clusters = usePoll<Clusters>("clusters", OFFERS_MS).data?.clusters;
  const listeners = usePoll<Listeners>("listeners", OFFERS_MS).data?.listeners;
  return {
    vhost: vhosts?.map(({ vhost }) => vhost) ?? [],
    user: users?.map(({ user }) => user) ?? [],
    node: nodes?.map(({ cluster, node }) => `${cluster}/${node}`) ?? [],
    cluster: clusters?.map(({ cluster }) => cluster) ?? [],
    listener: listeners?.map(({ listener }) => listener) ?? [],
  };
}
