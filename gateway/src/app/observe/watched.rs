//! What single sessions did lately: of those that somebody looks at, for a while.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::figures;
use super::history::seconds;
use super::show::Moment;
use crate::admin::view::session::{SessionHistory, Step};
use crate::admin::view::status::{Rates, Traffic};
use crate::session::ledger::Passed;
use crate::session::registry::{Session, SessionId};

/// How often a value is taken.
pub(super) const EVERY: Duration = Duration::from_secs(2);
/// How long a session is watched after somebody looked at it.
const WATCHED: Duration = Duration::from_secs(600);
/// Sessions at once; the one that was looked at the longest ago makes room.
const MOST: usize = 16;
/// Values that are kept of each.
const KEPT: usize = 300;

/// The sessions that are watched.
#[derive(Debug, Default)]
pub(super) struct Watched(Mutex<Vec<One>>);

#[derive(Debug)]
struct One {
    session: Arc<Session>,
    looked: Instant,
    last: (Instant, Traffic),
    points: VecDeque<(f64, Rates)>,
    told: Option<Instant>,
    ended: Option<Instant>,
}

impl Watched {
    /// What is known of a session; `live` is it, if it still is. From now on it is watched.
    pub(super) fn look(
        &self,
        id: SessionId,
        live: Option<Arc<Session>>,
        moment: Moment,
    ) -> Option<SessionHistory> {
        let mut all = self.lock();
        if let Some(one) = all.iter_mut().find(|one| one.session.id == id) {
            one.looked = moment.now;
            return Some(one.history(moment));
        }
        let one = One::new(live?, moment.now);
        let history = one.history(moment);
        if all.len() >= MOST {
            let oldest = all.iter().enumerate().min_by_key(|(_, one)| one.looked).map(|(at, _)| at);
            oldest.map(|at| all.swap_remove(at));
        }
        all.push(one);
        Some(history)
    }

    /// Takes a value of each, and lets go of those that nobody has looked at for long.
    pub(super) fn take(&self, moment: Moment) {
        let mut all = self.lock();
        all.retain(|one| moment.now.saturating_duration_since(one.looked) < WATCHED);
        all.iter_mut().for_each(|one| one.take(moment));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<One>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl One {
    fn new(session: Arc<Session>, now: Instant) -> Self {
        let last = (now, figures::traffic(&Passed::of(&session)));
        let told = session.has_order().then_some(now);
        Self { session, looked: now, last, points: VecDeque::new(), told, ended: None }
    }

    fn take(&mut self, moment: Moment) {
        if self.session.has_order() {
            self.told.get_or_insert(moment.now);
        }
        if self.ended.is_some() {
            return;
        }
        self.ended = self.session.has_ended().then_some(moment.now);
        let totals = figures::traffic(&Passed::of(&self.session));
        let (then, before) = std::mem::replace(&mut self.last, (moment.now, totals));
        let passed = moment.now.saturating_duration_since(then);
        if self.points.len() == KEPT {
            self.points.pop_front();
        }
        let rates = figures::rates(&before, &totals, passed);
        self.points.push_back((seconds(moment.wall), rates));
    }

    fn history(&self, moment: Moment) -> SessionHistory {
        let rate = |value: fn(&Rates) -> f64| {
            self.points.iter().map(|(_, rates)| Some(value(rates))).collect()
        };
        SessionHistory {
            steps: self.steps(moment),
            at: self.points.iter().map(|(at, _)| *at).collect(),
            published: rate(|rates| rates.published),
            delivered: rate(|rates| rates.delivered),
            bytes_from_client: rate(|rates| rates.bytes_from_client),
            bytes_from_node: rate(|rates| rates.bytes_from_node),
        }
    }

    fn steps(&self, moment: Moment) -> Vec<Step> {
        let (session, arrival) = (&self.session, &self.session.arrival);
        let step = |at, text| Step { at: moment.time_at(at), text };
        let tls = arrival.tls.as_ref().map(|tls| format!(", with {}", tls.version));
        let accepted = format!("accepted at {}{}", arrival.listener, tls.unwrap_or_default());
        let mut steps = vec![step(arrival.accepted, accepted)];
        if let Some(facts) = session.facts() {
            let waited = session.held_for();
            let waited = (!waited.is_zero())
                .then(|| format!(", after {} ms in line for its admission", waited.as_millis()));
            let node = &facts.node;
            let open =
                format!("open on {}/{}{}", node.cluster, node.name, waited.unwrap_or_default());
            steps.push(step(session.opened_at(), open));
        }
        steps.extend(self.told.map(|at| step(at, "told to close".to_owned())));
        steps.extend(self.ended.map(|at| step(at, "ended".to_owned())));
        steps
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::app::observe::samples::{registry, session};
    use crate::session::registry::Order;

    fn later(moment: Moment, by: Duration) -> Moment {
        Moment { now: moment.now + by, wall: moment.wall + by }
    }

    fn start() -> Moment {
        Moment { now: Instant::now(), wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1000) }
    }

    #[test]
    fn a_session_is_watched_from_the_first_look_on_and_to_its_end() {
        let (watched, registry, start) = (Watched::default(), registry(1), start());
        let id = SessionId(1);
        let look = |at| watched.look(id, registry.get(id), at);
        assert!(look(start).expect("it is live").at.is_empty());
        let session = registry.get(id).expect("it");
        session.counters.published.set(10);
        watched.take(later(start, EVERY));
        session.order(Order::OperatorClose);
        watched.take(later(start, 2 * EVERY));
        registry.remove(id);
        (3..9).for_each(|n| watched.take(later(start, n * EVERY)));
        let history = look(later(start, 9 * EVERY)).expect("it is watched");
        assert_eq!(history.at, [1002.0, 1004.0, 1006.0]);
        assert_eq!(history.published, [Some(5.0), Some(0.0), Some(0.0)]);
        let steps: Vec<_> = history.steps.iter().map(|step| &*step.text).collect();
        assert_eq!(steps, ["accepted at amqp", "open on main/n1", "told to close", "ended"]);
        watched.take(later(start, 9 * EVERY + WATCHED));
        assert!(look(later(start, 10 * EVERY + WATCHED)).is_none());
    }

    #[test]
    fn no_more_are_watched_than_there_may_be() {
        let (watched, start) = (Watched::default(), start());
        for id in 1..=MOST as u64 + 1 {
            let at = later(start, Duration::from_secs(id));
            assert!(watched.look(SessionId(id), Some(session(id)), at).is_some());
        }
        assert_eq!(watched.lock().len(), MOST);
        assert!(watched.look(SessionId(1), None, start).is_none(), "it made room");
        assert!(watched.look(SessionId(2), None, start).is_some());
    }

    #[test]
    fn no_more_values_are_kept_than_there_may_be() {
        let (watched, start) = (Watched::default(), start());
        watched.look(SessionId(1), Some(session(1)), start);
        for number in 0..KEPT as u32 + 5 {
            let at = later(start, EVERY * number);
            watched.take(at);
            watched.look(SessionId(1), None, at);
        }
        let history = watched.look(SessionId(1), None, start).expect("it");
        assert_eq!(history.at.len(), KEPT);
    }
}
