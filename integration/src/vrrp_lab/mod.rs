//! A laboratory for virtual routers: gateways and a client, each in a network namespace of its own, at one bridge.
//!
//! ```text
//!   sw      the bridge br0, with a port p-NAME for each of the others
//!   gw1..   gateways: eth0 10.77.0.11/24 and fd77::11/64, MAC 02:77:00:00:00:0b, and so on upwards
//!   cl      the client: 10.77.0.50, fd77::50
//!   broker  for whatever stands behind the gateways: 10.77.0.60, fd77::60; in a lab of [`Lab::with_broker`]
//! ```
//!
//! No packet leaves the lab: no namespace has a link to the host. Labs have names of their own, so that many can stand
//! side by side. All goes with [`Lab`]: processes of [`Lab::command`], then the namespaces. What a test program that
//! was killed has left behind, the next one removes.
//!
//! Everything here blocks, and is meant for threads of a test that may; from async code call it as it is where it takes
//! milliseconds, else in `spawn_blocking`. Times are [`Instant`]s: all parts of a lab share the test program's clock.

mod addresses;
mod command;
mod echo;
mod faults;
mod frame;
mod gateway;
mod keepalived;
mod namespace;
mod probe;
mod raw;
mod report;
mod sniffer;
mod socket;
mod tree;
mod turn;
mod worker;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::scratch::Scratch;
use addresses::Watcher;
use namespace::Namespace;
use turn::Turn;

pub use addresses::{Change, overlap};
pub use echo::Echo;
pub use frame::{Advertisement, Arp, Frame, Kind, Mac, NeighbourAdvertisement};
pub use gateway::Gateway;
pub use keepalived::{Keepalived, Settings, TrackScript};
pub use probe::{Probe, Sent, Trace};
pub use raw::{RawSender, checksum};
pub use report::{alone_or_skip, figure, or_skip, possible};
pub use sniffer::Sniffer;

/// The shared IPv4 address of most scenarios.
pub const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 100));
/// The shared IPv6 address of most scenarios.
pub const VIP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x100));
/// The client's namespace.
pub const CLIENT: &str = "cl";
/// The bridge's namespace.
pub const SWITCH: &str = "sw";
/// The namespace of what stands behind the gateways.
pub const BROKER: &str = "broker";

/// Network namespaces at one bridge; gone when dropped.
#[derive(Debug)]
pub struct Lab {
    /// In the order of their creation; the switch comes first.
    namespaces: Vec<Namespace>,
    watchers: BTreeMap<String, Watcher>,
    /// Ends the processes; gone before the namespaces.
    scratch: Option<Scratch>,
    /// Of one that a test has by [`or_skip`]; over when all else is gone.
    turn: Option<Turn>,
}

impl Lab {
    /// A lab with a client and this many gateways, `gw1` and up.
    ///
    /// # Errors
    /// Where namespaces are not allowed, or `ip` is missing.
    pub fn new(gateways: usize) -> Result<Self> {
        Self::build(gateways, false)
    }

    /// As [`Lab::new`], with a namespace `broker`.
    ///
    /// # Errors
    /// As [`Lab::new`].
    pub fn with_broker(gateways: usize) -> Result<Self> {
        Self::build(gateways, true)
    }

    /// Whether labs are possible here, else why not. Found out once, by building one.
    ///
    /// # Errors
    /// The reason, as a phrase.
    pub fn available() -> Result<(), String> {
        static ANSWER: OnceLock<Result<(), String>> = OnceLock::new();
        let try_it = || {
            let lab = Self::new(1)?;
            lab.mute("gw1")?;
            lab.heal("gw1")
        };
        ANSWER.get_or_init(|| try_it().map_err(|error: anyhow::Error| format!("{error:#}"))).clone()
    }

