//! The laboratory for virtual routers keeps its own promises, with real keepalived in it.

use std::time::{Duration, Instant};

use anyhow::Result;
use integration::vrrp_lab::{self as lab, *};

/// keepalived needs a second for the first move; the rest is for a busy machine.
const LONG: Duration = Duration::from_secs(20);

fn pair(lab: &Lab) -> Result<[Keepalived; 2]> {
    let first = Keepalived::start(lab, "gw1", &Settings::new(100))?;
    let second = Keepalived::start(lab, "gw2", &Settings::new(90))?;
    lab.wait_for_holder("gw1", VIP, LONG)?;
    second.wait_for_state("BACKUP", LONG)?;
    Ok([first, second])
}

#[test]
fn two_keepalived_settle_to_one_holder_and_a_client_sees_the_takeover_after_a_crash() -> Result<()>
{
    let Some(lab) = or_skip("lab, crash", || Lab::new(2)) else { return Ok(()) };
    let [mut first, second] = pair(&lab)?;
    first.wait_for_state("MASTER", LONG)?;
    let service = Echo::start(&lab, "gw1", VIP)?;
    let _other = Echo::start(&lab, "gw2", VIP)?;
    let probe = Probe::start(&lab, VIP)?;
    probe.wait_for("gw1", LONG)?;

    let crash = Instant::now();
    drop(service);
    first.kill()?;
    probe.wait_for("gw2", LONG)?;
    let end = Instant::now();

    let trace = probe.trace_until(end);
    let (outage, take) = (trace.outage([crash, end]), trace.take(crash, "gw1").unwrap());
    figure(
        "lab",
        &format!("crash of keepalived: outage {outage:?}, take {take:?} (criterion: 380 ms)"),
    );
    assert!(outage > Duration::from_millis(100) && take >= outage, "{outage:?} {take:?}");
    assert!(trace.lost([crash, end]) > 10 && trace.last() == Some("gw2"));
    // A killed keepalived leaves its address in the kernel.
    assert_eq!(lab.holders(VIP), ["gw1", "gw2"]);
    // At the start, the second may have been a moment faster than the first.
    let taken = lab.changes("gw2", VIP).into_iter().find(|change| change.at >= crash).unwrap().at;
    let dual = lab.dual(["gw1", "gw2"], VIP, [crash, end]);
    assert_eq!(dual, end - taken);
    assert!(second.log().contains("Entering MASTER STATE"));
    Ok(())
}

#[test]
fn a_goodbye_is_seen_as_priority_0_by_the_sniffer_and_takes_the_address_away() -> Result<()> {
    let Some(lab) = or_skip("lab, goodbye", || Lab::new(2)) else { return Ok(()) };
    let [mut first, _second] = pair(&lab)?;
    let sniffer = lab.sniff()?;
    let from = Instant::now();
    let first_heard = |frame: &Frame| frame.place == "gw1" && frame.vrrp().is_some();
    let advertisement = sniffer.wait_for(from, LONG, first_heard).unwrap();
    assert_eq!(advertisement.source, lab::mac("gw1")?);
    let said = advertisement.vrrp().unwrap();
    assert_eq!(
        (said.version, said.vrid, said.priority, said.interval, said.ttl),
        (3, 51, 100, 10, 255)
    );
    assert_eq!(said.from, lab::address("gw1")?);

    let event = Instant::now();
    first.terminate()?;
    let goodbye =
        sniffer.wait_for(event, LONG, |frame| frame.vrrp().is_some_and(|said| said.priority == 0));
    assert_eq!(goodbye.unwrap().place, "gw1");
    lab.wait_for_holder("gw2", VIP, LONG)?;
    let announced = sniffer.wait_for(event, LONG, |frame| frame.announces(VIP)).unwrap();
    assert_eq!(announced.place, "gw2");
    assert!(first.wait(LONG)?.success());
    Ok(())
}

#[test]
fn each_fault_of_a_link_does_what_its_name_says_and_heals() -> Result<()> {
    let Some(lab) = or_skip("lab, faults", || Lab::new(2)) else { return Ok(()) };
    let [mut first, second] = pair(&lab)?;
    let (sniffer, at_second) = (lab.sniff()?, lab.sniff_in("gw2")?);
    let from_first = |frame: &Frame| frame.place == "gw1" && frame.vrrp().is_some();
    let arrived =
        |frame: &Frame| frame.vrrp().is_some() && frame.source == lab::mac("gw1").unwrap();

    for fault in [Lab::mute, Lab::isolate] {
        fault(&lab, "gw1")?;
        second.wait_for_state("MASTER", LONG)?;
        lab.wait_for_holders(&["gw1", "gw2"], VIP, LONG)?;
        let later = Instant::now();
        assert!(sniffer.wait_for(later, LONG, from_first).is_some(), "it still sends");
        assert!(at_second.between([later, Instant::now()]).iter().all(|frame| !arrived(frame)));
        lab.heal("gw1")?;
        second.wait_for_state("BACKUP", LONG)?;
        lab.wait_for_holder("gw1", VIP, LONG)?;
        assert!(at_second.wait_for(later, LONG, arrived).is_some());
    }

    lab.deafen("gw2")?;
    second.wait_for_state("MASTER", LONG)?;
    assert!(
        lab::wait(LONG, || first.log().contains("with lower priority")),
        "it heard gw2, which is deaf and not mute"
    );
    lab.heal("gw2")?;
    lab.wait_for_holder("gw1", VIP, LONG)?;

    lab.cut("gw1")?;
    first.wait_for_state("FAULT", LONG)?;
    lab.wait_for_holder("gw2", VIP, LONG)?;
    lab.heal("gw1")?;
    lab.wait_for_holder("gw1", VIP, LONG)?;

    first.pause()?;
    second.wait_for_state("MASTER", LONG)?;
    first.resume()?;
    second.wait_for_state("BACKUP", LONG)?;
    Ok(())
}

