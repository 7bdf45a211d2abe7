// What the pretended gateway answers. `MOCK=login` asks for a login (ops / secret), `MOCK=viewer` lets nobody write,
// `MOCK=bad` has a node down and alarms, `MOCK=empty` has nothing at all.

import type { Flow, Place, Rates, Session } from "../src/api/types";

const mode = process.env["MOCK"] ?? "";
const started = Date.now() - 93_000_000;
let loggedIn = mode !== "login";
let attempts = 0;

export interface Answer {
  status?: number;
  json?: unknown;
  headers?: Record<string, string>;
}

const problem = (status: number, title: string, detail: string, headers: Record<string, string> = {}): Answer => ({
  status, headers, json: { title, status, detail },
});
const wave = (period: number, low: number, high: number, shift = 0) =>
  low + ((high - low) * (1 + Math.sin(Date.now() / period + shift))) / 2;
const rates = (n: number): Rates => ({
  bytes_from_client: n * 412, bytes_from_node: n * 390, published: n, delivered: n * 0.94, acknowledged: n * 0.93,
  confirmed: n * 0.98, returned: 0,
});

export function answer(method: string, path: string, query: URLSearchParams, body: string): Answer {
  if (path === "login") return login(body);
  if (!loggedIn) return problem(401, "Unauthorized", "Log in first.");
  if (path === "logout") {
    loggedIn = false;
    return { status: 204 };
  }
  if (method === "DELETE") {
    const id = Number(path.split("/")[1]);
    const chosen = sessions().filter((s) => (id ? s.id === id : fits(s, query)));
    for (const s of chosen) closed.add(s.id);
    return { json: { sessions: chosen.length, rate: 100 } };
  }
  const [kind = "", id, part] = path.split("/");
  if (kind === "whoami") return { json: whoami() };
  if (kind === "status") return { json: status() };
  if (kind === "history") return { json: history() };
  if (kind === "topology") return { json: topology() };
  if (kind === "virtual-routers") return { json: { virtual_routers: mode === "empty" ? [] : routers() } };
  if (kind === "vhosts") return { json: { vhosts: [{ vhost: "/" }, { vhost: "batch-night" }] } };
  if (kind === "users") return { json: { users: [{ user: "orders" }, { user: "billing" }] } };
  if (kind === "clusters") return { json: { clusters: [{ cluster: "main" }, { cluster: "batch" }] } };
  if (kind === "listeners") return { json: { listeners: [{ listener: "amqp" }, { listener: "amqps" }] } };
  if (kind === "nodes") return { json: { nodes: [1, 2, 3].map((n) => ({ cluster: "main", node: `rabbit${n}` })) } };
  if (kind === "sessions" && id && part) return { json: sessionHistory() };
  if (kind === "sessions" && id) {
    const found = sessions().find((s) => s.id === Number(id));
    return found ? { json: found } : problem(404, "Not Found", `There is no session ${id}.`);
  }
  if (kind === "sessions") return { json: page(query) };
  return problem(404, "Not Found", `The mock has nothing at ${path}.`);
}

function login(body: string): Answer {
  const { username, password } = JSON.parse(body || "{}") as { username?: string; password?: string };
  if (username === "ops" && password === "secret") {
    loggedIn = true;
    attempts = 0;
    return { json: { token: "t", role: "operator", expires_at: new Date(Date.now() + 28_800_000).toISOString(), csrf_token: "c" } };
  }
  attempts += 1;
  if (attempts > 2) return problem(429, "Too Many Requests", "Wait.", { "Retry-After": "8" });
  return problem(401, "Unauthorized", "User or password is wrong.");
}

const whoami = () => ({
  name: mode === "login" ? "ops" : mode === "viewer" ? "guest" : "local",
  role: mode === "viewer" ? "viewer" : mode === "login" ? "operator" : "admin",
  by: mode === "login" || mode === "viewer" ? "cookie" : "local", csrf_token: "c",
  expires_at: mode === "login" ? new Date(Date.now() + 28_800_000).toISOString() : null,
  gateway: "gw-a", version: "0.1.0",
});

function status() {
  const now = Date.now();
  const alarms = mode !== "bad" ? [] : [
    { severity: "critical", kind: "node", subject: "main/rabbit2", since: new Date(now - 90_000).toISOString(), text: "The node is down: amqp: connection refused. New sessions go to the other nodes." },
    { severity: "warning", kind: "certificate", subject: "amqps", since: null, text: "The certificate ends in 6 days. Renew it; the new file is taken over by itself." },
  ];
  return {
    gateway: "gw-a", version: "0.1.0", process_id: 4711, started_at: new Date(started).toISOString(),
    now: new Date().toISOString(), revision: 7, ready: true, not_ready: [], stopping: false,
    sessions: mode === "empty" ? 0 : 1_204, in_handshake: 3, max_connections: 20_000, channels: 3_377, unconfirmed: 82,
    totals: rates(1e6), rates: rates(mode === "empty" ? 0 : wave(9_000, 900, 1_900)),
    process: { cpu_seconds: 4_000, cpu: wave(7_000, 0.2, 0.42), cores: 8, memory_bytes: 141_000_000, open_files: 2_460, max_open_files: 65_536 },
    alarms,
  };
}

