//! A member of a virtual router in the laboratory: this gateway or real keepalived, by one description.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use integration::vrrp_lab::{self as lab, *};

/// How long a test waits for what must come, however busy the machine is.
pub(crate) const LONG: Duration = Duration::from_secs(20);
/// What a shared machine with two cores may add to any time that is asserted. The criterion itself is printed.
pub(crate) const NOISE: Duration = Duration::from_secs(1);
/// The advertisement interval of [`Settings::new`].
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);

/// Who runs on a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// This product.
    Product,
    /// Real keepalived.
    Keepalived,
}

/// A pair for `gw1` and `gw2`.
pub(crate) type Pair = [Who; 2];

pub(crate) const PP: Pair = [Who::Product, Who::Product];
pub(crate) const PK: Pair = [Who::Product, Who::Keepalived];
pub(crate) const KP: Pair = [Who::Keepalived, Who::Product];

/// "PK" for the product on gw1 and keepalived on gw2.
pub(crate) fn name(pair: Pair) -> String {
    pair.map(|kind| if kind == Who::Product { 'P' } else { 'K' }).iter().collect()
}

/// A running one.
#[derive(Debug)]
pub(crate) enum Member {
    Product(Gateway),
    Keepalived(Keepalived),
}

impl Member {
    /// Starts it. The product is ready then; keepalived may need a moment.
    pub(crate) fn start(lab: &Lab, gateway: &str, kind: Who, settings: &Settings) -> Result<Self> {
        Ok(match kind {
            Who::Product => Self::Product(Gateway::start(lab, gateway, &config(settings))?),
            Who::Keepalived => Self::Keepalived(Keepalived::start(lab, gateway, settings)?),
        })
    }

    pub(crate) fn log(&self) -> String {
        match self {
            Self::Product(gateway) => gateway.log(),
            Self::Keepalived(keepalived) => keepalived.log(),
        }
    }

    /// The state that it entered last, in keepalived's words.
    pub(crate) fn state(&self) -> Option<String> {
        let log = self.log();
        let last = log.lines().rev().find_map(|line| line.split_once("Entering "))?;
        last.1.split_ascii_whitespace().next().map(str::to_owned)
    }

    pub(crate) fn terminate(&mut self) -> Result<()> {
        match self {
            Self::Product(gateway) => gateway.terminate(),
            Self::Keepalived(keepalived) => keepalived.terminate(),
        }
    }

    /// SIGKILL to all its processes at once.
    pub(crate) fn kill(&mut self) -> Result<()> {
        match self {
            Self::Product(gateway) => gateway.kill_both(),
            Self::Keepalived(keepalived) => keepalived.kill(),
        }
    }

    pub(crate) fn product(&mut self) -> &mut Gateway {
        match self {
            Self::Product(gateway) => gateway,
            Self::Keepalived(_) => panic!("keepalived is not the product"),
        }
    }

    /// Terminates it and waits for its end.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.terminate()?;
        let mut ended = || match self {
            Self::Product(gateway) => gateway.process().exit_status().ok().flatten().is_some(),
            Self::Keepalived(keepalived) => keepalived.wait(Duration::ZERO).is_ok(),
        };
        if !lab::wait(LONG, &mut ended) {
            bail!("it does not end:\n{}", self.log());
        }
        Ok(())
    }
}

/// Starts a pair, the first with priority 100, the second with 90, and waits until the first holds the address alone.
pub(crate) fn settled(lab: &Lab, pair: Pair) -> Result<[Member; 2]> {
    settled_with(lab, pair, |_| {})
}

/// The same with further settings, of both.
pub(crate) fn settled_with(
    lab: &Lab,
    pair: Pair,
    change: impl Fn(&mut Settings),
) -> Result<[Member; 2]> {
    let mut settings = [Settings::new(100), Settings::new(90)];
    settings.iter_mut().for_each(change);
    let first = Member::start(lab, "gw1", pair[0], &settings[0])?;
    let second = Member::start(lab, "gw2", pair[1], &settings[1])?;
    lab.wait_for_holder("gw1", VIP, LONG)?;
    // The log follows.
    for (member, state) in [(&first, "MASTER"), (&second, "BACKUP")] {
        if !lab::wait(LONG, || member.state().as_deref() == Some(state)) {
            bail!("not in state {state}:\n{}", member.log());
        }
    }
    Ok([first, second])
}

