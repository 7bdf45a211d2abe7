//! Several virtual routers on one gateway: each for itself, or together in a sync group.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, ensure};
use integration::vrrp_lab::{self as lab, *};

use super::vrrp_member::{LONG, config, router};

const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 101));
const BACK: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 78, 0, 100));

fn settings(vrid: u8, priority: u8, addresses: &[&str]) -> Settings {
    let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
    Settings { vrid, addresses, ..Settings::new(priority) }
}

/// A gateway with [`VIP`] and [`OTHER`], with these priorities.
fn crossed([one, other]: [u8; 2]) -> String {
    config(&settings(51, one, &["10.77.0.100/24"]))
        + &router("other", &settings(52, other, &["10.77.0.101/24"]))
}

/// Waits until each address has this holder, and the client is served by it.
fn wait_for(lab: &Lab, expected: [(&str, IpAddr, &Probe); 2]) -> Result<()> {
    for (holder, address, probe) in expected {
        lab.wait_for_holder(holder, address, LONG)?;
        probe.wait_for(holder, LONG)?;
    }
    Ok(())
}

#[test]
fn with_crossed_priorities_both_gateways_serve_and_each_stands_in_for_the_other() -> Result<()> {
    let Some(lab) = or_skip("several, crossed", || Lab::new(2)) else { return Ok(()) };
    let mut first = Gateway::start(&lab, "gw1", &crossed([100, 90]))?;
    let second = Gateway::start(&lab, "gw2", &crossed([90, 100]))?;
    let mut services = Vec::new();
    for (gateway, address) in [("gw1", VIP), ("gw1", OTHER), ("gw2", VIP), ("gw2", OTHER)] {
        services.push(Echo::start(&lab, gateway, address)?);
    }
    let (one, other) = (Probe::start(&lab, VIP)?, Probe::start(&lab, OTHER)?);
    let each = [("gw1", VIP, &one), ("gw2", OTHER, &other)];
    wait_for(&lab, each)?;

    first.kill_gateway()?;
    wait_for(&lab, [("gw2", VIP, &one), ("gw2", OTHER, &other)])?;
    first = Gateway::start(&lab, "gw1", &crossed([100, 90]))?;
    wait_for(&lab, each)?;

    // Nobody is left to take the address off.
    first.kill_both()?;
    drop(services.drain(..2));
    one.wait_for("gw2", LONG)?;
    other.wait_for("gw2", LONG)?;
    lab.wait_for_holder("gw2", OTHER, LONG)?;
    for address in [VIP, OTHER] {
        services.push(Echo::start(&lab, "gw1", address)?);
    }
    let _first = Gateway::start(&lab, "gw1", &crossed([100, 90]))?;
    wait_for(&lab, each)?;

    // What concerned the one did not concern the other.
    let states = |name: &str| -> Vec<String> {
        let says = format!("({name}) Entering ");
        let log = second.log();
        log.lines().filter_map(|l| Some(l.split_once(&says)?.1[..6].to_owned())).collect()
    };
    let moved = ["BACKUP", "MASTER", "BACKUP", "MASTER", "BACKUP"];
    ensure!(lab::wait(LONG, || states("lab") == moved), "{}", second.log());
    ensure!(states("other") == ["BACKUP", "MASTER"], "{}", second.log());
    Ok(())
}

/// A gateway with an IPv4 and an IPv6 router of the same VRID.
fn families([four, six]: [u8; 2]) -> String {
    config(&settings(51, four, &["10.77.0.100/24"]))
        + &router("six", &settings(51, six, &["fe80::100/64", "fd77::100/64"]))
}

#[test]
fn ipv4_and_ipv6_share_a_vrid_and_do_not_disturb_each_other() -> Result<()> {
    let Some(lab) = or_skip("several, families", || Lab::new(2)) else { return Ok(()) };
    let mut first = Gateway::start(&lab, "gw1", &families([100, 90]))?;
    let second = Gateway::start(&lab, "gw2", &families([90, 100]))?;
    let mut services = Vec::new();
    for (gateway, address) in [("gw1", VIP), ("gw1", VIP6), ("gw2", VIP), ("gw2", VIP6)] {
        services.push(Echo::start(&lab, gateway, address)?);
    }
    let (four, six) = (Probe::start(&lab, VIP)?, Probe::start(&lab, VIP6)?);
    wait_for(&lab, [("gw1", VIP, &four), ("gw2", VIP6, &six)])?;
    lab.wait_for_holder("gw2", "fe80::100".parse()?, LONG)?;

    first.terminate()?;
    wait_for(&lab, [("gw2", VIP, &four), ("gw2", VIP6, &six)])?;
    drop(first);
    let mut first = Gateway::start(&lab, "gw1", &families([100, 90]))?;
    wait_for(&lab, [("gw1", VIP, &four), ("gw2", VIP6, &six)])?;
    for log in [first.log(), second.log()] {
        ensure!(!log.contains("alarm=") && !log.contains("dropped"), "{log}");
    }
    first.terminate()?;
    Ok(())
}

