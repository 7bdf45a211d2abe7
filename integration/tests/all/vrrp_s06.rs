//! A gateway of higher priority that comes back: at once, later, or not at all.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use integration::vrrp_lab::*;

use super::vrrp_member::{
    INTERVAL, KP, LONG, Member, NOISE, PK, PP, Pair as Whos, Who, config, judge, name, runs,
};
use super::vrrp_setup::{Pair, got_after, rest, side_by_side, skew, span, wait_for_entry, watch};

#[test]
fn s06_a_gateway_that_comes_back_takes_the_address_without_a_loss() -> Result<()> {
    side_by_side(&[PP, PK, KP], |who| {
        let scenario = format!("S-6 {}", name(who));
        let Some(lab) = or_skip(&scenario, || Lab::new(2)) else { return Ok(()) };
        let mut pair = Pair::set(lab, who)?;
        let (mut outages, mut lost) = (Vec::new(), Vec::new());
        for _ in 0..runs(3) {
            pair.first().stop()?;
            pair.wait_for("gw2")?;
            rest();
            let [start, _] = pair.restart_first()?;
            rest();
            let end = Instant::now();
            let trace = pair.probe.trace_until(end);
            lost.push(trace.lost([start, end]));
            outages.push(trace.outage([start, end]));
        }
        figure(&scenario, &format!("preemption, lost {lost:?} (criterion: 2)"));
        // keepalived may be held up between its advertisement and its ARP.
        ensure!(who[0] == Who::Keepalived || lost.iter().all(|lost| *lost <= 2), "{lost:?}");
        judge(&scenario, "preemption, outage", outages, 2 * Probe::INTERVAL);
        Ok(())
    })
}

/// `gw2` of priority 90, which holds the address, and settings for a `gw1` of priority 100 that comes later.
fn alone(
    scenario: &str,
    who: Whos,
    change: impl Fn(&mut Settings),
) -> Result<Option<(Lab, Member, Settings)>> {
    let Some(lab) = or_skip(scenario, || Lab::new(2)) else { return Ok(None) };
    let [mut later, mut there] = [Settings::new(100), Settings::new(90)];
    change(&mut later);
    // keepalived wants it on both, and the product does not mind.
    there.nopreempt = later.nopreempt;
    let member = Member::start(&lab, "gw2", who[1], &there)?;
    lab.wait_for_holder("gw2", VIP, LONG)?;
    Ok(Some((lab, member, later)))
}

#[test]
fn s06_without_preemption_the_address_stays_where_it_is() -> Result<()> {
    side_by_side(&[PP, PK, KP], |who| {
        let scenario = format!("S-6 nopreempt, {}", name(who));
        let set = alone(&scenario, who, |settings| settings.nopreempt = true)?;
        let Some((lab, mut second, settings)) = set else { return Ok(()) };
        let begin = Instant::now();
        let first = Member::start(&lab, "gw1", who[0], &settings)?;
        wait_for_entry(&first, "BACKUP", 1)?;
        watch(span(2, 10));
        ensure!(lab.changes("gw1", VIP).is_empty(), "gw1 took it:\n{}", first.log());
        ensure!(lab.holders(VIP) == ["gw2"]);
        ensure!(lab.changes("gw2", VIP).iter().all(|change| change.at < begin));
        figure(&scenario, "no move (criterion: none)");
        // It is there in need, all the same.
        let event = Instant::now();
        second.kill()?;
        lab.wait_for_holders(&["gw1", "gw2"], VIP, LONG)?;
        let took = got_after(&lab, "gw1", event).context("gw1 did not take it")?;
        judge(&scenario, "takes a lost one's address after", vec![took], in_need());
        Ok(())
    })
}

/// The time for a router of priority 100 to take over from a lost one.
fn in_need() -> Duration {
    INTERVAL * 3 + skew(INTERVAL, 100) + Duration::from_millis(15)
}

/// Starts `gw1` with a delay, and returns once it is a backup. The delay runs from then on.
fn delayed(lab: &Lab, settings: &Settings) -> Result<(Gateway, Instant)> {
    let gateway = Gateway::spawn(lab, "gw1", &config(settings))?;
    gateway.wait_for_log("Entering BACKUP STATE", LONG)?;
    Ok((gateway, Instant::now()))
}

#[test]
fn s06_a_preemption_waits_for_its_delay_and_no_longer() -> Result<()> {
    const DELAY: Duration = Duration::from_secs(1);
    side_by_side(&[PP, PK], |who| {
        let scenario = format!("S-6 preempt_delay, {}", name(who));
        let change = |settings: &mut Settings| settings.preempt_delay = Some(DELAY.as_secs_f64());
        let Some((lab, _second, settings)) = alone(&scenario, who, change)? else { return Ok(()) };
        let mut errors = Vec::new();
        for _ in 0..runs(2) {
            let (mut gateway, begin) = delayed(&lab, &settings)?;
            lab.wait_for_holder("gw1", VIP, LONG)?;
            let took = got_after(&lab, "gw1", begin).context("gw1 did not take it")?;
            figure(&scenario, &format!("after {took:?} (criterion: {DELAY:?} +-20 ms)"));
            ensure!(took > DELAY.saturating_sub(NOISE / 2), "{took:?}");
            errors.push(took.abs_diff(DELAY));
            gateway.terminate()?;
            lab.wait_for_holder("gw2", VIP, LONG)?;
        }
        judge(&scenario, "off by", errors, Duration::from_millis(20));
        Ok(())
    })
}

#[test]
fn s06_the_delay_of_a_preemption_is_over_when_the_active_router_is_lost() -> Result<()> {
    side_by_side(&[(PP, true), (PP, false), (PK, true), (PK, false)], |(who, crash)| {
        let scenario = format!("S-6 preempt_delay, {}, crash {crash}", name(who));
        let change = |settings: &mut Settings| settings.preempt_delay = Some(60.0);
        let set = alone(&scenario, who, change)?;
        let Some((lab, mut second, settings)) = set else { return Ok(()) };
        let (_gateway, _) = delayed(&lab, &settings)?;
        watch(Duration::from_secs(1));
        ensure!(lab.changes("gw1", VIP).is_empty(), "it did not wait");
        let event = Instant::now();
        if crash {
            second.kill()?
        } else {
            second.terminate()?
        };
        ensure!(wait(LONG, || lab.holds("gw1", VIP)), "gw1 does not take it");
        let took = got_after(&lab, "gw1", event).context("gw1 did not take it")?;
        judge(&scenario, "cut short after", vec![took], in_need());
        Ok(())
    })
}

#[test]
fn s06_keepalived_with_a_delay_is_served_meanwhile() -> Result<()> {
    let change = |settings: &mut Settings| settings.preempt_delay = Some(1.0);
    let set = alone("S-6 KP", [Who::Keepalived, Who::Product], change)?;
    let Some((lab, _second, settings)) = set else { return Ok(()) };
    let keepalived = Member::start(&lab, "gw1", Who::Keepalived, &settings)?;
    wait_for_entry(&keepalived, "BACKUP", 1)?;
    let begin = Instant::now();
    lab.wait_for_holder("gw1", VIP, LONG)?;
    let took = got_after(&lab, "gw1", begin).context("gw1 did not take it")?;
    figure("S-6 preempt_delay, KP", &format!("keepalived takes it after {took:?}"));
    ensure!(took > Duration::from_millis(500), "{took:?}");
    Ok(())
}
