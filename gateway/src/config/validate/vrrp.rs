//! `[vrrp.NAME]`: what the parts of a virtual router must have in common.

mod address;
mod notify;
mod timing;
mod together;
mod track;

use std::sync::Arc;

use super::{Context, number};
use crate::config::defaults;
use crate::config::file::{self, At};
use crate::config::model::{VirtualRouter, VrrpChecksum, VrrpVersion};
use crate::config::values;

pub(super) use notify::email;

/// The virtual routers of a file; one without all that it needs was reported and is left out.
pub(super) fn virtual_routers(
    context: &mut Context<'_, '_>,
    files: &[(At<String>, file::VirtualRouter)],
) -> Vec<VirtualRouter> {
    let routers = files.iter().filter_map(|(name, file)| router(context, name, file)).collect();
    together::check(context, files);
    routers
}

fn router(
    context: &mut Context<'_, '_>,
    name: &At<String>,
    file: &file::VirtualRouter,
) -> Option<VirtualRouter> {
    let section = format!("vrrp.{}", name.as_str());
    let name = context.name(&section, name);
    let key = |key: &str| format!("{section}.{key}");
    let interface = file.interface.as_ref();
    let interface =
        interface.and_then(|text| context.text(&key("interface"), text, values::interface));
    let priority = octet(number(file.priority.as_ref(), defaults::VRRP_PRIORITY));
    let version = version(file);
    let addresses = address::addresses(context, &section, file, version);
    let ipv6 = addresses.first().is_some_and(|address| address.address.is_ipv6());
    let source_address = address::source(context, &section, file, &addresses);
    let peers = address::peers(context, &section, file, &addresses, source_address);
    let (preempt, preempt_delay) = timing::preempt(context, &section, file, priority);
    let group = file.sync_group.as_ref();
    Some(VirtualRouter {
        advertisement_interval: timing::interval(context, &section, file, version),
        authentication: timing::authentication(context, &section, file, version),
        sync_group: group.and_then(|text| context.text(&key("sync_group"), text, values::name)),
        garp: timing::garp(context, &section, file.garp.as_ref()),
        checksum: checksum(context, &section, file, (version, ipv6)),
        track: track::track(context, &section, file, priority),
        notify: notify::of_router(context, &section, file.notify.as_ref()),
        name: Arc::from(name),
        interface: interface?,
        virtual_router_id: octet(**file.virtual_router_id.as_ref()?),
        priority,
        addresses,
        version,
        preempt,
        preempt_delay,
        fast_takeover: file.fast_takeover.unwrap_or(defaults::VRRP_FAST_TAKEOVER),
        peers,
        source_address,
        virtual_mac: file.virtual_mac.unwrap_or(defaults::VRRP_VIRTUAL_MAC),
    })
}

/// The schema bounds what this is used for.
fn octet(number: u32) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn version(file: &file::VirtualRouter) -> VrrpVersion {
    match number(file.version.as_ref(), defaults::VRRP_VERSION) {
        2 => VrrpVersion::V2,
        _ => VrrpVersion::V3,
    }
}

/// There is a choice only for version 3 over IPv4.
fn checksum(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::VirtualRouter,
    (version, ipv6): (VrrpVersion, bool),
) -> VrrpChecksum {
    let Some(written) = &file.checksum else { return VrrpChecksum::Auto };
    let why = match version {
        _ if context.dropped.contains(&format!("{section}.version")) => None,
        VrrpVersion::V2 => Some("version 2"),
        VrrpVersion::V3 if ipv6 => Some("IPv6"),
        VrrpVersion::V3 => None,
    };
    if let Some(why) = why.filter(|_| **written != VrrpChecksum::Auto) {
        let message = format!("{section}.checksum has no effect: {why} has one checksum only");
        context.report.warning(written.span(), message, "remove it".to_owned());
    }
    **written
}
