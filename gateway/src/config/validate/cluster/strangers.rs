//! Nodes at loopback addresses, to which clients from anywhere look local.

use std::net::IpAddr;

use super::super::Context;
use crate::config::file;
use crate::config::model::{ClusterName, Listener, Protocol, Route, RouteAction};
use crate::config::values;

/// Warns where such a node would take clients from elsewhere for clients of its own host: the first such node stands for
/// all.
pub(super) fn warn(
    context: &mut Context<'_, '_>,
    (name, file): (&ClusterName, &file::Cluster),
    listeners: &[Listener],
    routes: &[Route],
) {
    if file.loopback_users.as_ref().is_some_and(|users| users.is_empty()) {
        return;
    }
    warn_of_management(context, (name, file), listeners);
    let addresses = file.node.iter().flat_map(|named| &named.0);
    let local = addresses.filter_map(|(_, node)| node.address.as_ref()).find(|text| {
        let address = values::node_address(text.as_str());
        address.is_ok_and(|address| match address.literal() {
            Some(literal) => literal.ip().is_loopback(),
            None => address.host.eq_ignore_ascii_case("localhost"),
        })
    });
    let Some(local) = local else { return };
    let open = |listener: &&Listener| {
        listener.bind.iter().any(|bound| !bound.ip().is_loopback())
            && leads_to(listener, name, routes)
    };
    let say = |listener: &Listener| {
        let (local, listener) = (local.as_str(), &listener.name);
        format!(
            "cluster.{name}: to the node at {local} every client looks local, and listener {listener} takes clients \
             from other hosts"
        )
    };
    let amqp = |listener: &&Listener| listener.protocol == Protocol::Amqp;
    if let Some(listener) = listeners.iter().filter(amqp).find(open) {
        let advice = "to those the gateway refuses guest and anonymous logins, as the node would; see loopback_users";
        context.report.warning(local.span(), say(listener), advice.to_owned());
    }
    let unread = |listener: &&Listener| {
        matches!(listener.protocol, Protocol::Tcp { .. } | Protocol::TlsPassthrough { .. })
    };
    if let Some(listener) = listeners.iter().filter(unread).find(open) {
        let message =
            format!("{}: it refuses them all, for it cannot read who logs in", say(listener));
        let advice = "name the node by another address of its host; or write loopback_users = [] if its broker has none";
        context.report.warning(local.span(), message, advice.to_owned());
    }
}

/// The same of the management, which HTTP listeners lead to.
fn warn_of_management(
    context: &mut Context<'_, '_>,
    (name, file): (&ClusterName, &file::Cluster),
    listeners: &[Listener],
) {
    let nodes = file.node.iter().flat_map(|named| &named.0);
    let local = nodes.filter_map(|(_, node)| node.management.as_ref()).find(|text| {
        values::management_url(text.as_str()).is_ok_and(|url| match url.host.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback(),
            Err(_) => url.host.eq_ignore_ascii_case("localhost"),
        })
    });
    let open = |listener: &&Listener| {
        matches!(listener.protocol, Protocol::Http(_))
            && listener.cluster.as_ref() == Some(name)
            && listener.bind.iter().any(|bound| !bound.ip().is_loopback())
    };
    if let (Some(local), Some(listener)) = (local, listeners.iter().find(open)) {
        let message = format!(
            "cluster.{name}: at {} every client looks local, and listener {} takes clients from other hosts: it refuses \
             them all",
            local.as_str(),
            listener.name
        );
        let advice = "name the management by another address of its host; or write loopback_users = [] if its broker has none";
        context.report.warning(local.span(), message, advice.to_owned());
    }
}

fn leads_to(listener: &Listener, cluster: &ClusterName, routes: &[Route]) -> bool {
    let by_route = |route: &Route| {
        let named = route.conditions.listener.as_ref();
        let leads = matches!(&route.action, RouteAction::To { cluster: to, .. } if to == cluster);
        leads && named.is_none_or(|name| *name == listener.name)
    };
    listener.cluster.as_ref() == Some(cluster) || routes.iter().any(by_route)
}
