//! The cases, their figures and the targets the gateway has set itself.

use crate::tls_cases::{self, Tls};

/// What is done in a case.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Publish as fast as possible.
    Publish,
    /// Consume what the broker floods.
    Consume,
    /// Publish at a fixed rate.
    Paced,
    /// One message there and back a session, again and again.
    PingPong,
    /// Open and close sessions.
    Connect,
    /// Hold many sessions.
    Idle,
}

/// What the gateway's figures must not exceed.
pub(crate) type Targets = &'static [(Figure, Target)];

/// What the gateway aims at beyond its targets, as times HAProxy's figure.
pub(crate) type Goals = &'static [(Figure, f64)];

/// One case.
#[derive(Clone)]
pub(crate) struct Case {
    /// Its name for `--only` and JSON.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
    /// Octets of a message's body.
    pub(crate) body: usize,
    /// Sessions at once; of the idle cases the most that are held.
    pub(crate) connections: usize,
    /// Whether the gateway decides at open, by vhost.
    pub(crate) by_vhost: bool,
    /// None without TLS.
    pub(crate) tls: Option<Tls>,
    targets: Targets,
    goals: Goals,
}

/// What the gateway's figure must not exceed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Target {
    /// This many times HAProxy's figure.
    Ratio(f64),
    /// This value.
    Value(f64),
}

/// A figure of a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Figure {
    /// On-CPU microseconds of the proxy a unit (message, round trip, connection).
    Cpu,
    /// On-CPU seconds a GB (10^9) of message frames.
    CpuPerGb,
    /// Units a second.
    Rate,
    /// Round trip time, microseconds; the median and the 99th percentile.
    P50,
    P99,
    /// The same less that of the direct connection in the same repetition.
    AddedP50,
    AddedP99,
    /// Octets of resident memory a session.
    Idle,
    /// The same after two messages were exchanged over each.
    IdleUsed,
    /// Resident memory of a fresh process, MB (10^6 octets).
    Empty,
}

impl Figure {
    /// Its name in JSON.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Figure::Cpu => "cpu_us",
            Figure::CpuPerGb => "cpu_s_per_gb",
            Figure::Rate => "per_second",
            Figure::P50 => "p50_us",
            Figure::P99 => "p99_us",
            Figure::AddedP50 => "added_p50_us",
            Figure::AddedP99 => "added_p99_us",
            Figure::Idle => "octets_per_session",
            Figure::IdleUsed => "octets_per_used_session",
            Figure::Empty => "empty_mb",
        }
    }
}

impl Case {
    /// A case at the listener that decides at accept, without TLS.
    pub(crate) fn new(
        id: &'static str,
        title: &'static str,
        kind: Kind,
        body: usize,
        connections: usize,
        targets: Targets,
    ) -> Self {
        Self { id, title, kind, body, connections, by_vhost: false, tls: None, targets, goals: &[] }
    }

    /// The same over TLS.
    pub(crate) fn over(self, tls: Tls, goals: Goals) -> Self {
        Self { tls: Some(tls), goals, ..self }
    }

