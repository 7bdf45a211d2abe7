//! The last hour of the gateway as a whole: a value every five seconds, in a fixed amount of memory.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::figures;
use super::sums::Whole;
use crate::admin::view::status::{History, Rates, Traffic};
use crate::telemetry::latency::Spread;
use crate::telemetry::process::Usage;

/// How often a value is taken.
pub(super) const EVERY: Duration = Duration::from_secs(5);
/// Values that are kept: an hour.
const KEPT: usize = 720;
/// Log lines that were dropped so long ago are no news.
const LATELY: Duration = Duration::from_secs(300);

/// Takes the values.
#[derive(Debug, Default)]
pub(super) struct Sampler(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    points: VecDeque<Point>,
    last: Option<Last>,
    lately: Lately,
}

/// What a difference is taken to.
#[derive(Debug)]
struct Last {
    at: Instant,
    totals: Traffic,
    openings: Spread,
    cpu_seconds: f64,
    dropped: u64,
}

/// What is measured each time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    pub(super) whole: Whole,
    pub(super) openings: Spread,
    pub(super) usage: Usage,
    /// Log lines dropped since the start.
    pub(super) dropped: u64,
}

/// What has come of the last few seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lately {
    pub(super) rates: Rates,
    /// Of one core.
    pub(super) cpu: f64,
    pub(super) usage: Usage,
    /// When the log dropped lines last.
    dropped_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    at: f64,
    sessions: usize,
    memory_bytes: u64,
    /// Nothing at first: there is nothing before it.
    flow: Option<(Rates, f64, f64)>,
    p99: Option<Duration>,
}

impl Lately {
    /// Has the log dropped lines that somebody may miss now?
    pub(super) fn drops(&self, now: Instant) -> bool {
        self.dropped_at.is_some_and(|at| now.saturating_duration_since(at) < LATELY)
    }
}

impl Sampler {
    /// Takes a value at `now`.
    pub(super) fn take(&self, measured: &Measured, now: Instant, wall: SystemTime) {
        let mut state = self.state();
        let State { points, last, lately } = &mut *state;
        let Measured { whole, openings, usage, dropped } = *measured;
        let before = last.as_ref();
        let totals = before.map_or(whole.totals, |b| figures::greater(&b.totals, &whole.totals));
        let difference = before.map(|before| {
            let passed = now.saturating_duration_since(before.at);
            let a_second = |more: f64| more / passed.as_secs_f64().max(f64::MIN_POSITIVE);
            let opened = openings.since(&before.openings);
            let rates = figures::rates(&before.totals, &totals, passed);
            let cpu = a_second((usage.cpu_seconds - before.cpu_seconds).max(0.0));
            (rates, a_second(opened.count() as f64), cpu, opened.quantile(0.99))
        });
        let dropped_at = match before {
            Some(before) if dropped > before.dropped => Some(now),
            None if dropped > 0 => Some(now),
            _ => lately.dropped_at,
        };
        let (rates, cpu) = difference.map(|(rates, _, cpu, _)| (rates, cpu)).unwrap_or_default();
        *lately = Lately { rates, cpu, usage, dropped_at };
        *last = Some(Last { at: now, totals, openings, cpu_seconds: usage.cpu_seconds, dropped });
        if points.len() == KEPT {
            points.pop_front();
        }
        points.push_back(Point {
            at: seconds(wall),
            sessions: whole.sessions,
            memory_bytes: usage.memory_bytes,
            flow: difference.map(|(rates, opened, cpu, _)| (rates, opened, cpu)),
            p99: difference.and_then(|(_, _, _, p99)| p99),
        });
    }

    /// What has come of the last few seconds.
    pub(super) fn lately(&self) -> Lately {
        self.state().lately
    }

    /// All that is kept.
    pub(super) fn history(&self) -> History {
        let state = self.state();
        let all = |value: &dyn Fn(&Point) -> Option<f64>| state.points.iter().map(value).collect();
        let rate = |value: fn(&Rates) -> f64| {
            state.points.iter().map(|point| point.flow.map(|(rates, ..)| value(&rates))).collect()
        };
        History {
            interval_s: u32::try_from(EVERY.as_secs()).unwrap_or(u32::MAX),
            at: state.points.iter().map(|point| point.at).collect(),
            sessions: all(&|point| Some(point.sessions as f64)),
            published: rate(|rates| rates.published),
            delivered: rate(|rates| rates.delivered),
            confirmed: rate(|rates| rates.confirmed),
            bytes_from_client: rate(|rates| rates.bytes_from_client),
            bytes_from_node: rate(|rates| rates.bytes_from_node),
            handshakes: all(&|point| point.flow.map(|(_, opened, _)| opened)),
            handshake_p99_s: all(&|point| point.p99.map(|p99| p99.as_secs_f64())),
            cpu: all(&|point| point.flow.map(|(_, _, cpu)| cpu)),
            memory_bytes: all(&|point| Some(point.memory_bytes as f64)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Since 1970.
pub(super) fn seconds(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::latency::Latencies;

    fn measured(published: u64, cpu_seconds: f64, dropped: u64, openings: &Latencies) -> Measured {
        let totals = Traffic { published, ..Traffic::default() };
        Measured {
            whole: Whole { sessions: 7, totals, ..Whole::default() },
            openings: openings.spread(),
            usage: Usage { cpu_seconds, memory_bytes: 1 << 20, ..Usage::default() },
            dropped,
        }
    }

    #[test]
    fn values_are_differences_and_the_first_has_none() {
        let (sampler, openings, start) = (Sampler::default(), Latencies::default(), Instant::now());
        let wall = SystemTime::UNIX_EPOCH;
        sampler.take(&measured(1000, 3.0, 0, &openings), start, wall + EVERY);
        (0..10).for_each(|_| openings.observe(Duration::from_millis(4)));
        // A session is on its way from the living to the account: the sum seems to fall, and rises again.
        sampler.take(&measured(900, 3.5, 0, &openings), start + EVERY, wall + 2 * EVERY);
        sampler.take(&measured(1010, 3.5, 2, &openings), start + 2 * EVERY, wall + 3 * EVERY);
        let history = sampler.history();
        assert_eq!(history.at, [5.0, 10.0, 15.0]);
        assert_eq!(history.published, [None, Some(0.0), Some(2.0)]);
        assert_eq!(history.handshakes, [None, Some(2.0), Some(0.0)]);
        assert_eq!(history.cpu, [None, Some(0.1), Some(0.0)]);
        assert_eq!(history.sessions, [Some(7.0); 3]);
        let p99 = &history.handshake_p99_s;
        assert!(
            p99[0].is_none() && p99[2].is_none() && (0.004..0.0051).contains(&p99[1].expect("it"))
        );
        let lately = sampler.lately();
        assert_eq!(lately.rates.published, 2.0);
        assert!(lately.drops(start + 2 * EVERY) && !lately.drops(start + 2 * EVERY + LATELY));
    }

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let (sampler, openings, start) = (Sampler::default(), Latencies::default(), Instant::now());
        for number in 0..KEPT as u32 + 10 {
            let wall = SystemTime::UNIX_EPOCH + EVERY * number;
            sampler.take(&measured(0, 0.0, 0, &openings), start + EVERY * number, wall);
        }
        let history = sampler.history();
        assert_eq!((history.at.len(), history.at[0]), (KEPT, 50.0));
        assert!([&history.cpu, &history.published].iter().all(|list| list.len() == KEPT));
    }
}
