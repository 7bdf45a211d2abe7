//! Closes many sessions: at a pace, those at rest first.

use std::collections::{HashSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::session::registry::{Order, Session};

/// How often sessions are told.
pub const STEP: Duration = Duration::from_millis(20);
/// How often it is looked for sessions that have come since.
const REFILL: Duration = Duration::from_millis(250);
/// What a pace makes good of steps that came late.
const BURST: Duration = Duration::from_millis(100);

/// So many a second, evenly.
#[derive(Debug)]
pub struct Pace {
    rate: f64,
    due: f64,
    last: Option<Instant>,
}

impl Pace {
    /// A pace that begins with one.
    #[must_use]
    pub fn new(rate: NonZeroU32) -> Self {
        Self { rate: rate.get().into(), due: 1.0, last: None }
    }

    /// So many a second from now on.
    pub fn set_rate(&mut self, rate: NonZeroU32) {
        self.rate = rate.get().into();
    }

    /// How many may be told at `now`.
    pub fn due(&mut self, now: Instant) -> usize {
        let passed = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        self.last = Some(now);
        let most = (self.rate * BURST.as_secs_f64()).max(1.0);
        self.due = (self.due + self.rate * passed.as_secs_f64()).min(most);
        self.due as usize
    }

    /// So many have been told.
    pub fn spend(&mut self, count: usize) {
        self.due -= count as f64;
    }
}

/// Sessions that are being closed.
///
/// Those at rest come first, the oldest before the younger. One with publishes under way is waited for until it comes
/// to rest; when its patience is over it is closed as it is, behind all that are at rest.
#[derive(Debug)]
pub struct Closing {
    /// What they are told.
    pub order: Order,
    pace: Pace,
    patience: Duration,
    /// Not looked at yet.
    fresh: VecDeque<Arc<Session>>,
    /// Found with publishes under way, and until when each is waited for.
    busy: Vec<(Arc<Session>, Instant)>,
    refilled: Option<Instant>,
    told: usize,
}

impl Closing {
    /// Closes with `order`, `rate` a second; waits for busy ones up to `patience`.
    #[must_use]
    pub fn new(order: Order, rate: NonZeroU32, patience: Duration) -> Self {
        Self {
            order,
            pace: Pace::new(rate),
            patience,
            fresh: VecDeque::new(),
            busy: Vec::new(),
            refilled: None,
            told: 0,
        }
    }

    /// So many a second from now on.
    pub fn set_rate(&mut self, rate: NonZeroU32) {
        self.pace.set_rate(rate);
    }

    /// How many have been told.
    #[must_use]
    pub fn told(&self) -> usize {
        self.told
    }

    /// Tells those whose turn it is at `now`, and returns them. `all` lists those that are to be closed, oldest first; it
    /// is not asked at each step.
    pub fn step(
        &mut self,
        now: Instant,
        all: impl FnOnce() -> Vec<Arc<Session>>,
    ) -> Vec<Arc<Session>> {
        let old = self.refilled.is_none_or(|at| now.saturating_duration_since(at) >= REFILL);
        if old {
            self.refill(all());
            self.refilled = Some(now);
        }
        let due = self.pace.due(now);
        let turn = self.take(due, now);
        self.pace.spend(turn.len());
        self.told += turn.len();
        for session in &turn {
            session.order(self.order);
        }
        turn
    }

    fn refill(&mut self, all: Vec<Arc<Session>>) {
        let known: HashSet<_> = self.busy.iter().map(|(session, _)| session.id).collect();
        let fresh = all.into_iter().filter(|s| !s.has_order() && !known.contains(&s.id));
        self.fresh = fresh.collect();
    }

    /// Up to `count` whose turn it is.
    fn take(&mut self, count: usize, now: Instant) -> Vec<Arc<Session>> {
        let mut turn = Vec::new();
        self.busy.retain(|(session, _)| is_there(session));
        self.take_busy(count, &mut turn, |session, _| session.is_at_rest());
        while turn.len() < count {
            let Some(session) = self.fresh.pop_front() else { break };
            if is_there(&session) {
                match session.is_at_rest() {
                    true => turn.push(session),
                    false => self.busy.push((session, now + self.patience)),
                }
            }
        }
        if self.fresh.is_empty() {
            self.take_busy(count, &mut turn, |_, until| now >= until);
        }
        turn
    }

    fn take_busy(
        &mut self,
        count: usize,
        turn: &mut Vec<Arc<Session>>,
        is_due: impl Fn(&Session, Instant) -> bool,
    ) {
        self.busy.retain(|(session, until)| {
            let takes = turn.len() < count && is_due(session, *until);
            if takes {
                turn.push(session.clone());
            }
            !takes
        });
    }
}

/// Has it neither ended nor been told something already?
fn is_there(session: &Session) -> bool {
    !session.has_ended() && !session.has_order()
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::config::model::ListenerName;
    use crate::session::registry::SessionId;
    use crate::stream::arrival::Arrival;

    fn sessions(count: u64) -> Vec<Arc<Session>> {
        let client = ([127, 0, 0, 1], 4000).into();
        let new =
            |id| Session::new(SessionId(id), Arrival::new(ListenerName("amqp".into()), client));
        (1..=count).map(|id| Arc::new(new(id))).collect()
    }

    fn told(all: &[Arc<Session>]) -> Vec<u64> {
        let order = |s: &Session| s.poll_order(Waker::noop());
        all.iter().filter(|s| order(s) == Some(Order::Drain)).map(|s| s.id.0).collect()
    }

    fn closing(rate: u32) -> Closing {
        let rate = NonZeroU32::new(rate).expect("a rate");
        Closing::new(Order::Drain, rate, Duration::from_secs(5))
    }

    /// Steps up to `seconds` after `start`.
    fn run(closing: &mut Closing, all: &[Arc<Session>], start: Instant, seconds: f64) {
        let steps = (seconds / STEP.as_secs_f64()) as u32;
        for step in 0..=steps {
            closing.step(start + STEP * step, || all.to_vec());
        }
    }

    #[test]
    fn a_pace_is_kept_and_what_was_not_used_is_not_made_good() {
        let (all, start) = (sessions(100), Instant::now());
        let mut closing = closing(20);
        run(&mut closing, &all, start, 2.0);
        let first = told(&all).len();
        assert!((39..=42).contains(&first), "{first} in 2 s");
        closing.step(start + Duration::from_secs(60), || all.to_vec());
        assert!(told(&all).len() <= first + 2, "{} after a pause", told(&all).len());
    }

    #[test]
    fn sessions_with_publishes_under_way_come_last_and_their_patience_ends() {
        let (all, start) = (sessions(5), Instant::now());
        all[0].counters.unconfirmed.set(1);
        all[1].counters.half_sent.set(1);
        let mut closing = closing(200);
        run(&mut closing, &all, start, 4.9);
        assert_eq!(told(&all), [3, 4, 5]);
        all[1].counters.half_sent.set(0);
        closing.step(start + Duration::from_millis(4950), || all.to_vec());
        assert_eq!(told(&all), [2, 3, 4, 5]);
        closing.step(start + Duration::from_millis(5050), || all.to_vec());
        assert_eq!(closing.told(), 5);
    }

    #[test]
    fn a_busy_session_whose_patience_is_over_waits_for_all_that_are_at_rest() {
        let (all, start) = (sessions(20), Instant::now());
        all[0].counters.unconfirmed.set(1);
        let mut closing = closing(2);
        run(&mut closing, &all, start, 8.0);
        assert!(!told(&all).contains(&1), "{:?}", told(&all));
        for step in 1..100 {
            closing.step(start + Duration::from_millis(8000 + step * 100), || all.to_vec());
        }
        assert_eq!(told(&all).len(), 20);
    }

    #[test]
    fn sessions_that_ended_or_were_told_otherwise_take_nobodys_turn() {
        let (mut all, start) = (sessions(3), Instant::now());
        let mut closing = closing(1);
        closing.refill(all.clone());
        closing.refilled = Some(start);
        all[0].order(Order::Idle);
        all.remove(1).end();
        closing.step(start, Vec::new);
        assert_eq!((told(&all), closing.told()), (vec![3], 1));
    }

    #[test]
    fn those_who_come_late_are_told_too() {
        let (all, start) = (sessions(4), Instant::now());
        let mut closing = closing(200);
        run(&mut closing, &all[..2], start, 0.5);
        run(&mut closing, &all, start + Duration::from_secs(1), 0.5);
        assert_eq!(told(&all), [1, 2, 3, 4]);
    }
}
