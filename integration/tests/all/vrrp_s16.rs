//! S-16: crafted advertisements, against the product and keepalived side by side.
//!
//! Each of the two is active in a place of its own: neither hears the other, and both hear the stranger. An advertisement
//! of a higher priority that is accepted makes them stand down, and after a down time take the address again. So one packet
//! tells whether it is accepted, and what it costs.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::Result;
use integration::vrrp_lab::{self as lab, *};

use crate::vrrp_member::*;

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
const OTHER: [u8; 4] = [10, 77, 0, 101];
/// Three own intervals, a skew of priority 100, and 15 ms to do it.
const COST: Duration = Duration::from_millis(376);
/// After this time a packet that changed nothing has been dropped.
const NOTHING: Duration = Duration::from_millis(120);

/// A packet, and what becomes of it.
struct Case {
    name: &'static str,
    packet: Vec<u8>,
    /// Product, keepalived.
    accepted: [bool; 2],
}

/// A version 3 message with its checksum.
struct Message {
    first: u8,
    vrid: u8,
    priority: u8,
    count: u8,
    interval: u16,
    addresses: Vec<[u8; 4]>,
    /// Octets behind the addresses.
    more: usize,
}

impl Default for Message {
    fn default() -> Self {
        let IpAddr::V4(vip) = VIP else { unreachable!() };
        let addresses = vec![vip.octets()];
        Self { first: 0x31, vrid: 51, priority: 200, count: 1, interval: 10, addresses, more: 0 }
    }
}

impl Message {
    fn octets(&self, pseudo_header: bool) -> Vec<u8> {
        let mut octets = vec![self.first, self.vrid, self.priority, self.count];
        octets.extend(self.interval.to_be_bytes());
        octets.extend([0, 0]);
        self.addresses.iter().for_each(|address| octets.extend(address));
        octets.resize(octets.len() + self.more, 0);
        let sum = match pseudo_header {
            true => {
                let length = [0, 112, 0, octets.len() as u8];
                let from = lab::address("gw3").unwrap().octets();
                checksum(&[&from, &GROUP.octets(), &length, &octets])
            }
            false => checksum(&[&octets]),
        };
        octets[6..8].copy_from_slice(&sum.to_be_bytes());
        octets
    }

    fn packet(&self) -> Vec<u8> {
        packet(GROUP, 255, &[], &self.octets(true))
    }
}

fn packet(to: Ipv4Addr, ttl: u8, options: &[u8], message: &[u8]) -> Vec<u8> {
    let words = 5 + options.len() / 4;
    let mut packet = vec![0x40 | words as u8, 0xc0];
    packet.extend(((words * 4 + message.len()) as u16).to_be_bytes());
    packet.extend([0, 0, 0, 0, ttl, 112, 0, 0]);
    packet.extend(lab::address("gw3").unwrap().octets());
    packet.extend(to.octets());
    packet.extend(options);
    packet.extend(message);
    packet
}

/// Version 2, authentication none.
fn version_2() -> Vec<u8> {
    let vip = Message::default().addresses[0];
    let mut octets = vec![0x21, 51, 200, 1, 0, 1, 0, 0];
    octets.extend(vip);
    octets.resize(20, 0);
    let sum = checksum(&[&octets]);
    octets[6..8].copy_from_slice(&sum.to_be_bytes());
    octets
}

const BOTH: [bool; 2] = [true, true];
const NONE: [bool; 2] = [false, false];
const PRODUCT: [bool; 2] = [true, false];

