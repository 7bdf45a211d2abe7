//! S-11 and S-12: two that both take themselves for the active one, and meet.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use integration::vrrp_lab::{self as lab, *};

use crate::vrrp_member::*;

/// Three intervals and a skew of priority 90.
const DOWN: Duration = Duration::from_millis(365);

/// Both start apart from each other, and hold the address when they meet.
fn meet(lab: &Lab, pair: Pair, settings: &Settings) -> Result<[Member; 2]> {
    lab.isolate("gw1")?;
    let first = Member::start(lab, "gw1", pair[0], settings)?;
    let second = Member::start(lab, "gw2", pair[1], settings)?;
    lab.wait_for_holders(&["gw1", "gw2"], VIP, LONG)?;
    lab.heal("gw1")?;
    Ok([first, second])
}

/// How long both held the address from `event` until one of them does alone.
fn settling(lab: &Lab, winner: &str, event: Instant) -> Result<Duration> {
    lab.wait_for_holder(winner, VIP, LONG)?;
    let end = Instant::now();
    // It stays so.
    std::thread::sleep(2 * DOWN);
    lab.wait_for_holder(winner, VIP, LONG)?;
    Ok(lab.dual(["gw1", "gw2"], VIP, [event, end]))
}

#[test]
fn s11_of_two_active_gateways_with_the_same_priority_the_higher_address_stays() -> Result<()> {
    let mut times = Vec::new();
    for pair in [PK, KP, PP] {
        let Some(lab) = or_skip("S-11, equal", || Lab::new(2)) else { return Ok(()) };
        let members = meet(&lab, pair, &Settings::new(100))?;
        let event = Instant::now();
        let logs = || members.iter().map(Member::log).collect::<String>();
        times.push(settling(&lab, "gw2", event).with_context(logs)?);
    }
    judge("S-11", "equal priority, both hold it after they met", times, INTERVAL + NOISE / 10);
    Ok(())
}

#[test]
fn s11_two_backups_of_the_same_priority_do_not_fight() -> Result<()> {
    for pair in [PK, KP, PP] {
        let Some(lab) = or_skip("S-11, no fight", || Lab::new(2)) else { return Ok(()) };
        let settings = Settings::new(100);
        let first = Member::start(&lab, "gw1", pair[0], &settings)?;
        lab.wait_for_holder("gw1", VIP, LONG)?;
        let second = Member::start(&lab, "gw2", pair[1], &settings)?;
        assert!(lab::wait(LONG, || second.log().contains("Entering BACKUP STATE")));
        std::thread::sleep(4 * DOWN);
        assert_eq!(lab.holders(VIP), ["gw1"], "{}:\n{}", name(pair), second.log());
        assert_eq!(count(&first.log(), "Entering MASTER STATE"), 1);
        assert_eq!(lab.changes("gw2", VIP), []);
    }
    figure("S-11", "equal priority: the one that has it keeps it (criterion: no move)");
    Ok(())
}

#[test]
fn s11_two_owners_settle_to_one_and_say_loudly_what_is_wrong() -> Result<()> {
    let mut times = Vec::new();
    for pair in [PK, KP, PP] {
        let Some(lab) = or_skip("S-11, owners", || Lab::new(2)) else { return Ok(()) };
        let mut settings = Settings::new(255);
        settings.master = true;
        lab.isolate("gw1")?;
        let first = Member::start(&lab, "gw1", pair[0], &settings)?;
        let second = Member::start(&lab, "gw2", pair[1], &settings)?;
        let members = [first, second];
        lab.wait_for_holders(&["gw1", "gw2"], VIP, LONG)?;
        // keepalived leaves without a word: so that the product hears of it, it hears first.
        match pair {
            PK => lab.deafen("gw2")?,
            KP => lab.mute("gw2")?,
            _ => {}
        }
        lab.heal("gw1")?;
        let told = |member: &Member| {
            matches!(member, Member::Keepalived(_))
                || lab::wait(LONG, || member.log().contains("two_owners"))
        };
        if pair != PP {
            assert!(members.iter().all(told), "{}", members[0].log());
            lab.heal("gw2")?;
        }
        let event = Instant::now();
        let logs = || members.iter().map(Member::log).collect::<Vec<_>>().join("\n--\n");
        let one = || lab.holders(VIP).len() == 1;
        // keepalived stands down to priority 254: it is not the addresses that decide then.
        assert!(lab::wait(LONG, one), "{}", logs());
        std::thread::sleep(4 * DOWN);
        let end = Instant::now();
        assert!(one(), "{:?}\n{}", lab.holders(VIP), logs());
        times.push(lab.dual(["gw1", "gw2"], VIP, [event, end]));
        if pair == PP {
            assert_eq!(lab.holders(VIP), ["gw2"], "{}", logs());
        }
        // keepalived may have left before it heard of the other.
        let loud = members.iter().filter(|member| member.log().contains("CONFIGURATION ERROR"));
        let loud = loud.count();
        assert!(loud > 0, "{}", logs());
        if pair == PP {
            assert!(members.iter().all(|member| member.log().contains("two_owners")), "{}", logs());
        }
        figure("S-11", &format!("{} both 255: {loud} of 2 say it (criterion: loud)", name(pair)));
    }
    judge("S-11", "both 255, both hold it after they met", times, INTERVAL + NOISE / 10);
    Ok(())
}

