//! Says on standard error what is being done and how long it will take.

use crate::args::Args;
use crate::cases::{Case, Kind};
use crate::peers::Peer;
use crate::run::Scale;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// Sets up and closes a run of traffic.
const OVERHEAD: Duration = Duration::from_millis(100);
/// A guess at an idle run: start, open, exchange, close, a thousand sessions at a time.
const IDLE_THOUSAND: Duration = Duration::from_millis(700);

/// The progress line; on something else than a terminal one line a run.
pub(crate) struct Progress {
    bar: ProgressBar,
    window: Duration,
    scale: Scale,
    total: Duration,
    done: Duration,
    start: Instant,
}

impl Progress {
    /// For the whole run.
    pub(crate) fn new(args: &Args) -> Self {
        let window = args.scale.warm_up + args.scale.window + OVERHEAD;
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:20} {msg}") {
            bar.set_style(style);
        }
        let mut progress = Self {
            bar,
            window,
            scale: args.scale,
            total: Duration::ZERO,
            done: Duration::ZERO,
            start: Instant::now(),
        };
        for case in &args.cases {
            let peers = args.peers.iter().filter(|peer| crate::takes_part(case, **peer)).count();
            progress.total += progress.guess(case) * (peers * args.repetitions(case)) as u32;
        }
        progress.bar.set_length(progress.total.as_millis() as u64);
        progress
    }

    /// A run begins: which repetition of how many.
    pub(crate) fn step(&self, case: &Case, peer: Peer, (repetition, of): (usize, usize)) {
        let line = format!(
            "{}, {}, repetition {repetition} of {of}, about {} left",
            case.title,
            peer.name(),
            minutes(self.left())
        );
        if self.bar.is_hidden() {
            eprintln!("{line}");
        } else {
            self.bar.set_message(line);
        }
    }

    /// A run has ended.
    pub(crate) fn done(&mut self, case: &Case) {
        self.done += self.guess(case);
        self.bar.set_position(self.done.as_millis() as u64);
    }

    /// Something to be seen at once.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// Takes the line away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn guess(&self, case: &Case) -> Duration {
        if case.kind != Kind::Idle {
            return self.window;
        }
        IDLE_THOUSAND * u32::try_from(self.scale.held(case) / 1000).unwrap_or(1)
    }

    /// What is left by the guesses, scaled by how well they did so far.
    fn left(&self) -> Duration {
        let left = self.total.saturating_sub(self.done);
        if self.done.is_zero() {
            return left;
        }
        left.mul_f64(self.start.elapsed().as_secs_f64() / self.done.as_secs_f64())
    }
}

fn minutes(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}
