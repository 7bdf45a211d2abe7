// Tables: sorted and paged, their state in the address of the page.

import type { ComponentChildren } from "preact";
import { t } from "../i18n";
import { setQuery, useLocation } from "../state/router";

export interface Column<Row> {
  /** Its name in the address, and for the API where that sorts. */
  key: string;
  label: string;
  /** What the whole of the label is, if it is cut short. */
  hint?: string;
  cell: (row: Row) => ComponentChildren;
  /** What it is sorted by; absent where it cannot be, or where the API sorts (then `sortable`). */
  by?: (row: Row) => number | string | null | undefined;
  sortable?: boolean;
  align?: "right";
  /** Left out where the page is narrow: 1 goes first. */
  yields?: 1 | 2 | 3;
  class?: string;
  /** In rem. Where all columns have one, they keep it whatever is in them; what is left over is shared out. */
  width?: number;
}

export interface TableState {
  sort: string;
  descending: boolean;
  page: number;
}

/** Order and page of the table on this page, from the address: `?sort=age&desc=1&page=2`. */
export function useTableState(defaults: { sort: string; descending?: boolean }): TableState {
  const { query } = useLocation();
  return {
    sort: query["sort"] ?? defaults.sort,
    descending: query["sort"] === undefined ? (defaults.descending ?? false) : query["desc"] === "1",
    page: Math.max(1, Math.floor(Number(query["page"])) || 1),
  };
}

/** Rows in the order of the table's state, where the API does not sort. */
export function sorted<Row>(rows: Row[], columns: Column<Row>[], state: TableState): Row[] {
  const by = columns.find((column) => column.key === state.sort)?.by;
  if (!by) return rows;
  const sign = state.descending ? -1 : 1;
  return [...rows].sort((a, b) => sign * compare(by(a), by(b)));
}

/** Texts with numbers in them in the order of these; what is absent comes first. */
export function compare(a: number | string | null | undefined, b: number | string | null | undefined): number {
  if (a === b) return 0;
  if (a === null || a === undefined) return -1;
  if (b === null || b === undefined) return 1;
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

export interface TableProps<Row> {
  /** What it shows, for those who do not see it. */
  caption: string;
  columns: Column<Row>[];
  rows: Row[];
  rowKey: (row: Row) => string | number;
  state: TableState;
  /** Shown instead of rows. */
  empty?: ComponentChildren;
  rowClass?: (row: Row) => string;
  /** Rows that there is room for from the start, so that what follows does not jump. */
  minRows?: number;
  /** Are other rows on their way? */
  busy?: boolean;
}

export function Table<Row>(props: TableProps<Row>) {
  const { caption, columns, rows, rowKey, state, empty, rowClass, minRows, busy } = props;
  const fixed = columns.every((column) => column.width !== undefined);
  return (
    // A wide table is scrolled within its frame, also by keys.
    <div class="table-frame" tabIndex={0} role="region" aria-label={caption} aria-busy={busy}>
      <table class={fixed ? "fixed" : undefined}>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <HeadCell key={column.key} column={column} state={state} />
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={rowKey(row)} class={rowClass?.(row)}>
              {columns.map((column) => (
                <td key={column.key} class={cellClass(column, column.class)}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
          {rows.length === 0 && (
            <tr class="no-rows">
              <td colSpan={columns.length} style={minRows ? { height: `${minRows * 2.2}rem` } : {}}>{empty ?? t("table.empty")}</td>
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
}

function cellClass<Row>(column: Column<Row>, own = ""): string {
  const yields = column.yields ? `yields-${column.yields}` : "";
  return [`col-${column.key}`, column.align ?? "", yields, own].filter(Boolean).join(" ");
}

const widthOf = <Row,>(column: Column<Row>) => (column.width === undefined ? {} : { width: `${column.width}rem` });

function HeadCell<Row>({ column, state }: { column: Column<Row>; state: TableState }) {
  const chosen = state.sort === column.key;
  const sortable = column.sortable ?? column.by !== undefined;
  if (!sortable) {
    return (
      <th scope="col" class={cellClass(column)} title={column.hint} style={widthOf(column)}>
        {column.label}
      </th>
    );
  }
  const turn = () => setQuery({ sort: column.key, desc: chosen && !state.descending ? 1 : undefined, page: undefined });
  return (
    <th
      scope="col"
      class={cellClass(column)}
      title={column.hint}
      style={widthOf(column)}
      aria-sort={chosen ? (state.descending ? "descending" : "ascending") : undefined}
    >
      <button type="button" class="sort" onClick={turn} aria-label={t("table.sort", { column: column.label })}>
        {column.label}
        <span class="sort-mark" aria-hidden="true">
          {chosen ? (state.descending ? "▼" : "▲") : ""}
        </span>
      </button>
    </th>
  );
}

/** Leads from page to page. */
export function Pager({ page, size, total }: { page: number; size: number; total: number }) {
  const pages = Math.max(1, Math.ceil(total / size));
  const to = (next: number) => () => setQuery({ page: next > 1 ? next : undefined });
  const from = total === 0 ? 0 : (page - 1) * size + 1;
  const button = (label: string, sign: string, next: number, off: boolean) => (
    <button type="button" class="small" aria-label={label} title={label} disabled={off} onClick={to(next)}>
      {sign}
    </button>
  );
  return (
    <nav class="pager" aria-label={t("table.page", { page, pages })}>
      <span class="dim">{t("table.range", { from, to: Math.min(page * size, total), total })}</span>
      {button(t("table.first"), "«", 1, page <= 1)}
      {button(t("table.previous"), "‹", page - 1, page <= 1)}
      <span>{t("table.page", { page, pages })}</span>
      {button(t("table.next"), "›", page + 1, page >= pages)}
      {button(t("table.last"), "»", pages, page >= pages)}
    </nav>
  );
}