    fn build(gateways: usize, broker: bool) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        static CLEAN: OnceLock<()> = OnceLock::new();
        ensure!((1..=9).contains(&gateways), "a lab has one to nine gateways");
        CLEAN.get_or_init(namespace::remove_left_overs);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let scratch = Some(Scratch::new("vrrp")?);
        let mut lab =
            Self { namespaces: Vec::new(), watchers: BTreeMap::new(), scratch, turn: None };
        lab.namespaces.push(Namespace::switch(number)?);
        for gateway in 1..=gateways {
            lab.attach(number, &format!("gw{gateway}"))?;
        }
        lab.attach(number, CLIENT)?;
        if broker {
            lab.attach(number, BROKER)?;
        }
        Ok(lab)
    }

    fn attach(&mut self, lab: u32, name: &str) -> Result<()> {
        let (switch, host) = (self.namespace(SWITCH)?, host(name)?);
        let namespace = Namespace::attached(lab, name, host, switch)?;
        if name.starts_with("gw") {
            let watcher = namespace.inside(Watcher::start)??;
            self.watchers.insert(name.to_owned(), watcher);
        }
        self.namespaces.push(namespace);
        Ok(())
    }

    /// A command that runs `program` in a namespace, and ends with the lab.
    ///
    /// `ip netns exec` becomes the program: the child's process id is the program's.
    ///
    /// # Errors
    /// When there is no such namespace.
    pub fn command(
        &self,
        namespace: &str,
        program: impl AsRef<std::ffi::OsStr>,
    ) -> Result<Command> {
        let full = &self.namespace(namespace)?.full;
        let mut command = self.scratch()?.command("ip");
        command.args(["netns", "exec", full]).arg(program);
        Ok(command)
    }

    /// Runs `work` on a thread inside a namespace and waits for it. Sockets that it opens stay there, and so does what
    /// it starts.
    ///
    /// # Errors
    /// When there is no such namespace, or it cannot be entered.
    pub fn inside<T: Send>(&self, namespace: &str, work: impl FnOnce() -> T + Send) -> Result<T> {
        self.namespace(namespace)?.inside(work)
    }

    /// As [`Lab::inside`], for async work: it runs on a runtime of its own, on that thread.
    ///
    /// # Errors
    /// As [`Lab::inside`].
    pub fn inside_async<T: Send, F: Future<Output = T>>(
        &self,
        namespace: &str,
        work: impl FnOnce() -> F + Send,
    ) -> Result<T> {
        self.inside(namespace, || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(work()))
        })?
    }

    /// Runs `ip ARGUMENTS` (split at spaces) in a namespace.
    ///
    /// # Errors
    /// When it fails: carries what it said.
    pub fn ip(&self, namespace: &str, arguments: &str) -> Result<()> {
        let full = &self.namespace(namespace)?.full;
        command::run("ip", ["-n", full].into_iter().chain(arguments.split_ascii_whitespace()))
    }

    /// Whether a gateway's kernel holds `address` now, on whatever interface and with whatever prefix.
    #[must_use]
    pub fn holds(&self, gateway: &str, address: IpAddr) -> bool {
        self.watchers.get(gateway).is_some_and(|watcher| watcher.holds(address))
    }

    /// The gateways that hold `address` now.
    #[must_use]
    pub fn holders(&self, address: IpAddr) -> Vec<&str> {
        let holds = self.watchers.iter().filter(|(_, watcher)| watcher.holds(address));
        holds.map(|(name, _)| name.as_str()).collect()
    }

    /// When a gateway's kernel got and lost `address`, from the lab's beginning.
    #[must_use]
    pub fn changes(&self, gateway: &str, address: IpAddr) -> Vec<Change> {
        self.watchers.get(gateway).map(|watcher| watcher.changes(address)).unwrap_or_default()
    }

    /// How long two gateways held `address` at the same time, between two moments.
    #[must_use]
    pub fn dual(&self, gateways: [&str; 2], address: IpAddr, window: [Instant; 2]) -> Duration {
        let [one, other] = gateways.map(|gateway| self.changes(gateway, address));
        overlap(&one, &other, window)
    }

    /// Waits until `gateway`, and no other, holds `address`.
    ///
    /// # Errors
    /// When that is not so after `deadline`: says who holds it.
    pub fn wait_for_holder(
        &self,
        gateway: &str,
        address: IpAddr,
        deadline: Duration,
    ) -> Result<()> {
        self.wait_for_holders(&[gateway], address, deadline)
    }

    /// Waits until these gateways (in the order of their names), and no others, hold `address`.
    ///
    /// # Errors
    /// As [`Lab::wait_for_holder`].
    pub fn wait_for_holders(
        &self,
        gateways: &[&str],
        address: IpAddr,
        deadline: Duration,
    ) -> Result<()> {
        if !wait(deadline, || self.holders(address) == gateways) {
            let holders = self.holders(address);
            bail!(
                "{gateways:?} alone should hold {address} after {deadline:?}, but {holders:?} do"
            );
        }
        Ok(())
    }

    /// Records the VRRP, ARP and neighbour advertisement frames that anyone sends, seen at the ports of the bridge:
    /// each once, those that [`Lab::mute`] takes away included.
    ///
    /// # Errors
    /// When the system refuses the socket.
    pub fn sniff(&self) -> Result<Sniffer> {
        self.inside(SWITCH, Sniffer::at_ports)?
    }

    /// Records those frames that arrive in a namespace: there, what was taken away on the way is missing.
    ///
    /// # Errors
    /// When the system refuses the socket.
    pub fn sniff_in(&self, namespace: &str) -> Result<Sniffer> {
        self.inside(namespace, || Sniffer::incoming(namespace))?
    }

    /// A directory for files of the lab's processes; it goes with the lab.
    ///
    /// # Errors
    /// Never while the lab exists.
    pub fn dir(&self) -> Result<&Path> {
        Ok(self.scratch()?.dir())
    }

    /// The name of a namespace for `ip netns`.
    ///
    /// # Errors
    /// When there is none.
    pub fn full_name(&self, namespace: &str) -> Result<&str> {
        Ok(&self.namespace(namespace)?.full)
    }

    fn namespace(&self, name: &str) -> Result<&Namespace> {
        let found = self.namespaces.iter().find(|namespace| namespace.name == name);
        found.with_context(|| format!("the lab has no namespace {name}"))
    }

    fn scratch(&self) -> Result<&Scratch> {
        self.scratch.as_ref().context("the lab is gone")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.scratch.take());
        self.watchers.clear();
        self.namespaces.clear();
    }
}

/// The IPv4 address of a namespace.
///
/// # Errors
/// For a name that no lab has.
pub fn address(namespace: &str) -> Result<Ipv4Addr> {
    Ok(Ipv4Addr::new(10, 77, 0, host(namespace)?))
}

/// The IPv6 address of a namespace: its last digits are those of the IPv4 address.
///
/// # Errors
/// For a name that no lab has.
pub fn address6(namespace: &str) -> Result<Ipv6Addr> {
    Ok(format!("fd77::{}", host(namespace)?).parse()?)
}

/// The MAC of a namespace.
///
/// # Errors
/// For a name that no lab has.
pub fn mac(namespace: &str) -> Result<Mac> {
    Ok(Mac([2, 0x77, 0, 0, 0, host(namespace)?]))
}

fn host(namespace: &str) -> Result<u8> {
    Ok(match namespace {
        CLIENT => 50,
        BROKER => 60,
        _ => {
            let number = namespace.strip_prefix("gw").and_then(|number| number.parse::<u8>().ok());
            10 + number
                .with_context(|| format!("no lab has a namespace {namespace} at its bridge"))?
        }
    })
}

/// Asks every few milliseconds until `condition` holds; whether it did before the deadline.
pub fn wait(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + deadline;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}