    /// The rows of the table for this case: figure and what it is called there.
    pub(crate) fn rows(&self) -> &'static [(Figure, &'static str)] {
        match self.kind {
            // The broker speaks no TLS, so that there is no direct connection to compare with.
            Kind::PingPong if self.tls.is_some() => &[
                (Figure::Cpu, "CPU µs/round trip"),
                (Figure::Rate, "round trips/s"),
                (Figure::P50, "p50 µs"),
                (Figure::P99, "p99 µs"),
            ],
            Kind::Connect if self.tls.is_some() => {
                &[(Figure::Cpu, "CPU µs/connection"), (Figure::Rate, "handshakes/s")]
            }
            Kind::Publish | Kind::Consume => &[
                (Figure::Cpu, "CPU µs/message"),
                (Figure::CpuPerGb, "CPU s/GB"),
                (Figure::Rate, "messages/s"),
            ],
            Kind::Paced => &[(Figure::Cpu, "CPU µs/message"), (Figure::Rate, "messages/s")],
            Kind::PingPong => &[
                (Figure::Cpu, "CPU µs/round trip"),
                (Figure::Rate, "round trips/s"),
                (Figure::P50, "p50 µs"),
                (Figure::P99, "p99 µs"),
                (Figure::AddedP50, "added p50 µs"),
                (Figure::AddedP99, "added p99 µs"),
            ],
            Kind::Connect => &[(Figure::Cpu, "CPU µs/connection"), (Figure::Rate, "connections/s")],
            Kind::Idle => &[
                (Figure::Idle, "octets/session"),
                (Figure::IdleUsed, "after 2 messages"),
                (Figure::Empty, "empty process MB"),
            ],
        }
    }

    /// What the gateway must reach in `figure`, if anything.
    pub(crate) fn target(&self, figure: Figure) -> Option<Target> {
        self.targets.iter().find(|(of, _)| *of == figure).map(|(_, target)| *target)
    }

    /// What the gateway aims at in `figure` beyond its target, as times HAProxy's figure.
    pub(crate) fn goal(&self, figure: Figure) -> Option<f64> {
        self.goals.iter().find(|(of, _)| *of == figure).map(|(_, goal)| *goal)
    }
}

const SMALL: Targets = &[(Figure::Cpu, Target::Ratio(1.15))];
const BULK: Targets = &[(Figure::Cpu, Target::Ratio(0.75))];
const ROUND_TRIP: Targets = &[(Figure::Cpu, Target::Ratio(1.0)), (Figure::P99, Target::Ratio(1.0))];
const IDLE: Targets = &[(Figure::Idle, Target::Value(2500.0))];

/// All cases in the order they are run and printed.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = plain();
    cases.extend(tls_cases::all());
    cases
}

fn plain() -> Vec<Case> {
    use Kind::{Connect, Consume, Idle, Paced, PingPong, Publish};
    let case = Case::new;
    let by_vhost = |case: Case| Case { by_vhost: true, ..case };
    let (kib, mib) = (1024, 1024 * 1024);
    vec![
        case("publish-16b-c1", "publish 16 B C=1", Publish, 16, 1, SMALL),
        case("publish-16b-c50", "publish 16 B C=50", Publish, 16, 50, SMALL),
        case("publish-1k-c1", "publish 1 KiB C=1", Publish, kib, 1, &[]),
        case("publish-1k-c50", "publish 1 KiB C=50", Publish, kib, 50, BULK),
        case("publish-64k-c1", "publish 64 KiB C=1", Publish, 64 * kib, 1, BULK),
        case("publish-64k-c50", "publish 64 KiB C=50", Publish, 64 * kib, 50, BULK),
        case("publish-1m-c1", "publish 1 MiB C=1", Publish, mib, 1, &[]),
        case("publish-1m-c50", "publish 1 MiB C=50", Publish, mib, 50, &[]),
        case("consume-1k-c4", "consume 1 KiB C=4", Consume, kib, 4, &[]),
        case("consume-64k-c4", "consume 64 KiB C=4", Consume, 64 * kib, 4, BULK),
        case("paced-1k-c50", "paced 20k/s 1 KiB C=50", Paced, kib, 50, &[]),
        case("pingpong-16b-c1", "ping-pong 16 B C=1", PingPong, 16, 1, &[]),
        case("pingpong-16b-c50", "ping-pong 16 B C=50", PingPong, 16, 50, ROUND_TRIP),
        case("connect-k16", "connect K=16", Connect, 0, 16, &[(Figure::Cpu, Target::Ratio(1.3))]),
        by_vhost(case(
            "connect-k16-vhost",
            "connect K=16, by vhost",
            Connect,
            0,
            16,
            &[(Figure::Cpu, Target::Ratio(1.6))],
        )),
        case("idle", "idle session", Idle, kib, 5000, IDLE),
        by_vhost(case("idle-vhost", "idle session, by vhost", Idle, kib, 5000, IDLE)),
    ]
}