#[test]
fn a_muted_gateway_serves_on_over_ipv4_and_ipv6() -> Result<()> {
    let Some(lab) = or_skip("lab, mute", || Lab::new(1)) else { return Ok(()) };
    lab.ip("gw1", &format!("addr add {VIP}/32 dev eth0"))?;
    lab.ip("gw1", &format!("addr add {VIP6}/128 dev eth0 nodad"))?;
    assert!(lab::wait(LONG, || lab.holds("gw1", VIP) && lab.holds("gw1", VIP6)));
    let _services = [VIP, VIP6].map(|address| Echo::start(&lab, "gw1", address).unwrap());
    let probes = [VIP, VIP6].map(|address| Probe::start(&lab, address).unwrap());
    let sender = RawSender::new(&lab, "gw1")?;
    let at_client = lab.sniff_in(CLIENT)?;
    let heard =
        |v6: bool| move |frame: &Frame| frame.vrrp().is_some_and(|said| said.from.is_ipv6() == v6);
    let message = [0x31, 51, 100, 0, 0, 10, 0, 0];
    let send = || {
        sender.advertise(&message).unwrap();
        sender.send_v6("ff02::12".parse().unwrap(), 255, &message).unwrap();
    };

    let start = Instant::now();
    send();
    for v6 in [false, true] {
        let frame = at_client.wait_for(start, LONG, heard(v6)).unwrap();
        assert_eq!(
            (frame.vrrp().unwrap().ttl, &frame.vrrp().unwrap().message[..]),
            (255, &message[..])
        );
    }
    lab.mute("gw1")?;
    let muted = Instant::now();
    send();
    for probe in &probes {
        probe.wait_for("gw1", LONG)?;
    }
    // What was sent before the answers came has not come.
    assert!(at_client.between([muted, Instant::now()]).iter().all(|frame| frame.vrrp().is_none()));
    lab.ip("gw1", &format!("addr del {VIP}/32 dev eth0"))?;
    assert!(lab::wait(LONG, || !lab.holds("gw1", VIP)));
    Ok(())
}

#[test]
fn keepalived_takes_each_setting_that_the_lab_can_write() -> Result<()> {
    let Some(lab) = or_skip("lab, settings", || Lab::new(2)) else { return Ok(()) };
    let told = lab.dir()?.join("told");
    let mut old = Settings::new(100);
    old.version = 2;
    old.master = true;
    old.interval = 1.0;
    old.password = Some("secret".to_owned());
    old.peers = vec![lab::address("gw2")?.into()];
    old.notify = Some(format!("echo \"$@\" >> {}", told.display()));
    old.track = Some(TrackScript {
        command: "true".to_owned(),
        interval: 1,
        fall: 2,
        rise: 2,
        weight: -20,
    });
    let first = Keepalived::start(&lab, "gw1", &old)?;
    let mut new = Settings::new(90);
    new.vrid = 52;
    new.nopreempt = true;
    new.vmac = true;
    new.addresses = vec!["fe80::52".to_owned(), VIP6.to_string()];
    new.extra = "  garp_master_refresh 1".to_owned();
    new.global = "  vrrp_garp_interval 0.001".to_owned();
    let sniffer = lab.sniff()?;
    let mut second = Keepalived::start(&lab, "gw2", &new)?;

    lab.wait_for_holder("gw1", VIP, LONG)?;
    lab.wait_for_holder("gw2", VIP6, LONG)?;
    let written = || std::fs::read_to_string(&told).unwrap_or_default();
    assert!(lab::wait(LONG, || written().contains("INSTANCE lab MASTER 100")), "{}", written());
    let since = Instant::now();
    let old = sniffer
        .wait_for(since, LONG, |frame| frame.place == "gw1" && frame.vrrp().is_some())
        .unwrap();
    let old = old.vrrp().unwrap();
    assert_eq!((old.version, old.to), (2, lab::address("gw2")?.into()));
    assert_eq!(&old.message[12..], b"secret\0\0", "the password");
    let new_one = sniffer
        .wait_for(since, LONG, |frame| frame.place == "gw2" && frame.vrrp().is_some())
        .unwrap();
    assert_eq!((new_one.vrrp().unwrap().vrid, new_one.source), (52, Mac([0, 0, 0x5e, 0, 2, 52])));
    assert!(sniffer.wait_for(since, LONG, |frame| frame.announces(VIP6)).is_some());

    new.nopreempt = false;
    new.preempt_delay = Some(1.0);
    new.addresses.push("fd77::101".to_owned());
    second.reload(&new)?;
    lab.wait_for_holder("gw2", "fd77::101".parse()?, LONG)?;
    for log in [first.log(), second.log()] {
        assert!(!log.contains("nknown keyword") && !log.contains("rror"), "{log}");
    }
    second.terminate()?;
    assert!(second.wait(LONG)?.success());
    assert!(lab.holders(VIP6).is_empty());
    Ok(())
}
