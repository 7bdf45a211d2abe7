//! An active router that leaves, dies, or loses its link: how long a client is without an answer.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use integration::vrrp_lab::*;

use super::vrrp_member::{self as member, INTERVAL, KP, LONG, PK, PP, Who, judge, name, runs};
use super::vrrp_setup::{
    Pair, entered, lost_after, rest, side_by_side, skew, wait_for_entry, watch,
};

/// What a busy machine is allowed by the criteria.
const GRACE: Duration = Duration::from_millis(15);

/// The time for a backup of priority 90 to take over from one that said goodbye.
fn goodbye() -> Duration {
    skew(INTERVAL, 90) + GRACE
}

/// The time for it to take over from one that says nothing.
fn silence() -> Duration {
    INTERVAL * 3 + skew(INTERVAL, 90) + GRACE
}

/// What happened to a client and to the address.
#[derive(Debug, Default)]
struct Outcome {
    outages: Vec<Duration>,
    lost: Vec<usize>,
    /// Until the first answer of the other.
    takes: Vec<Duration>,
    /// Until the address was off the first one's interface.
    gone: Vec<Duration>,
}

/// What the first says last, and why the second takes over.
#[derive(Clone, Copy)]
enum Word {
    /// It goes on serving until it is followed.
    Leaves,
    /// It does not serve any more.
    Left,
    Nothing,
}

impl Word {
    /// What it advertises, if anything; and in the second one's log beside its new state, in the product's or in either's.
    fn shows(self) -> (Option<u8>, &'static str) {
        match self {
            Self::Leaves => (Some(1), "fell to 1,"),
            Self::Left => (Some(0), "Backup received priority 0 advertisement"),
            Self::Nothing => (None, "eceive advertisement timeout"),
        }
    }

    fn check(self, pair: &Pair, who: member::Pair, sniffer: &Sniffer, window: [Instant; 2]) {
        let (priority, reason) = self.shows();
        let frames = sniffer.between(window);
        let by_first = frames.iter().filter(|frame| frame.place == "gw1");
        let said: Vec<u8> = by_first.filter_map(|f| f.vrrp()).map(|vrrp| vrrp.priority).collect();
        let log = pair.second.log();
        let last = || log.lines().rev().find(|line| line.contains("Entering MASTER STATE"));
        match priority {
            Some(priority) => assert!(said.contains(&priority), "gw1 said {said:?} only"),
            None => assert!(!said.contains(&0) && !said.contains(&1), "gw1 said {said:?}"),
        }
        // keepalived waits for its own timer, whatever the priority falls to.
        match (who[1], self) {
            (Who::Product, _) => assert!(last().is_some_and(|line| line.contains(reason)), "{log}"),
            (Who::Keepalived, Self::Left) => assert!(log.contains(reason), "{log}"),
            (Who::Keepalived, _) => {}
        }
    }
}

/// Hurts the first of the pair, waits until the second serves alone, and has the first come back, several times.
fn suffer(
    scenario: &str,
    who: member::Pair,
    hurt: impl Fn(&mut Pair) -> Result<()>,
    heal: impl Fn(&mut Pair) -> Result<()>,
    word: Word,
    alone: bool,
) -> Result<Option<Outcome>> {
    let Some(lab) = or_skip(scenario, || Lab::new(2)) else { return Ok(None) };
    let mut pair = Pair::set(lab, who)?;
    let sniffer = pair.lab.sniff()?;
    let mut outcome = Outcome::default();
    for _ in 0..runs(3) {
        rest();
        let event = Instant::now();
        hurt(&mut pair)?;
        let first_before = pair.lab.changes("gw2", VIP);
        pair.probe.wait_for("gw2", LONG)?;
        if alone {
            pair.wait_for("gw2")?;
            let gone = lost_after(&pair.lab, "gw1", event);
            outcome.gone.push(gone.context("gw1 still holds the address")?);
        }
        rest();
        let end = Instant::now();
        let trace = pair.probe.trace_until(end);
        word.check(&pair, who, &sniffer, [event, end]);
        outcome.outages.push(trace.outage([event, end]));
        outcome.lost.push(trace.lost([event, end]));
        outcome.takes.push(trace.take(event, "gw1").context("gw2 did not answer")?);
        // It took the address once, and kept it.
        let taken = pair.lab.changes("gw2", VIP);
        ensure!(taken.len() <= first_before.len() + 1 && pair.lab.holds("gw2", VIP), "{taken:?}");
        heal(&mut pair)?;
        pair.wait_for("gw1")?;
    }
    Ok(Some(outcome))
}

fn restart(pair: &mut Pair) -> Result<()> {
    pair.restart_first().map(drop)
}

fn terminate(pair: &mut Pair) -> Result<()> {
    pair.first().terminate()
}

#[test]
fn s03_sigterm_of_the_active_gateway_is_followed_before_it_leaves() -> Result<()> {
    let outcome = suffer("S-3 P+P", PP, terminate, restart, Word::Leaves, true)?;
    let Some(Outcome { outages, lost, .. }) = outcome else { return Ok(()) };
    judge("S-3", "SIGTERM, P then P, outage", outages, goodbye());
    figure("S-3", &format!("SIGTERM, P then P, lost {lost:?} (criterion: 0)"));
    ensure!(lost.iter().all(|lost| *lost <= 2), "{lost:?}");
    Ok(())
}

