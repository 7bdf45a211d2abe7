//! What the demo shows: redrawn in place on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

const HEAD: &str = "vhost    cluster  sessions on each node                  published/s  consumed/s      \
                    total  reconnects";

/// The terminal, or a log.
pub(crate) struct Screen {
    bars: Option<MultiProgress>,
    status: ProgressBar,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let bars = std::io::stdout()
            .is_terminal()
            .then(|| MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::stdout()));
        let status = match &bars {
            Some(bars) => bars.add(ProgressBar::new_spinner()),
            None => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            status.set_style(style);
        }
        Self { bars, status }
    }

    /// A line that stays.
    pub(crate) fn note(&self, text: &str) {
        match &self.bars {
            // Fails only when the terminal is gone.
            Some(bars) => drop(bars.println(text)),
            None => println!("{text}"),
        }
    }

    /// A spinner while something starts; what it is told shows beside it.
    pub(crate) fn spinner(&self, name: &str) -> Spinner {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.insert_before(&self.status, ProgressBar::new_spinner());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Spinner { name: name.to_owned(), bar }
    }

    /// The status block.
    pub(crate) fn status(&self, since: Duration, lines: &[String]) {
        let mut text = format!("{:>4} s  {HEAD}", since.as_secs());
        for line in lines {
            text += &format!("\n        {line}");
        }
        match &self.bars {
            Some(_) => self.status.set_message(text),
            None => println!("{text}"),
        }
    }
}

/// Progress of one thing that starts.
pub(crate) struct Spinner {
    name: String,
    bar: Option<ProgressBar>,
}

impl Spinner {
    pub(crate) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}: {text}", self.name)),
            None => println!("{}: {text}", self.name),
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }
}
