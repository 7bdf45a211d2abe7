//! `management` of the nodes: HTTP listeners lead there, and a check asks it.

use super::Context;
use crate::config::file::{self, At};
use crate::config::model::{Http, Listener, Protocol};

/// Reports nodes without an address that somebody needs, and addresses that nobody does.
pub(super) fn check(
    context: &mut Context<'_, '_>,
    section: &str,
    name: &At<String>,
    file: &file::Cluster,
    listeners: &[Listener],
) {
    let leads_here = |listener: &&Listener| {
        let balances = matches!(listener.protocol, Protocol::Http(Http::Balance(_)));
        balances && listener.cluster.as_ref().is_some_and(|cluster| *cluster.0 == **name)
    };
    match listeners.iter().find(leads_here) {
        Some(listener) => needed_by(context, section, name, file, listener),
        None => warn_unasked(context, section, file),
    }
}

fn needed_by(
    context: &mut Context<'_, '_>,
    section: &str,
    name: &At<String>,
    file: &file::Cluster,
    listener: &Listener,
) {
    let nodes = || file.node.iter().flat_map(|named| &named.0);
    let misread = |context: &Context<'_, '_>, key: &str| {
        context.dropped.mistake_under(&format!("{section}.node{key}"))
    };
    let advice = "add management = \"http://HOST:15672\"";
    if nodes().all(|(_, node)| node.management.is_none()) {
        if !misread(context, "") {
            let leads = format!("listener {} leads to their management", listener.name);
            let message = format!("{section}: no node has a management address, and {leads}");
            context.report.error(name.span(), message, format!("{advice} to the nodes"));
        }
        return;
    }
    for (node, _) in nodes().filter(|(_, node)| node.management.is_none()) {
        if !misread(context, &format!(".{}", node.as_str())) {
            let key = format!("{section}.node.{}", node.as_str());
            let message = format!("{key} has no management: listener {} skips it", listener.name);
            context.report.warning(node.span(), message, advice.to_owned());
        }
    }
}

/// Warns of management addresses that nobody may log in to, and no listener leads to.
fn warn_unasked(context: &mut Context<'_, '_>, section: &str, file: &file::Cluster) {
    let username = file.health.as_ref().and_then(|health| health.username.as_ref());
    let mut nodes = file.node.iter().flat_map(|named| &named.0);
    let management = nodes.find_map(|(_, node)| node.management.as_ref());
    let explicit = file.health.as_ref().is_some_and(|health| health.checks.is_some());
    let misread = context.dropped.mistake_under(&format!("{section}.health"))
        || context.dropped.mistake_under("listener");
    if let (Some(management), None, false, false) = (management, username, explicit, misread) {
        let message = format!("{section}: management is not asked without a username");
        let advice = format!("add username and password_file to [{section}.health]");
        context.report.warning(management.span(), message, advice);
    }
}
