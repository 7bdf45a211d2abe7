//! `[[route]]`: conditions, action, and routes that an earlier one leaves nothing for.

mod heard;

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::Context;
use crate::config::file::{self, At, OneOrMany};
use crate::config::model::{ClusterName, Conditions, ListenerName, Route, RouteAction};
use crate::config::pattern::Pattern;
use crate::config::values;

pub(super) use heard::warn_unheard;

/// AMQP 0-9-1 reply codes; client libraries know what to make of these.
const REPLY_CODES: &[u32] =
    &[311, 312, 313, 320, 402, 403, 404, 405, 406, 501, 502, 503, 504, 505, 506, 530, 540, 541];

pub(super) fn routes(context: &mut Context<'_, '_>, files: &[At<file::Route>]) -> Vec<Route> {
    let numbered = || (1..).zip(files);
    for later in numbered() {
        let mut earlier = numbered().take(later.0 - 1);
        if let Some(earlier) = earlier.find(|(_, earlier)| covers(earlier, later.1)) {
            warn_never_matches(context, earlier, later);
        }
    }
    numbered().filter_map(|(number, file)| route(context, number, file)).collect()
}

fn warn_never_matches(
    context: &mut Context<'_, '_>,
    (earlier_number, earlier): (usize, &At<file::Route>),
    (number, later): (usize, &At<file::Route>),
) {
    let misread = |number: usize| context.dropped.any_under(&format!("route.{number}."));
    if misread(number) || misread(earlier_number) {
        return;
    }
    let line = context.report.line_of(earlier.span().start);
    context.report.warning(
        later.span(),
        format!("route.{number} never matches: the route in line {line} takes all of its sessions"),
        "move it up, or give the earlier route more conditions".to_owned(),
    );
}

fn route(context: &mut Context<'_, '_>, number: usize, file: &At<file::Route>) -> Option<Route> {
    let name = file.name.as_ref().and_then(|name| {
        let key = format!("route.{number}.name");
        context.take(&key, name, |text| values::plain_text(text).map(Into::into))
    });
    let conditions = conditions(context, number, file);
    Some(Route { name, conditions, action: action(context, number, file)? })
}

fn conditions(context: &mut Context<'_, '_>, number: usize, file: &file::Route) -> Conditions {
    let key = |name: &str| format!("route.{number}.{name}");
    let mut pattern = |name: &str, text: &Option<At<String>>| -> Option<Pattern> {
        context.take(&key(name), text.as_ref()?, values::pattern)
    };
    let vhost = pattern("vhost", &file.vhost);
    let user = pattern("user", &file.user);
    let sni = pattern("sni", &file.sni);
    let common_name = pattern("common_name", &file.common_name);
    let properties = file.client_property.iter().flat_map(|named| &named.0);
    let client_property = properties.filter_map(|(property, text)| {
        let key = key(&format!("client_property.{}", property.as_str()));
        Some((String::clone(property), context.take(&key, text, values::pattern)?))
    });
    let client_property = client_property.collect();
    if let Some(listener) = &file.listener {
        context.check_listener(&key("listener"), listener);
    }
    let networks = file.source.iter().flat_map(|source| &source.0);
    let source = networks.filter_map(|text| network(context, &key("source"), text)).collect();
    let listener = file.listener.as_ref().map(|name| ListenerName(name.as_str().into()));
    Conditions { vhost, user, listener, source, sni, common_name, client_property }
}

pub(super) fn network(
    context: &mut Context<'_, '_>,
    key: &str,
    text: &At<String>,
) -> Option<IpNet> {
    let network = context.take(key, text, values::network)?;
    if network.addr() != network.network() {
        let meant = network.trunc();
        context.report.warning(
            text.span(),
            format!("{key}: {network} is read as {meant}"),
            format!("write \"{meant}\", or the address alone"),
        );
    }
    Some(network.trunc())
}

