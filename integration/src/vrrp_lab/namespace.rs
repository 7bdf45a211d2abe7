//! One network namespace with a name: made, entered, removed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, setns};

use super::command::{batch, run};

/// Every name begins so; the maker's process id and the lab's number follow.
const PREFIX: &str = "vrrplab-";
/// Where `ip netns` keeps its names.
const NAMES: &str = "/run/netns";

/// A network namespace; removed when dropped.
#[derive(Debug)]
pub(super) struct Namespace {
    /// Within the lab: `gw1`.
    pub(super) name: String,
    /// For `ip netns`.
    pub(super) full: String,
    file: File,
}

impl Namespace {
    /// The bridge, and a link that leads nowhere for what [`super::Lab::mute`] takes away.
    ///
    /// # Errors
    /// Where namespaces are not allowed.
    pub(super) fn switch(lab: u32) -> Result<Self> {
        let switch = Self::add(lab, super::SWITCH)?;
        // A port that comes back forwards at once; multicast goes everywhere.
        let bridge = "link set lo up\n\
            link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
            link add sink0 type veth peer name sink1\n";
        batch("ip", &switch.full, bridge)?;
        // The switch takes no part in the network: no packet there is its own.
        switch.inside(|| {
            let devices = ["br0", "sink0", "sink1", "default"];
            devices
                .iter()
                .try_for_each(|device| set(&format!("ipv6/conf/{device}/disable_ipv6"), "1"))
        })??;
        batch("ip", &switch.full, "link set br0 up\nlink set sink0 up\nlink set sink1 up\n")?;
        Ok(switch)
    }

    /// A namespace with a port at the bridge.
    ///
    /// # Errors
    /// Where namespaces are not allowed.
    pub(super) fn attached(lab: u32, name: &str, host: u8, switch: &Self) -> Result<Self> {
        let namespace = Self::add(lab, name)?;
        namespace.inside(|| {
            // The same on each host, whatever its own settings are. Without a search for duplicates a link-local
            // address serves at once.
            set("ipv6/conf/all/accept_dad", "0")?;
            set("ipv6/conf/default/accept_dad", "0")?;
            set("ipv4/conf/all/rp_filter", "0")?;
            set("ipv4/conf/default/rp_filter", "0")
        })??;
        let full = &namespace.full;
        let port = format!(
            "link add p-{name} type veth peer name eth0 netns {full}\nlink set p-{name} master br0 up\n"
        );
        batch("ip", &switch.full, &port)?;
        let inside = format!(
            "link set eth0 address 02:77:00:00:00:{host:02x}\nlink set lo up\n\
             addr add 10.77.0.{host}/24 dev eth0\naddr add fd77::{host}/64 dev eth0 nodad\n\
             link set eth0 up\n"
        );
        batch("ip", full, &inside)?;
        Ok(namespace)
    }

    fn add(lab: u32, name: &str) -> Result<Self> {
        let full = format!("{PREFIX}{}-{lab}-{name}", std::process::id());
        run("ip", ["netns", "add", &full]).context("no network namespace can be made")?;
        let open = || {
            let file = File::open(Path::new(NAMES).join(&full));
            file.with_context(|| format!("cannot open the namespace {full}"))
        };
        match open() {
            Ok(file) => Ok(Self { name: name.to_owned(), full, file }),
            Err(error) => {
                remove(&full);
                Err(error)
            }
        }
    }

    /// Runs `work` on a thread in here and waits for it.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub(super) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let enter = || {
            setns(&self.file, CloneFlags::CLONE_NEWNET)?;
            Ok::<_, nix::Error>(work())
        };
        let outcome = std::thread::scope(|scope| scope.spawn(enter).join());
        match outcome {
            Ok(value) => value.map_err(|error| anyhow!("cannot enter {}: {error}", self.full)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.full);
    }
}

/// Removes the namespaces of test programs that are gone.
pub(super) fn remove_left_overs() {
    let Ok(names) = fs::read_dir(NAMES) else { return };
    for name in names.flatten() {
        let name = name.file_name().to_string_lossy().into_owned();
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let Some(maker) = maker.and_then(|maker| maker.parse::<u32>().ok()) else { continue };
        // This program has made none yet: what bears its number is from an earlier life of it.
        if maker == std::process::id() || !PathBuf::from(format!("/proc/{maker}")).exists() {
            remove(&name);
        }
    }
}

/// Fails only when it is gone already.
fn remove(full: &str) {
    let _ = run("ip", ["netns", "del", full]);
}

/// Sets a sysctl of the namespace that the calling thread is in.
fn set(name: &str, value: &str) -> Result<()> {
    let file = format!("/proc/sys/net/{name}");
    fs::write(&file, value).with_context(|| format!("cannot write {file}"))
}
