//! Every metric of this build: its name, and a sentence on how to read it.
//!
//! `docs/metrics.md` is generated from this table, and `/metrics` takes its help texts from it.

use std::fmt::Write as _;

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// As on `/metrics`.
    pub name: &'static str,
    /// How its value behaves.
    pub kind: Kind,
    /// What its value counts.
    pub unit: Unit,
    /// The label names, in the order in which values are given for them.
    pub labels: &'static [&'static str],
    /// How to read it.
    pub help: &'static str,
}

/// How a value behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations up to certain bounds.
    Histogram,
}

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Unit {
    Count,
    Bytes,
    Seconds,
    /// Seconds since 1970.
    Timestamp,
}

impl Kind {
    /// As in the `# TYPE` line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Unit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Bytes => "bytes",
            Self::Seconds => "seconds",
            Self::Timestamp => "seconds since 1970",
        }
    }
}

macro_rules! metrics {
    ($(
        $constant:ident = $name:literal $kind:ident $unit:ident [$($label:literal),*] $help:literal
    )*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                unit: Unit::$unit,
                labels: &[$($label),*],
                help: $help,
            };
        )*

        /// All of them, in the order of `docs/metrics.md`.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    BUILD_INFO = "amqp_gateway_build_info" Gauge Count ["version"]
        "Always 1; the label tells which version runs."
    CONFIG_REVISION = "amqp_gateway_config_revision" Gauge Count []
        "Number of the configuration in force; it grows by one with every reload that took effect."
    CONFIG_RELOADS_TOTAL = "amqp_gateway_config_reloads_total" Counter Count ["result"]
        "Orders to put a configuration in force; applied, unchanged (it was in force already), or refused: the log says why, and the old one stays."
    SESSIONS = "amqp_gateway_sessions" Gauge Count ["listener"]
        "Sessions open now, those still in their handshake included."
    SESSIONS_TOTAL = "amqp_gateway_sessions_total" Counter Count ["listener", "reason"]
        "Sessions that ended, by why; the reasons are those of the access record."
    SESSION_DURATION_SECONDS = "amqp_gateway_session_duration_seconds" Histogram Seconds []
        "Accept to end; many short sessions mean clients that connect for each message."
    HANDSHAKE_SECONDS = "amqp_gateway_handshake_seconds" Histogram Seconds ["stage"]
        "AMQP handshake; stage client (accept to open), upstream (connect to open-ok) or total."
    HANDSHAKE_FAILURES_TOTAL = "amqp_gateway_handshake_failures_total"
        Counter Count ["listener", "reason"]
        "Sessions that ended before open-ok; a rise tells of bad passwords, scans or missing nodes."
    TLS_HANDSHAKES_TOTAL = "amqp_gateway_tls_handshakes_total"
        Counter Count ["version", "resumed"]
        "TLS handshakes with clients that succeeded; resumed no costs a signature each."
    TLS_HANDSHAKE_SECONDS = "amqp_gateway_tls_handshake_seconds" Histogram Seconds []
        "TLS handshakes with clients, from accept; slow ones tell of the network, or of a storm."
    ACCEPT_ERRORS_TOTAL = "amqp_gateway_accept_errors_total" Counter Count ["listener", "reason"]
        "Failed accepts; reason fd-limit means that the process needs a higher limit of open files."
    BYTES_TOTAL = "amqp_gateway_bytes_total" Counter Bytes ["direction"]
        "Bytes read; direction from_client or from_node."
    FRAMES_TOTAL = "amqp_gateway_frames_total" Counter Count ["direction", "method"]
        "Frames relayed, by AMQP method; header, body and heartbeat frames count by their type."
    MESSAGES_PUBLISHED_TOTAL = "amqp_gateway_messages_published_total"
        Counter Count ["vhost", "cluster"]
        "Messages that clients published (basic.publish)."
    MESSAGES_DELIVERED_TOTAL = "amqp_gateway_messages_delivered_total"
        Counter Count ["vhost", "cluster"]
        "Messages that nodes handed to clients (basic.deliver and basic.get-ok)."
    MESSAGES_ACKNOWLEDGED_TOTAL = "amqp_gateway_messages_acknowledged_total"
        Counter Count ["vhost", "cluster"]
        "Deliveries that clients acknowledged; far below the delivered ones means slow consumers."
    MESSAGES_RETURNED_TOTAL = "amqp_gateway_messages_returned_total"
        Counter Count ["vhost", "cluster"]
        "Mandatory messages that no queue took (basic.return); growth is a fault of a publisher."
    MESSAGES_CONFIRMED_TOTAL = "amqp_gateway_messages_confirmed_total"
        Counter Count ["vhost", "cluster"]
        "Published messages that nodes confirmed."
    MESSAGES_UNCONFIRMED = "amqp_gateway_messages_unconfirmed" Gauge Count ["vhost", "cluster"]
        "Messages on confirm channels that wait for their confirm now; growth means slow queues."
    CHANNELS = "amqp_gateway_channels" Gauge Count []
        "AMQP channels open now; steady growth is a client that leaks channels."
    WORKER_SESSIONS = "amqp_gateway_worker_sessions" Gauge Count ["worker"]
        "Sessions on each thread for client traffic; a new one goes where there are clearly fewest."
    NODE_SESSIONS = "amqp_gateway_node_sessions" Gauge Count ["cluster", "node"]
        "Sessions open on a node now."
    NODE_UP = "amqp_gateway_node_up" Gauge Count ["cluster", "node"]
        "1 while nothing that is known keeps the node from serving; 0 while it is down or parted from its cluster."
    NODE_STATE = "amqp_gateway_node_state" Gauge Count ["cluster", "node", "state"]
        "1 for each state the node is in: unknown, up or down; and alarm, maintenance, minority, quorum-critical, draining, disabled."
    NODE_PROBE_SECONDS = "amqp_gateway_node_probe_seconds" Gauge Seconds ["cluster", "node", "check"]
        "How long the last check took; close to the timeout means that the node is overloaded or hung."
    NODE_PROBE_FAILURES_TOTAL = "amqp_gateway_node_probe_failures_total"
        Counter Count ["cluster", "node", "check", "reason"]
        "Checks that failed, or could not be made: reason login means that no node is watched by it."
    NODE_NAME_UNRESOLVED = "amqp_gateway_node_name_unresolved" Gauge Count ["cluster", "node"]
        "1 while the host or SRV name of a node does not resolve: its last nodes stay in use."
    NODE_CONNECT_FAILURES_TOTAL = "amqp_gateway_node_connect_failures_total"
        Counter Count ["cluster", "node", "reason"]
        "Attempts at a node that failed before open-ok; the client may have got another node."
    ADMISSION_WAITING = "amqp_gateway_admission_waiting" Gauge Count ["cluster"]
        "Sessions that wait in their handshake until the cluster admits them; high after a node died."
    ADMISSION_WAIT_SECONDS = "amqp_gateway_admission_wait_seconds" Histogram Seconds ["cluster"]
        "How long each new connection to a node waited for its admission, those refused included."
    HTTP_REQUESTS_TOTAL = "amqp_gateway_http_requests_total"
        Counter Count ["listener", "cluster", "node", "status"]
        "Requests to HTTP listeners, by class of the answer: 2xx, 5xx, ...; none where there was no answer."
    HTTP_REQUEST_SECONDS = "amqp_gateway_http_request_seconds" Histogram Seconds ["listener"]
        "From the head of a request to the last byte of its answer; a WebSocket counts to its end."
    HTTP_NODE_UP = "amqp_gateway_http_node_up" Gauge Count ["cluster", "node"]
        "1 while the management of the node answers the check of HTTP listeners, or is not known yet."
    VRRP_STATE = "amqp_gateway_vrrp_state" Gauge Count ["virtual_router", "state"]
        "1 for the state the virtual router is in: initialize, backup, active or fault; summed over all gateways, active has to be 1."
    VRRP_PRIORITY = "amqp_gateway_vrrp_priority" Gauge Count ["virtual_router"]
        "The effective priority; below the configured one while something that is tracked fails."
    VRRP_TRANSITIONS_TOTAL = "amqp_gateway_vrrp_transitions_total"
        Counter Count ["virtual_router", "to"]
        "Changes of state, by the new one; many tell of a network that loses advertisements, or of a check that flaps."
    VRRP_ADVERTISEMENTS_TOTAL = "amqp_gateway_vrrp_advertisements_total"
        Counter Count ["virtual_router", "direction"]
        "Advertisements; direction sent, or received and accepted. An active router that receives some has a rival."
    VRRP_ERRORS_TOTAL = "amqp_gateway_vrrp_errors_total" Counter Count ["virtual_router", "reason"]
        "Advertisements that were dropped or could not be sent, by what was wrong."
    VRRP_ALARM = "amqp_gateway_vrrp_alarm" Gauge Count ["virtual_router", "alarm"]
        "1 while a misconfiguration is noticed that may put the addresses on two gateways; the log has its cure."
    VRRP_ANNOUNCEMENTS_TOTAL = "amqp_gateway_vrrp_announcements_total"
        Counter Count ["virtual_router"]
        "Gratuitous ARP requests and unsolicited neighbour advertisements sent for the addresses."
    CERTIFICATE_EXPIRY_TIMESTAMP_SECONDS = "amqp_gateway_certificate_expiry_timestamp_seconds"
        Gauge Timestamp ["listener", "cluster", "certificate"]
        "When a certificate in use ends: one of a listener, or what the gateway shows the nodes of a cluster."
    CERTIFICATE_RELOADS_TOTAL = "amqp_gateway_certificate_reloads_total" Counter Count ["result"]
        "Changed files of TLS; success: in use from the next TLS handshake on; failure: refused, the old ones stay in use."
    LOG_LINES_DROPPED_TOTAL = "amqp_gateway_log_lines_dropped_total" Counter Count []
        "Log lines and access records lost because their output was too slow or failing."
    PROCESS_CPU_SECONDS_TOTAL = "process_cpu_seconds_total" Counter Seconds []
        "CPU time of the process, user and system."
    PROCESS_RESIDENT_MEMORY_BYTES = "process_resident_memory_bytes" Gauge Bytes []
        "Memory of the process that is in RAM."
    PROCESS_OPEN_FDS = "process_open_fds" Gauge Count []
        "Open file descriptors; each session needs two."
    PROCESS_MAX_FDS = "process_max_fds" Gauge Count []
        "Limit of open file descriptors; accepts fail once process_open_fds reaches it."
    PROCESS_START_TIME_SECONDS = "process_start_time_seconds" Gauge Timestamp []
        "When the process started; a change is a restart."
    PROCESS_THREADS = "process_threads" Gauge Count []
        "Threads of the process."
}

