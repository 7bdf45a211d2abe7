//! A pair of members that share an address, the service on both, and a client.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use integration::vrrp_lab::{self as lab, *};

use super::vrrp_member::{self as member, INTERVAL, LONG, Member, Who};

/// A lab with `gw1` of priority 100, which holds [`VIP`], `gw2` of priority 90, the service on both, and a client.
pub(crate) struct Pair {
    who: Who,
    /// None between its end and its restart.
    first: Option<Member>,
    pub(crate) second: Member,
    pub(crate) service: Option<Echo>,
    _other: Echo,
    pub(crate) probe: Probe,
    pub(crate) lab: Lab,
}

impl Pair {
    pub(crate) fn set(lab: Lab, who: member::Pair) -> Result<Self> {
        let [first, second] = member::settled(&lab, who)?;
        Self::equip(lab, who[0], [first, second])
    }

    /// The same of members that have settled.
    pub(crate) fn equip(lab: Lab, who: Who, [first, second]: [Member; 2]) -> Result<Self> {
        let service = Some(Echo::start(&lab, "gw1", VIP)?);
        let other = Echo::start(&lab, "gw2", VIP)?;
        let probe = Probe::start(&lab, VIP)?;
        let pair = Self { who, first: Some(first), second, service, _other: other, probe, lab };
        pair.wait_for("gw1")?;
        Ok(pair)
    }

    /// `gw1`.
    pub(crate) fn first(&mut self) -> &mut Member {
        self.first.as_mut().unwrap()
    }

    /// Waits until this one alone holds the address and serves the client. Gives when that was seen.
    pub(crate) fn wait_for(&self, gateway: &str) -> Result<Instant> {
        let settled = self.lab.wait_for_holder(gateway, VIP, LONG);
        settled
            .with_context(|| format!("{}\ngw2 says:\n{}", self.first_says(), self.second.log()))?;
        self.probe.wait_for(gateway, LONG)?;
        Ok(Instant::now())
    }

    fn first_says(&self) -> String {
        self.first.as_ref().map_or_else(String::new, |first| format!("gw1 says:\n{}", first.log()))
    }

    /// Ends `gw1` for good and starts it anew, and the service if it is gone. Waits until it holds the address, and
    /// gives the time that took.
    pub(crate) fn restart_first(&mut self) -> Result<[Instant; 2]> {
        self.first = None;
        if self.service.is_none() {
            self.service = Some(Echo::start(&self.lab, "gw1", VIP)?);
        }
        let start = Instant::now();
        self.first = Some(Member::start(&self.lab, "gw1", self.who, &Settings::new(100))?);
        let end = self.wait_for("gw1")?;
        Ok([start, end])
    }
}

/// How often a member has entered a state, in keepalived's words.
pub(crate) fn entered(member: &Member, state: &str) -> usize {
    member.log().matches(&format!("Entering {state} STATE")).count()
}

/// Waits until it has entered a state this often.
pub(crate) fn wait_for_entry(member: &Member, state: &str, times: usize) -> Result<()> {
    let there = lab::wait(LONG, || entered(member, state) >= times);
    anyhow::ensure!(there, "did not enter {state} {times} times:\n{}", member.log());
    Ok(())
}

/// How long after `event` a gateway's kernel lost [`VIP`] for the first time.
pub(crate) fn lost_after(lab: &Lab, gateway: &str, event: Instant) -> Option<Duration> {
    change_after(lab, gateway, event, false)
}

/// How long after `event` a gateway's kernel got [`VIP`] for the first time.
pub(crate) fn got_after(lab: &Lab, gateway: &str, event: Instant) -> Option<Duration> {
    change_after(lab, gateway, event, true)
}

fn change_after(lab: &Lab, gateway: &str, event: Instant, added: bool) -> Option<Duration> {
    let mut changes = lab.changes(gateway, VIP).into_iter();
    changes.find(|change| change.at >= event && change.added == added).map(|c| c.at - event)
}

/// Time goes by without an event: two intervals and a part of one, as events do not keep to advertisements.
pub(crate) fn rest() {
    std::thread::sleep(INTERVAL * 2 + INTERVAL * fastrand::u32(0..100) / 100);
}

/// Lets time go by in which something is not to happen.
pub(crate) fn watch(time: Duration) {
    std::thread::sleep(time);
}

/// How many seconds a scenario watches what is not to happen: as told, or with `VRRP_RUNS` as long as in its table.
pub(crate) fn span(usual: u64, thoroughly: u64) -> Duration {
    let thorough = std::env::var_os("VRRP_RUNS").is_some();
    Duration::from_secs(if thorough { thoroughly } else { usual })
}

/// The skew time of this priority (RFC 9568, 6.1).
pub(crate) fn skew(interval: Duration, priority: u8) -> Duration {
    interval * (256 - u32::from(priority)) / 256
}

/// Runs cases side by side, each with its own lab.
pub(crate) fn side_by_side<T: Copy + Send + Sync>(
    cases: &[T],
    run: impl Fn(T) -> Result<()> + Sync,
) -> Result<()> {
    let run = &run;
    std::thread::scope(|scope| {
        let threads: Vec<_> = cases.iter().map(|case| scope.spawn(move || run(*case))).collect();
        // All are waited for, so that each tells its figures.
        let done: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        done.into_iter().collect()
    })
}
