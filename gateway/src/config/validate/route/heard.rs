//! Routes that name a listener, and ask for what its clients never tell there.

use std::ops::Range;

use super::super::Context;
use crate::config::file::{self, At};
use crate::config::model::{ClientAuth, Listener, Protocol, ProxyIn};

/// Warns of conditions that never hold, and of what cannot be done to sessions of the listener.
pub(in super::super) fn warn_unheard(
    context: &mut Context<'_, '_>,
    files: &[At<file::Route>],
    listeners: &[Listener],
) {
    for (number, file) in (1..).zip(files) {
        let named = file.listener.as_ref().map(|name| name.as_str());
        let listener = listeners.iter().find(|listener| Some(&*listener.name.0) == named);
        let misread = context.dropped.mistake_under("listener");
        let Some(listener) = listener.filter(|_| !misread) else { continue };
        for (place, key, why, advice) in unheard(file, listener) {
            let message = format!("route.{number}.{key} {why}");
            context.report.warning(place, message, advice);
        }
    }
}

type Finding = (Range<usize>, &'static str, String, String);

fn unheard(file: &file::Route, listener: &Listener) -> Vec<Finding> {
    let text = |key, text: &Option<At<String>>| Some((text.as_ref()?.span(), key));
    let first_property = || {
        let (property, _) = file.client_property.as_ref()?.0.first()?;
        Some((property.span(), "client_property"))
    };
    let protocol = listener.protocol.name();
    let (name, section) = (&listener.name, format!("[listener.{}.tls]", listener.name));
    let never = |what: &str| format!("never holds: listener {name} {what}");
    let mut found = Vec::new();
    match listener.protocol {
        Protocol::Http(_) => {
            let why = format!("has no effect: listener {name} is for HTTP and asks no routes");
            let advice = "remove the route: HTTP goes to the listener's own cluster".to_owned();
            let place = file.listener.as_ref().map(|name| (name.span(), "listener"));
            return place.map(|(place, key)| (place, key, why, advice)).into_iter().collect();
        }
        Protocol::Tcp { .. } | Protocol::TlsPassthrough { .. } => {
            let asked = [text("vhost", &file.vhost), text("user", &file.user), first_property()];
            for (place, key) in asked.into_iter().flatten() {
                let why = never(&format!("passes bytes on unread (protocol = \"{protocol}\")"));
                let advice = "remove it: here routes go by source, sni and common_name".to_owned();
                found.push((place, key, why, advice));
            }
            if let Some((place, key)) = text("rename_vhost", &file.rename_vhost) {
                let why = format!("cannot be done: listener {name} passes bytes on unread");
                let advice = "remove it: as it stands, these sessions are refused".to_owned();
                found.push((place, key, why, advice));
            }
        }
        Protocol::Amqp => {}
    }
    let passthrough = matches!(listener.protocol, Protocol::TlsPassthrough { .. });
    let told = passthrough || listener.tls.is_some() || listener.proxy_protocol != ProxyIn::Off;
    if let (Some((place, key)), false) = (text("sni", &file.sni), told) {
        let advice = format!("remove it, or add {section}");
        found.push((place, key, never("has no TLS"), advice));
    }
    let asked = listener.tls.as_ref().is_some_and(|tls| tls.client_auth != ClientAuth::None);
    if let (Some((place, key)), false) = (text("common_name", &file.common_name), asked) {
        let (what, advice) = match passthrough {
            true => ("leaves certificates to the nodes", "remove it: route by sni".to_owned()),
            false => (
                "asks for no certificate",
                format!("remove it, or add client_auth and client_ca to {section}"),
            ),
        };
        found.push((place, key, never(what), advice));
    }
    found
}
