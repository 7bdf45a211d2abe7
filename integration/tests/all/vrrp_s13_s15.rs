//! S-13 and S-15: addresses that were left behind, and addresses that somebody takes away.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use integration::vrrp_lab::{self as lab, *};

use crate::vrrp_member::*;

const FIFTY: Duration = Duration::from_millis(50);

fn alone(lab: &Lab, priority: u8) -> Result<Member> {
    let member = Member::start(lab, "gw1", Who::Product, &Settings::new(priority))?;
    lab.wait_for_holder("gw1", VIP, LONG)?;
    Ok(member)
}

#[test]
fn s13_an_address_left_behind_with_any_prefix_is_gone_as_soon_as_the_gateway_starts() -> Result<()>
{
    let Some(lab) = or_skip("S-13", || Lab::new(2)) else { return Ok(()) };
    let _active = Member::start(&lab, "gw2", Who::Keepalived, &Settings::new(200))?;
    lab.wait_for_holder("gw2", VIP, LONG)?;
    let (mut starts, mut readies) = (Vec::new(), Vec::new());
    for prefix in [32, 24, 28] {
        lab.ip("gw1", &format!("addr add {VIP}/{prefix} dev eth0"))?;
        assert!(lab::wait(LONG, || lab.holds("gw1", VIP)));
        let start = Instant::now();
        let mut gateway = Gateway::start(&lab, "gw1", &config(&Settings::new(100)))?;
        let ready = Instant::now();
        lab.wait_for_holder("gw2", VIP, LONG)?;
        let gone = change(&lab, "gw1", VIP, false, start).unwrap();
        starts.push(gone - start);
        readies.push(gone.saturating_duration_since(ready));
        gateway.wait_for_log("was left behind on the interface: removed", LONG)?;
        gateway.kill_both()?;
    }
    judge("S-13", "a stale address, from exec", starts, FIFTY);
    judge("S-13", "a stale address, from \"ready\"", readies, FIFTY);
    Ok(())
}

#[test]
fn s13_an_address_left_behind_is_removed_from_an_interface_that_is_down_and_from_a_macvlan()
-> Result<()> {
    let Some(lab) = or_skip("S-13, places", || Lab::new(1)) else { return Ok(()) };
    let removed = |what: &str| -> Result<()> {
        let mut gateway = Gateway::start(&lab, "gw1", &config(&Settings::new(100)))?;
        gateway.wait_for_log("was left behind on the interface: removed", LONG)?;
        assert!(!lab.holds("gw1", VIP), "{what}: {}", gateway.log());
        gateway.kill_both()?;
        Ok(())
    };
    let mut settings = Settings::new(100);
    settings.vmac = true;
    let mut gateway = Gateway::start(&lab, "gw1", &config(&settings))?;
    lab.wait_for_holder("gw1", VIP, LONG)?;
    gateway.kill_both()?;
    // The same, without the virtual MAC.
    lab.cut("gw1")?;
    removed("a macvlan of an earlier configuration")?;

    lab.ip("gw1", "link set eth0 down")?;
    lab.ip("gw1", &format!("addr add {VIP}/32 dev eth0"))?;
    assert!(lab::wait(LONG, || lab.holds("gw1", VIP)));
    removed("an interface that is down")?;
    figure(
        "S-13",
        "stale on a macvlan, and on an interface that is down: removed (criterion: removed)",
    );
    Ok(())
}

#[test]
fn s13_after_a_kill_of_both_processes_the_gateway_starts_again_and_the_address_is_held_once()
-> Result<()> {
    let Some(lab) = or_skip("S-13, restart", || Lab::new(2)) else { return Ok(()) };
    let mut times = Vec::new();
    for peer in [Who::Product, Who::Keepalived] {
        let [mut first, _second] = settled(&lab, [Who::Product, peer])?;
        first.kill()?;
        // Nobody is left to take it off the dead gateway.
        lab.wait_for_holders(&["gw1", "gw2"], VIP, LONG)?;
        let start = Instant::now();
        let first = Member::start(&lab, "gw1", Who::Product, &Settings::new(100))?;
        let removed = || first.log().contains("was left behind on the interface: removed");
        assert!(lab::wait(LONG, removed), "{}", first.log());
        times.push(change(&lab, "gw1", VIP, false, start).unwrap() - start);
        lab.wait_for_holder("gw1", VIP, LONG)?;
        let held = [start, Instant::now()];
        let dual = lab.dual(["gw1", "gw2"], VIP, held);
        figure("S-13", &format!("both hold it from exec to the preemption: {dual:?}"));
        drop(first);
        lab.ip("gw1", &format!("addr del {VIP}/32 dev eth0"))?;
        drop(_second);
        let _ = lab.ip("gw2", &format!("addr del {VIP}/32 dev eth0"));
        assert!(lab::wait(LONG, || lab.holders(VIP).is_empty()));
    }
    judge("S-13", "restart after kill -9, from exec", times, FIFTY);
    Ok(())
}

