//! What can be compared: whatever keeps a shared address alive, and how to hurt it.

use anyhow::Result;
use integration::vrrp_lab::Lab;

use crate::{gateway, keepalived};

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Gateway,
    Keepalived,
}

impl Peer {
    /// All of them, in the table's order.
    pub(crate) const ALL: [Self; 2] = [Self::Gateway, Self::Keepalived];

    /// Its name on the command line and in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Keepalived => "keepalived",
        }
    }
}

/// Something that keeps a shared address alive. All get the same settings: VRRP version 3, an advertisement every
/// 100 ms, VRID 51, multicast, the address [`integration::vrrp_lab::VIP`].
pub(crate) trait Candidate {
    /// What it says of its version.
    fn version(&self) -> String;

    /// Starts it on a gateway of the lab, which has a namespace `broker`.
    ///
    /// # Errors
    /// When it does not start.
    fn start(&self, lab: &Lab, gateway: &str, priority: u8) -> Result<Box<dyn Node>>;
}

/// One of the two.
pub(crate) trait Node {
    /// Whether it is up and knows its place.
    fn settled(&self) -> bool;

    /// kill -9 of all its processes.
    ///
    /// # Errors
    /// When it has ended already.
    fn crash(&mut self) -> Result<()>;

    /// kill -9 of what serves clients, alone. The stage ends the service beside it.
    ///
    /// # Errors
    /// When it has ended already.
    fn crash_service(&mut self) -> Result<()>;

    /// kill -9 of the process that speaks VRRP, alone.
    ///
    /// # Errors
    /// When it has ended already.
    fn crash_speaker(&mut self) -> Result<()>;

    /// SIGTERM.
    ///
    /// # Errors
    /// When it has ended already.
    fn goodbye(&mut self) -> Result<()>;

    /// SIGSTOP to all its processes.
    ///
    /// # Errors
    /// When it has ended already.
    fn pause(&mut self) -> Result<()>;

    /// SIGCONT to all its processes.
    ///
    /// # Errors
    /// When it has ended already.
    fn resume(&mut self) -> Result<()>;

    /// Whatever its health checks watch fails from now on.
    ///
    /// # Errors
    /// When that cannot be arranged.
    fn fail_health(&mut self) -> Result<()>;

    /// It is well again.
    ///
    /// # Errors
    /// When that cannot be arranged.
    fn restore_health(&mut self) -> Result<()>;
}

/// How a peer is started.
///
/// # Errors
/// When it is not there.
pub(crate) fn of(peer: Peer) -> Result<Box<dyn Candidate>> {
    Ok(match peer {
        Peer::Gateway => Box::new(gateway::Product::find()?),
        Peer::Keepalived => Box::new(keepalived::Real::find()?),
    })
}