function history() {
  const now = Math.floor(Date.now() / 5_000) * 5;
  const at = Array.from({ length: 720 }, (_, i) => now - (719 - i) * 5);
  const line = (low: number, high: number, period: number, seed: number) => at.map((second, i) => {
    if (i > 300 && i < 312) return null;
    const noise = Math.abs(Math.sin(second * 12.9898 + seed) * 43_758.5453) % 1;
    return low + (high - low) * (0.5 + 0.4 * Math.sin(second / period + seed) + 0.1 * (noise - 0.5));
  });
  return {
    interval_s: 5, at, sessions: line(1_150, 1_230, 400, 1).map((n) => n && Math.round(n)), published: line(900, 1_900, 300, 2),
    delivered: line(850, 1_800, 300, 2.1), confirmed: line(880, 1_870, 300, 2), bytes_from_client: line(4e5, 8e5, 300, 2),
    bytes_from_node: line(4e5, 7e5, 300, 2.1), handshakes: line(0, 12, 90, 3), handshake_p99_s: line(0.004, 0.022, 120, 4),
    cpu: line(0.2, 0.42, 300, 2), memory_bytes: line(1.3e8, 1.45e8, 900, 5),
  };
}

function topology() {
  if (mode === "empty") return { places: [], flows: [] };
  const down = mode === "bad";
  const place = (id: string, note: string, sessions: number, health = "good", state = "up"): Place => ({
    id, kind: id.split(":")[0] ?? "", name: id.slice(id.indexOf(":") + 1).replace(/^main\/|^batch\//, ""), note, health, state, sessions,
  });
  const n = (k: number) => rates(wave(9_000, 90, 190, k) * k);
  const flow = (from: string, to: string, sessions: number, k: number): Flow => ({ from, to, sessions, rates: n(k) });
  return {
    places: [
      place("listener:amqp", "0.0.0.0:5672", 610, "good", "accepting"), place("listener:amqps", "0.0.0.0:5671 TLS", 594, "good", "accepting"),
      place("listener:mqtt", "0.0.0.0:1883 tcp", 0, "good", "accepting"),
      { ...place("route:1", 'vhost = "batch-*"', 204, "good", "leads to batch"), name: "batches" },
      { ...place("route:2", "everything else", 1_000, "good", "leads to main"), name: "2" },
      place("cluster:main", "least-connections", 1_000, down ? "warning" : "good", down ? "2 of 3 nodes usable" : "3 of 3 nodes usable"),
      place("cluster:batch", "hash", 204, "good", "1 of 1 nodes usable"),
      place("node:main/rabbit1", "10.20.0.11:5672", down ? 500 : 334), place("node:main/rabbit2", "10.20.0.12:5672", down ? 0 : 333, down ? "bad" : "good", down ? "down: refused" : "up"),
      place("node:main/rabbit3", "10.20.0.13:5672", down ? 500 : 333, down ? "warning" : "good", down ? "draining" : "up"), place("node:batch/b1", "10.20.1.11:5672", 204),
    ],
    flows: [
      flow("listener:amqp", "route:1", 100, 1), flow("listener:amqp", "route:2", 510, 5), flow("listener:amqps", "route:1", 104, 1),
      flow("listener:amqps", "route:2", 490, 4), { ...flow("listener:mqtt", "cluster:batch", 0, 0), rates: rates(0) }, flow("route:1", "cluster:batch", 204, 2), flow("route:2", "cluster:main", 1_000, 9),
      flow("cluster:main", "node:main/rabbit1", 334, 3), down ? { ...flow("cluster:main", "node:main/rabbit2", 0, 0), rates: rates(0) } : flow("cluster:main", "node:main/rabbit2", 333, 3),
      flow("cluster:main", "node:main/rabbit3", 333, 3), flow("cluster:batch", "node:batch/b1", 204, 2),
    ],
  };
}

const routers = () => [{
  virtual_router: "front", interface: "eth0", virtual_router_id: 51, version: 3, addresses: ["192.0.2.10/24"], sync_group: null,
  state: "active", since: new Date(started).toISOString(), reason: null, priority: 150, effective_priority: 150, released: false,
  holds_addresses: true, peer: { address: "192.0.2.3", priority: 100, heard_ms: 812_000 }, alarms: [],
  counters: { sent: 1, received: 0, announcements: 1, errors: {}, transitions: { active: 1 } }, history: [],
}, {
  virtual_router: "back", interface: "eth1", virtual_router_id: 52, version: 3, addresses: ["10.20.0.10/24", "fd00::10/64"], sync_group: null,
  state: mode === "bad" ? "fault" : "backup", since: new Date(started).toISOString(), reason: "eth1 has no carrier", priority: 100, effective_priority: 80, released: false,
  holds_addresses: false, peer: { address: "10.20.0.3", priority: 150, heard_ms: 420 }, alarms: [],
  counters: { sent: 1, received: 0, announcements: 1, errors: {}, transitions: { backup: 1 } }, history: [],
}];

const closed = new Set<number>();
const PRODUCTS = ["pika", "RabbitMQ", "amqplib", "Lapin", "bunny"];
const CLIENTS = ["order-service", "billing", "stock-sync", "mail-worker", "audit-tail", null];

function sessions(): Session[] {
  if (mode === "empty") return [];
  return Array.from({ length: 1_204 }, (_, i): Session => {
    const id = 88_000 + i;
    const name = CLIENTS[i % CLIENTS.length];
    const batch = i % 6 === 2;
    const load = (i * 7_919) % 97 < 60 ? wave(4_000 + i, 0.2, 6, i) : 0;
    const age = ((i * 104_729) % 400_000) + 3;
    return {
      id, state: i % 173 === 4 ? "handshake" : "open", listener: i % 2 ? "amqps" : "amqp", protocol: "amqp-0-9-1",
      source: `10.1.${Math.floor(i / 250)}.${(i % 250) + 2}:${40_000 + i}`, proxy: null, tls: i % 2 ? "TLSv1.3" : null,
      cipher: i % 2 ? "TLS_AES_256_GCM_SHA384" : null, sni: i % 2 ? "mq.example.org" : null, common_name: null,
      client: name ? `${name}-${i % 40}` : null, product: PRODUCTS[i % PRODUCTS.length] ?? null, version: "1.3.2", platform: "Python 3.12",
      user: i % 3 ? "orders" : "billing", vhost: batch ? "batch-night" : "/", route: batch ? "batches" : "2",
      cluster: batch ? "batch" : "main", node: batch ? "b1" : `rabbit${(i % 3) + 1}`, channels: 1 + (i % 5),
      unconfirmed: (i * 31) % 90 < 4 ? (i % 9) + 1 : 0, heartbeat_s: 60, since: new Date(Date.now() - age * 1_000).toISOString(),
      age_s: age, handshake_ms: 6.2 + (i % 10), waited_ms: 0, client_held: i % 211 === 7, node_held: false,
      totals: rates(Math.round(load * age)), rates: rates(load),
    };
  }).filter((s) => !closed.has(s.id));
}

function fits(s: Session, query: URLSearchParams): boolean {
  const is = (name: string, value: string | null | undefined) => !query.get(name) || query.get(name) === value;
  const has = (name: string, ...values: (string | null | undefined)[]) => {
    const wanted = query.get(name)?.toLowerCase();
    return !wanted || values.some((value) => value?.toLowerCase().includes(wanted));
  };
  return is("listener", s.listener) && is("vhost", s.vhost) && is("user", s.user) && is("cluster", s.cluster)
    && is("node", `${s.cluster}/${s.node}`) && has("client", s.client, s.product) && has("source", s.source)
    && has("search", s.client, s.product, s.user, s.vhost, s.source, s.node, s.state);
}

function page(query: URLSearchParams) {
  const all = sessions();
  const found = all.filter((s) => fits(s, query));
  const by = (s: Session): number | string => {
    switch (query.get("sort")) {
      case "client": return s.client ?? "";
      case "published": return s.rates.published;
      case "delivered": return s.rates.delivered;
      case "age": return s.age_s;
      case "user": return s.user ?? "";
      case "unconfirmed": return s.unconfirmed;
      default: return s.id;
    }
  };
  found.sort((a, b) => (by(a) < by(b) ? -1 : by(a) > by(b) ? 1 : 0) * (query.get("descending") === "true" ? -1 : 1));
  const size = Number(query.get("page_size")) || 100;
  const n = Number(query.get("page")) || 1;
  return { sessions: found.slice((n - 1) * size, n * size), page: n, page_size: size, filtered: found.length, total: all.length, age_ms: 300 };
}

function sessionHistory() {
  const now = Math.floor(Date.now() / 1_000);
  const at = Array.from({ length: 90 }, (_, i) => now - 89 + i);
  const line = (k: number) => at.map((s) => k * (3 + 2 * Math.sin(s / 9) + (s % 7) / 7));
  const step = (ago: number, text: string) => ({ at: new Date(Date.now() - ago).toISOString(), text });
  return {
    steps: [step(3_004_000, "accepted on amqps"), step(3_003_992, "TLSv1.3, mq.example.org"), step(3_003_980, "logged in as orders, vhost /, route 2"), step(3_003_976, "open on main/rabbit2")],
    at, published: line(1), delivered: line(0.9), bytes_from_client: line(412), bytes_from_node: line(390),
  };
}