/// Two gateways with one address of their own. Nothing but the people who set it up can cure that.
#[test]
fn s11_a_peer_with_the_same_source_address_raises_an_alarm() -> Result<()> {
    let Some(lab) = or_skip("S-11, same address", || Lab::new(2)) else { return Ok(()) };
    lab.ip("gw2", "addr del 10.77.0.12/24 dev eth0")?;
    lab.ip("gw2", "addr add 10.77.0.11/24 dev eth0")?;
    let members = ["gw1", "gw2"]
        .map(|gateway| Member::start(&lab, gateway, Who::Product, &Settings::new(100)).unwrap());
    let told = || members.iter().all(|member| member.log().contains("own_address"));
    assert!(lab::wait(LONG, told), "{}", members.each_ref().map(Member::log).join("\n--\n"));
    // Once there is only one, the alarm is over.
    lab.cut("gw2")?;
    let over = || members[0].log().contains("the alarm is over");
    assert!(lab::wait(2 * LONG, over), "{}", members[0].log());
    figure("S-11", "the same source address: alarm own_address on both (criterion: loud error)");
    Ok(())
}

/// What a client lost from the heal on. `check` looks at the frames since then, of gw1, which wins, and gw2.
fn rejoin(
    pair: Pair,
    times: usize,
    watch: Duration,
    check: impl Fn(&Sniffer, [Instant; 2]),
) -> Result<Option<Vec<Duration>>> {
    let Some(lab) = or_skip("S-12", || Lab::new(2)) else { return Ok(None) };
    let members = settled(&lab, pair)?;
    let _services = ["gw1", "gw2"].map(|gateway| Echo::start(&lab, gateway, VIP).unwrap());
    let probe = Probe::start(&lab, VIP)?;
    let sniffer = lab.sniff()?;
    probe.wait_for("gw1", LONG)?;
    let mut outages = Vec::new();
    for _ in 0..times {
        lab.isolate("gw1")?;
        let event = Instant::now();
        probe.wait_for("gw2", LONG)?;
        std::thread::sleep((2 * DOWN).saturating_sub(event.elapsed()));
        lab.wait_for_holders(&["gw1", "gw2"], VIP, LONG)?;
        let healed = Instant::now();
        lab.heal("gw1")?;
        let logs = || members.iter().map(Member::log).collect::<Vec<_>>().join("\n--\n");
        lab.wait_for_holder("gw1", VIP, LONG).with_context(logs)?;
        std::thread::sleep(watch.saturating_sub(healed.elapsed()));
        probe.wait_for("gw1", LONG)?;
        let end = Instant::now();
        outages.push(probe.trace_until(end).outage([healed, end]));
        check(&sniffer, [healed, end]);
        assert_eq!(lab.holders(VIP), ["gw1"]);
    }
    Ok(Some(outages))
}

/// The loser advertises once more where it is the product, and the winner announces itself after that.
fn parts_and_announces(sniffer: &Sniffer, window: [Instant; 2]) {
    let frames = sniffer.between(window);
    let heard = frames.iter().position(|frame| frame.place == "gw1" && frame.vrrp().is_some());
    let after = &frames[heard.expect("gw1 advertises")..];
    // Not one of priority 1, which only asks.
    let advertises = |frame: &Frame| frame.vrrp().is_some_and(|vrrp| vrrp.priority > 1);
    let last = after.iter().rposition(|frame| frame.place == "gw2" && advertises(frame));
    let last = last.expect("gw2 advertises once more when it has heard gw1");
    let announced = |frame: &Frame| frame.place == "gw1" && frame.announces(VIP);
    assert!(after[last..].iter().any(announced), "gw1 announces nothing after gw2 has left");
}

