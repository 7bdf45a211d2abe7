// The only place that asks the gateway: where it is, how requests are signed, what becomes of errors.

import { link } from "../state/link";
import { session } from "../state/session";
import type { Problem } from "./types";

/** What the console is served under, without `/ui/`: empty unless a proxy adds a path. */
export const BASE = location.pathname.replace(/\/(ui\/.*|[^/]*)$/, "");

/** An answer to a question is not waited for longer than this; what is done may take its time, as with the commands. */
const PATIENCE_MS = 6_000;
const PATIENCE_TO_DO_MS = 120_000;

/** An answer that is an error, or none at all (status 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly reasons: string[] = [],
    readonly retryAfter: number | null = null,
  ) {
    super(detail || title);
  }
}

type Scalar = string | number | boolean | null | undefined;
export type Query = Record<string, Scalar>;

/** A path of the API with every part encoded: ``url`nodes/${cluster}/${node}` ``. */
export function url(parts: TemplateStringsArray, ...values: (string | number)[]): string {
  return parts.reduce((path, part, i) => {
    const value = values[i];
    return path + part + (value === undefined ? "" : encodeURIComponent(value));
  }, "");
}

/** The whole address of a path of the API. Values that are absent or empty are left out of the query. */
export function address(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "" && value !== false) search.set(name, String(value));
  }
  const text = search.toString();
  return `${BASE}/api/v1/${path}${text && `?${text}`}`;
}

export const get = <T>(path: string, query?: Query, signal?: AbortSignal) =>
  request<T>("GET", address(path, query), undefined, signal);
export const post = <T>(path: string, body: unknown = {}) => request<T>("POST", address(path), body);
export const patch = <T>(path: string, body: unknown) => request<T>("PATCH", address(path), body);
export const remove = <T>(path: string, query?: Query) => request<T>("DELETE", address(path, query), {});

async function request<T>(method: string, to: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET") {
    headers["Content-Type"] = "application/json";
    const token = session.get().who?.csrf_token;
    if (token) headers["X-CSRF-Token"] = token;
  }
  const patience = AbortSignal.timeout(method === "GET" ? PATIENCE_MS : PATIENCE_TO_DO_MS);
  let response: Response;
  try {
    response = await fetch(to, {
      method,
      headers,
      credentials: "same-origin",
      cache: "no-store",
      signal: signal ? anyOf(signal, patience) : patience,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    link.failed();
    throw new ApiError(0, "unreachable", "");
  }
  if (response.ok) {
    link.answered();
    return (response.status === 204 ? undefined : await response.json()) as T;
  }
  const problem = await problemOf(response);
  // A proxy in front answers for a gateway that does not.
  if (response.status === 502 || response.status === 504) link.failed();
  else link.answered();
  if (response.status === 401 && !to.endsWith("/login")) session.loggedOut();
  throw problem;
}

/** What an answer that is an error says. */
export async function problemOf(response: Response): Promise<ApiError> {
  const after = Number(response.headers.get("Retry-After"));
  const retryAfter = Number.isFinite(after) && after > 0 ? after : null;
  try {
    const problem = (await response.json()) as Partial<Problem>;
    const { title = response.statusText, detail = "", reasons = [] } = problem;
    return new ApiError(response.status, title, detail, reasons, retryAfter);
  } catch {
    return new ApiError(response.status, response.statusText || String(response.status), "", [], retryAfter);
  }
}

/** `AbortSignal.any` is too new for the browsers of some distributions. */
function anyOf(...signals: AbortSignal[]): AbortSignal {
  const controller = new AbortController();
  for (const signal of signals) {
    if (signal.aborted) controller.abort(signal.reason);
    signal.addEventListener("abort", () => controller.abort(signal.reason), { once: true });
  }
  return controller.signal;
}
