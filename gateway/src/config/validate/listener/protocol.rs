//! `protocol` of a listener, and the keys that belong to one protocol alone.

use std::num::NonZeroU16;

use super::Context;
use crate::config::defaults;
use crate::config::file::{self, At};
use crate::config::model::{Http, HttpStrategy, Protocol};

/// The protocol of a listener; `section` is the listener's.
pub(super) fn protocol(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::Listener,
) -> Protocol {
    use file::Protocol as Written;
    let written = file.protocol.as_deref().copied().unwrap_or(Written::Amqp);
    refuse_strangers(context, section, file, written);
    match written {
        Written::Amqp => Protocol::Amqp,
        Written::Http => Protocol::Http(http(context, section, file)),
        Written::Tcp => {
            Protocol::Tcp { node_port: node_port(context, section, file, NonZeroU16::MIN) }
        }
        Written::TlsPassthrough => {
            let default = NonZeroU16::new(defaults::PASSTHROUGH_PORT).unwrap_or(NonZeroU16::MIN);
            Protocol::TlsPassthrough { node_port: node_port(context, section, file, default) }
        }
    }
}

/// Reports keys that the listener's protocol has no use for.
fn refuse_strangers(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::Listener,
    written: file::Protocol,
) {
    use file::Protocol as P;
    let span = |at: Option<std::ops::Range<usize>>, key, fits: &'static [P]| Some((at?, key, fits));
    let keys = [
        span(file.node_port.as_ref().map(At::span), "node_port", &[P::Tcp, P::TlsPassthrough]),
        span(file.balance.as_ref().map(At::span), "balance", &[P::Http]),
        span(file.redirect_to_https.as_ref().map(At::span), "redirect_to_https", &[P::Http]),
        span(file.tls.as_ref().map(At::span), "tls", &[P::Amqp, P::Http, P::Tcp]),
    ];
    for (place, key, fits) in
        keys.into_iter().flatten().filter(|(.., fits)| !fits.contains(&written))
    {
        let names =
            fits.iter().map(|p| format!("\"{}\"", name(*p))).collect::<Vec<_>>().join(" or ");
        let message = format!("{section}.{key} has no place with protocol = \"{}\"", name(written));
        let advice = format!("remove it; it belongs to protocol = {names}");
        context.report.error(place, message, advice);
    }
}

fn name(protocol: file::Protocol) -> &'static str {
    match protocol {
        file::Protocol::Amqp => "amqp",
        file::Protocol::Http => "http",
        file::Protocol::Tcp => "tcp",
        file::Protocol::TlsPassthrough => "tls-passthrough",
    }
}

fn http(context: &mut Context<'_, '_>, section: &str, file: &file::Listener) -> Http {
    let Some(port) = &file.redirect_to_https else {
        need_cluster(context, section, file);
        return Http::Balance(file.balance.as_deref().copied().unwrap_or(HttpStrategy::RoundRobin));
    };
    let useless = [
        file.cluster.as_ref().map(|cluster| (cluster.span(), "cluster")),
        file.balance.as_ref().map(|balance| (balance.span(), "balance")),
    ];
    for (place, key) in useless.into_iter().flatten() {
        let message = format!("{section}.{key} has no effect with redirect_to_https");
        context.report.warning(place, message, "keep one of the two".to_owned());
    }
    Http::RedirectToHttps(to_port(port).unwrap_or(NonZeroU16::MIN))
}

/// Routes go by what AMQP clients say: for HTTP there is the listener's cluster or none.
fn need_cluster(context: &mut Context<'_, '_>, section: &str, file: &file::Listener) {
    if let (None, Some(protocol)) = (&file.cluster, &file.protocol)
        && !context.dropped.mistake_under(&format!("{section}.cluster"))
        && !context.dropped.mistake_under(&format!("{section}.redirect_to_https"))
    {
        let message = format!("{section} with protocol = \"http\" needs a cluster");
        let advice = "add cluster = \"NAME\": routes are for AMQP clients; or redirect_to_https";
        context.report.error(protocol.span(), message, advice.to_owned());
    }
}

fn node_port(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::Listener,
    default: NonZeroU16,
) -> NonZeroU16 {
    let needed = default == NonZeroU16::MIN;
    if let (None, Some(protocol), true) = (&file.node_port, &file.protocol, needed)
        && !context.dropped.mistake_under(&format!("{section}.node_port"))
    {
        let message = format!("{section} with protocol = \"tcp\" needs node_port");
        let advice = "add the port on each node, as node_port = 1883".to_owned();
        context.report.error(protocol.span(), message, advice);
    }
    file.node_port.as_ref().and_then(to_port).unwrap_or(default)
}

/// The schema keeps it in range.
fn to_port(port: &At<u32>) -> Option<NonZeroU16> {
    NonZeroU16::new(u16::try_from(**port).ok()?)
}
