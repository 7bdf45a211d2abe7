//! What scenarios of virtual routers share: a gateway with as little as it needs, keepalived or another gateway beside it,
//! and figures with their criteria.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use integration::vrrp_lab::{self as lab, *};

/// For anything that a busy machine may delay.
pub(crate) const LONG: Duration = Duration::from_secs(30);
/// What a busy machine may add to a time that a scenario has a criterion for, before that counts as a failure.
pub(crate) const SLACK: Duration = Duration::from_secs(1);
/// The advertisement interval of most scenarios.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);

/// A gateway's virtual router. [`Router::new`] is version 3, 100 ms, VRID 51, multicast, [`VIP`]: as [`Settings::new`].
#[derive(Debug, Clone)]
pub(crate) struct Router {
    pub(crate) version: u8,
    pub(crate) priority: u8,
    pub(crate) interval: Duration,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) peers: Vec<IpAddr>,
    /// Further lines for `[vrrp.lab]`.
    pub(crate) extra: String,
    /// Further tables.
    pub(crate) tables: String,
}

impl Router {
    pub(crate) fn new(priority: u8) -> Self {
        Self {
            version: 3,
            priority,
            interval: INTERVAL,
            addresses: vec![VIP],
            peers: Vec::new(),
            extra: String::new(),
            tables: String::new(),
        }
    }

    /// With further lines for `[vrrp.lab]`.
    pub(crate) fn with(mut self, extra: &str) -> Self {
        self.extra += extra;
        self.extra.push('\n');
        self
    }

    /// A whole configuration. Its only node is never there, which nobody minds.
    pub(crate) fn config(&self) -> String {
        let Self { version, priority, interval, addresses, peers, extra, tables } = self;
        let list =
            |of: &[IpAddr]| of.iter().map(|address| format!("{address}")).collect::<Vec<_>>();
        let peers = match peers.is_empty() {
            true => String::new(),
            false => format!("peers = {:?}", list(peers)),
        };
        format!(
            "[gateway]\ndrain_timeout = \"1s\"\n\
             [admin]\nbind = \"127.0.0.1:0\"\n\
             [listener.amqp]\nbind = \"0.0.0.0:5672\"\ncluster = \"main\"\n\
             [cluster.main.node.only]\naddress = \"127.0.0.1:9\"\n\
             {tables}\n\
             [vrrp.lab]\ninterface = \"eth0\"\nvirtual_router_id = 51\nversion = {version}\n\
             priority = {priority}\nadvertisement_interval = \"{}ms\"\naddresses = {:?}\n{peers}\n{extra}",
            interval.as_millis(),
            list(addresses),
        )
    }

    /// Starts a gateway with it.
    pub(crate) fn start(&self, lab: &Lab, namespace: &str) -> Result<Gateway> {
        Gateway::start(lab, namespace, &self.config())
    }

    /// Its skew time.
    pub(crate) fn skew(&self) -> Duration {
        skew(self.interval, self.priority)
    }

    /// Its down timer.
    pub(crate) fn down_timer(&self) -> Duration {
        self.interval * 3 + self.skew()
    }
}

pub(crate) fn skew(interval: Duration, priority: u8) -> Duration {
    interval * (256 - u32::from(priority)) / 256
}

/// The gateway, or keepalived in its place.
#[derive(Debug)]
pub(crate) enum Member {
    Product(Gateway),
    Keepalived(Keepalived),
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Make {
    P,
    K,
}

impl Member {
    /// Version 3, 100 ms, [`VIP`].
    pub(crate) fn start(make: Make, lab: &Lab, namespace: &str, priority: u8) -> Result<Self> {
        Ok(match make {
            Make::P => Self::Product(Router::new(priority).start(lab, namespace)?),
            Make::K => {
                Self::Keepalived(Keepalived::start(lab, namespace, &Settings::new(priority))?)
            }
        })
    }

    pub(crate) fn terminate(&mut self) -> Result<()> {
        match self {
            Self::Product(gateway) => gateway.terminate(),
            Self::Keepalived(keepalived) => keepalived.terminate(),
        }
    }

    pub(crate) fn kill_all(&mut self) -> Result<()> {
        match self {
            Self::Product(gateway) => gateway.kill_both(),
            Self::Keepalived(keepalived) => keepalived.kill(),
        }
    }

    pub(crate) fn log(&self) -> String {
        match self {
            Self::Product(gateway) => gateway.log(),
            Self::Keepalived(keepalived) => keepalived.log(),
        }
    }

    /// How often it has entered a state, in keepalived's words.
    pub(crate) fn entered(&self, state: &str) -> usize {
        self.log().matches(&format!("Entering {state} STATE")).count()
    }

