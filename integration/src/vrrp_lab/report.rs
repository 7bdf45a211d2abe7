//! What tests of the lab tell: figures, and that they could not run.

use std::io::Write;

use super::Lab;
use super::turn::Turn;

/// A lab, or `None` where the environment forbids it: then `SKIPPED test: reason` is on standard error, and the test
/// should return. With `CI` in the environment it fails instead, unless `VRRP_LAB=skip` says that this is known.
///
/// # Panics
/// In CI, where labs are not possible; and when one cannot be built although others could.
#[must_use]
pub fn or_skip(test: &str, build: impl FnOnce() -> anyhow::Result<Lab>) -> Option<Lab> {
    possible(test).then(|| in_turn(test, Turn::shared(), build))
}

/// The same while no other test has a lab: for one that leaves the others no processor.
///
/// # Panics
/// As [`or_skip`].
#[must_use]
pub fn alone_or_skip(test: &str, build: impl FnOnce() -> anyhow::Result<Lab>) -> Option<Lab> {
    possible(test).then(|| in_turn(test, Turn::exclusive(), build))
}

fn in_turn(test: &str, turn: Turn, build: impl FnOnce() -> anyhow::Result<Lab>) -> Lab {
    match build() {
        Ok(mut lab) => {
            lab.turn = Some(turn);
            lab
        }
        Err(error) => panic!("{test}: no lab: {error:#}"),
    }
}

/// Whether the environment allows labs and other networks of a test's own; else what [`or_skip`] says then.
///
/// # Panics
/// In CI, where they are not possible.
#[must_use]
pub fn possible(test: &str) -> bool {
    if let Err(reason) = Lab::available() {
        let known = std::env::var("VRRP_LAB").is_ok_and(|value| value == "skip");
        let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
        assert!(
            known || !in_ci,
            "{test} needs network namespaces (VRRP_LAB=skip leaves it out): {reason}"
        );
        say(&format!("SKIPPED {test}: {reason}"));
        return false;
    }
    true
}

/// Tells a figure that a scenario came to, and its criterion: `S-4 outage 301 ms (criterion: 380 ms)`.
pub fn figure(scenario: &str, figure: &str) {
    say(&format!("{scenario} {figure}"));
}

/// In one piece, and past the test runner, which swallows what passing tests print by macro.
fn say(line: &str) {
    // Nobody listens: nobody misses it.
    let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}
