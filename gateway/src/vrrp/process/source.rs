//! The address that a virtual router advertises from. Pure.

use std::net::IpAddr;

use super::netlink::{Address, Link};
use crate::vrrp::packet::OWNER;
use crate::vrrp::talk::Router;

/// What is on its interface that it can advertise from. `shared` tells the addresses that move between gateways: from one of
/// these, two gateways would send at once while it moves. The owner's virtual address is none of them: it is his own one.
pub(super) fn find(
    router: &Router,
    ipv6: bool,
    link: &Link,
    addresses: &[Address],
    shared: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let mut here = addresses.iter().filter(|a| a.index == link.index && !a.tentative);
    match router.source {
        Some(source) => here.any(|a| a.address.address == source).then_some(source),
        None => {
            let fits = |a: &&Address| match a.address.address {
                IpAddr::V4(_) => !ipv6 && !a.secondary,
                IpAddr::V6(address) => ipv6 && address.is_unicast_link_local(),
            };
            here.filter(fits).map(|a| a.address.address).find(|address| !shared(*address))
        }
    }
}

/// Is this one of the addresses that this virtual router shares with others?
pub(super) fn is_shared(router: &Router, address: IpAddr) -> bool {
    router.priority != OWNER && router.addresses.iter().any(|own| own.address == address)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::vrrp::process::samples;

    fn router(addresses: &[&str], priority: u8) -> Router {
        Router { priority, ..samples::router(0, addresses) }
    }

    fn placed(address: &str, index: u32) -> Address {
        Address { index, address: samples::shared(address), secondary: false, tentative: false }
    }

    /// What the first of these advertises from, on an interface with these addresses.
    fn source(routers: &[Router], addresses: &[&str]) -> Option<String> {
        let link =
            Link { index: 2, name: "eth0".to_owned(), up: true, mac: None, macvlan_on: None };
        let mut there = vec![placed("10.9.9.9", 3), placed("fe80::99", 3)];
        there.extend(addresses.iter().map(|address| placed(address, 2)));
        let ipv6 = routers[0].addresses[0].address.is_ipv6();
        let shared = |address| routers.iter().any(|router| is_shared(router, address));
        find(&routers[0], ipv6, &link, &there, shared).map(|source| source.to_string())
    }

    #[test]
    fn no_virtual_router_advertises_from_an_address_that_another_one_shares() {
        let ipv6 = [router(&["fe80::b", "2001:db8::b"], 100), router(&["fe80::a"], 100)];
        assert_eq!(source(&ipv6, &["fe80::a", "fe80::b", "fe80::1"]).unwrap(), "fe80::1");
        assert_eq!(source(&ipv6, &["fe80::a", "fe80::b"]), None);
        // Its own address was removed and added again: it comes last.
        let ipv4 = [router(&["10.0.0.8"], 100), router(&["10.0.0.9"], 100)];
        assert_eq!(source(&ipv4, &["10.0.0.9", "10.0.0.8", "10.0.0.1"]).unwrap(), "10.0.0.1");
    }

    #[test]
    fn an_owners_address_is_one_that_all_may_advertise_from() {
        let owner = [router(&["10.0.0.1"], OWNER), router(&["10.0.0.9"], 100)];
        assert_eq!(source(&owner, &["10.0.0.9", "10.0.0.1"]).unwrap(), "10.0.0.1");
        let [owner, other] = owner;
        assert_eq!(source(&[other, owner], &["10.0.0.9", "10.0.0.1"]).unwrap(), "10.0.0.1");
    }

    #[test]
    fn a_source_that_is_configured_is_the_one_as_soon_as_it_is_there() {
        let source_address = Some("10.0.0.2".parse().unwrap());
        let chosen = [Router { source: source_address, ..router(&["10.0.0.9"], 100) }];
        assert_eq!(source(&chosen, &["10.0.0.1"]), None);
        assert_eq!(source(&chosen, &["10.0.0.1", "10.0.0.2"]).unwrap(), "10.0.0.2");
    }
}