    /// Waits until it has entered a state this often.
    pub(crate) fn wait_for_entry(&self, state: &str, times: usize) -> Result<()> {
        let there = lab::wait(LONG, || self.entered(state) >= times);
        anyhow::ensure!(there, "did not enter {state} {times} times:\n{}", self.log());
        Ok(())
    }
}

/// A lab with `gw1` of priority 100, which holds [`VIP`], `gw2` of priority 90, the service on both, and a client.
pub(crate) struct Pair {
    makes: [Make; 2],
    /// None between its end and its restart.
    first: Option<Member>,
    pub(crate) second: Member,
    pub(crate) service: Option<Echo>,
    _other: Echo,
    pub(crate) probe: Probe,
    pub(crate) lab: Lab,
}

impl Pair {
    pub(crate) fn set(lab: Lab, makes: [Make; 2]) -> Result<Self> {
        let first = Member::start(makes[0], &lab, "gw1", 100)?;
        lab.wait_for_holder("gw1", VIP, LONG)?;
        let second = Member::start(makes[1], &lab, "gw2", 90)?;
        second.wait_for_entry("BACKUP", 1)?;
        let service = Some(Echo::start(&lab, "gw1", VIP)?);
        let other = Echo::start(&lab, "gw2", VIP)?;
        let probe = Probe::start(&lab, VIP)?;
        let pair = Self { makes, first: Some(first), second, service, _other: other, probe, lab };
        pair.wait_for("gw1")?;
        Ok(pair)
    }

    /// `gw1`.
    pub(crate) fn first(&mut self) -> &mut Member {
        self.first.as_mut().unwrap()
    }

    /// `gw1`, which is a gateway.
    pub(crate) fn product(&mut self) -> &mut Gateway {
        match self.first() {
            Member::Product(gateway) => gateway,
            Member::Keepalived(_) => panic!("gw1 is keepalived"),
        }
    }

    /// Waits until this one alone holds the address and serves the client. Gives when that was seen.
    pub(crate) fn wait_for(&self, gateway: &str) -> Result<Instant> {
        let settled = self.lab.wait_for_holder(gateway, VIP, LONG);
        settled.with_context(|| format!("gw2 says:\n{}", self.second.log()))?;
        self.probe.wait_for(gateway, LONG)?;
        Ok(Instant::now())
    }

    /// Ends `gw1` for good and starts it anew, and the service if it is gone. Waits until it holds the address, and
    /// gives the time that took.
    pub(crate) fn restart_first(&mut self) -> Result<[Instant; 2]> {
        self.first = None;
        if self.service.is_none() {
            self.service = Some(Echo::start(&self.lab, "gw1", VIP)?);
        }
        let start = Instant::now();
        self.first = Some(Member::start(self.makes[0], &self.lab, "gw1", 100)?);
        let end = self.wait_for("gw1")?;
        Ok([start, end])
    }
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

/// Time goes by without an event: an interval and a part of one, as events do not keep to advertisements.
pub(crate) fn rest() {
    std::thread::sleep(INTERVAL * 2 + INTERVAL * fastrand::u32(0..100) / 100);
}

/// Lets time go by in which something is not to happen.
pub(crate) fn watch(time: Duration) {
    std::thread::sleep(time);
}

/// How often a scenario is run: as told, or `VRRP_RUNS` times.
pub(crate) fn runs(usual: usize) -> usize {
    thorough().unwrap_or(usual)
}

/// How long a scenario watches what is not to happen: as told, or with `VRRP_RUNS` as long as in the table.
pub(crate) fn span(usual: u64, thoroughly: u64) -> Duration {
    Duration::from_secs(if thorough().is_some() { thoroughly } else { usual })
}

fn thorough() -> Option<usize> {
    std::env::var("VRRP_RUNS").ok()?.parse().ok()
}

/// Tells what runs came to beside the criterion, and sees that none was over it by more than a busy machine explains.
#[track_caller]
pub(crate) fn judge(scenario: &str, what: &str, mut times: Vec<Duration>, criterion: Duration) {
    assert!(!times.is_empty(), "{scenario} {what}: nothing was measured");
    times.sort_unstable();
    let (count, worst) = (times.len(), times[times.len() - 1]);
    let within = times.iter().filter(|time| **time <= criterion).count();
    figure(
        scenario,
        &format!(
            "{what}: {}/{}/{} ms (min/median/max of {count}; criterion: {} ms, held in {within} of {count})",
            ms(times[0]),
            ms(times[count / 2]),
            ms(worst),
            ms(criterion)
        ),
    );
    assert!(worst <= criterion + SLACK, "{scenario} {what}: {worst:?}, criterion {criterion:?}");
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}
