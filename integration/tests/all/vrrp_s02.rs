//! Beside keepalived: one address, one holder, and nothing in keepalived's log that it dropped.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use integration::vrrp_lab::{self as lab, *};

use super::vrrp_member::{LONG, config, judge};
use super::vrrp_setup::{side_by_side, skew, span, watch};

/// A way to speak VRRP that both know.
#[derive(Debug, Clone, Copy)]
enum Mode {
    V2Pass,
    V2,
    V3Multicast,
    V3Unicast,
    V3Ipv6,
}

impl Mode {
    fn interval(self) -> Duration {
        match self {
            Self::V2Pass | Self::V2 => Duration::from_secs(1),
            _ => Duration::from_millis(100),
        }
    }

    fn address(self) -> IpAddr {
        if matches!(self, Self::V3Ipv6) { VIP6 } else { VIP }
    }

    /// What both are told, one with this priority, the other at `peer`.
    fn settings(self, priority: u8, peer: &str) -> Settings {
        let mut settings =
            Settings { interval: self.interval().as_secs_f64(), ..Settings::new(priority) };
        match self {
            Self::V2 => settings.version = 2,
            Self::V2Pass => {
                settings.version = 2;
                settings.password = Some("mypass".to_owned());
            }
            Self::V3Multicast => {}
            Self::V3Unicast => settings.peers = vec![lab::address(peer).unwrap().into()],
            // keepalived wants a link-local one first.
            Self::V3Ipv6 => settings.addresses = vec!["fe80::100".to_owned(), VIP6.to_string()],
        }
        settings
    }
}

/// What keepalived logs from its first state on when it likes all that it hears.
const CONTENT: [&str; 13] = [
    "with higher priority",
    "removing VIPs",
    "Entering BACKUP STATE",
    "Starting VRRP child process",
    "Startup complete",
    "VRRP sockpool",
    "received lower priority",
    "with lower priority",
    "Receive advertisement timeout",
    "Entering MASTER STATE",
    "setting VIPs",
    "gratuitous ARP",
    "nsolicited Neighbour Advert",
];

/// Both start together, keepalived with one priority and the gateway with the other.
fn settle(name: &str, mode: Mode, [ours, theirs]: [u8; 2]) -> Result<()> {
    let Some(lab) = or_skip(name, || Lab::new(2)) else { return Ok(()) };
    let address = mode.address();
    let sniffer = lab.sniff()?;
    let gateway = Gateway::spawn(&lab, "gw1", &config(&mode.settings(ours, "gw2")))?;
    let keepalived = Keepalived::start(&lab, "gw2", &mode.settings(theirs, "gw1"))?;
    gateway.wait_for_log("Entering BACKUP STATE", LONG)?;
    keepalived.wait_for_log("Entering BACKUP STATE", LONG)?;
    let both = Instant::now();
    let holder = if ours > theirs { "gw1" } else { "gw2" };
    lab.wait_for_holder(holder, address, LONG)?;
    let settled = Instant::now();
    let criterion =
        mode.interval() * 3 + skew(mode.interval(), ours.max(theirs)) + Duration::from_millis(20);
    let what = format!("{mode:?}, priorities {ours} and {theirs}, one holder");
    judge("S-2", &what, vec![settled - both], criterion);

    watch(span(2, 30));
    ensure!(lab.holders(address) == [holder], "{:?} hold it", lab.holders(address));
    for member in ["gw1", "gw2"] {
        let changes = lab.changes(member, address);
        ensure!(changes.iter().all(|change| change.at <= settled), "{member}: {changes:?}");
    }
    let log = keepalived.log();
    for line in log.lines().skip_while(|line| !line.contains("Entering BACKUP STATE")) {
        let content = CONTENT.iter().any(|content| line.contains(content));
        ensure!(content, "keepalived minds: {line}\n{log}");
    }
    let log = gateway.log();
    for complaint in ["dropped", "alarm="] {
        ensure!(!log.contains(complaint), "{log}");
    }
    let since = [settled + Duration::from_millis(50), Instant::now()];
    // Priority 1 is a backup's question to an active router that is late.
    let claims = |frame: &Frame| frame.vrrp().is_some_and(|said| said.priority > 1);
    let speakers: BTreeSet<_> =
        sniffer.between(since).into_iter().filter(claims).map(|frame| frame.place).collect();
    ensure!(speakers.iter().eq([holder]), "{speakers:?} advertise");
    Ok(())
}

/// Both orders of priority, side by side.
fn both_orders(name: &str, mode: Mode) -> Result<()> {
    side_by_side(&[[100, 90], [90, 100]], |priorities| settle(name, mode, priorities))
}

#[test]
fn s02_beside_keepalived_with_a_password_in_version_2_there_is_one_holder() -> Result<()> {
    both_orders("S-2 v2 PASS", Mode::V2Pass)
}

#[test]
fn s02_beside_keepalived_in_version_2_there_is_one_holder() -> Result<()> {
    both_orders("S-2 v2", Mode::V2)
}

#[test]
fn s02_beside_keepalived_in_version_3_there_is_one_holder() -> Result<()> {
    both_orders("S-2 v3", Mode::V3Multicast)
}

#[test]
fn s02_beside_keepalived_with_unicast_there_is_one_holder() -> Result<()> {
    both_orders("S-2 v3 unicast", Mode::V3Unicast)
}

#[test]
fn s02_beside_keepalived_over_ipv6_there_is_one_holder() -> Result<()> {
    both_orders("S-2 v3 IPv6", Mode::V3Ipv6)
}
