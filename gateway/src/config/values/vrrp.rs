//! What only `[vrrp.NAME]` has: shared addresses, addresses of other gateways, interfaces.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Parsed, fault};
use crate::config::model::VirtualAddress;

/// Longest name of an interface: Linux's IFNAMSIZ without the NUL.
const INTERFACE_BYTES: usize = 15;

/// An address that gateways share, with its prefix length if it has one.
pub(in crate::config) fn virtual_address(text: &str) -> Parsed<VirtualAddress> {
    if let Ok(address) = text.parse::<IpAddr>() {
        let address = host(text, address)?;
        return Ok(VirtualAddress { address, prefix: if address.is_ipv4() { 32 } else { 128 } });
    }
    let Ok(network) = text.parse::<IpNet>() else {
        return fault(
            format!("{text:?} is not an IP address"),
            "write address and prefix length, as in \"192.168.1.100/24\" or \"fd00::100/64\"",
        );
    };
    let (address, prefix) = (host(text, network.addr())?, network.prefix_len());
    if prefix == 0 {
        return fault(
            format!("{text:?} would make the whole world a neighbour"),
            "write the prefix length of the network, as in \"192.168.1.100/24\", or none",
        );
    }
    let edge = address == network.network() || address == network.broadcast();
    if address.is_ipv4() && prefix < 31 && edge {
        return fault(
            format!("{text:?} is the network itself or its broadcast address"),
            "write the address of a host in it, as in \"192.168.1.100/24\"",
        );
    }
    Ok(VirtualAddress { address, prefix })
}

/// The address of a gateway.
pub(in crate::config) fn host_address(text: &str) -> Parsed<IpAddr> {
    match text.parse() {
        Ok(address) => host(text, address),
        Err(_) => fault(
            format!("{text:?} is not an IP address"),
            "write the address alone, as in \"192.168.1.2\" or \"fe80::2\"",
        ),
    }
}

/// An address that one host can have towards others.
fn host(text: &str, address: IpAddr) -> Parsed<IpAddr> {
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    let kind = match address {
        _ if address.is_unspecified() => "the unspecified address",
        _ if address.is_loopback() => "a loopback address",
        _ if address.is_multicast() => "a multicast address",
        _ if broadcast => "the broadcast address",
        _ => return Ok(address),
    };
    fault(format!("{text:?} is {kind}"), "write an address of the network that clients come from")
}

/// The name of a network interface.
pub(in crate::config) fn interface(text: &str) -> Parsed<&str> {
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ':');
    if text.len() > INTERFACE_BYTES {
        let length = text.len();
        return fault(
            format!("{text:?} has {length} bytes; names of interfaces have at most 15"),
            "write the name as `ip link` shows it, without what follows an @",
        );
    }
    if text.is_empty() || text == "." || text == ".." || !text.chars().all(fits) {
        return fault(
            format!("{text:?} is not the name of an interface"),
            "write the name as `ip link` shows it, as in \"eth0\"",
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::message;

    #[test]
    fn a_shared_address_without_a_prefix_stands_alone() {
        let read = |text: &str| virtual_address(text).map(|a| (a.address.to_string(), a.prefix));
        let good = |text: &str, prefix| Ok((text.to_owned(), prefix));
        assert_eq!(read("192.168.1.100"), good("192.168.1.100", 32));
        assert_eq!(read("192.168.1.100/24"), good("192.168.1.100", 24));
        assert_eq!(read("fe80::1"), good("fe80::1", 128));
        assert_eq!(read("10.0.0.0/31"), good("10.0.0.0", 31));
        for bad in ["", "x", "1.2.3.4/33", "1.2.3.4:5", "[::1]"] {
            assert!(message(read(bad)).contains("not an IP address"), "{bad}");
        }
        assert!(message(read("10.0.0.0/24")).contains("network itself"));
        assert!(message(read("10.0.0.255/24")).contains("network itself"));
        assert!(message(read("10.0.0.1/0")).contains("whole world"));
        assert!(message(read("127.0.0.1/8")).contains("loopback"));
        assert!(message(read("224.0.0.18")).contains("multicast"));
        assert!(message(read("::/64")).contains("unspecified"));
        assert!(message(read("255.255.255.255")).contains("broadcast"));
    }

    #[test]
    fn an_interface_is_named_as_the_kernel_names_them() {
        for good in ["eth0", "br-0123456789ab", "vlan.100", "fünf"] {
            assert_eq!(interface(good).is_ok(), good.is_ascii(), "{good}");
        }
        for bad in ["", ".", "..", "eth0:1", "a/b", "eth 0"] {
            assert!(message(interface(bad)).contains("not the name"), "{bad}");
        }
        assert!(message(interface("enp0s31f6.1234567")).contains("17 bytes"));
    }
}