/// The text of `docs/metrics.md`.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(HEAD);
    for metric in ALL {
        let labels: Vec<String> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
        let (kind, unit) = (metric.kind.as_str(), metric.unit.as_str());
        // Writing into a String cannot fail.
        let _ = writeln!(
            out,
            "| `{}` | {kind} | {unit} | {} | {} |",
            metric.name,
            labels.join(", "),
            metric.help
        );
    }
    out.push_str(TAIL);
    out
}

const HEAD: &str = "\
# Metrics

`GET /metrics` on the admin address answers in the Prometheus text format.

This page is generated from `gateway/src/telemetry/names.rs`; after a change there run
`UPDATE_DOCS=1 cargo test -p amqp-gateway telemetry::names`.

| metric | type | unit | labels | how to read it |
|---|---|---|---|---|
";

const TAIL: &str = "
The label `vhost` has at most 200 different values; the vhosts seen after that count together as
`other`. A gauge that nothing reports any more (a listener or node that was removed) is gone from
the page five minutes later.

The label `reason` of sessions is explained with [the access record](access-log.md#reasons). That of
`amqp_gateway_node_connect_failures_total` is one of these:

| `reason` | what happened |
|---|---|
| `refused` | nobody listens there: the node is stopped, or still starting |
| `connect-timeout` | no answer to the connection: host gone, firewall, or a hung node whose accept queue is full |
| `unreachable` | no route to the host |
| `unresolved` | the host name has no address |
| `reset`, `connect-error` | the connection failed in another way |
| `fd-limit` | the gateway has no file descriptor left: raise `LimitNOFILE` |
| `local-ports` | the gateway's machine has no local port left towards the node: [operations.md](operations.md#limits-on-open-files-and-local-ports) |
| `memory` | the gateway's machine has no memory left for sockets |
| `forbidden` | a firewall or security policy of the gateway's machine is in the way |
| `silent` | connected, but no start within a second, or no answer in the middle of a handshake |
| `closed` | the node closed the connection before it had said start |
| `bad-handshake` | what answers there does not speak AMQP |
| `not-tls` | what answers there does not speak TLS, but the cluster has a section `tls` |
| `certificate` | the node's certificate is not trusted, has ended or is for another name; or the node does not take the gateway's |
| `tls` | the TLS handshake failed for another reason: see the log |

`fd-limit`, `local-ports`, `memory` and `forbidden` are faults of the gateway's machine. They do not count against the node.

The label `alarm` of `amqp_gateway_vrrp_alarm` is explained with [shared addresses](vrrp.md#alarms).

Alerts for Prometheus are in [packaging/prometheus](../packaging/prometheus/amqp-gateway.rules.yml), each with what to do; a
dashboard for Grafana is in [packaging/grafana](../packaging/grafana/amqp-gateway.json). They expect a job `amqp-gateway` that
scrapes each gateway by its own address.
";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_page_about_metrics_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, markdown()).expect("docs/metrics.md can be written");
        }
        let page = std::fs::read_to_string(path).expect("docs/metrics.md exists");
        assert!(
            page == markdown(),
            "run: UPDATE_DOCS=1 cargo test -p amqp-gateway telemetry::names"
        );
    }

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        let names: HashSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for Metric { name, kind, unit, help, .. } in ALL {
            assert!(name.starts_with("amqp_gateway_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            let base = name.trim_end_matches("_total");
            assert_eq!(
                base.ends_with("_bytes") || base.ends_with("gateway_bytes"),
                *unit == Unit::Bytes,
                "{name}"
            );
            let seconds = matches!(unit, Unit::Seconds | Unit::Timestamp);
            assert_eq!(base.ends_with("_seconds"), seconds, "{name}");
            assert!(help.ends_with('.') && !help.contains(['\n', '|']), "{name}");
        }
    }
}