/// The product's configuration that says what these settings say.
pub(crate) fn config(settings: &Settings) -> String {
    with_listener(settings, "protocol = \"amqp\"\n", "127.0.0.1:9")
}

/// The same with these lines for its listener, and a node at this address, whose health nobody checks.
pub(crate) fn with_listener(settings: &Settings, listener: &str, node: &str) -> String {
    format!(
        "[gateway]\nname = \"lab\"\ndrain_timeout = \"1s\"\n\
         [admin]\nbind = \"127.0.0.1:15680\"\n\
         [listener.front]\nbind = \"0.0.0.0:5672\"\ncluster = \"main\"\n{listener}\n\
         [cluster.main.health]\nchecks = []\n[cluster.main.node.only]\naddress = \"{node}\"\n\n{}",
        router("lab", settings)
    )
}

/// The section of a virtual router.
pub(crate) fn router(name: &str, settings: &Settings) -> String {
    let mut text = format!(
        "[vrrp.{name}]\ninterface = \"eth0\"\nvirtual_router_id = {}\npriority = {}\nversion = {}\n\
         advertisement_interval = \"{}ms\"\naddresses = {:?}\npreempt = {}\nvirtual_mac = {}\n",
        settings.vrid,
        settings.priority,
        settings.version,
        (settings.interval * 1000.0).round(),
        settings.addresses,
        !settings.nopreempt,
        settings.vmac,
    );
    if let Some(password) = &settings.password {
        writeln!(text, "authentication = {password:?}").unwrap();
    }
    if !settings.peers.is_empty() {
        let peers: Vec<_> = settings.peers.iter().map(ToString::to_string).collect();
        writeln!(text, "peers = {peers:?}").unwrap();
    }
    if let Some(delay) = settings.preempt_delay {
        writeln!(text, "preempt_delay = \"{}ms\"", (delay * 1000.0).round()).unwrap();
    }
    text
}

/// How often a scenario is repeated: `VRRP_RUNS`, else as often as given.
pub(crate) fn runs(usual: usize) -> usize {
    std::env::var("VRRP_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(usual)
}

/// May the machine have anything else to do? With `VRRP_RUNS` it has not.
pub(crate) fn noisy() -> bool {
    std::env::var_os("VRRP_RUNS").is_none()
}

/// Tells the worst of some times beside the criterion, and asserts that it is met but for noise; with `VRRP_RUNS`, that
/// it is met.
#[track_caller]
pub(crate) fn judge(scenario: &str, what: &str, times: Vec<Duration>, criterion: Duration) {
    let worst = tell(scenario, what, times, criterion);
    let noise = if noisy() { NOISE } else { Duration::ZERO };
    assert!(worst <= criterion + noise, "{scenario} {what}: {worst:?}, criterion {criterion:?}");
}

/// Tells them, and asserts nothing of them: for what is keepalived's alone. Gives the worst.
#[track_caller]
pub(crate) fn tell(
    scenario: &str,
    what: &str,
    mut times: Vec<Duration>,
    criterion: Duration,
) -> Duration {
    times.sort_unstable();
    let (Some(least), Some(worst)) = (times.first(), times.last()) else {
        panic!("{scenario} {what}: nothing was measured");
    };
    let median = times[times.len() / 2];
    let held = if *worst <= criterion { "held" } else { "MISSED" };
    figure(
        scenario,
        &format!(
            "{what}: {} / {} / {} of {} (criterion: {}, {held})",
            ms(*least),
            ms(median),
            ms(*worst),
            times.len(),
            ms(criterion)
        ),
    );
    *worst
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// When `gateway` got `address` (or lost it) for the first time since `from`.
pub(crate) fn change(
    lab: &Lab,
    gateway: &str,
    address: std::net::IpAddr,
    added: bool,
    from: Instant,
) -> Option<Instant> {
    let changes = lab.changes(gateway, address);
    changes.into_iter().find(|change| change.at >= from && change.added == added).map(|c| c.at)
}

/// How many lines of a log say this.
pub(crate) fn count(log: &str, text: &str) -> usize {
    log.lines().filter(|line| line.contains(text)).count()
}
