//! What the sink promises to those who log.

#![allow(clippy::unwrap_used)]

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);
const STYLE: Style = Style { format: LogFormat::Json, stamp: true, colour: false };

/// A destination that takes a write only when told to.
struct Gate {
    entered: Sender<()>,
    open: Receiver<io::Result<()>>,
    writes: Sender<Vec<u8>>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.entered.send(()).unwrap();
        self.open.recv().unwrap()?;
        self.writes.send(bytes.to_vec()).unwrap();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Gated {
    sink: Sink,
    entered: Receiver<()>,
    open: Sender<io::Result<()>>,
    writes: Receiver<Vec<u8>>,
}

fn gated() -> Gated {
    let ((enter, entered), (open, opened)) = (channel(), channel());
    let (write, writes) = channel();
    let gate = Gate { entered: enter, open: opened, writes: write };
    let sink = Sink::start(Output::Stream(Box::new(gate)), STYLE, LogOutput::Stdout).unwrap();
    Gated { sink, entered, open, writes }
}

fn file_log(path: &std::path::Path) -> Log {
    let output = LogOutput::File(path.to_owned());
    Log { level: LogLevel::Info, format: LogFormat::Text, output, access: true }
}

#[test]
fn lines_that_arrive_during_a_write_go_out_in_one_further_write() {
    let Gated { sink, entered, open, writes } = gated();
    let handle = sink.handle();
    handle.push(LogLevel::Info, b"line 0");
    entered.recv_timeout(PATIENCE).unwrap();
    let expected: String = (1..1000).map(|n| format!("line {n}\n")).collect();
    for line in expected.lines() {
        handle.push(LogLevel::Info, line.as_bytes());
    }
    open.send(Ok(())).unwrap();
    open.send(Ok(())).unwrap();
    assert!(sink.flush(PATIENCE));
    assert_eq!(writes.try_recv().unwrap(), b"line 0\n");
    assert_eq!(writes.try_recv().unwrap(), expected.as_bytes());
    assert!(writes.try_recv().is_err());
    assert_eq!(handle.dropped(), 0);
}

#[test]
fn a_destination_that_hangs_costs_lines_but_never_the_time_of_those_who_log() {
    let Gated { sink, entered, open, writes } = gated();
    let handle = sink.handle();
    handle.push(LogLevel::Info, b"first");
    entered.recv_timeout(PATIENCE).unwrap();
    // Whoever waits here for the gate waits for ever: it opens only after the loop.
    for _ in 0..2000 {
        handle.push(LogLevel::Info, &[b'x'; 1023]);
    }
    let kept = u64::try_from(CAPACITY / 1024).unwrap();
    assert_eq!(handle.dropped(), 2000 - kept);
    assert!(!sink.flush(Duration::from_millis(1)));
    open.send(Ok(())).unwrap();
    open.send(Ok(())).unwrap();
    assert!(sink.flush(PATIENCE));
    assert_eq!(writes.recv().unwrap(), b"first\n");
    let batch = String::from_utf8(writes.recv().unwrap()).unwrap();
    let warning: serde_json::Value = serde_json::from_str(batch.lines().next().unwrap()).unwrap();
    assert_eq!(warning["level"], "warn");
    assert_eq!(warning["dropped"], 2000 - kept);
    assert_eq!(batch.lines().count() as u64, kept + 1);
}

#[test]
fn lines_of_a_failed_write_are_told_in_the_next_batch() {
    let Gated { sink, entered: _entered, open, writes } = gated();
    let handle = sink.handle();
    open.send(Err(io::Error::other("disk full"))).unwrap();
    open.send(Ok(())).unwrap();
    handle.push(LogLevel::Info, b"lost");
    assert!(sink.flush(PATIENCE));
    assert_eq!(handle.dropped(), 1);
    handle.push(LogLevel::Info, b"kept");
    assert!(sink.flush(PATIENCE));
    let batch = String::from_utf8(writes.recv().unwrap()).unwrap();
    assert!(batch.contains("\"dropped\":1") && batch.ends_with("\nkept\n"), "{batch}");
}

#[test]
fn a_dropped_sink_has_written_everything() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.log");
    std::fs::write(&path, "before\n").unwrap();
    let sink = Sink::open(&file_log(&path)).unwrap();
    let handle = sink.handle();
    handle.push(LogLevel::Info, b"one");
    handle.push(LogLevel::Info, b"two");
    drop(sink);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\none\ntwo\n");
    handle.push(LogLevel::Info, b"too late");
    assert_eq!(handle.dropped(), 1);
}

#[test]
fn lines_go_out_without_a_flush() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.log");
    let sink = Sink::open(&file_log(&path)).unwrap();
    let deadline = Instant::now() + PATIENCE;
    for round in 1..=3 {
        sink.handle().push(LogLevel::Info, b"line");
        while std::fs::read_to_string(&path).unwrap().lines().count() < round {
            assert!(Instant::now() < deadline, "round {round} never reached the file");
            thread::yield_now();
        }
    }
}

#[test]
fn reopen_writes_to_a_new_file_after_rotation_and_keeps_the_old_one_on_failure() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("logs");
    let (path, rotated) = (folder.join("gateway.log"), directory.path().join("gateway.log.1"));
    std::fs::create_dir(&folder).unwrap();
    let sink = Sink::open(&file_log(&path)).unwrap();
    sink.handle().push(LogLevel::Info, b"old");
    assert!(sink.flush(PATIENCE));
    std::fs::rename(&path, &rotated).unwrap();
    std::fs::remove_dir(&folder).unwrap();
    let error = sink.reopen().unwrap_err().to_string();
    assert!(error.contains("gateway.log"), "{error}");
    sink.handle().push(LogLevel::Info, b"still old");
    assert!(sink.flush(PATIENCE));
    std::fs::create_dir(&folder).unwrap();
    sink.reopen().unwrap();
    sink.handle().push(LogLevel::Info, b"new");
    assert!(sink.flush(PATIENCE));
    assert_eq!(std::fs::read_to_string(&rotated).unwrap(), "old\nstill old\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n");
}

#[test]
fn a_missing_journal_is_a_warning_but_a_missing_directory_is_an_error() {
    let nowhere = std::path::PathBuf::from("/nonexistent/socket");
    let (output, warning) =
        or_stdout(super::super::output::Journal::at(&nowhere).map(Output::Journal)).unwrap();
    assert!(output.wants_stamps());
    assert!(warning.unwrap().to_string().contains("no journal at /nonexistent/socket"));
    assert!(or_stdout(Output::open(&LogOutput::File(nowhere))).is_err());
}
