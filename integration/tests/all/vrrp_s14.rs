//! S-14: another configuration on a pair that serves.
//!
//! One after the other reads the new file on SIGHUP; so does keepalived, where it is the peer.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use integration::vrrp_lab::{self as lab, *};

use crate::vrrp_member::*;

const NEW: &str = "10.77.0.101";

/// A pair that serves, and a client that notices.
struct Stage {
    members: [Member; 2],
    pair: Pair,
    probe: Probe,
    _services: [Echo; 2],
    lab: Lab,
    outages: Vec<Duration>,
    duals: Vec<Duration>,
}

impl Stage {
    fn new(pair: Pair) -> Result<Option<Self>> {
        let Some(lab) = or_skip("S-14", || Lab::new(2)) else { return Ok(None) };
        let members = settled(&lab, pair)?;
        let services = ["gw1", "gw2"].map(|gateway| Echo::start(&lab, gateway, VIP).unwrap());
        let probe = Probe::start(&lab, VIP)?;
        probe.wait_for("gw1", LONG)?;
        let (outages, duals) = (Vec::new(), Vec::new());
        Ok(Some(Self { members, pair, probe, _services: services, lab, outages, duals }))
    }

    /// Gives one of the two this configuration, and waits until `holder` alone has the address and keeps it.
    fn change(&mut self, index: usize, settings: &Settings, holder: &str) -> Result<()> {
        let begin = Instant::now();
        let gateway = ["gw1", "gw2"][index];
        let states = |log: &str| count(log, "Entering");
        match &mut self.members[index] {
            Member::Keepalived(keepalived) => {
                let before = states(&keepalived.log());
                keepalived.reload(settings)?;
                keepalived.wait_for_log("Reloading", LONG).ok();
                lab::wait(5 * INTERVAL, || states(&keepalived.log()) > before);
            }
            Member::Product(product) => {
                let before = product.process().id();
                product.reload(&config(settings))?;
                assert_eq!(product.process().id(), before);
            }
        }
        self.lab.wait_for_holder(holder, VIP, LONG).with_context(|| self.logs())?;
        // Longer than a down time: what was going to happen has happened.
        std::thread::sleep(5 * INTERVAL);
        self.lab.wait_for_holder(holder, VIP, LONG).with_context(|| self.logs())?;
        self.probe.wait_for(holder, LONG)?;
        let end = Instant::now();
        let trace = self.probe.trace_until(end);
        let lost = trace.lost([begin, end]);
        assert!(self.pair != PP || lost <= 2, "{gateway}: lost {lost}\n{}", self.logs());
        self.outages.push(trace.outage([begin, end]));
        self.duals.push(self.lab.dual(["gw1", "gw2"], VIP, [begin, end]));
        Ok(())
    }

    fn logs(&self) -> String {
        self.members.each_ref().map(Member::log).join("\n--\n")
    }

    /// Tells what it cost.
    fn judge(self, what: &str) {
        let pair = name(self.pair);
        judge("S-14", &format!("{pair} {what}, both hold it"), self.duals, INTERVAL);
        // Two probes.
        judge("S-14", &format!("{pair} {what}, outage"), self.outages, INTERVAL / 10);
    }
}

fn with_new_address(priority: u8) -> Settings {
    let mut settings = Settings::new(priority);
    settings.addresses.push(NEW.to_owned());
    settings
}

#[test]
fn s14_a_reload_of_the_same_file_and_with_other_priorities_loses_nothing() -> Result<()> {
    let Some(mut stage) = Stage::new(PP)? else { return Ok(()) };
    stage.change(1, &Settings::new(90), "gw1")?;
    stage.change(0, &Settings::new(100), "gw1")?;
    let logs = stage.logs();
    assert_eq!(count(&logs, "Entering"), 3, "nothing moved:\n{logs}");
    stage.judge("reload of the same file");
    let Some(mut stage) = Stage::new(PP)? else { return Ok(()) };
    stage.change(1, &Settings::new(110), "gw2")?;
    stage.change(0, &Settings::new(95), "gw2")?;
    stage.change(1, &Settings::new(90), "gw1")?;
    stage.judge("reload with other priorities");
    Ok(())
}

#[test]
fn s14_a_reload_that_adds_an_address_makes_no_second_master() -> Result<()> {
    let Some(mut stage) = Stage::new(PP)? else { return Ok(()) };
    let new = NEW.parse()?;
    stage.change(1, &with_new_address(90), "gw1")?;
    assert!(stage.lab.holders(new).is_empty());
    let second = stage.members[1].product();
    let alarm = second.wait_for_log("other_addresses", LONG)?;
    assert!(alarm.contains("set the same addresses on both"), "{alarm}");
    stage.change(0, &with_new_address(100), "gw1")?;
    stage.lab.wait_for_holder("gw1", new, LONG)?;
    stage.change(0, &Settings::new(100), "gw1")?;
    assert!(lab::wait(LONG, || stage.lab.holders(new).is_empty()), "{}", stage.logs());
    stage.change(1, &Settings::new(90), "gw1")?;
    stage.judge("reload that adds an address, and one that removes it");
    Ok(())
}

#[test]
fn s14_where_keepalived_reloads_the_same_file_or_another_priority_nothing_is_lost() -> Result<()> {
    for pair in [PK, KP] {
        let Some(mut stage) = Stage::new(pair)? else { return Ok(()) };
        let index = usize::from(pair == PK);
        let own = [100, 90][index];
        let states = |stage: &Stage| stage.members.each_ref().map(|m| count(&m.log(), "Entering"));
        let before = states(&stage);
        stage.change(index, &Settings::new(own), "gw1")?;
        // On a busy machine keepalived may stand still for so long while it reads that it is taken for lost.
        let stood_still = noisy() && stage.logs().contains("does not answer");
        let moved = states(&stage)[1 - index] != before[1 - index];
        assert!(stood_still || !moved, "{}", stage.logs());
        // keepalived gets the address or loses it, and then the other way round.
        stage.change(index, &Settings::new([80, 110][index]), "gw2")?;
        stage.change(index, &Settings::new(own), "gw1")?;
        stage.judge("SIGHUP of keepalived");
    }
    Ok(())
}

/// keepalived drops advertisements with another number of addresses. We do not: as a backup we stay one.
#[test]
fn s14_where_keepalived_adds_an_address_first_the_gateway_stays_a_backup() -> Result<()> {
    let Some(mut stage) = Stage::new(KP)? else { return Ok(()) };
    stage.change(0, &with_new_address(100), "gw1")?;
    stage.members[1].product().wait_for_log("other_addresses", LONG)?;
    stage.change(1, &with_new_address(90), "gw1")?;
    let new = NEW.parse()?;
    stage.lab.wait_for_holder("gw1", new, LONG)?;
    stage.judge("an address added, keepalived first");
    Ok(())
}
