//! S-18 and S-19: no processor to spare, many gateways, many virtual routers.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use integration::target;
use integration::vrrp_lab::{self as lab, *};

use crate::front::heavy;
use crate::vrrp_member::*;

/// Keeps all processors busy until dropped.
struct Burn(Vec<std::process::Child>);

impl Burn {
    /// Twice as many loops as there are processors.
    fn start() -> Result<Self> {
        let loops = 2 * std::thread::available_parallelism()?.get();
        let mut burn = Self(Vec::new());
        for _ in 0..loops {
            // It gives up by itself should the test be killed.
            let mut command = std::process::Command::new("timeout");
            command.args(["120", "sh", "-c", "while :; do :; done"]);
            burn.0.push(command.spawn()?);
        }
        Ok(burn)
    }
}

impl Drop for Burn {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // timeout passes SIGTERM on to the loop.
            let id = rustix::process::Pid::from_child(child);
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
            let _ = child.wait();
        }
    }
}

/// What the gateway says where it gets none.
const REFUSED: &str = "no real-time priority for VRRP";

/// One router at the usual interval and one at the shortest, of which either has one.
fn two_routers(priority: u8) -> String {
    let mut fast = Settings::new(priority);
    (fast.vrid, fast.interval) = (52, 0.01);
    fast.addresses = vec!["10.77.0.102".to_owned()];
    config(&Settings::new(priority)) + &router("fast", &fast)
}

#[test]
fn s18_no_state_changes_while_busy_loops_have_all_processors() -> Result<()> {
    let _alone = heavy();
    let Some(lab) = or_skip("S-18", || Lab::new(2)) else { return Ok(()) };
    let fast = "10.77.0.102".parse()?;
    let members = [("gw1", 100), ("gw2", 90)]
        .map(|(gateway, priority)| Gateway::start(&lab, gateway, &two_routers(priority)).unwrap());
    lab.wait_for_holder("gw1", VIP, LONG)?;
    lab.wait_for_holder("gw1", fast, LONG)?;
    let settled = |log: &str| count(log, "Entering");
    std::thread::sleep(Duration::from_millis(500));
    let before = members.each_ref().map(|member| settled(&member.log()));

    let seconds = if std::env::var_os("VRRP_RUNS").is_some() { 60 } else { 10 };
    let burn = Burn::start()?;
    let begin = Instant::now();
    std::thread::sleep(Duration::from_secs(seconds));
    let end = Instant::now();
    drop(burn);

    let logs = members.each_ref().map(Gateway::log);
    let changes: usize = logs.iter().zip(before).map(|(log, before)| settled(log) - before).sum();
    if let Some(reason) =
        logs.iter().flat_map(|log| log.lines()).find(|line| line.contains(REFUSED))
    {
        // Without it nothing can be promised, and the gateway says so.
        figure("SKIPPED S-18", &format!("{changes} changes in {seconds} s: {reason}"));
        return Ok(());
    }
    for member in &members {
        let status = std::fs::read_to_string(format!("/proc/{}/status", member.vrrp_process()?))?;
        let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:"));
        let locked = locked.and_then(|size| size.split_ascii_whitespace().next()?.parse().ok());
        let refused = member.log().contains("memory of VRRP is not locked");
        assert!(refused || locked.is_some_and(|kilobytes: u64| kilobytes > 0), "{status}");
    }
    figure(
        "S-18",
        &format!("busy loops for {seconds} s, 100 ms and 10 ms: {changes} changes (criterion: 0)"),
    );
    assert_eq!(changes, 0, "{}", logs.join("\n--\n"));
    for address in [VIP, fast] {
        let moves: Vec<_> = lab.changes("gw1", address);
        assert!(moves.iter().all(|change| change.at < begin || change.at > end), "{moves:?}");
        assert_eq!(lab.holders(address), ["gw1"]);
    }
    Ok(())
}

