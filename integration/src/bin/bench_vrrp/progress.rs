//! Says on standard error what is being done and how long it will take.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Args;
use crate::candidate::Peer;
use crate::cases::Case;

/// The progress line; on something else than a terminal one line a run.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Seconds, guessed.
    total: f64,
    done: f64,
    start: Instant,
}

impl Progress {
    /// For the whole run.
    pub(crate) fn new(args: &Args) -> Self {
        let runs = |case: &Case| (args.peers.len() * args.repetitions(*case)) as f64;
        let total = args.cases.iter().map(|case| case.guess() * runs(case)).sum::<f64>();
        let bar = ProgressBar::new(total as u64);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:20} {msg}") {
            bar.set_style(style);
        }
        Self { bar, total, done: 0.0, start: Instant::now() }
    }

    /// A run begins: which repetition of how many.
    pub(crate) fn step(&self, case: Case, peer: Peer, (repetition, of): (usize, usize)) {
        let (name, title, left) = (peer.name(), case.title(), self.left() as u64);
        let line = format!(
            "{title}, {name}, repetition {repetition} of {of}, about {}:{:02} left",
            left / 60,
            left % 60
        );
        if self.bar.is_hidden() {
            eprintln!("{line}");
        } else {
            self.bar.set_message(line);
        }
    }

    /// A run has ended.
    pub(crate) fn done(&mut self, case: Case) {
        self.done += case.guess();
        self.bar.set_position(self.done as u64);
    }

    /// Something to be seen at once.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// Takes the line away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Seconds left by the guesses, scaled by how well they did so far.
    fn left(&self) -> f64 {
        let left = self.total - self.done;
        if self.done > 0.0 { left * self.start.elapsed().as_secs_f64() / self.done } else { left }
    }
}
