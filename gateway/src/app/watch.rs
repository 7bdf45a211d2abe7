//! Once a tick: the clock, and who has been silent for too long.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::session::Shared;
use crate::session::registry::{Order, Session};
use crate::worker::Clock;

/// After a standstill of the process (a paused machine, no CPU) everybody seems silent, though their bytes wait to be
/// read: nobody is judged for as long again.
const STANDSTILL: Duration = Duration::from_secs(2);

/// Sessions are looked at once in so many ticks.
const LOOK_EVERY: u32 = 4;

/// Keeps the clock, and with it the sessions' heartbeats.
pub(super) async fn keep_time(shared: Arc<Shared>, clock: Arc<Clock>) {
    let mut ticks = interval(Clock::TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sight = Sight::new(Instant::now());
    for count in 0_u32.. {
        ticks.tick().await;
        clock.advance();
        let sees = sight.sees(Instant::now());
        if count % LOOK_EVERY == 0 && sees {
            let idle = shared.snapshot.load().idle_timeout;
            shared.registry.each(|session| {
                if let Some(order) = overdue(session, clock.now(), idle) {
                    session.order(order);
                }
            });
        }
    }
}

/// Whether silence can be told from a standstill of our own.
#[derive(Debug)]
struct Sight {
    last: Instant,
    blind_until: Instant,
}

impl Sight {
    fn new(now: Instant) -> Self {
        Self { last: now, blind_until: now }
    }

    /// To be asked every tick: may silence at `now` be taken for silence?
    fn sees(&mut self, now: Instant) -> bool {
        if now.duration_since(self.last) > STANDSTILL {
            self.blind_until = now + STANDSTILL;
        }
        self.last = now;
        now >= self.blind_until
    }
}

/// Who of a session has been silent for too long, if anybody?
///
/// A peer is dead after two heartbeat intervals without a byte (AMQP 0-9-1 section 4.2.7). One that we do not read, for
/// the other side takes no more, is not silent.
fn overdue(session: &Session, now: u32, idle: Option<Duration>) -> Option<Order> {
    session.facts()?;
    let heard = &session.heard;
    // First who is held: whoever is not any more has been noted as heard before.
    let client_held = heard.client_held.load(Ordering::Acquire) != 0;
    let node_held = heard.node_held.load(Ordering::Acquire) != 0;
    let client = now.saturating_sub(heard.client.load(Ordering::Relaxed));
    let node = now.saturating_sub(heard.node.load(Ordering::Relaxed));
    let heartbeat = Duration::from_secs(heard.heartbeat.load(Ordering::Relaxed).into());
    let limit = ticks(2 * heartbeat);
    if !heartbeat.is_zero() {
        if client > limit && !client_held {
            return Some(Order::ClientSilent);
        }
        if node > limit && !node_held {
            return Some(Order::NodeSilent);
        }
    }
    idle.is_some_and(|idle| client.min(node) > ticks(idle)).then_some(Order::Idle)
}

fn ticks(time: Duration) -> u32 {
    (time.as_millis() / Clock::TICK.as_millis()).try_into().unwrap_or(u32::MAX)
}

/// What keeps the gateway from being ready.
pub(super) fn not_ready(shared: &Shared, stopping: &CancellationToken) -> Vec<String> {
    if stopping.is_cancelled() {
        return vec!["the gateway is stopping".to_owned()];
    }
    let snapshot = shared.snapshot.load();
    if snapshot.clusters.values().any(|cluster| cluster.is_ready()) {
        return Vec::new();
    }
    let mut names: Vec<_> = snapshot.clusters.keys().map(ToString::to_string).collect();
    names.sort_unstable();
    names.into_iter().map(|name| format!("no node of cluster {name} is usable")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cluster::node::Node;
    use crate::config::model::{ListenerName, samples};
    use crate::session::registry::{SessionFacts, SessionId, Software};
    use crate::stream::arrival::Arrival;

    fn session(heartbeat: u16) -> Session {
        let client = ([127, 0, 0, 1], 4000).into();
        let session = Session::new(SessionId(1), Arrival::new(ListenerName("amqp".into()), client));
        let node = samples::node("r1", 5672);
        session.opened(Box::new(SessionFacts {
            node: Arc::new(Node::sample("main", &node)),
            user: None,
            vhost: None,
            software: Software::default(),
            handshake: (Duration::ZERO, Duration::ZERO),
            routed: Default::default(),
        }));
        session.heard.heartbeat.store(heartbeat, Ordering::Relaxed);
        session
    }

    fn seconds(count: u32) -> u32 {
        ticks(Duration::from_secs(count.into()))
    }

    #[test]
    fn a_peer_is_dead_after_two_heartbeats_and_not_before() {
        let session = session(10);
        session.heard.node.store(seconds(20), Ordering::Relaxed);
        assert_eq!(overdue(&session, seconds(20), None), None);
        assert_eq!(overdue(&session, seconds(20) + 1, None), Some(Order::ClientSilent));
        session.heard.client.store(seconds(41), Ordering::Relaxed);
        assert_eq!(overdue(&session, seconds(41), None), Some(Order::NodeSilent));
    }

    #[test]
    fn nobody_is_judged_right_after_a_standstill_of_the_process() {
        let start = Instant::now();
        let mut sight = Sight::new(start);
        assert!(sight.sees(start + Clock::TICK));
        let back = start + Clock::TICK + STANDSTILL + Duration::from_millis(1);
        assert!(!sight.sees(back));
        assert!(!sight.sees(back + STANDSTILL - Clock::TICK));
        assert!(sight.sees(back + STANDSTILL));
    }

    #[test]
    fn a_peer_that_is_not_read_is_not_silent() {
        let session = session(10);
        session.heard.client_held.store(1, Ordering::Relaxed);
        session.heard.node.store(seconds(60), Ordering::Relaxed);
        assert_eq!(overdue(&session, seconds(60), None), None);
    }

    #[test]
    fn without_heartbeats_only_a_configured_idle_timeout_ends_a_session() {
        let session = session(0);
        assert_eq!(overdue(&session, seconds(100_000), None), None);
        let idle = Some(Duration::from_secs(60));
        assert_eq!(overdue(&session, seconds(60), idle), None);
        assert_eq!(overdue(&session, seconds(61), idle), Some(Order::Idle));
        session.heard.node.store(seconds(50), Ordering::Relaxed);
        assert_eq!(overdue(&session, seconds(61), idle), None);
    }
}