#[test]
fn s19_of_three_gateways_two_of_which_are_killed_in_turn_one_has_the_address() -> Result<()> {
    let Some(lab) = or_skip("S-19", || Lab::new(3)) else { return Ok(()) };
    let mut members = ["gw1", "gw2", "gw3"]
        .iter()
        .zip([100, 90, 80])
        .map(|(gateway, priority)| {
            Member::start(&lab, gateway, Who::Product, &Settings::new(priority))
        })
        .collect::<Result<Vec<_>>>()?;
    lab.wait_for_holder("gw1", VIP, LONG)?;
    let mut times = Vec::new();
    for (dead, next) in [(0, "gw2"), (1, "gw3")] {
        let gateway = format!("gw{}", dead + 1);
        let event = Instant::now();
        // The gateway alone: its other process sees to the rest.
        members[dead].product().kill_gateway()?;
        lab.wait_for_holder(next, VIP, LONG)?;
        times.push(change(&lab, next, VIP, true, event).unwrap() - event);
        let gone = change(&lab, &gateway, VIP, false, event).unwrap() - event;
        figure("S-19", &format!("{gateway} killed: the address is gone from it after {gone:?}"));
    }
    std::thread::sleep(5 * INTERVAL);
    assert_eq!(lab.holders(VIP), ["gw3"]);
    // The skews of priority 90 and 80 are 4 ms apart: on a busy machine both may take it, and the lower one leaves.
    let moves = ["gw2", "gw3"].map(|gateway| lab.changes(gateway, VIP).len());
    figure("S-19", &format!("changes at gw2 and gw3: {moves:?} (criterion: [2, 1])"));
    // Skew of priority 80, and 15 ms.
    judge("S-19", "killed, taken by the next", times, Duration::from_millis(84));
    Ok(())
}

/// Processor time that a process has used.
fn used(process: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> =
        stat.rsplit_once(')').context("stat")?.1.split_ascii_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    let a_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_millis(ticks * 1000 / a_second))
}

#[test]
fn s19_all_255_virtual_routers_have_one_holder_each_and_take_little_time() -> Result<()> {
    let _alone = heavy();
    let Some(lab) = or_skip("S-19, 255", || Lab::new(2)) else { return Ok(()) };
    let many = |priority: u8| {
        let mut text = config(&Settings::new(priority));
        for vrid in (1..=255).filter(|vrid| *vrid != 51) {
            let mut settings = Settings::new(priority);
            settings.vrid = vrid;
            settings.addresses = vec![format!("10.77.1.{vrid}")];
            text += &router(&format!("r{vrid}"), &settings);
        }
        text
    };
    let members = [("gw1", 100), ("gw2", 90)]
        .map(|(gateway, priority)| Gateway::start(&lab, gateway, &many(priority)).unwrap());
    let address = |vrid: u8| format!("10.77.1.{vrid}").parse().unwrap();
    let all =
        || (1..=255).filter(|vrid| *vrid != 51).all(|vrid| lab.holders(address(vrid)) == ["gw1"]);
    assert!(lab::wait(LONG, all), "{}", members[1].log());
    // The gratuitous ARP that follows 5 s after a take-over is past as well.
    std::thread::sleep(Duration::from_secs(6));
    let state = |member: &Gateway| count(&member.log(), "Entering");
    let before = members.each_ref().map(state);

    let processes = members.each_ref().map(|member| member.vrrp_process().unwrap());
    let (begin, start) = (Instant::now(), processes.map(|process| used(process).unwrap()));
    std::thread::sleep(Duration::from_secs(5));
    let time = begin.elapsed();
    let share = [0, 1].map(|index| {
        let took = used(processes[index]).unwrap() - start[index];
        100.0 * took.as_secs_f64() / time.as_secs_f64()
    });
    let build = target::gateway()?;
    let release = build.components().any(|part| part.as_os_str() == "release");
    let held = if share.iter().all(|share| *share < 5.0) { "held" } else { "MISSED" };
    figure(
        "S-19",
        &format!(
            "255 virtual routers, {} build: {:.1} % of a core where active, {:.1} % where backup \
             (criterion: 5 %, {held})",
            if release { "release" } else { "debug" },
            share[0],
            share[1]
        ),
    );
    assert!(all());
    assert_eq!(members.each_ref().map(state), before, "{}", members[1].log());
    assert!(share.iter().all(|share| *share < if release { 15.0 } else { 90.0 }), "{share:?}");
    Ok(())
}
