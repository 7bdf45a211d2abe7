//! Signals to a process and to what it started.

use std::fs;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// The processes that `parent` started and that still run.
pub(super) fn children(parent: u32) -> Vec<u32> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let ids =
        processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| parent_of(*id) == Some(parent)).collect()
}

/// The command line of a process, with spaces; empty when it is gone.
pub(super) fn command_line(process: u32) -> String {
    let bytes = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// Sends a signal.
///
/// # Errors
/// When there is no such process.
pub(super) fn signal(process: u32, signal: Signal) -> Result<()> {
    let id = i32::try_from(process).ok().and_then(Pid::from_raw).context("not a process id")?;
    kill_process(id, signal).with_context(|| format!("cannot send {signal:?} to process {process}"))
}

/// Ends a process and those it started, so that none of them gets to notice the end of another.
///
/// # Errors
/// When the first is gone already.
pub(super) fn kill_all(parent: u32) -> Result<()> {
    let children = children(parent);
    signal(parent, Signal::STOP)?;
    // A script that it started may have ended meanwhile.
    for child in &children {
        let _ = signal(*child, Signal::STOP);
    }
    for child in children.iter().rev() {
        let _ = signal(*child, Signal::KILL);
    }
    signal(parent, Signal::KILL)
}

/// The fourth field of `stat`; the second may hold spaces and brackets.
fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let ended = fields.next()? == "Z";
    if ended { None } else { fields.next()?.parse().ok() }
}