#[test]
fn ipv4_and_ipv6_go_to_keepalived_and_come_back() -> Result<()> {
    let Some(lab) = or_skip("several, keepalived", || Lab::new(2)) else { return Ok(()) };
    // Two of them: each has one virtual router.
    let mut peers = Vec::new();
    for addresses in [&["10.77.0.100/24"][..], &["fe80::100/64", "fd77::100/64"]] {
        peers.push(Keepalived::start(&lab, "gw2", &settings(51, 90, addresses))?);
    }
    lab.wait_for_holder("gw2", VIP, LONG)?;
    lab.wait_for_holder("gw2", VIP6, LONG)?;
    let mut first = Gateway::start(&lab, "gw1", &families([100, 100]))?;
    lab.wait_for_holder("gw1", VIP, LONG)?;
    lab.wait_for_holder("gw1", VIP6, LONG)?;
    first.terminate()?;
    for (peer, address) in peers.iter().zip([VIP, VIP6]) {
        peer.wait_for_state("MASTER", LONG)?;
        lab.wait_for_holder("gw2", address, LONG)?;
    }
    Ok(())
}

/// Gives each gateway `eth1` at a bridge of its own, 10.78.0.11/24 and so on: clients on one side, brokers on the other.
fn second_network(lab: &Lab) -> Result<()> {
    lab.ip(SWITCH, "link add br1 type bridge")?;
    lab.ip(SWITCH, "link set br1 up")?;
    for (gateway, host) in [("gw1", 11), ("gw2", 12)] {
        let (port, full) = (format!("q-{gateway}"), lab.full_name(gateway)?);
        lab.ip(SWITCH, &format!("link add {port} type veth peer name eth1 netns {full}"))?;
        lab.ip(SWITCH, &format!("link set {port} master br1 up"))?;
        lab.ip(gateway, &format!("addr add 10.78.0.{host}/24 dev eth1"))?;
        lab.ip(gateway, "link set eth1 up")?;
    }
    Ok(())
}

/// A gateway with an address on each network, which move together. The script fails while `flag` is there.
fn group(priority: u8, flag: &str) -> String {
    let mut text = config(&settings(51, priority, &["10.77.0.100/24"])) + "sync_group = \"edge\"\n";
    let back = router("back", &settings(52, priority, &["10.78.0.100/24"]));
    text += &back.replace("\"eth0\"", "\"eth1\"");
    text += "sync_group = \"edge\"\n[vrrp.back.track]\n";
    text + &format!(
        "script = {{ command = [\"/usr/bin/test\", \"!\", \"-e\", {flag:?}], \
             interval = \"100ms\", fall = 2, rise = 2 }}\n"
    )
}

#[test]
fn a_sync_group_moves_together_when_a_link_or_a_check_of_one_fails() -> Result<()> {
    let Some(lab) = or_skip("several, group", || Lab::new(2)) else { return Ok(()) };
    second_network(&lab)?;
    let flag = lab.dir()?.join("fails");
    let first = Gateway::start(&lab, "gw1", &group(100, &flag.display().to_string()))?;
    let _second = Gateway::start(&lab, "gw2", &group(90, "/nowhere"))?;
    let _services = ["gw1", "gw2"].map(|gateway| Echo::start(&lab, gateway, VIP).unwrap());
    let probe = Probe::start(&lab, VIP)?;
    let both_at = |gateway: &str| -> Result<()> {
        for address in [VIP, BACK] {
            let settled = lab.wait_for_holder(gateway, address, LONG);
            settled.with_context(|| first.log())?;
        }
        probe.wait_for(gateway, LONG)
    };
    both_at("gw1")?;

    lab.ip(SWITCH, "link set q-gw1 down")?;
    both_at("gw2")?;
    lab.ip(SWITCH, "link set q-gw1 up")?;
    both_at("gw1")?;

    fs::write(&flag, "")?;
    both_at("gw2")?;
    let state = |name: &str, state: &str| {
        let (name, state) = (format!("virtual_router=\"{name}\""), format!("state=\"{state}\""));
        first.metric(&lab, "amqp_gateway_vrrp_state", &[&name, &state])
    };
    for name in ["lab", "back"] {
        let down = lab::wait(LONG, || state(name, "fault").is_ok_and(|is| is == 1.0));
        ensure!(down, "{name}: {}", first.log());
    }
    fs::remove_file(&flag)?;
    both_at("gw1")?;
    Ok(())
}
