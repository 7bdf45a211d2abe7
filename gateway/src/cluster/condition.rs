//! What is known of a node beside its sessions: what its checks, its broker and the operator say of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use super::balance;
use super::rounds::Row;

/// What a node that has just come back takes of its share, in thousandths.
const RAMP_FROM: u128 = balance::FULL as u128 / 10;

/// What the checks of a node come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Verdict {
    /// Nothing yet; it is used like one that is up.
    #[default]
    Unknown,
    /// It can serve.
    Up,
    /// It cannot.
    Down,
}

/// What the operator wants of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum AdminState {
    /// To serve.
    #[default]
    Enabled,
    /// No new sessions, and those there are closed at a pace.
    Draining,
    /// No new sessions; those there stay.
    Disabled,
}

/// What the broker says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BrokerSays {
    /// Out of memory: publishers are blocked on all nodes of the cluster.
    pub memory_alarm: bool,
    /// Out of disk space: the same.
    pub disk_alarm: bool,
    /// An operator of the broker has put it into maintenance mode.
    pub maintenance: bool,
    /// It has lost the greater part of its cluster.
    pub minority: bool,
    /// Queues would lose their majority if it stopped. Says nothing against using it.
    pub quorum_critical: bool,
}

impl BrokerSays {
    fn bits(self) -> u8 {
        let flags = [
            self.memory_alarm,
            self.disk_alarm,
            self.maintenance,
            self.minority,
            self.quorum_critical,
        ];
        flags.iter().rev().fold(0, |bits, &flag| bits << 1 | u8::from(flag))
    }

    fn of(bits: u8) -> Self {
        let flag = |at: u8| bits >> at & 1 == 1;
        Self {
            memory_alarm: flag(0),
            disk_alarm: flag(1),
            maintenance: flag(2),
            minority: flag(3),
            quorum_critical: flag(4),
        }
    }

    /// Are publishers blocked?
    #[must_use]
    pub fn alarmed(self) -> bool {
        self.memory_alarm || self.disk_alarm
    }
}

/// How fit a node is for new sessions, the fittest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fitness {
    /// Nothing speaks against it.
    Fit,
    /// It works, and blocks publishers.
    Alarmed,
    /// It does not work: used only if no other node of the cluster does.
    Unfit,
    /// Operator or broker want no new sessions there: it gets none.
    Closed,
}

/// What is known of a node, for reading on every new session.
#[derive(Debug)]
pub struct Condition {
    verdict: AtomicU8,
    admin: AtomicU8,
    says: AtomicU8,
    /// Milliseconds after `born` when it last came back; 0 = it has been here from the beginning.
    back_at: AtomicU64,
    /// The same for when it last was found working again, or out of maintenance.
    recovered_at: AtomicU64,
    row: ArcSwapOption<Row>,
    born: Instant,
}

impl Default for Condition {
    fn default() -> Self {
        Self {
            verdict: AtomicU8::default(),
            admin: AtomicU8::default(),
            says: AtomicU8::default(),
            back_at: AtomicU64::default(),
            recovered_at: AtomicU64::default(),
            row: ArcSwapOption::empty(),
            born: Instant::now(),
        }
    }
}