fn cases() -> Vec<Case> {
    let whole = Message::default();
    let vip = whole.addresses[0];
    let case = |name, packet, accepted| Case { name, packet, accepted };
    let of = |name, message: Message, accepted| case(name, message.packet(), accepted);
    let more = |addresses: Vec<[u8; 4]>| Message {
        count: addresses.len() as u8,
        addresses,
        ..Message::default()
    };
    let wrong_sum = {
        let mut packet = whole.packet();
        packet[27] ^= 1;
        packet
    };
    let short = |length: usize| packet(GROUP, 255, &[], &whole.octets(true)[..length]);
    vec![
        of("as it should be", Message::default(), BOTH),
        of("reserved bits set", Message { interval: 0xf00a, ..Message::default() }, BOTH),
        of("priority 255", Message { priority: 255, ..Message::default() }, BOTH),
        case("TTL 254", packet(GROUP, 254, &[], &whole.octets(true)), NONE),
        case("TTL 1", packet(GROUP, 1, &[], &whole.octets(true)), NONE),
        case("version 2", packet(GROUP, 255, &[], &version_2()), NONE),
        of("version 1", Message { first: 0x11, ..Message::default() }, NONE),
        of("version 4", Message { first: 0x41, ..Message::default() }, NONE),
        of("type 2", Message { first: 0x32, ..Message::default() }, NONE),
        of("type 0", Message { first: 0x30, ..Message::default() }, NONE),
        of("VRID 0", Message { vrid: 0, ..Message::default() }, NONE),
        of("VRID 52", Message { vrid: 52, ..Message::default() }, NONE),
        of("lower priority", Message { priority: 1, ..Message::default() }, NONE),
        of("priority 0", Message { priority: 0, ..Message::default() }, NONE),
        of("no address", Message { count: 0, addresses: vec![], ..Message::default() }, NONE),
        of("count 0 and an address", Message { count: 0, ..Message::default() }, NONE),
        of("count 2 and one address", Message { count: 2, ..Message::default() }, NONE),
        of("count 255 and one address", Message { count: 255, ..Message::default() }, NONE),
        of(
            "count 1 and two addresses",
            Message { addresses: vec![vip, OTHER], ..Message::default() },
            NONE,
        ),
        of("one octet too many", Message { more: 1, ..Message::default() }, NONE),
        of("four octets too many", Message { more: 4, ..Message::default() }, NONE),
        of("180 octets too many", Message { more: 180, ..Message::default() }, NONE),
        case("11 octets", short(11), NONE),
        case("8 octets", short(8), NONE),
        case("7 octets", short(7), NONE),
        case("no octets", short(0), NONE),
        case("checksum one bit off", wrong_sum, NONE),
        // RFC 9568 has it so, keepalived insists on the pseudo header.
        case(
            "checksum without pseudo header",
            packet(GROUP, 255, &[], &whole.octets(false)),
            PRODUCT,
        ),
        of("another address", more(vec![OTHER]), NONE),
        // A list that is changed on one gateway after the other must not make both active.
        of("a further address", more(vec![vip, OTHER]), PRODUCT),
        case("to this host alone", Vec::new(), NONE),
    ]
}

struct Stage {
    lab: Lab,
    members: [Member; 2],
    stranger: RawSender,
}

const PLACES: [&str; 2] = ["gw1", "gw2"];

impl Stage {
    fn new() -> Result<Option<Self>> {
        let Some(lab) = or_skip("S-16", || Lab::new(3)) else { return Ok(None) };
        PLACES.iter().try_for_each(|place| lab.mute(place))?;
        let settings = Settings::new(100);
        let members = [
            Member::start(&lab, "gw1", Who::Product, &settings)?,
            Member::start(&lab, "gw2", Who::Keepalived, &settings)?,
        ];
        lab.wait_for_holders(&PLACES, VIP, LONG)?;
        let stranger = RawSender::new(&lab, "gw3")?;
        Ok(Some(Self { lab, members, stranger }))
    }

    /// Sends a packet; for how long each of the two was without the address.
    fn costs(&self, packet: &[u8], expected: [bool; 2]) -> Result<[Option<Duration>; 2]> {
        self.lab.wait_for_holders(&PLACES, VIP, LONG)?;
        let event = Instant::now();
        self.stranger.send_packet(packet)?;
        let gone = |place: &str| change(&self.lab, place, VIP, false, event);
        for (place, expected) in PLACES.iter().zip(expected) {
            if expected {
                lab::wait(LONG, || gone(place).is_some());
            }
        }
        std::thread::sleep(NOTHING.saturating_sub(event.elapsed()));
        self.lab.wait_for_holders(&PLACES, VIP, LONG)?;
        Ok(PLACES.map(|place| {
            let gone = gone(place)?;
            Some(change(&self.lab, place, VIP, true, gone)? - event)
        }))
    }

