//! S-20: a virtual MAC that moves with the address, and what it changes in the kernel.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result};
use integration::vrrp_lab::{self as lab, *};

use crate::vrrp_member::*;

/// VRID 51.
const VIRTUAL: Mac = Mac([0, 0, 0x5e, 0, 1, 51]);
const SETTINGS: [&str; 4] = ["arp_ignore", "arp_filter", "arp_announce", "rp_filter"];

fn with_virtual_mac(settings: &mut Settings) {
    settings.vmac = true;
}

/// Settings of eth0 that a virtual MAC needs changed.
fn sysctls(lab: &Lab, gateway: &str) -> Result<BTreeMap<&'static str, String>> {
    lab.inside(gateway, || {
        let read = |key: &&'static str| {
            let file = format!("/proc/sys/net/ipv4/conf/eth0/{key}");
            Ok((*key, std::fs::read_to_string(file)?.trim().to_owned()))
        };
        SETTINGS.iter().map(read).collect()
    })?
}

/// keepalived's own interface asks with the shared address, and clients learn its MAC by that. It has no setting against
/// it: who uses it has to know.
fn spare_keepalived(lab: &Lab, gateway: &str) -> Result<()> {
    lab.inside(gateway, || std::fs::write("/proc/sys/net/ipv4/conf/eth0/arp_announce", "2"))??;
    Ok(())
}

/// Has it a macvlan for VRID 51, on whatever interface? keepalived's is called vrrp.51.
fn has_macvlan(lab: &Lab, gateway: &str) -> bool {
    let look = || {
        let links = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
        links.lines().any(|line| line.trim_start().starts_with("vrrp.51."))
    };
    lab.inside(gateway, look).unwrap_or(false)
}