#[test]
fn s15_an_address_deleted_by_hand_is_back_at_once_and_no_state_changes() -> Result<()> {
    let Some(lab) = or_skip("S-15", || Lab::new(2)) else { return Ok(()) };
    let mut times = Vec::new();
    for pair in [PK, PP] {
        let [first, second] = settled(&lab, pair)?;
        let _services = ["gw1", "gw2"].map(|gateway| Echo::start(&lab, gateway, VIP).unwrap());
        let probe = Probe::start(&lab, VIP)?;
        probe.wait_for("gw1", LONG)?;
        let (logs, begin) = ([first.log(), second.log()], Instant::now());
        for _ in 0..runs(10) {
            let event = Instant::now();
            lab.ip("gw1", &format!("addr del {VIP}/32 dev eth0"))?;
            let back = || change(&lab, "gw1", VIP, true, event);
            assert!(
                lab::wait(LONG, || back().is_some()),
                "{:?}\n{}",
                lab.changes("gw1", VIP),
                first.log()
            );
            times.push(back().unwrap() - change(&lab, "gw1", VIP, false, event).unwrap());
        }
        let end = Instant::now();
        let lost = probe.trace_until(end).lost([begin, end]);
        figure("S-15", &format!("{}, {} deletions: {lost} probes lost", name(pair), runs(10)));
        // Both live until the holders are looked at: else the second takes over what the first gives up.
        let members = [first, second];
        for (member, before) in members.iter().zip(logs) {
            let log = member.log();
            assert_eq!(count(&log, "Entering"), count(&before, "Entering"), "{log}");
        }
        assert_eq!(lab.holders(VIP), ["gw1"]);
    }
    judge("S-15", "a deleted address is back", times, Duration::from_millis(10));
    Ok(())
}

/// The kernel takes secondary addresses with the primary one of their subnet. An address with a /32 is none of them.
#[test]
fn s15_the_address_stays_when_the_interface_loses_its_primary_one_and_has_another() -> Result<()> {
    let Some(lab) = or_skip("S-15, primary", || Lab::new(1)) else { return Ok(()) };
    lab.ip("gw1", "addr add 10.78.0.11/24 dev eth0")?;
    let member = alone(&lab, 100)?;
    let sniffer = lab.sniff()?;
    let event = Instant::now();
    lab.ip("gw1", "addr del 10.77.0.11/24 dev eth0")?;
    let other: IpAddr = "10.78.0.11".parse()?;
    let advertises =
        |frame: &Frame| frame.vrrp().is_some_and(|said| said.from == other && said.priority == 100);
    assert!(sniffer.wait_for(event, LONG, advertises).is_some(), "{}", member.log());
    assert_eq!(change(&lab, "gw1", VIP, false, event), None);
    assert_eq!(count(&member.log(), "Entering"), 2, "{}", member.log());
    figure("S-15", "primary address deleted, another one left: the /32 stays (criterion: stays)");
    Ok(())
}

/// Without any address of its own a gateway can neither advertise nor answer clients: the peer must have it.
#[test]
fn s15_without_any_address_of_its_own_the_gateway_hands_over_and_comes_back_with_it() -> Result<()>
{
    let Some(lab) = or_skip("S-15, no address", || Lab::new(2)) else { return Ok(()) };
    let mut times = Vec::new();
    for pair in [PK, PP] {
        let [first, _second] = settled(&lab, pair)?;
        for _ in 0..runs(3) {
            let event = Instant::now();
            lab.ip("gw1", "addr del 10.77.0.11/24 dev eth0")?;
            let moved = lab.wait_for_holder("gw2", VIP, LONG);
            moved.with_context(|| first.log())?;
            times.push(change(&lab, "gw2", VIP, true, event).unwrap() - event);
            lab.ip("gw1", "addr add 10.77.0.11/24 dev eth0")?;
            lab.wait_for_holder("gw1", VIP, LONG)?;
        }
        assert_eq!(count(&first.log(), "Entering FAULT STATE"), runs(3), "{}", first.log());
    }
    // Priority 0 cannot be sent without an address to send it from: the peer waits for the down timer.
    judge("S-15", "no address left, taken by the peer", times, Duration::from_millis(380));
    Ok(())
}
