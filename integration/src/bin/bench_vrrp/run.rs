//! One run of a case: in a lab of its own, so that nothing is left of the run before.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::candidate::Candidate;
use crate::cases::{BLACK_HOLE_MS, Case, Figure};
use crate::stage::Stage;

/// What a run came to.
pub(crate) type Figures = BTreeMap<Figure, f64>;

/// For how long a takeover is watched after it, for a second gap.
const AFTERMATH: Duration = Duration::from_millis(700);

/// Runs it.
///
/// # Errors
/// When the gateways do not do what the case waits for, such as taking over.
pub(crate) fn one(case: Case, candidate: &dyn Candidate) -> Result<Figures> {
    let stage = Stage::set(candidate)?;
    let figures = match case {
        Case::Crash => crash(stage)?,
        Case::Service => service(stage)?,
        Case::Speaker => speaker(stage)?,
        Case::Goodbye => goodbye(stage)?,
        Case::Link => link(stage)?,
        Case::Partition => partition(stage)?,
        Case::Pause => pause(stage)?,
        Case::Health => health(stage)?,
    };
    Ok(figures.into_iter().collect())
}

type Found = Vec<(Figure, f64)>;

/// The service goes with the rest: the machine is up, but nothing of ours runs there any more.
fn crash(mut stage: Stage) -> Result<Found> {
    let event = Instant::now();
    stage.first.crash()?;
    stage.stop_service();
    stage.wait_for("gw2")?;
    sleep(AFTERMATH);
    Ok(vec![(Figure::Outage, stage.outage(event))])
}

fn service(mut stage: Stage) -> Result<Found> {
    between_checks();
    let event = Instant::now();
    stage.stop_service();
    stage.first.crash_service()?;
    stage.wait_for("gw2")?;
    sleep(AFTERMATH);
    Ok(vec![(Figure::Outage, stage.outage(event))])
}

/// Whether the other takes over, and whether the first comes back, is theirs to decide.
fn speaker(mut stage: Stage) -> Result<Found> {
    let event = Instant::now();
    stage.first.crash_speaker()?;
    sleep(4 * AFTERMATH);
    Ok(vec![(Figure::Outage, stage.outage(event)), (Figure::Dual, stage.dual(event))])
}

fn goodbye(mut stage: Stage) -> Result<Found> {
    let event = Instant::now();
    stage.first.goodbye()?;
    stage.wait_for("gw2")?;
    // Both may take a second to end.
    sleep(2 * AFTERMATH);
    Ok(vec![(Figure::Outage, stage.outage(event)), (Figure::Dual, stage.dual(event))])
}

fn link(stage: Stage) -> Result<Found> {
    let event = Instant::now();
    stage.lab.cut("gw1")?;
    stage.wait_for("gw2")?;
    sleep(AFTERMATH);
    let outage = stage.outage(event);
    stage.rest();
    let back = Instant::now();
    stage.lab.heal("gw1")?;
    stage.wait_for("gw1")?;
    sleep(AFTERMATH);
    let mut found = vec![(Figure::Outage, outage), (Figure::BackOutage, stage.outage(back))];
    found.push((Figure::BackDual, stage.dual(back)));
    found.extend(stage.take(back, "gw2").map(|take| (Figure::BackTake, take)));
    Ok(found)
}

/// At the rejoin both are active. Which one's advertisement comes first is chance.
fn partition(stage: Stage) -> Result<Found> {
    let event = Instant::now();
    stage.lab.isolate("gw1")?;
    stage.wait_for("gw2")?;
    let outage = stage.outage(event);
    stage.rest();
    let back = Instant::now();
    stage.lab.heal("gw1")?;
    stage.wait_for_calm();
    let dark = stage.outage(back);
    let black_hole = if dark > BLACK_HOLE_MS { 100.0 } else { 0.0 };
    Ok(vec![(Figure::Outage, outage), (Figure::BackOutage, dark), (Figure::BlackHoles, black_hole)])
}

/// The service runs on: only what speaks VRRP (and, here, serves) stands still.
fn pause(mut stage: Stage) -> Result<Found> {
    let event = Instant::now();
    stage.first.pause()?;
    sleep(Duration::from_secs(2));
    let (outage, take) = (stage.outage(event), stage.take(event, "gw1"));
    let awake = Instant::now();
    stage.first.resume()?;
    sleep(3 * AFTERMATH);
    let mut found = vec![(Figure::Outage, outage), (Figure::BackOutage, stage.outage(awake))];
    found.push((Figure::BackDual, stage.dual(awake)));
    found.extend(take.map(|take| (Figure::Take, take)));
    Ok(found)
}

/// The service is gone and comes back; the rest of the machine is well.
fn health(mut stage: Stage) -> Result<Found> {
    between_checks();
    let event = Instant::now();
    stage.stop_service();
    stage.first.fail_health()?;
    stage.wait_for("gw2")?;
    sleep(AFTERMATH);
    let outage = stage.outage(event);
    between_checks();
    let back = Instant::now();
    stage.restart_service()?;
    stage.first.restore_health()?;
    stage.wait_for("gw1")?;
    sleep(AFTERMATH);
    let mut found = vec![(Figure::Outage, outage), (Figure::BackOutage, stage.outage(back))];
    found.extend(stage.take(back, "gw2").map(|take| (Figure::BackTake, take)));
    Ok(found)
}

/// Some part of a second goes by: what happens does not keep to the health checks.
fn between_checks() {
    sleep(Duration::from_millis(fastrand::u64(0..1000)));
}
