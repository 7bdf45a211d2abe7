//! Programs of iproute2, run to their end.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Runs it.
///
/// # Errors
/// When it is missing or fails: carries what it said.
pub(super) fn run(
    program: &str,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let output = command.output().with_context(|| format!("cannot run {program} (iproute2)"))?;
    said(&command, output)
}

/// Runs `PROGRAM -n NAMESPACE -batch -` with these lines.
///
/// # Errors
/// As [`run`].
pub(super) fn batch(program: &str, namespace: &str, lines: &str) -> Result<()> {
    let mut command = Command::new(program);
    command.args(["-n", namespace, "-batch", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn();
    let mut child = child.with_context(|| format!("cannot run {program} (iproute2)"))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(lines.as_bytes())?;
    }
    said(&command, child.wait_with_output()?)
}

fn said(command: &Command, output: std::process::Output) -> Result<()> {
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", error.trim());
    Ok(())
}
