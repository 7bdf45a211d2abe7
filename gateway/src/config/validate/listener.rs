//! `[listener.NAME]`, and all that this process binds.

mod protocol;

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use ipnet::IpNet;

use super::{Context, route, tls};
use crate::config::file::{self, At};
use crate::config::model::{ClusterName, Listener, ListenerName, ProxyIn};
use crate::config::values;

/// The listeners, and what they bind.
pub(super) fn listeners(
    context: &mut Context<'_, '_>,
    files: &[(At<String>, file::Listener)],
) -> (Vec<Listener>, Bound) {
    let mut bound = Bound(Vec::new());
    let listeners = files.iter().map(|(name, file)| listener(context, name, file, &mut bound));
    (listeners.collect(), bound)
}

/// Warns of listeners that refuse whoever arrives.
pub(super) fn warn_unreachable(
    context: &mut Context<'_, '_>,
    listeners: &[(At<String>, file::Listener)],
    routes: &[At<file::Route>],
) {
    for (name, listener) in listeners {
        let key = format!("listener.{}", name.as_str());
        let routed = routes.iter().any(|route| {
            route.reject.is_none() && route.listener.as_ref().is_none_or(|l| l.as_str() == **name)
        });
        let dropped = &context.dropped;
        let misread = dropped.mistake_under(&format!("{key}.")) || dropped.mistake_under("route");
        let has_cluster = listener.cluster.is_some();
        // Which is an error where HTTP is balanced.
        let is_http = listener.protocol.as_deref() == Some(&file::Protocol::Http);
        if !routed && !has_cluster && !misread && !is_http {
            context.report.warning(
                name.span(),
                format!("{key} has no cluster and no route leads anywhere: it refuses everyone"),
                "add cluster = \"NAME\" to it, or a [[route]] with a cluster".to_owned(),
            );
        }
    }
}

fn listener(
    context: &mut Context<'_, '_>,
    name: &At<String>,
    file: &file::Listener,
    bound: &mut Bound,
) -> Listener {
    let section = format!("listener.{}", name.as_str());
    let name = context.name(&section, name);
    if let Some(cluster) = &file.cluster {
        context.check_cluster(&format!("{section}.cluster"), cluster);
    }
    let texts = file.bind.iter().flat_map(|bind| &bind.0);
    let key = format!("{section}.bind");
    Listener {
        name: ListenerName(name.into()),
        bind: texts.filter_map(|text| bound.add(context, &key, text)).collect(),
        protocol: protocol::protocol(context, &section, file),
        cluster: file.cluster.as_ref().map(|name| ClusterName(name.as_str().into())),
        max_connections: file.max_connections.as_ref().map(|number| **number as usize),
        proxy_protocol: file.proxy_protocol.as_deref().copied().unwrap_or(ProxyIn::Off),
        trusted_proxies: trusted_proxies(context, &section, file),
        tls: file.tls.as_deref().map(|tls| Arc::new(tls::of_listener(context, &section, tls))),
    }
}

/// The networks of proxies, which are there if, and only if, a header may come.
fn trusted_proxies(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::Listener,
) -> Vec<IpNet> {
    let key = format!("{section}.trusted_proxies");
    let expected = file.proxy_protocol.as_ref().filter(|proxy| ***proxy != ProxyIn::Off);
    let given = file.trusted_proxies.as_ref().filter(|networks| !networks.is_empty());
    match (expected, given) {
        (Some(expected), None) if !context.dropped.mistake_under(&key) => {
            let message = format!("{section}.proxy_protocol is on, and no proxy is trusted");
            let advice =
                "add trusted_proxies = [\"10.0.0.0/8\"]: those that may send a PROXY header";
            context.report.error(expected.span(), message, advice.to_owned());
        }
        // With HTTP they may send X-Forwarded-For, too.
        (None, Some(_)) if file.protocol.as_deref() == Some(&file::Protocol::Http) => {}
        (None, Some(given)) if !context.dropped.mistake_under(&format!("{section}.proxy")) => {
            let message = format!("{key} has no effect without proxy_protocol");
            let advice = "add proxy_protocol = \"required\" or \"optional\", or remove it";
            context.report.warning(given.span(), message, advice.to_owned());
        }
        _ => {}
    }
    let networks = given.into_iter().flat_map(|networks| networks.iter());
    networks.filter_map(|text| route::network(context, &key, text)).collect()
}

/// Every address bound so far, with its place in the file.
pub(super) struct Bound(Vec<(SocketAddr, Range<usize>)>);

impl Bound {
    /// The address that is written there, unless something else is bound to it.
    pub(super) fn add(
        &mut self,
        context: &mut Context<'_, '_>,
        key: &str,
        text: &At<String>,
    ) -> Option<SocketAddr> {
        let address = context.take(key, text, values::socket_address)?;
        if address.port() == 0 {
            context.report.warning(
                text.span(),
                format!("{key}: port 0 is another free port at each start"),
                "write the port that is connected to".to_owned(),
            );
            return Some(address);
        }
        if let Some((other, place)) = self.0.iter().find(|(other, _)| overlap(*other, address)) {
            let line = context.report.line_of(place.start);
            if *other == address {
                let message = format!("{key}: {address} is bound in line {line} already");
                let advice = "give one of them another address or port";
                context.report.error(text.span(), message, advice.to_owned());
            } else {
                let message = format!("{key}: {address} overlaps with {other} in line {line}");
                let advice = "bind either all addresses or single ones of this port";
                context.report.warning(text.span(), message, advice.to_owned());
            }
        }
        self.0.push((address, text.span()));
        Some(address)
    }
}

/// Do both take the same connections? ([::] is bound for IPv6 only.)
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let same_family = a.is_ipv4() == b.is_ipv4();
    let any = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && same_family && (any || a.ip() == b.ip())
}