    fn logs(&self) -> String {
        self.members.each_ref().map(Member::log).join("\n--\n")
    }
}

#[test]
fn s16_crafted_advertisements_are_accepted_and_dropped_as_keepalived_does_and_cost_no_more()
-> Result<()> {
    let Some(stage) = Stage::new()? else { return Ok(()) };
    let (mut costs, mut theirs, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    let cases = cases();
    let total = cases.len();
    for Case { name, packet, accepted } in cases {
        let whole = Message::default().octets(true);
        let packets = match packet.is_empty() {
            false => vec![packet],
            true => PLACES.map(|p| self::packet(lab::address(p).unwrap(), 255, &[], &whole)).into(),
        };
        for packet in packets {
            let cost = stage.costs(&packet, accepted)?;
            if cost.map(|cost| cost.is_some()) != accepted {
                wrong.push(format!("{name}: product, keepalived: {cost:?}, expected {accepted:?}"));
            }
            costs.extend(cost[0]);
            theirs.extend(cost[1]);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", stage.logs());
    figure("S-16", &format!("{total} packets: accepted and dropped as expected (criterion: all)"));
    tell("S-16", "one accepted packet costs keepalived", theirs, COST);
    judge("S-16", "one accepted packet costs the product", costs, COST);
    Ok(())
}

#[test]
fn s16_an_advertisement_with_any_octet_flipped_changes_nothing() -> Result<()> {
    let Some(stage) = Stage::new()? else { return Ok(()) };
    let whole = Message::default().packet();
    let begin = Instant::now();
    for octet in 20..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut packet = whole.clone();
            packet[octet] ^= flip;
            stage.stranger.send_packet(&packet)?;
        }
    }
    std::thread::sleep(2 * NOTHING);
    for place in PLACES {
        assert_eq!(change(&stage.lab, place, VIP, false, begin), None, "{place}: {}", stage.logs());
    }
    // One of them tells of the version, and is an alarm; the rest is a line of the log for each kind of flaw.
    let product = stage.members[0].log();
    let lines = count(&product, "was dropped");
    assert!((1..=60).contains(&lines), "{product}");
    figure("S-16", &format!("36 flips: nothing changes, {lines} lines of log"));
    Ok(())
}

/// keepalived believes any interval of a higher one, and waits for three of them: it is left out.
#[test]
fn s16_no_forged_interval_or_priority_keeps_the_address_away_for_more_than_three_own_intervals()
-> Result<()> {
    let Some(lab) = or_skip("S-16, forged", || Lab::new(3)) else { return Ok(()) };
    let members = settled(&lab, PP)?;
    let stranger = RawSender::new(&lab, "gw3")?;
    let _services = PLACES.map(|gateway| Echo::start(&lab, gateway, VIP).unwrap());
    let probe = Probe::start(&lab, VIP)?;
    probe.wait_for("gw1", LONG)?;
    let mut outages = Vec::new();
    for (priority, interval) in [(200, 10), (255, 100), (255, 1), (200, 4095), (101, 0), (0, 4095)]
    {
        for _ in 0..runs(2) {
            let begin = Instant::now();
            stranger.send_packet(&Message { priority, interval, ..Message::default() }.packet())?;
            std::thread::sleep(NOTHING);
            lab.wait_for_holder("gw1", VIP, LONG)?;
            probe.wait_for("gw1", LONG)?;
            let end = Instant::now();
            let outage = probe.trace_until(end).outage([begin, end]);
            figure(
                "S-16",
                &format!("priority {priority}, interval {interval}0 ms: outage {outage:?}"),
            );
            outages.push(outage);
        }
    }
    judge("S-16", "one forged packet costs clients", outages, COST);
    assert!(members[0].log().contains("other_interval"), "{}", members[0].log());
    Ok(())
}
