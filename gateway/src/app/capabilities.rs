//! Rights of root that sharing an address takes, for a gateway that does not run as root (capabilities(7)).

use rustix::io::Result;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_keep_capabilities,
};

/// Raw sockets, and addresses on interfaces.
const NEEDED: [(CapabilitySet, &str); 2] =
    [(CapabilitySet::NET_RAW, "CAP_NET_RAW"), (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN")];
/// Real-time priority and locked memory: kept if they are there.
const HELPFUL: CapabilitySet = CapabilitySet::SYS_NICE.union(CapabilitySet::IPC_LOCK);

/// The capabilities that VRRP takes, of those that this process may have.
///
/// # Errors
/// Which ones it may not have, with the cures.
pub(super) fn for_vrrp() -> std::result::Result<CapabilitySet, String> {
    let sets = capabilities(None).map_err(|error| format!("cannot read capabilities: {error}"))?;
    let missing = missing(sets.permitted);
    if missing.is_empty() {
        return Ok(sets.permitted & needed().union(HELPFUL));
    }
    let file = std::env::current_exe()
        .map_or_else(|_| "/usr/bin/amqp-gateway".to_owned(), |path| path.display().to_string());
    Err(format!(
        "this process has no {}, which sharing an address takes: run `setcap cap_net_raw,cap_net_admin=p {file}`, which \
         nobody but the service's group may then be allowed to execute (chown root:amqp-gateway, chmod 0750), or put AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN into its systemd unit, or give the container cap_add: \
         [NET_RAW, NET_ADMIN], or start it as root with gateway.user",
        missing.join(" and no ")
    ))
}

fn needed() -> CapabilitySet {
    NEEDED.iter().fold(CapabilitySet::empty(), |all, (one, _)| all.union(*one))
}

fn missing(permitted: CapabilitySet) -> Vec<&'static str> {
    NEEDED.iter().filter(|(one, _)| !permitted.contains(*one)).map(|(_, name)| *name).collect()
}

/// Lets the calling thread keep what it is permitted when it becomes another user.
pub(super) fn keep() -> Result<()> {
    set_keep_capabilities(true)
}

/// Gives `all` up in the calling thread and in those it starts. No program that they start gets any capability.
pub(super) fn shed(all: CapabilitySet) -> Result<()> {
    let old = capabilities(None)?;
    let new = CapabilitySets {
        effective: old.effective - all,
        permitted: old.permitted - all,
        // Whatever is ambient is inheritable: this empties the ambient set as well.
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, new)
}

/// Has the calling thread keep what VRRP takes and nothing else: in effect, and inheritable. Whoever starts a program with
/// it says so at that time (ambient).
pub(super) fn confine() -> Result<()> {
    let kept = capabilities(None)?.permitted & needed().union(HELPFUL);
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: kept })?;
    set_keep_capabilities(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let raw = CapabilitySet::NET_RAW;
        assert_eq!(missing(raw), ["CAP_NET_ADMIN"]);
        assert_eq!(missing(CapabilitySet::empty()), ["CAP_NET_RAW", "CAP_NET_ADMIN"]);
        assert!(missing(raw | CapabilitySet::NET_ADMIN | HELPFUL).is_empty());
    }
}