/// What the client's kernel has for the shared address.
fn neighbour(lab: &Lab) -> Result<String> {
    let output = lab.command(CLIENT, "ip")?.args(["neigh", "show", &VIP.to_string()]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let mac = text.split_once("lladdr ").context(text.clone())?.1;
    Ok(mac.split_ascii_whitespace().next().unwrap_or_default().to_owned())
}

/// ARP that this gateway sent and that tells of another MAC for the shared address.
fn misleading(sniffer: &Sniffer, gateway: &str, from: Instant) -> usize {
    let frames = sniffer.between([from, Instant::now()]);
    let wrong = frames.iter().filter(|frame| {
        let about = frame.arp().is_some_and(|arp| std::net::IpAddr::V4(arp.sender) == VIP);
        frame.place == gateway && about && frame.bytes[22..28] != VIRTUAL.0
    });
    wrong.count()
}

#[test]
fn s20_the_clients_entry_keeps_the_virtual_mac_through_moves_with_keepalived_and_alone()
-> Result<()> {
    for pair in [PK, KP, PP] {
        let Some(lab) = or_skip("S-20", || Lab::new(2)) else { return Ok(()) };
        let (sniffer, begin) = (lab.sniff()?, Instant::now());
        for (gateway, who) in ["gw1", "gw2"].into_iter().zip(pair) {
            if who == Who::Keepalived {
                spare_keepalived(&lab, gateway)?;
            }
        }
        let before = ["gw1", "gw2"].map(|gateway| sysctls(&lab, gateway).unwrap());
        let [mut first, mut second] = settled_with(&lab, pair, with_virtual_mac)?;
        let _services = ["gw1", "gw2"].map(|gateway| Echo::start(&lab, gateway, VIP).unwrap());
        let probe = Probe::start(&lab, VIP)?;
        probe.wait_for("gw1", LONG)?;
        assert_eq!(neighbour(&lab)?, format!("{VIRTUAL:?}"), "{}", name(pair));

        for _ in 0..runs(2) {
            let event = Instant::now();
            first.stop()?;
            lab.wait_for_holder("gw2", VIP, LONG)?;
            probe.wait_for("gw2", LONG)?;
            assert_eq!(neighbour(&lab)?, format!("{VIRTUAL:?}"), "{}", name(pair));
            let end = Instant::now();
            let outage = probe.trace_until(end).outage([event, end]);
            figure(
                "S-20",
                &format!("{} SIGTERM with a virtual MAC: outage {outage:?}", name(pair)),
            );
            let mut settings = Settings::new(100);
            with_virtual_mac(&mut settings);
            let event = Instant::now();
            first = Member::start(&lab, "gw1", pair[0], &settings)?;
            lab.wait_for_holder("gw1", VIP, LONG)?;
            probe.wait_for("gw1", LONG)?;
            assert_eq!(neighbour(&lab)?, format!("{VIRTUAL:?}"), "{}", name(pair));
            let end = Instant::now();
            let outage = probe.trace_until(end).outage([event, end]);
            figure(
                "S-20",
                &format!("{} preemption with a virtual MAC: outage {outage:?}", name(pair)),
            );
        }
        second.stop()?;
        first.stop()?;
        for (index, gateway) in ["gw1", "gw2"].into_iter().enumerate() {
            let (wrong, after) = (misleading(&sniffer, gateway, begin), sysctls(&lab, gateway)?);
            let kept = after == before[index];
            let who = if pair[index] == Who::Product { "product" } else { "keepalived" };
            figure(
                "S-20",
                &format!(
                    "{} {gateway} ({who}): {wrong} ARP with the physical MAC, sysctls {} (criterion: \
                     none, restored)",
                    name(pair),
                    if kept { "restored" } else { "LEFT CHANGED" }
                ),
            );
            if pair[index] == Who::Product {
                assert_eq!((wrong, &after), (0, &before[index]));
                assert!(!has_macvlan(&lab, gateway));
            }
        }
    }
    Ok(())
}

#[test]
fn s20_a_backup_asks_without_the_virtual_mac_so_that_no_switch_takes_it_for_the_active_one()
-> Result<()> {
    let Some(lab) = or_skip("S-20, questions", || Lab::new(2)) else { return Ok(()) };
    let (sniffer, begin) = (lab.sniff()?, Instant::now());
    // Long, so that no question is left out for coming late.
    let _members = settled_with(&lab, PP, |settings| {
        with_virtual_mac(settings);
        settings.interval = 1.0;
    })?;
    let says = |gateway: &str, frame: &Frame| frame.place == gateway && frame.vrrp().is_some();
    let asks = |frame: &Frame| says("gw2", frame) && frame.vrrp().is_some_and(|v| v.priority == 1);
    let question = sniffer.wait_for(begin, LONG, asks).context("no question")?;
    let answer = sniffer.wait_for(question.at, LONG, |frame| says("gw1", frame));
    assert_eq!(answer.context("no answer")?.source, VIRTUAL);
    assert_ne!(question.source, VIRTUAL);
    let frames = sniffer.between([question.at, Instant::now()]);
    let misled = frames.iter().filter(|frame| frame.place == "gw2" && frame.source == VIRTUAL);
    assert_eq!(misled.count(), 0, "a backup sent something with the virtual MAC");
    Ok(())
}

#[test]
fn s20_the_kernels_settings_are_restored_after_a_kill_of_either_process() -> Result<()> {
    let Some(lab) = or_skip("S-20, kill", || Lab::new(1)) else { return Ok(()) };
    let before = sysctls(&lab, "gw1")?;
    let mut settings = Settings::new(100);
    with_virtual_mac(&mut settings);
    let start = || -> Result<Gateway> {
        let gateway = Gateway::start(&lab, "gw1", &config(&settings))?;
        lab.wait_for_holder("gw1", VIP, LONG)?;
        assert_ne!(sysctls(&lab, "gw1")?, before);
        assert!(has_macvlan(&lab, "gw1"));
        Ok(gateway)
    };
    let restored = |what: &str, log: &str| {
        let is =
            || sysctls(&lab, "gw1").is_ok_and(|now| now == before) && !has_macvlan(&lab, "gw1");
        assert!(
            lab::wait(LONG, is),
            "{what}: {:?}, before {before:?}\n{log}",
            sysctls(&lab, "gw1")
        );
        figure("S-20", &format!("sysctls and links after {what}: restored (criterion: restored)"));
    };

    let mut gateway = start()?;
    let event = Instant::now();
    gateway.kill_gateway()?;
    restored("kill -9 of the gateway", &gateway.log());
    let gone = change(&lab, "gw1", VIP, false, event).unwrap() - event;
    judge("S-20", "address gone after kill -9 of the gateway", vec![gone], 50 * INTERVAL / 100);
    drop(gateway);

    let mut gateway = start()?;
    let event = Instant::now();
    gateway.kill_vrrp()?;
    gateway.wait_for_log("Goes on where a process that has died left off", LONG)?;
    // The next process takes the macvlan over as it is.
    let gone = change(&lab, "gw1", VIP, false, event);
    assert!(gone.is_none() && has_macvlan(&lab, "gw1"), "{gone:?}\n{}", gateway.log());
    gateway.terminate()?;
    assert!(lab::wait(LONG, || gateway.process().exit_status().is_ok_and(|s| s.is_some())));
    restored("kill -9 of the VRRP process and SIGTERM", &gateway.log());
    Ok(())
}

#[test]
fn s20_settings_that_a_reload_has_restored_are_left_alone_from_then_on() -> Result<()> {
    let Some(lab) = or_skip("S-20, reload", || Lab::new(1)) else { return Ok(()) };
    let before = sysctls(&lab, "gw1")?;
    let mut settings = Settings::new(100);
    with_virtual_mac(&mut settings);
    let mut gateway = Gateway::start(&lab, "gw1", &config(&settings))?;
    lab.wait_for_holder("gw1", VIP, LONG)?;
    assert_ne!(sysctls(&lab, "gw1")?, before);
    gateway.reload(&config(&Settings::new(100)))?;
    let restored =
        || sysctls(&lab, "gw1").is_ok_and(|now| now == before) && !has_macvlan(&lab, "gw1");
    assert!(lab::wait(LONG, restored), "{:?}\n{}", sysctls(&lab, "gw1"), gateway.log());
    lab.wait_for_holder("gw1", VIP, LONG)?;

    // Whatever somebody makes of them then, neither this process nor the next one knows better.
    spare_keepalived(&lab, "gw1")?;
    let theirs = sysctls(&lab, "gw1")?;
    assert_ne!(theirs, before);
    gateway.kill_vrrp()?;
    gateway.wait_for_log("Goes on where a process that has died left off", LONG)?;
    gateway.terminate()?;
    assert!(lab::wait(LONG, || gateway.process().exit_status().is_ok_and(|s| s.is_some())));
    assert_eq!(sysctls(&lab, "gw1")?, theirs);
    Ok(())
}
