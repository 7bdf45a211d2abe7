//! One node's machine: rounds of checks and failures of clients go in, a verdict comes out. It has no clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::cluster::condition::Verdict;
use crate::config::model::{Health, Passive};

/// By how much of it a wait is shortened at most, so that the nodes of all gateways are not asked in step.
const JITTER: f64 = 0.1;

/// Clients that fail so close together have met the same moment of weakness: that is one failure. As long as a session
/// waits for a node's first word, so that attempts under way at the same time count once.
const TOGETHER: Duration = Duration::from_secs(1);

/// What a round of checks comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// All checks that could be made passed.
    Good,
    /// One of them failed.
    Bad,
    /// None could be made: nothing is known. That is no reason to leave a node out, nor to keep it out.
    Mute,
}

/// What a machine goes by.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    interval: Duration,
    fast_interval: Duration,
    rise: u32,
    fall: u32,
    passive: Option<Passive>,
}

impl From<&Health> for Rules {
    fn from(health: &Health) -> Self {
        Self {
            interval: health.interval,
            fast_interval: health.fast_interval.min(health.interval),
            rise: health.rise.get(),
            fall: health.fall.get(),
            passive: health.passive,
        }
    }
}

/// The verdict on one node, and what leads to the next one.
///
/// ```text
///            good                 `fall` bad, `failures` of clients, or it says that it stops
/// unknown ----------> up ------------------------------------------------------------------> down
///    |                 ^                                                                      |  ^
///    |                 +---------------- `rise` good (mute: to unknown) ----------------------+  |
///    +---------------------------------------- the same as from up --------------------------------+
/// ```
#[derive(Debug)]
pub struct Machine {
    rules: Rules,
    verdict: Verdict,
    /// Good rounds in a row.
    good: u32,
    /// Bad rounds in a row.
    bad: u32,
    /// When clients failed within the time that counts.
    failures: VecDeque<Instant>,
    /// The node has told somebody that it goes into maintenance, and has not been good for long enough since.
    maintenance: bool,
}

