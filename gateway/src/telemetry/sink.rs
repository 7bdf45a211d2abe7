//! The way of log lines out of the process, made so that nobody who logs ever waits.
//!
//! A line is appended to a bounded buffer in memory; one background thread writes the buffer out in
//! batches. Where the destination is slower than the lines, lines are dropped and counted.

use std::io::IsTerminal as _;
use std::mem;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant, SystemTime};

use super::log;
pub use super::output::SinkError;
use super::output::{Batch, Output};
use crate::config::model::{Log, LogFormat, LogLevel, LogOutput};

/// Bytes of lines that may wait; further lines are dropped.
const CAPACITY: usize = 1024 * 1024;
/// How long the first line of a batch waits for others, so that a busy gateway writes seldom.
const GATHER: Duration = Duration::from_millis(20);
/// How long a dropped sink tries to get the last lines out.
const LAST_FLUSH: Duration = Duration::from_secs(2);

/// How a line is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// `log.format`
    pub format: LogFormat,
    /// Text lines begin with time and level; not so for syslog and the journal, which add theirs.
    pub stamp: bool,
    /// The level is coloured; only ever on a terminal.
    pub colour: bool,
}

impl Style {
    const JSON: u8 = 1;
    const STAMP: u8 = 2;
    const COLOUR: u8 = 4;

    /// In `format`, for what writes to `output`.
    fn of(format: LogFormat, output: &Output, to_stdout: bool) -> Self {
        let colour = to_stdout && std::io::stdout().is_terminal();
        Self { format, stamp: output.wants_stamps(), colour }
    }

    fn to_bits(self) -> u8 {
        let bit = |is: bool, bit| if is { bit } else { 0 };
        bit(self.format == LogFormat::Json, Self::JSON)
            | bit(self.stamp, Self::STAMP)
            | bit(self.colour, Self::COLOUR)
    }

    fn from_bits(bits: u8) -> Self {
        let json = bits & Self::JSON != 0;
        Self {
            format: if json { LogFormat::Json } else { LogFormat::Text },
            stamp: bits & Self::STAMP != 0,
            colour: bits & Self::COLOUR != 0,
        }
    }
}

/// Owns the background thread. Dropping it writes out what waits, then ends the thread.
#[derive(Debug)]
pub struct Sink {
    handle: SinkHandle,
    output: Mutex<LogOutput>,
    thread: Option<JoinHandle<()>>,
}

/// A place that is open for lines to go to, and does not get any yet.
#[derive(Debug)]
pub struct Opened {
    output: Option<Output>,
    named: LogOutput,
    style: Style,
}

/// Pushes lines; cheap to clone and to share between threads.
#[derive(Debug, Clone)]
pub struct SinkHandle {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// How lines are to look: a [`Style`].
    style: AtomicU8,
    state: Mutex<State>,
    /// Told after each batch that was written.
    written: Condvar,
    thread: OnceLock<Thread>,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    waiting: Batch,
    /// Dropped since the last batch, which is what its warning tells.
    dropped: u64,
    /// Lines pushed so far, and how many of these are out (or lost on the way out).
    pushed: u64,
    finished: u64,
    /// The thread shall not gather.
    hurry: bool,
    closing: bool,
    replacement: Option<Output>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Output")
    }
}

impl Sink {
    /// Opens what `log.output` names and starts the thread.
    ///
    /// A missing journal is no error: lines then go to standard output, a warning first.
    ///
    /// # Errors
    /// The file or the UDP socket cannot be opened, or the thread cannot be started.
    pub fn open(log: &Log) -> Result<Self, SinkError> {
        let (output, warning) = or_stdout(Output::open(&log.output))?;
        let to_stdout = log.output == LogOutput::Stdout || warning.is_some();
        let style = Style::of(log.format, &output, to_stdout);
        let sink = Self::start(output, style, log.output.clone())?;
        if let Some(missing) = warning {
            let text = format!("{missing} Lines go to standard output instead.");
            let line = log::line(style, SystemTime::now(), LogLevel::Warn, &text, &[]);
            sink.handle.push(LogLevel::Warn, &line);
        }
        Ok(sink)
    }