fn action(
    context: &mut Context<'_, '_>,
    number: usize,
    file: &At<file::Route>,
) -> Option<RouteAction> {
    let key = |name: &str| format!("route.{number}.{name}");
    if let Some(cluster) = &file.cluster {
        context.check_cluster(&key("cluster"), cluster);
    }
    check_combination(context, number, file);
    let rename_vhost = file.rename_vhost.as_ref().and_then(|vhost| {
        context.take(&key("rename_vhost"), vhost, |t| values::short_string(t).map(Into::into))
    });
    match (&file.cluster, &file.reject) {
        (Some(cluster), _) => {
            Some(RouteAction::To { cluster: ClusterName(cluster.as_str().into()), rename_vhost })
        }
        (None, Some(reject)) => self::reject(context, &key("reject"), reject),
        (None, None) => None,
    }
}

/// One action, and no rename without a cluster; what was misread counts as there.
fn check_combination(context: &mut Context<'_, '_>, number: usize, file: &At<file::Route>) {
    if context.dropped.mistake_under(&format!("route.{number}.")) {
        return;
    }
    let (place, message, advice) = match (&file.cluster, &file.reject, &file.rename_vhost) {
        (Some(_), Some(reject), _) => {
            (reject.span(), "has both cluster and reject", "keep one of the two")
        }
        (None, None, _) => (
            file.span(),
            "says nothing about what happens to the session",
            "add cluster = \"NAME\", or reject = { code = 530, text = \"closed\" }",
        ),
        (None, Some(_), Some(vhost)) => (
            vhost.span(),
            "has rename_vhost, which has no effect with reject",
            "remove it, or name a cluster instead of reject",
        ),
        _ => return,
    };
    context.report.error(place, format!("route.{number} {message}"), advice.to_owned());
}

fn reject(
    context: &mut Context<'_, '_>,
    key: &str,
    file: &At<file::Reject>,
) -> Option<RouteAction> {
    if let Some(code) = file.code.as_ref().filter(|code| !REPLY_CODES.contains(code)) {
        let message = format!("{key}.code: {} is no reply code of AMQP 0-9-1", **code);
        let advice = "clients expect 530 (not allowed), 403 (access refused), 320 (try again)";
        context.report.warning(code.span(), message, advice.to_owned());
    }
    let text = file.text.as_ref()?;
    let text =
        context.take(&format!("{key}.text"), text, |t| values::short_string(t).map(Into::into))?;
    let code = u16::try_from(**file.code.as_ref()?).ok()?;
    Some(RouteAction::Reject { code, text })
}

/// Does every session of `later` match `earlier`? Judged by what is written, so "no" may be wrong.
fn covers(earlier: &file::Route, later: &file::Route) -> bool {
    let same = |a: &Option<At<String>>, b: &Option<At<String>>| match (a, b) {
        (None, _) => true,
        (Some(a), Some(b)) => a.as_str() == b.as_str(),
        (Some(_), None) => false,
    };
    same(&earlier.vhost, &later.vhost)
        && same(&earlier.user, &later.user)
        && same(&earlier.listener, &later.listener)
        && same(&earlier.sni, &later.sni)
        && same(&earlier.common_name, &later.common_name)
        && sources_cover(earlier.source.as_ref(), later.source.as_ref())
        && properties(earlier).is_subset(&properties(later))
}

fn sources_cover(earlier: Option<&OneOrMany>, later: Option<&OneOrMany>) -> bool {
    let networks = |source: &OneOrMany| -> Option<Vec<IpNet>> {
        source.0.iter().map(|text| values::network(text).ok()).collect()
    };
    let Some(earlier) = earlier else { return true };
    match (networks(earlier), later.and_then(networks)) {
        (Some(earlier), Some(later)) => {
            later.iter().all(|inner| earlier.iter().any(|outer| outer.contains(inner)))
        }
        _ => false,
    }
}

fn properties(route: &file::Route) -> BTreeSet<(&str, &str)> {
    let named = route.client_property.iter().flat_map(|named| &named.0);
    named.map(|(name, pattern)| (name.as_str(), pattern.as_str())).collect()
}