impl Condition {
    /// What its checks come to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.verdict.load(Ordering::Relaxed) {
            1 => Verdict::Up,
            2 => Verdict::Down,
            _ => Verdict::Unknown,
        }
    }

    /// Sets what its checks come to; returns what they did before.
    pub fn set_verdict(&self, verdict: Verdict) -> Verdict {
        let before = self.verdict();
        self.noting_return(|| self.verdict.store(verdict as u8, Ordering::Relaxed));
        if before == Verdict::Down && verdict != Verdict::Down {
            self.recovered_at.store(self.age(), Ordering::Relaxed);
        }
        before
    }

    /// How its last rounds of checks came out; `None` before the first.
    #[must_use]
    pub fn row(&self) -> Option<Row> {
        self.row.load().as_deref().copied()
    }

    /// It is not checked any more: how rounds came out is old.
    pub fn forget_rounds(&self) {
        self.row.store(None);
    }

    /// A round of checks is over, that ran from `begun` to `ended`. Returns where the node stands now.
    pub fn round(&self, good: bool, begun: Instant, ended: Instant) -> Row {
        let row = Row::after(self.row(), good, begun, ended);
        self.row.store(Some(Arc::new(row)));
        row
    }

    /// Has it been down or in maintenance since `time`, and got over it? What it said to whoever was there then is old.
    #[must_use]
    pub fn has_recovered_since(&self, time: Instant) -> bool {
        let recovered_at = self.recovered_at.load(Ordering::Relaxed);
        recovered_at > 0 && self.born + Duration::from_millis(recovered_at) > time
    }

    /// What the operator wants.
    #[must_use]
    pub fn admin(&self) -> AdminState {
        match self.admin.load(Ordering::Relaxed) {
            1 => AdminState::Draining,
            2 => AdminState::Disabled,
            _ => AdminState::Enabled,
        }
    }

    /// Sets what the operator wants; returns what it was before.
    pub fn set_admin(&self, admin: AdminState) -> AdminState {
        let before = self.admin();
        self.noting_return(|| self.admin.store(admin as u8, Ordering::Relaxed));
        before
    }

    /// What the broker says.
    #[must_use]
    pub fn says(&self) -> BrokerSays {
        BrokerSays::of(self.says.load(Ordering::Relaxed))
    }

    /// Sets what the broker says; returns what it said before.
    pub fn set_says(&self, says: BrokerSays) -> BrokerSays {
        let before = self.says();
        self.noting_return(|| self.says.store(says.bits(), Ordering::Relaxed));
        if before.maintenance && !says.maintenance {
            self.recovered_at.store(self.age(), Ordering::Relaxed);
        }
        before
    }

    /// How fit it is for new sessions.
    #[must_use]
    pub fn fitness(&self) -> Fitness {
        let says = self.says();
        if self.admin() != AdminState::Enabled || says.maintenance {
            Fitness::Closed
        } else if self.verdict() == Verdict::Down || says.minority {
            Fitness::Unfit
        } else if says.alarmed() {
            Fitness::Alarmed
        } else {
            Fitness::Fit
        }
    }

    /// How much of its share it may have at `now`, in thousandths: a node that came back is empty, and is not to be flooded
    /// with all new sessions at once. It begins with a tenth, and has the whole after `slow_start`.
    #[must_use]
    pub fn ramp(&self, slow_start: Duration, now: Instant) -> u16 {
        let back_at = self.back_at.load(Ordering::Relaxed);
        if back_at == 0 || slow_start.is_zero() {
            return balance::FULL;
        }
        let since = now.saturating_duration_since(self.born + Duration::from_millis(back_at));
        let full = u128::from(balance::FULL);
        let gained = (full - RAMP_FROM) * since.as_millis() / slow_start.as_millis().max(1);
        (RAMP_FROM + gained).min(full).try_into().unwrap_or(balance::FULL)
    }

    /// Makes a change, and notes the time if it makes a node usable that was not.
    fn noting_return(&self, change: impl FnOnce()) {
        let was_usable = self.fitness() < Fitness::Unfit;
        change();
        if !was_usable && self.fitness() < Fitness::Unfit {
            self.back_at.store(self.age(), Ordering::Relaxed);
        }
    }

    /// Milliseconds since `born`, never 0.
    fn age(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_broker_says_is_kept_as_it_was_said() {
        let condition = Condition::default();
        for bits in 0..32 {
            let says = BrokerSays::of(bits);
            condition.set_says(says);
            assert_eq!(condition.says(), says);
            assert_eq!(says.bits(), bits);
        }
    }

    #[test]
    fn an_alarm_leaves_a_node_usable_and_maintenance_does_not() {
        let condition = Condition::default();
        assert_eq!(condition.fitness(), Fitness::Fit, "nothing is known");
        condition.set_says(BrokerSays { disk_alarm: true, ..BrokerSays::default() });
        assert_eq!(condition.fitness(), Fitness::Alarmed);
        condition.set_verdict(Verdict::Down);
        assert_eq!(condition.fitness(), Fitness::Unfit);
        condition.set_says(BrokerSays { maintenance: true, ..BrokerSays::default() });
        assert_eq!(condition.fitness(), Fitness::Closed);
    }

    #[test]
    fn the_operator_has_the_last_word_and_a_critical_quorum_says_nothing() {
        let condition = Condition::default();
        condition.set_says(BrokerSays { quorum_critical: true, ..BrokerSays::default() });
        assert_eq!(condition.fitness(), Fitness::Fit);
        condition.set_verdict(Verdict::Up);
        assert_eq!(condition.set_admin(AdminState::Draining), AdminState::Enabled);
        assert_eq!(condition.fitness(), Fitness::Closed);
        condition.set_admin(AdminState::Disabled);
        assert_eq!(condition.fitness(), Fitness::Closed);
    }
    #[test]
    fn a_node_that_came_back_gets_its_share_little_by_little() {
        let (condition, slow) = (Condition::default(), Duration::from_secs(30));
        condition.set_verdict(Verdict::Up);
        assert_eq!(condition.ramp(slow, Instant::now()), balance::FULL, "it was never away");
        for (away, back) in
            [(Verdict::Down, AdminState::Enabled), (Verdict::Up, AdminState::Disabled)]
        {
            condition.set_verdict(away);
            condition.set_admin(back);
            condition.set_admin(AdminState::Enabled);
            condition.set_verdict(Verdict::Up);
            let now = Instant::now();
            assert!((100..110).contains(&condition.ramp(slow, now)));
            assert!((545..555).contains(&condition.ramp(slow, now + slow / 2)));
            let end = now + slow + Duration::from_millis(1);
            assert_eq!(condition.ramp(slow, end), balance::FULL);
            assert_eq!(condition.ramp(Duration::ZERO, now), balance::FULL);
        }
    }

    #[test]
    fn an_alarm_that_ends_is_no_return() {
        let (condition, slow) = (Condition::default(), Duration::from_secs(30));
        condition.set_says(BrokerSays { memory_alarm: true, ..BrokerSays::default() });
        condition.set_says(BrokerSays::default());
        assert_eq!(condition.ramp(slow, Instant::now()), balance::FULL);
    }
}
