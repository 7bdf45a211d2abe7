//! Loss in one direction, and processes that stand still.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use integration::vrrp_lab::*;

use super::vrrp_member::{INTERVAL, KP, LONG, PK, PP, Pair as Whos, Who, judge, name, runs};
use super::vrrp_setup::{
    Pair, got_after, lost_after, rest, side_by_side, skew, span, wait_for_entry, watch,
};

type Fault = fn(&Lab) -> Result<()>;

/// Nobody hears the active one; or the backup hears nobody.
const ONE_WAY: [(&str, Fault); 2] =
    [("gw1 mute", |lab| lab.mute("gw1")), ("gw2 deaf", |lab| lab.deafen("gw2"))];

#[test]
fn s08_a_loss_in_one_direction_is_told_and_heals_to_one_holder_at_once() -> Result<()> {
    for (fault, make) in ONE_WAY {
        side_by_side(&[PP, PK, KP], |who| one_way(who, fault, make))?;
    }
    Ok(())
}

fn one_way(who: Whos, fault: &str, make: Fault) -> Result<()> {
    let scenario = format!("S-8 {fault}, {}", name(who));
    let Some(lab) = or_skip(&scenario, || Lab::new(2)) else { return Ok(()) };
    let mut pair = Pair::set(lab, who)?;
    let sniffer = pair.lab.sniff()?;
    rest();
    make(&pair.lab)?;
    pair.lab.wait_for_holders(&["gw1", "gw2"], VIP, LONG)?;
    let both = Instant::now();
    if who[0] == Who::Product {
        pair.first().product().wait_for_log("not_heard", LONG)?;
    }
    watch((both + span(3, 5)).saturating_duration_since(Instant::now()));

    let healing = Instant::now();
    pair.lab.heal("gw1")?;
    pair.lab.heal("gw2")?;
    let healed = Instant::now();
    pair.wait_for("gw1")?;
    watch(INTERVAL * 10);
    let end = Instant::now();

    let dual = pair.lab.dual(["gw1", "gw2"], VIP, [healed, end]);
    judge(
        &scenario,
        "two holders after it healed",
        vec![dual],
        INTERVAL + Duration::from_millis(10),
    );
    let gap = pair.probe.trace_until(end).outage([healing, end]);
    judge(&scenario, "gap of a client after it healed", vec![gap], Duration::from_millis(50));
    ensure!(pair.lab.holders(VIP) == ["gw1"]);
    for (gateway, who) in [("gw1", who[0]), ("gw2", who[1])] {
        let announced = |frame: &Frame| frame.place == gateway && frame.announces(VIP);
        let times: Vec<_> =
            sniffer.between([both, healing]).into_iter().filter(announced).map(|f| f.at).collect();
        let seconds = (healing - both).as_secs_f64();
        let rate = times.len() as f64 / seconds;
        figure(&scenario, &format!("{gateway} announces {rate:.1} a second (criterion: 10)"));
        // A claim is announced five times at once, and again 5 s later: those may be among them.
        let most = 10.0 * seconds + 10.0;
        ensure!(
            who == Who::Keepalived || times.len() as f64 <= most,
            "{scenario}: {} in {seconds:.1} s by {gateway}",
            times.len()
        );
    }
    Ok(())
}

/// A line that tells a new state.
fn entry(line: &str) -> Option<String> {
    line.contains("Entering ").then(|| line.to_owned())
}