#[test]
fn s03_sigterm_of_the_active_gateway_hands_over_to_keepalived() -> Result<()> {
    let outcome = suffer("S-3 P+K", PK, terminate, restart, Word::Leaves, true)?;
    let Some(Outcome { outages, .. }) = outcome else { return Ok(()) };
    judge("S-3", "SIGTERM, P then K, outage", outages, goodbye());
    Ok(())
}

#[test]
fn s03_a_goodbye_of_keepalived_is_followed_after_the_skew_time() -> Result<()> {
    let outcome = suffer("S-3 K+P", KP, terminate, restart, Word::Left, true)?;
    let Some(Outcome { outages, .. }) = outcome else { return Ok(()) };
    judge("S-3", "SIGTERM, K then P, outage", outages, goodbye());
    Ok(())
}

/// Everything on that host dies at once.
fn crash(pair: &mut Pair) -> Result<()> {
    pair.service = None;
    pair.first().kill()
}

#[test]
fn s04_a_crash_of_both_processes_costs_a_down_time() -> Result<()> {
    side_by_side(&[PP, PK, KP], |who| {
        let scenario = format!("S-4 all, {}", name(who));
        let outcome = suffer(&scenario, who, crash, restart, Word::Nothing, false)?;
        let Some(Outcome { outages, .. }) = outcome else { return Ok(()) };
        judge(&scenario, "kill -9 of all, outage", outages, silence());
        Ok(())
    })
}

#[test]
fn s04_a_crash_of_the_gateway_process_costs_a_skew_time_and_takes_the_address_away() -> Result<()> {
    for (case, makes) in [("P then P", PP), ("P then K", PK)] {
        let crash = |pair: &mut Pair| {
            pair.service = None;
            pair.first().product().kill_gateway()
        };
        let outcome =
            suffer(&format!("S-4 gateway, {case}"), makes, crash, restart, Word::Left, true)?;
        let Some(Outcome { outages, gone, .. }) = outcome else { continue };
        judge(
            "S-4",
            &format!("kill -9 of the gateway process, {case}, outage"),
            outages,
            goodbye(),
        );
        let what = format!("kill -9 of the gateway process, {case}, address gone");
        judge("S-4", &what, gone, Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn s04_a_crash_of_the_vrrp_process_is_made_good_by_another_one() -> Result<()> {
    let scenario = "S-4 VRRP process";
    for _ in 0..runs(1) {
        let Some(lab) = or_skip(scenario, || Lab::new(2)) else { return Ok(()) };
        // A second, so that a busy machine has the time to start a process.
        let members = member::settled_with(&lab, PP, |settings| settings.interval = 1.0)?;
        let mut pair = Pair::equip(lab, Who::Product, members)?;
        let before = pair.first().product().vrrp_process()?;
        let event = Instant::now();
        pair.first().product().kill_vrrp()?;
        wait_for_entry(pair.first(), "MASTER", 2)?;
        let after = pair.first().product().vrrp_process()?;
        ensure!(before != after, "{before} was to be killed");
        // Longer than the other one waits for an advertisement.
        watch(Duration::from_millis(3800));
        let end = pair.wait_for("gw1")?;
        let outage = pair.probe.trace_until(end).outage([event, end]);
        let log = pair.second.log();
        ensure!(entered(&pair.second, "MASTER") == 0, "gw2 took over:\n{log}");
        ensure!(pair.lab.changes("gw2", VIP).is_empty(), "{log}");
        judge(scenario, "kill -9, outage", vec![outage], goodbye());
        // Soon after, it is given up, and comes back all the same.
        let sniffer = pair.lab.sniff()?;
        let again = Instant::now();
        pair.first().product().kill_vrrp()?;
        let left = |frame: &Frame| {
            frame.place == "gw1" && frame.vrrp().is_some_and(|vrrp| vrrp.priority == 0)
        };
        ensure!(sniffer.wait_for(again, LONG, left).is_some(), "no goodbye after a second one");
        wait_for_entry(pair.first(), "MASTER", 3)?;
        pair.wait_for("gw1")?;
    }
    Ok(())
}

fn cut(pair: &mut Pair) -> Result<()> {
    pair.lab.cut("gw1")
}

fn mend(pair: &mut Pair) -> Result<()> {
    pair.lab.heal("gw1")
}

#[test]
fn s05_a_gateway_whose_link_is_cut_gives_the_address_away_at_once() -> Result<()> {
    side_by_side(&[PP, PK], |who| {
        let scenario = format!("S-5 {}", name(who));
        let outcome = suffer(&scenario, who, cut, mend, Word::Nothing, true)?;
        let Some(Outcome { outages, gone, .. }) = outcome else { return Ok(()) };
        judge(&scenario, "link cut, outage", outages, silence());
        // From before `ip link set down` is run.
        judge(&scenario, "link cut, address gone", gone, Duration::from_millis(20));
        Ok(())
    })
}

#[test]
fn s05_a_gateway_takes_over_from_keepalived_whose_link_is_cut() -> Result<()> {
    let outcome = suffer("S-5 K+P", KP, cut, mend, Word::Nothing, true)?;
    let Some(Outcome { outages, .. }) = outcome else { return Ok(()) };
    judge("S-5", "link cut, K then P, outage", outages, silence());
    Ok(())
}