    fn start(opened: Output, style: Style, output: LogOutput) -> Result<Self, SinkError> {
        let shared = Arc::new(Shared { style: style.to_bits().into(), ..Shared::default() });
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || run(&of_thread, opened))
            .map_err(SinkError::Thread)?;
        let _ = shared.thread.set(thread.thread().clone());
        let handle = SinkHandle { shared };
        Ok(Self { handle, output: Mutex::new(output), thread: Some(thread) })
    }

    /// Opens what `log.output` names now, if that is another place than before. Lines still go where they went.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn prepare(&self, log: &Log) -> Result<Opened, SinkError> {
        let (named, style) = (log.output.clone(), self.handle.style());
        if named == *self.named() {
            let style = Style { format: log.format, ..style };
            return Ok(Opened { output: None, named, style });
        }
        let output = Output::open(&named)?;
        let style = Style::of(log.format, &output, named == LogOutput::Stdout);
        Ok(Opened { output: Some(output), named, style })
    }

    /// Lines go there from now on, in that style.
    pub fn go_to(&self, opened: Opened) {
        let Opened { output, named, style } = opened;
        let shared = &self.handle.shared;
        shared.style.store(style.to_bits(), Ordering::Relaxed);
        if let Some(output) = output {
            let mut now = self.named();
            *now = named;
            shared.lock().replacement = Some(output);
            shared.wake();
        }
    }

    fn named(&self) -> MutexGuard<'_, LogOutput> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What pushes lines.
    #[must_use]
    pub fn handle(&self) -> SinkHandle {
        self.handle.clone()
    }

    /// Opens the log file anew, for log rotation; does nothing for other outputs.
    ///
    /// # Errors
    /// The file cannot be opened; lines then go on to the file opened before.
    pub fn reopen(&self) -> Result<(), SinkError> {
        // Not held while a disk may hang.
        let named = self.named().clone();
        if matches!(named, LogOutput::File(_)) {
            let replacement = Output::open(&named)?;
            let now = self.named();
            if *now == named {
                self.handle.shared.lock().replacement = Some(replacement);
                self.handle.shared.wake();
            }
        }
        Ok(())
    }

    /// Waits until every line pushed before is out; false when that took longer than `patience`.
    pub fn flush(&self, patience: Duration) -> bool {
        let shared = &self.handle.shared;
        let mut state = shared.lock();
        let goal = state.pushed;
        state.hurry = true;
        shared.wake();
        let (state, _) = shared
            .written
            .wait_timeout_while(state, patience, |state| state.finished < goal)
            .unwrap_or_else(PoisonError::into_inner);
        state.finished >= goal
    }
}

/// Without a journal, standard output; the error is then only a warning.
fn or_stdout(opened: Result<Output, SinkError>) -> Result<(Output, Option<SinkError>), SinkError> {
    match opened {
        Err(missing @ SinkError::Journal { .. }) => Ok((Output::stdout(), Some(missing))),
        opened => Ok((opened?, None)),
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let all_out = self.flush(LAST_FLUSH);
        self.handle.shared.lock().closing = true;
        self.handle.shared.wake();
        // A destination that takes nothing would hold the process at its exit: leave that thread.
        if let (true, Some(thread)) = (all_out, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

impl SinkHandle {
    /// Hands over one line without its newline. Never waits for the destination.
    pub fn push(&self, level: LogLevel, line: &[u8]) {
        let mut state = self.shared.lock();
        if state.closing || state.waiting.bytes.len() + line.len() >= CAPACITY {
            state.dropped += 1;
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let first = state.waiting.bytes.is_empty();
        state.waiting.push(level, line);
        state.pushed += 1;
        drop(state);
        if first {
            self.shared.wake();
        }
    }

    /// How lines pushed here should look.
    #[must_use]
    pub fn style(&self) -> Style {
        Style::from_bits(self.shared.style.load(Ordering::Relaxed))
    }

    /// Lines dropped since the start, for the metric.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// The background thread.
fn run(shared: &Shared, mut output: Output) {
    let mut batch = Batch::default();
    while let Some(next) = take_batch(shared, mem::take(&mut batch)) {
        batch = next.batch;
        if let Some(replacement) = next.replacement {
            output = replacement;
        }
        let lost = if batch.lines.is_empty() { 0 } else { output.write(&batch) };
        batch.clear();
        shared.dropped.fetch_add(lost, Ordering::Relaxed);
        let mut state = shared.lock();
        state.dropped += lost;
        state.finished = next.goal;
        drop(state);
        shared.written.notify_all();
    }
}

struct Next {
    batch: Batch,
    replacement: Option<Output>,
    /// `State::finished` once this batch is out.
    goal: u64,
}

/// Waits for lines, gathers a little, and takes all; `None` at the end of the sink.
fn take_batch(shared: &Shared, empty: Batch) -> Option<Next> {
    drop(wait_until(shared, None, |state| {
        state.closing || state.replacement.is_some() || !state.waiting.lines.is_empty()
    }));
    let deadline = Instant::now() + GATHER;
    let mut state = wait_until(shared, Some(deadline), |state| state.hurry || state.closing);
    if state.closing && state.waiting.lines.is_empty() {
        return None;
    }
    state.hurry = false;
    let mut batch = mem::replace(&mut state.waiting, empty);
    let dropped = mem::take(&mut state.dropped);
    let next = (state.replacement.take(), state.pushed);
    drop(state);
    if dropped > 0 {
        let style = Style::from_bits(shared.style.load(Ordering::Relaxed));
        batch.push_front(LogLevel::Warn, dropped_warning(style, dropped));
    }
    Some(Next { batch, replacement: next.0, goal: next.1 })
}

/// Parks until the condition holds or the deadline has passed.
fn wait_until(
    shared: &Shared,
    deadline: Option<Instant>,
    condition: impl Fn(&State) -> bool,
) -> MutexGuard<'_, State> {
    loop {
        let state = shared.lock();
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if condition(&state) || left == Some(Duration::ZERO) {
            return state;
        }
        drop(state);
        match left {
            Some(left) => thread::park_timeout(left),
            None => thread::park(),
        }
    }
}

fn dropped_warning(style: Style, dropped: u64) -> Vec<u8> {
    let text = "log lines were dropped: the log output is slower than the lines, or failing";
    let fields = [("dropped", log::Value::bare(dropped))];
    log::line(style, SystemTime::now(), LogLevel::Warn, text, &fields)
}

#[cfg(test)]
mod tests;
