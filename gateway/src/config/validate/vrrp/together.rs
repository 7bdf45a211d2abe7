//! What virtual routers must not have in common, and what those of a group must.

use std::net::IpAddr;

use super::super::Context;
use crate::config::file::{self, At};
use crate::config::values;

type Files = [(At<String>, file::VirtualRouter)];

pub(super) fn check(context: &mut Context<'_, '_>, files: &Files) {
    for (at, (name, file)) in files.iter().enumerate() {
        let before = &files[..at];
        let section = format!("vrrp.{}", name.as_str());
        check_id(context, &section, file, before);
        check_addresses(context, &section, file, before);
        check_group(context, &section, file, files);
    }
}

/// A VRID is one virtual router on each network and family.
fn check_id(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::VirtualRouter,
    before: &Files,
) {
    let Some(id) = &file.virtual_router_id else { return };
    let same = |other: &file::VirtualRouter| {
        let interface = |file: &file::VirtualRouter| file.interface.as_ref().map(|i| (**i).clone());
        other.virtual_router_id.as_deref() == Some(&**id)
            && interface(other).is_some()
            && interface(other) == interface(file)
            && is_ipv6(other) == is_ipv6(file)
    };
    if let Some((other, twin)) = before.iter().find(|(_, other)| same(other)) {
        let place = twin.virtual_router_id.as_ref().map_or(0..0, At::span);
        let (line, other) = (context.report.line_of(place.start), other.as_str());
        let interface = file.interface.as_ref().map_or("", |interface| interface.as_str());
        context.report.error(
            id.span(),
            format!(
                "{section}.virtual_router_id: {} on {interface} is vrrp.{other} of line {line}",
                **id
            ),
            "give one of them another number, the same on all gateways; or put its addresses \
             into the other"
                .to_owned(),
        );
    }
}

fn check_addresses(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::VirtualRouter,
    before: &Files,
) {
    for (text, address) in addresses(file) {
        let twin = before.iter().find_map(|(name, other)| {
            let (place, _) = addresses(other).find(|(_, held)| *held == address)?;
            Some((name, place))
        });
        if let Some((other, place)) = twin {
            let line = context.report.line_of(place.span().start);
            let other = other.as_str();
            let message =
                format!("{section}.addresses: {address} is vrrp.{other}'s in line {line}");
            context.report.error(text.span(), message, "remove one of the two".to_owned());
        }
    }
}

fn check_group(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::VirtualRouter,
    files: &Files,
) {
    let Some(group) = &file.sync_group else { return };
    let of_group = |file: &file::VirtualRouter| {
        file.sync_group.as_ref().is_some_and(|other| other.as_str() == group.as_str())
    };
    let members = files.iter().filter(|(_, file)| of_group(file)).count();
    if members == 1 && !context.dropped.mistake_under("vrrp.") {
        let message = format!("{section}.sync_group: nothing else is in {:?}", group.as_str());
        let advice = "write the same sync_group in another [vrrp.NAME], or remove it".to_owned();
        context.report.warning(group.span(), message, advice);
    }
}

/// What can be read of its addresses.
fn addresses(file: &file::VirtualRouter) -> impl Iterator<Item = (&At<String>, IpAddr)> {
    let texts = file.addresses.iter().flat_map(|texts| &texts.0);
    texts.filter_map(|text| Some((text, values::virtual_address(text).ok()?.address)))
}

fn is_ipv6(file: &file::VirtualRouter) -> Option<bool> {
    addresses(file).next().map(|(_, address)| address.is_ipv6())
}
