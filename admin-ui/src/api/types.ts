// The shapes of the admin API, by the names that its OpenAPI document gives them.

type Maybe<T> = T | null | undefined;

export type Severity = "info" | "warning" | "critical";
export type Role = "viewer" | "operator" | "admin";
export type AdminState = "enabled" | "draining" | "disabled";

export interface Problem { title: string; status: number; detail: string; reasons?: string[] }

export interface Traffic {
  bytes_from_client: number; bytes_from_node: number;
  published: number; delivered: number; acknowledged: number; confirmed: number; returned: number;
}
export type Rates = Traffic;

export interface Process {
  cpu_seconds: number; cpu: number; cores: number; memory_bytes: number; open_files: number; max_open_files: number;
}
export interface Alarm { severity: Severity; kind: string; subject: string; text: string; since?: Maybe<string> }
export interface Status {
  gateway: string; version: string; process_id: number; started_at: string; now: string; revision: number;
  ready: boolean; not_ready: string[]; stopping: boolean;
  sessions: number; in_handshake: number; max_connections: number; channels: number; unconfirmed: number;
  totals: Traffic; rates: Rates; process: Process; alarms: Alarm[];
}
type Series = (number | null)[];
export interface History {
  interval_s: number; at: number[]; sessions: Series; published: Series; delivered: Series; confirmed: Series;
  bytes_from_client: Series; bytes_from_node: Series; handshakes: Series; handshake_p99_s: Series; cpu: Series;
  memory_bytes: Series;
}
export interface Place {
  id: string; kind: string; name: string; note: string; health: string; state: string; sessions: number;
}
export interface Flow { from: string; to: string; sessions: number; rates: Rates }
export interface Topology { places: Place[]; flows: Flow[] }

export type SortKey =
  | "id" | "client" | "product" | "source" | "user" | "vhost" | "listener" | "node" | "channels" | "published"
  | "delivered" | "from_client" | "from_node" | "unconfirmed" | "age" | "state";
export interface Session {
  id: number; state: string; listener: string; protocol: string; source: string; proxy?: Maybe<string>;
  tls?: Maybe<string>; cipher?: Maybe<string>; sni?: Maybe<string>; common_name?: Maybe<string>;
  client?: Maybe<string>; product?: Maybe<string>; version?: Maybe<string>; platform?: Maybe<string>;
  user?: Maybe<string>; vhost?: Maybe<string>; route?: Maybe<string>; cluster?: Maybe<string>; node?: Maybe<string>;
  channels: number; unconfirmed: number; heartbeat_s: number; since: string; age_s: number;
  handshake_ms?: Maybe<number>; waited_ms: number; client_held: boolean; node_held: boolean;
  totals: Traffic; rates: Rates;
}
export interface Sessions {
  sessions: Session[]; page: number; page_size: number; filtered: number; total: number; age_ms: number;
}
export interface Step { at: string; text: string }
export interface SessionHistory {
  steps: Step[]; at: number[]; published: Series; delivered: Series; bytes_from_client: Series; bytes_from_node: Series;
}
export interface Closing { sessions: number; rate: number }
export interface TapLine {
  at: string; session: number; direction: string; channel: number; method: string; text: string; size: number;
  body?: Maybe<string>; dropped: number;
}

export interface LoggedIn { token: string; role: Role; expires_at: string; csrf_token: string }
export interface WhoAmI {
  name: string; role: Role; by: string; expires_at?: Maybe<string>; csrf_token?: Maybe<string>; gateway: string;
  version: string;
}

export interface Peer { address: string; priority: number; heard_ms: number }
export interface Transition { from: string; to: string; priority: number; reason: string; at: string }
export interface VirtualRouter {
  virtual_router: string; interface: string; virtual_router_id: number; version: number; addresses: string[];
  sync_group?: Maybe<string>; state: string; since?: Maybe<string>; reason?: Maybe<string>; priority: number;
  effective_priority?: Maybe<number>; released: boolean; holds_addresses: boolean; peer?: Maybe<Peer>;
  alarms: { alarm: string; text: string }[];
  counters: {
    sent: number; received: number; announcements: number; errors: Record<string, number>;
    transitions: Record<string, number>;
  };
  history: Transition[];
}
export interface VirtualRouters { virtual_routers: VirtualRouter[] }