/// The loser alone: what keepalived announces is its own affair.
fn last_of_the_product(sniffer: &Sniffer, window: [Instant; 2]) {
    let frames = sniffer.between(window);
    let heard = frames.iter().position(|frame| frame.place == "gw1" && frame.vrrp().is_some());
    let mut after = frames[heard.expect("gw1 advertises")..].iter();
    let said = after.any(|frame| frame.place == "gw2" && frame.vrrp().is_some());
    assert!(said, "gw2 advertises once more when it has heard gw1");
}

#[test]
fn s12_after_a_silent_partition_no_client_is_left_with_a_stale_neighbour() -> Result<()> {
    let watch = Duration::from_secs(2);
    let criterion = INTERVAL + Duration::from_millis(20);
    let what = |pair| format!("{} outage after the heal", name(pair));
    let Some(outages) = rejoin(PP, runs(4), watch, parts_and_announces)? else { return Ok(()) };
    judge("S-12", &what(PP), outages, criterion);
    let Some(outages) = rejoin(KP, runs(3), watch, last_of_the_product)? else { return Ok(()) };
    judge("S-12", &what(KP), outages, criterion);
    if std::env::var_os("VRRP_RUNS").is_some() {
        let long = Duration::from_secs(30);
        let Some(outages) = rejoin(PP, 1, long, parts_and_announces)? else { return Ok(()) };
        judge("S-12", "PP outage after the heal, watched for 30 s", outages, criterion);
    }
    Ok(())
}

/// keepalived leaves without a word, so that the winner has nothing to notice: its refresh has to do.
#[test]
fn s12_where_keepalived_loses_the_winner_announces_itself_again_and_again() -> Result<()> {
    let Some(lab) = or_skip("S-12 PK", || Lab::new(2)) else { return Ok(()) };
    let refreshed = config(&Settings::new(100)) + "garp = { refresh = \"1s\" }\n";
    let _first = Gateway::start(&lab, "gw1", &refreshed)?;
    lab.wait_for_holder("gw1", VIP, LONG)?;
    let second = Member::start(&lab, "gw2", Who::Keepalived, &Settings::new(90))?;
    let _services = ["gw1", "gw2"].map(|gateway| Echo::start(&lab, gateway, VIP).unwrap());
    let probe = Probe::start(&lab, VIP)?;
    let sniffer = lab.sniff()?;
    probe.wait_for("gw1", LONG)?;
    let mut outages = Vec::new();
    for _ in 0..runs(1) {
        lab.isolate("gw1")?;
        lab.wait_for_holders(&["gw1", "gw2"], VIP, LONG)?;
        probe.wait_for("gw2", LONG)?;
        let healed = Instant::now();
        lab.heal("gw1")?;
        lab.wait_for_holder("gw1", VIP, LONG).with_context(|| second.log())?;
        probe.wait_for("gw1", LONG)?;
        // The bursts at the rejoin and 5 s later are over: what follows is the refresh.
        let burst = Instant::now() + Duration::from_secs(6);
        let announced = |frame: &Frame| frame.place == "gw1" && frame.announces(VIP);
        let first = sniffer.wait_for(burst, LONG, announced).context("no refresh")?;
        let more = first.at + Duration::from_millis(200);
        sniffer.wait_for(more, LONG, announced).context("no second refresh")?;
        let end = Instant::now();
        outages.push(probe.trace_until(end).outage([healed, end]));
    }
    figure("S-12", "PK, refresh = 1 s, the loser silent: two refreshes seen after the bursts");
    let worst = outages.iter().max().context("no run")?;
    let held = if *worst <= INTERVAL + Duration::from_millis(20) { "held" } else { "MISSED" };
    figure("S-12", &format!("PK outage after the heal: {worst:?} (criterion: 120ms, {held})"));
    // What the refresh promises.
    assert!(*worst <= Duration::from_secs(1) + NOISE, "{worst:?}");
    Ok(())
}
