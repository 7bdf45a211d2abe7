//! Rights of root that sharing an address takes, for a gateway that does not run as root (capabilities(7)).

use rustix::io::Result;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

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
        "this process has no {}, which sharing an address takes: run `setcap cap_net_raw,cap_net_admin+ep {file}`, or \
         put AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN into its systemd unit, or give the container cap_add: \
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

/// Puts `wanted` into effect for the thread that calls and for those it starts, and has them inheritable: whoever starts a
/// program with them says so at that time (ambient). With `only`, everything else is given up.
pub(super) fn take(wanted: CapabilitySet, only: bool) -> Result<()> {
    let old = capabilities(None)?;
    let new = match only {
        true => CapabilitySets { effective: wanted, permitted: wanted, inheritable: wanted },
        false => CapabilitySets {
            effective: old.effective | wanted,
            permitted: old.permitted,
            inheritable: old.inheritable | wanted,
        },
    };
    set_capabilities(None, new)
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
