//! The line before an admission. Pure: time comes in as an argument.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::task::Waker;
use std::time::Duration;

/// Who waits, in the order of their tickets, and when the next one may go on.
#[derive(Debug)]
pub(super) struct Line {
    bucket: Bucket,
    waiting: BTreeMap<u64, Waker>,
    longest: usize,
    /// The highest ticket that was given.
    given: u64,
    /// The highest ticket that was admitted.
    admitted: u64,
}

/// The answer to who asks to go on.
#[derive(Debug)]
pub(super) enum Answer {
    /// It may. `next` is now the first in line, and is to be woken.
    Admitted { next: Option<Waker> },
    /// It is the first in line, and has to ask again at this time.
    First { at: Duration },
    /// It waits behind others, and is woken when it has become the first.
    Behind,
    /// It may not go on now, and it may not wait.
    Refused,
}

impl Line {
    /// `longest`: how many may wait.
    pub(super) fn new(rate: NonZeroU32, longest: usize) -> Self {
        let (bucket, waiting) = (Bucket::new(rate), BTreeMap::new());
        Self { bucket, waiting, longest, given: 0, admitted: 0 }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// A place behind all others.
    pub(super) fn ticket(&mut self) -> u64 {
        self.given += 1;
        self.given
    }

    /// May the holder of `ticket` go on at `now`? Without a `waker` it does not wait for it. A ticket that was admitted may
    /// ask again, for one more.
    pub(super) fn ask(&mut self, ticket: u64, now: Duration, waker: Option<&Waker>) -> Answer {
        let first = self.waiting.first_key_value().is_none_or(|(first, _)| ticket <= *first);
        let turn = if first { Some(self.bucket.take(now)) } else { None };
        if let Some(Ok(())) = turn {
            self.waiting.remove(&ticket);
            self.admitted = self.admitted.max(ticket);
            return Answer::Admitted { next: self.first() };
        }
        let has_place = self.waiting.contains_key(&ticket) || ticket <= self.admitted;
        let Some(waker) = waker.filter(|_| has_place || self.waiting() < self.longest) else {
            return Answer::Refused;
        };
        self.waiting.entry(ticket).or_insert_with(|| waker.clone()).clone_from(waker);
        match turn {
            Some(Err(at)) => Answer::First { at },
            _ => Answer::Behind,
        }
    }

    /// The holder of `ticket` does not wait any more. Who has become the first by that is to be woken.
    pub(super) fn leave(&mut self, ticket: u64) -> Option<Waker> {
        let was_first = self.waiting.first_key_value().is_some_and(|(first, _)| ticket == *first);
        self.waiting.remove(&ticket);
        if was_first { self.first() } else { None }
    }

    /// Takes all tokens that there will be until then.
    #[cfg(test)]
    pub(super) fn exhaust(&mut self, until: Duration) {
        self.bucket.full_at = until + self.bucket.slack;
    }

    fn first(&self) -> Option<Waker> {
        self.waiting.first_key_value().map(|(_, waker)| waker.clone())
    }
}

/// A token bucket, kept as the time at which it would be full (the generic cell rate algorithm): exact, and never refilled
/// by anybody.
#[derive(Debug)]
struct Bucket {
    /// From one token to the next.
    interval: Duration,
    /// How far `full_at` may lie ahead: as many tokens as may be taken at once, less one.
    slack: Duration,
    full_at: Duration,
}

impl Bucket {
    /// Holds what makes good a timer that is 20 ms late, but at least one token. No second sees more than `rate`: what may
    /// be taken at once is taken off what comes in the rest of the second.
    fn new(rate: NonZeroU32) -> Self {
        let burst = (rate.get() / 50).max(1);
        let steady = rate.get() - burst + 1;
        let interval = Duration::from_nanos(1_000_000_000_u64.div_ceil(steady.into()));
        Self { interval, slack: interval * (burst - 1), full_at: Duration::ZERO }
    }