/// Stands still, and says for how long; both processes of the active gateway do.
fn freeze(who: Whos, pause: Duration) -> Result<()> {
    let scenario = format!("S-9 SIGSTOP {pause:?}, {}", name(who));
    let Some(lab) = or_skip(&scenario, || Lab::new(2)) else { return Ok(()) };
    let mut pair = Pair::set(lab, who)?;
    let (mut duals, mut takes, mut outages) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs(2) {
        rest();
        let event = Instant::now();
        pair.first().product().pause()?;
        let taken = wait(pause, || pair.lab.holds("gw2", VIP));
        watch((event + pause).saturating_duration_since(Instant::now()));
        let lines = pair.first().log().lines().count();
        let woke = Instant::now();
        pair.first().product().resume()?;

        // Whoever has slept for longer than a down time has lost the address.
        let mut until = None;
        if pause > INTERVAL * 10 {
            ensure!(taken, "gw2 did not take it:\n{}", pair.second.log());
            takes.extend(got_after(&pair.lab, "gw2", event));
            ensure!(wait(LONG, || lost_after(&pair.lab, "gw1", woke).is_some()), "gw1 kept it");
            let gone = lost_after(&pair.lab, "gw1", woke).context("gw1 kept it")?;
            until = Some(woke + gone);
            // As one thread does both, its own log has the order: to give it up comes before all that is said.
            let first = move |log: String| log.lines().skip(lines).find_map(entry);
            ensure!(wait(LONG, || first(pair.first().log()).is_some()), "{}", pair.first().log());
            let entry = first(pair.first().log()).unwrap_or_default();
            ensure!(
                entry.contains("BACKUP STATE") && entry.contains("Stood still"),
                "gw1 did not leave first: {entry}"
            );
        }
        pair.wait_for("gw1")?;
        // The other one may just have decided to take over when it woke.
        rest();
        let settled = pair.wait_for("gw1")?;
        duals.push(pair.lab.dual(["gw1", "gw2"], VIP, [woke, until.unwrap_or(settled)]));
        let moves = |pair: &Pair| ["gw1", "gw2"].map(|gw| pair.lab.changes(gw, VIP).len());
        let before = moves(&pair);
        watch(INTERVAL * 10);
        let end = Instant::now();
        ensure!(pair.lab.holders(VIP) == ["gw1"]);
        ensure!(moves(&pair) == before, "it moved again:\n{}", pair.first().log());
        outages.push(pair.probe.trace_until(end).outage([event, end]));
    }
    if pause > INTERVAL * 10 {
        let down_time = INTERVAL * 3 + skew(INTERVAL, 90) + Duration::from_millis(15);
        judge(&scenario, "the other takes over after", takes, down_time);
    }
    // One that has slept for less has noticed nothing: its next advertisement settles it.
    let together = if pause > INTERVAL * 10 { Duration::from_millis(5) } else { INTERVAL };
    judge(&scenario, "two holders after SIGCONT", duals, together);
    // The service does not stand still, so only the move counts.
    judge(&scenario, "outage", outages, Duration::from_millis(50));
    Ok(())
}

#[test]
fn s09_a_gateway_that_stood_still_drops_the_address_before_it_speaks() -> Result<()> {
    let pauses = [300, 2000, 5000].map(Duration::from_millis);
    side_by_side(&[PP, PK], |who| pauses.iter().try_for_each(|pause| freeze(who, *pause)))
}

#[test]
fn s09_an_address_leaves_a_gateway_process_that_stands_still() -> Result<()> {
    /// Silence of the gateway that its VRRP process bears where it runs in real time.
    const PATIENCE: Duration = Duration::from_millis(300);
    side_by_side(&[PP, PK], |who| {
        let scenario = format!("S-9 SIGSTOP of the gateway process, {}", name(who));
        let Some(lab) = or_skip(&scenario, || Lab::new(2)) else { return Ok(()) };
        let mut pair = Pair::set(lab, who)?;
        let (mut takes, mut duals) = (Vec::new(), Vec::new());
        for run in 1..=runs(2) {
            rest();
            let event = Instant::now();
            pair.first().product().pause_gateway()?;
            let moved = pair.wait_for("gw2")?;
            takes.extend(got_after(&pair.lab, "gw2", event));
            duals.push(pair.lab.dual(["gw1", "gw2"], VIP, [event, moved]));
            watch(INTERVAL * 10);
            ensure!(pair.lab.holders(VIP) == ["gw2"]);
            pair.first().product().resume()?;
            pair.wait_for("gw1")?;
            wait_for_entry(pair.first(), "FAULT", run)?;
        }
        let criterion = PATIENCE + skew(INTERVAL, 90) + Duration::from_millis(15);
        judge(&scenario, "the other takes over after", takes, criterion);
        // It hands over before it gives the address up.
        judge(&scenario, "two holders", duals, Duration::from_millis(150));
        Ok(())
    })
}
