//! Capabilities that the kernel permits but has not put into effect.
//!
//! In a container, a process that is not root gets capabilities only through its file. There they are set as permitted and not
//! as effective (`setcap cap_net_admin,cap_net_raw=p`): a file with effective ones is not run at all where one of them is
//! not granted, even if the gateway has no virtual router. So this process takes up itself what it needs.

use std::io;

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

/// Puts into effect, for the calling thread, what is permitted of what VRRP can use. What is not permitted is missed later,
/// where it is needed.
///
/// # Errors
/// When the kernel does not know of capabilities.
pub(super) fn take_up() -> io::Result<()> {
    let useful = CapabilitySet::NET_ADMIN
        | CapabilitySet::NET_RAW
        | CapabilitySet::SYS_NICE
        | CapabilitySet::IPC_LOCK;
    let mut sets = capabilities(None)?;
    let effective = sets.effective | (sets.permitted & useful);
    if effective == sets.effective {
        return Ok(());
    }
    sets.effective = effective;
    Ok(set_capabilities(None, sets)?)
}

/// The names of those in effect that it cannot do without and that are missing.
pub(super) fn missing() -> String {
    let needed =
        [(CapabilitySet::NET_RAW, "CAP_NET_RAW"), (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN")];
    let here = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    let missing: Vec<_> =
        needed.iter().filter(|(one, _)| !here.contains(*one)).map(|(_, name)| *name).collect();
    // With both in effect, the kernel has other reasons: SELinux, a filter of system calls.
    if missing.is_empty() {
        "right to open raw sockets".to_owned()
    } else {
        missing.join(" and no ")
    }
}