    /// Takes a token at `now`, or tells when there will be one.
    fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let at = self.full_at.saturating_sub(self.slack);
        if now < at {
            return Err(at);
        }
        self.full_at = self.full_at.max(now) + self.interval;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn line(rate: u32, longest: usize) -> Line {
        Line::new(NonZeroU32::new(rate).expect("rate"), longest)
    }

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_few_may_go_at_once_and_then_one_after_the_other() {
        let mut line = line(100, 100);
        let waker = Some(Waker::noop());
        for _ in 0..2 {
            let ticket = line.ticket();
            assert!(matches!(line.ask(ticket, millis(7), waker), Answer::Admitted { .. }));
        }
        let ticket = line.ticket();
        let Answer::First { at } = line.ask(ticket, millis(7), waker) else { panic!("no token") };
        // 99 more within the second would be one too many.
        assert_eq!(at, millis(7) + Duration::from_nanos(10_101_011));
        let behind = line.ticket();
        assert!(matches!(line.ask(behind, millis(8), waker), Answer::Behind));
        let Answer::Admitted { next } = line.ask(ticket, at, waker) else { panic!("a token") };
        assert!(next.is_some() && line.waiting() == 1);
    }

    #[test]
    fn only_who_leaves_the_front_wakes_somebody() {
        let mut line = line(1, 100);
        let tickets: Vec<_> = (0..4).map(|_| line.ticket()).collect();
        for ticket in &tickets {
            line.ask(*ticket, millis(1), Some(Waker::noop()));
        }
        assert!(line.leave(tickets[2]).is_none());
        assert!(line.leave(tickets[1]).is_some());
        assert!(line.leave(tickets[3]).is_none(), "nobody is left");
    }

    #[test]
    fn who_comes_again_is_first_and_needs_no_room_in_the_line() {
        let mut line = line(1, 1);
        let (again, other) = (line.ticket(), line.ticket());
        assert!(matches!(line.ask(again, millis(1), None), Answer::Admitted { .. }));
        assert!(matches!(line.ask(other, millis(1), Some(Waker::noop())), Answer::First { .. }));
        assert!(matches!(line.ask(again, millis(2), Some(Waker::noop())), Answer::First { .. }));
        assert!(matches!(line.ask(other, millis(3), Some(Waker::noop())), Answer::Behind));
        assert_eq!(line.waiting(), 2);
    }

    proptest! {
        /// Clients come, leave, and those in front ask as soon as they may.
        #[test]
        fn no_second_sees_more_than_the_rate_and_nobody_overtakes(
            rate in 1u32..400,
            longest in 1usize..50,
            steps in prop::collection::vec((0u64..40, 0u8..10), 1..400),
        ) {
            let mut line = line(rate, longest);
            let (mut now, mut admitted) = (Duration::ZERO, Vec::new());
            let mut in_line: Vec<u64> = Vec::new();
            for (pause, what) in steps {
                let end = now + millis(pause);
                while let Some(&first) = in_line.first() {
                    match line.ask(first, now, Some(Waker::noop())) {
                        Answer::Admitted { .. } => {
                            in_line.remove(0);
                            admitted.push((now, first));
                        }
                        Answer::First { at } if at <= end => now = at,
                        Answer::First { .. } => break,
                        answer => panic!("{answer:?} for the first in line"),
                    }
                }
                now = end;
                if what == 0 && !in_line.is_empty() {
                    let gone = in_line.remove(in_line.len() / 2);
                    line.leave(gone);
                } else {
                    let ticket = line.ticket();
                    match line.ask(ticket, now, Some(Waker::noop())) {
                        Answer::Admitted { .. } => admitted.push((now, ticket)),
                        Answer::First { .. } | Answer::Behind => in_line.push(ticket),
                        Answer::Refused => prop_assert_eq!(in_line.len(), longest),
                    }
                }
                prop_assert_eq!(line.waiting(), in_line.len());
            }
            let most = rate as usize;
            for (index, (from, ticket)) in admitted.iter().enumerate() {
                let second = admitted[index..].iter().take_while(|(at, _)| *at < *from + millis(1000));
                let count = second.count();
                prop_assert!(count <= most, "{} within a second, at a rate of {}", count, rate);
                prop_assert!(index == 0 || admitted[index - 1].1 < *ticket);
            }
        }
    }
}
