//! The addresses of a virtual router, of its peers, and its own.

use std::net::IpAddr;

use super::super::Context;
use crate::config::defaults;
use crate::config::file;
use crate::config::model::{VirtualAddress, VrrpVersion};
use crate::config::values;

/// An advertisement counts its addresses in one octet.
const MOST: usize = 255;
/// So many IPv6 addresses fit into an Ethernet frame: (1500 - 40 - 8) / 16.
const MOST_IPV6: usize = 90;

pub(super) fn addresses(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::VirtualRouter,
    version: VrrpVersion,
) -> Vec<VirtualAddress> {
    let key = format!("{section}.addresses");
    let texts = file.addresses.iter().flat_map(|texts| &texts.0);
    let mut addresses: Vec<VirtualAddress> = Vec::new();
    for text in texts {
        let Some(address) = context.take(&key, text, values::virtual_address) else { continue };
        let ip = address.address;
        if let Some(first) =
            addresses.first().filter(|first| first.address.is_ipv4() != ip.is_ipv4())
        {
            let message = format!("{key}: {ip} and {} are of two families", first.address);
            let advice = format!(
                "give {ip} a [vrrp.NAME] of its own; with sync_group = \"NAME\" in both they move \
                 together"
            );
            context.report.error(text.span(), message, advice);
            continue;
        }
        if addresses.iter().any(|other| other.address == ip) {
            let message = format!("{key} names {ip} twice");
            context.report.error(text.span(), message, "remove one of the two".to_owned());
            continue;
        }
        addresses.push(address);
    }
    check_count(context, &key, file, &addresses);
    if let Some(first) = addresses.first() {
        check_ipv6(context, section, file, first.address, version);
    }
    addresses
}

fn check_count(
    context: &mut Context<'_, '_>,
    key: &str,
    file: &file::VirtualRouter,
    addresses: &[VirtualAddress],
) {
    let ipv6 = addresses.first().is_some_and(|first| first.address.is_ipv6());
    let most = if ipv6 { MOST_IPV6 } else { MOST };
    let beyond = file.addresses.iter().flat_map(|texts| &texts.0).nth(most);
    if let Some(text) = beyond.filter(|_| addresses.len() > most) {
        let message = format!("{key}: an advertisement has room for {most} addresses");
        let advice = "move the others to a [vrrp.NAME] of its own in the same sync_group";
        context.report.error(text.span(), message, advice.to_owned());
    }
}

/// Version 2 has no IPv6, and there the first address shall be a link-local one (RFC 9568, section 5.2.9).
fn check_ipv6(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::VirtualRouter,
    first: IpAddr,
    version: VrrpVersion,
) {
    let IpAddr::V6(address) = first else { return };
    let Some(text) = file.addresses.as_ref().and_then(|texts| texts.0.first()) else { return };
    if let (VrrpVersion::V2, Some(written)) = (version, &file.version) {
        let message = format!("{section}.version = 2 cannot share the IPv6 address {address}");
        context.report.error(written.span(), message, "write version = 3".to_owned());
    } else if !is_link_local(first) {
        let message = format!("{section}.addresses: the first one, {address}, is not link-local");
        let advice = "put a link-local address first, as in [\"fe80::100/64\", \"fd00::100/64\"]: \
                      other routers may drop advertisements without one";
        context.report.warning(text.span(), message, advice.to_owned());
    }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.segments()[0] & 0xffc0 == 0xfe80)
}

pub(super) fn source(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::VirtualRouter,
    addresses: &[VirtualAddress],
) -> Option<IpAddr> {
    let text = file.source_address.as_ref()?;
    let key = format!("{section}.source_address");
    let address = context.take(&key, text, values::host_address)?;
    let first = addresses.first().map(|first| first.address);
    if let Some(first) = first.filter(|first| first.is_ipv4() != address.is_ipv4()) {
        let message = format!("{key}: {address} and the shared {first} are of two families");
        let family = family(first);
        let advice = format!("write an {family} address of this host, or remove it");
        context.report.error(text.span(), message, advice);
        return None;
    }
    let owner = file.priority.as_ref().is_some_and(|priority| **priority == 255);
    if addresses.iter().any(|shared| shared.address == address) && !owner {
        let message = format!("{key}: {address} is one of the shared addresses");
        let advice = "write an address that this host always has; one that owns the shared \
                      address has priority = 255";
        context.report.error(text.span(), message, advice.to_owned());
    } else if address.is_ipv6() && !is_link_local(address) && file.peers.is_none() {
        let message = format!("{key}: {address} is not link-local");
        let advice = "write the fe80:: address of the interface, or remove it: other routers may \
                      drop multicast from elsewhere";
        context.report.warning(text.span(), message, advice.to_owned());
    }
    Some(address)
}

pub(super) fn peers(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::VirtualRouter,
    addresses: &[VirtualAddress],
    source: Option<IpAddr>,
) -> Vec<IpAddr> {
    let key = format!("{section}.peers");
    let first = addresses.first().map(|first| first.address);
    let mut peers = Vec::new();
    for text in file.peers.iter().flat_map(|texts| &texts.0) {
        let Some(peer) = context.take(&key, text, values::host_address) else { continue };
        let (cause, advice) = match first {
            Some(first) if first.is_ipv4() != peer.is_ipv4() => (
                format!("{peer} and the shared {first} are of two families"),
                format!("write the {} address of the other gateway", family(first)),
            ),
            _ if addresses.iter().any(|shared| shared.address == peer) => (
                format!("{peer} is one of the shared addresses"),
                "write the address that the other gateway always has".to_owned(),
            ),
            _ if source == Some(peer) => (
                format!("{peer} is this gateway's own source_address"),
                "write the addresses of the other gateways only".to_owned(),
            ),
            _ if peers.contains(&peer) => {
                (format!("{peer} is there twice"), "remove one of the two".to_owned())
            }
            _ => {
                peers.push(peer);
                continue;
            }
        };
        context.report.error(text.span(), format!("{key}: {cause}"), advice);
    }
    if peers.len() > defaults::VRRP_MOST_PEERS
        && let Some(text) = file.peers.iter().flat_map(|texts| &texts.0).nth(peers.len() - 1)
    {
        let most = defaults::VRRP_MOST_PEERS;
        let message = format!("{key}: {} peers, and {most} at most are told", peers.len());
        context.report.error(text.span(), message, "use multicast: remove peers".to_owned());
    }
    peers
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}