impl Machine {
    /// A machine of whose node nothing is known.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let failures = VecDeque::new();
        Self { rules, verdict: Verdict::Unknown, good: 0, bad: 0, failures, maintenance: false }
    }

    /// A machine that goes on where another one stood: of whose node that is known, and whether it is in maintenance.
    #[must_use]
    pub fn resumed(rules: Rules, verdict: Verdict, maintenance: bool) -> Self {
        Self { verdict, maintenance, ..Self::new(rules) }
    }

    /// What is known of the node.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Is it in maintenance, by its own word to somebody?
    #[must_use]
    pub fn in_maintenance(&self) -> bool {
        self.maintenance
    }

    /// A round of checks is over. Returns whether the verdict is another now.
    pub fn round(&mut self, round: Round) -> bool {
        match round {
            Round::Mute if self.verdict != Verdict::Down => return false,
            Round::Mute | Round::Good => {
                self.good = self.good.saturating_add(1);
                self.bad = 0;
                self.maintenance &= self.good < self.rules.rise;
            }
            Round::Bad => {
                self.bad = self.bad.saturating_add(1);
                self.good = 0;
            }
        }
        match self.verdict {
            Verdict::Unknown if self.good > 0 => self.turn(Verdict::Up),
            Verdict::Down if self.good >= self.rules.rise => match round {
                Round::Mute => self.turn(Verdict::Unknown),
                Round::Good | Round::Bad => self.turn(Verdict::Up),
            },
            Verdict::Unknown | Verdict::Up if self.bad >= self.rules.fall => {
                self.turn(Verdict::Down)
            }
            Verdict::Unknown | Verdict::Up | Verdict::Down => false,
        }
    }

    /// Connections of clients have just failed. Returns whether that makes the node down.
    pub fn clients_failed(&mut self, now: Instant) -> bool {
        let Some(Passive { failures, within }) = self.rules.passive else { return false };
        if self.verdict == Verdict::Down {
            return false;
        }
        let age = |at: &Instant| now.saturating_duration_since(*at);
        if self.failures.back().is_some_and(|last| age(last) < TOGETHER) {
            return false;
        }
        self.failures.retain(|at| age(at) <= within);
        self.failures.push_back(now);
        self.failures.len() >= failures.get() as usize && self.turn(Verdict::Down)
    }

    /// A client was served: the failures before it were no more than the node being slow.
    pub fn client_served(&mut self) {
        self.failures.clear();
    }

    /// The node has said that it is shutting down. Returns whether that is news.
    pub fn stopping(&mut self) -> bool {
        self.good = 0;
        self.verdict != Verdict::Down && self.turn(Verdict::Down)
    }

    /// The node has said that it goes into maintenance. That is over after as many good rounds as make a node up.
    pub fn maintenance(&mut self) {
        self.good = 0;
        self.maintenance = true;
    }

    /// How long to wait from the beginning of one round to the next. `chance` lies in 0..1.
    #[must_use]
    pub fn wait(&self, chance: f64) -> Duration {
        let wait = if self.is_changing() { self.rules.fast_interval } else { self.rules.interval };
        wait.mul_f64(1.0 - JITTER * chance.clamp(0.0, 1.0))
    }

    /// Did the last round speak against the verdict?
    fn is_changing(&self) -> bool {
        match self.verdict {
            Verdict::Unknown => true,
            Verdict::Up => self.bad > 0 || self.maintenance,
            Verdict::Down => self.good > 0,
        }
    }

    fn turn(&mut self, verdict: Verdict) -> bool {
        self.verdict = verdict;
        self.good = 0;
        self.bad = 0;
        self.failures.clear();
        true
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    fn health(rise: u32, fall: u32) -> Health {
        Health {
            interval: Duration::from_secs(3),
            fast_interval: Duration::from_secs(1),
            rise: NonZeroU32::new(rise).expect("not 0"),
            fall: NonZeroU32::new(fall).expect("not 0"),
            passive: Some(Passive {
                failures: NonZeroU32::new(3).expect("not 0"),
                within: Duration::from_secs(10),
            }),
            ..Health::default()
        }
    }

    fn machine() -> Machine {
        Machine::new(Rules::from(&health(2, 3)))
    }

    fn up() -> Machine {
        let mut machine = machine();
        assert!(machine.round(Round::Good));
        machine
    }

    #[test]
    fn rounds_lead_to_verdicts_as_the_table_says() {
        let table = [
            ("+", Verdict::Up),
            ("--", Verdict::Unknown),
            ("---", Verdict::Down),
            ("+--", Verdict::Up),
            ("+--+--", Verdict::Up),
            ("+---", Verdict::Down),
            ("+---+", Verdict::Down),
            ("+---+-+", Verdict::Down),
            ("+---++", Verdict::Up),
            ("+--??-", Verdict::Down),
            ("???", Verdict::Unknown),
            ("+???", Verdict::Up),
            ("+---?", Verdict::Down),
            ("+---??", Verdict::Unknown),
            ("+---?+", Verdict::Up),
        ];
        for (rounds, verdict) in table {
            let mut machine = machine();
            for sign in rounds.chars() {
                let before = machine.verdict();
                let changed = machine.round(match sign {
                    '+' => Round::Good,
                    '-' => Round::Bad,
                    _ => Round::Mute,
                });
                assert_eq!(changed, machine.verdict() != before, "{rounds}");
            }
            assert_eq!(machine.verdict(), verdict, "{rounds}");
        }
    }

    #[test]
    fn checks_come_fast_only_while_the_verdict_is_changing() {
        let (slow, fast) = (Duration::from_secs(3), Duration::from_secs(1));
        let mut machine = machine();
        assert_eq!(machine.wait(0.0), fast, "nothing is known");
        machine.round(Round::Good);
        assert_eq!(machine.wait(0.0), slow);
        machine.round(Round::Bad);
        assert_eq!(machine.wait(0.0), fast);
        machine.round(Round::Bad);
        machine.round(Round::Bad);
        assert_eq!(machine.wait(0.0), slow, "down, and nothing speaks against it");
        machine.round(Round::Good);
        assert_eq!(machine.wait(0.0), fast);
        assert_eq!(machine.wait(1.0), Duration::from_millis(900));
    }

    /// Fails clients at these times, in milliseconds; which of them made the node down?
    fn fail(machine: &mut Machine, times: &[u64]) -> Vec<bool> {
        let start = Instant::now();
        let at = |millis: &u64| start + Duration::from_millis(*millis);
        times.iter().map(|time| machine.clients_failed(at(time))).collect()
    }

    #[test]
    fn failures_of_clients_make_it_down_only_within_their_time_and_only_once() {
        let mut machine = up();
        let times = [0, 1000, 11_001, 12_002, 13_003, 14_004];
        assert_eq!(fail(&mut machine, &times), [false, false, false, false, true, false]);
        assert_eq!(machine.verdict(), Verdict::Down);
        assert!(!machine.round(Round::Good));
        assert!(machine.round(Round::Good), "checks bring it back");
        assert_eq!(fail(&mut machine, &[20_000]), [false], "the old failures are forgotten");
    }

    #[test]
    fn clients_that_fail_at_the_same_moment_count_once() {
        let mut machine = up();
        assert_eq!(fail(&mut machine, &[0, 0, 10, 500, 999]), [false; 5]);
        assert_eq!(fail(&mut machine, &[1000, 2000]), [false, true]);
    }

    #[test]
    fn a_client_that_is_served_in_between_makes_up_for_those_that_failed() {
        let mut machine = up();
        for _ in 0..5 {
            assert_eq!(fail(&mut machine, &[0, 1000]), [false, false]);
            machine.client_served();
        }
    }

    #[test]
    fn without_passive_failures_of_clients_do_not_count() {
        let mut machine = Machine::new(Rules::from(&Health { passive: None, ..health(2, 3) }));
        let times: Vec<u64> = (0..100).map(|second| second * 1000).collect();
        assert!(!fail(&mut machine, &times).contains(&true));
    }

    #[test]
    fn a_node_that_says_it_stops_is_down_at_once() {
        let mut machine = up();
        assert!(machine.stopping());
        assert!(!machine.stopping());
        assert_eq!(machine.verdict(), Verdict::Down);
    }

    #[test]
    fn maintenance_ends_when_the_node_has_been_good_for_long_enough() {
        let mut machine = up();
        machine.maintenance();
        machine.round(Round::Good);
        assert!(machine.in_maintenance());
        machine.round(Round::Bad);
        machine.round(Round::Good);
        assert!(machine.in_maintenance());
        machine.round(Round::Good);
        assert!(!machine.in_maintenance());
    }

    proptest! {
        #[test]
        fn the_verdict_is_what_the_last_rounds_in_a_row_say(
            rise in 1..5_u32,
            fall in 1..5_u32,
            rounds in prop::collection::vec(any::<bool>(), 1..60),
        ) {
            let mut machine = Machine::new(Rules::from(&health(rise, fall)));
            let mut in_a_row = 0;
            for (at, &good) in rounds.iter().enumerate() {
                in_a_row = if at > 0 && rounds[at - 1] == good { in_a_row + 1 } else { 1 };
                machine.round(if good { Round::Good } else { Round::Bad });
                if good && in_a_row >= rise {
                    prop_assert_eq!(machine.verdict(), Verdict::Up);
                }
                if !good && in_a_row >= fall {
                    prop_assert_eq!(machine.verdict(), Verdict::Down);
                }
            }
        }
    }
}
