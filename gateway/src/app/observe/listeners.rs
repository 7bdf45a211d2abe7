//! Where clients arrive.

use std::sync::Arc;
use std::time::Instant;

use super::list::Row;
use super::sums;
use crate::admin::view::status::Rates;
use crate::admin::view::traffic::Listener;
use crate::config::model::{self, Protocol, ProxyIn};
use crate::gate::Gate;
use crate::listener::accept::Accepting;

/// A listener of the gateway, and who goes in and out.
#[derive(Debug, Clone)]
pub(in crate::app) struct Door {
    pub(in crate::app) model: model::Listener,
    pub(in crate::app) gate: Arc<Gate>,
    pub(in crate::app) accepting: Arc<Accepting>,
}

impl Door {
    pub(super) fn name(&self) -> &str {
        &self.model.name.0
    }

    pub(super) fn is_http(&self) -> bool {
        matches!(self.model.protocol, Protocol::Http(_))
    }

    /// `host:port` of each address.
    pub(super) fn addresses(&self) -> Vec<String> {
        self.model.bind.iter().map(ToString::to_string).collect()
    }
}

/// As the API shows them.
pub(super) fn all(doors: &[Door], rows: &[Row], stopping: bool, now: Instant) -> Vec<Listener> {
    let sums = sums::by(rows, |row| Some(row.listener()));
    let rates = |door: &Door| sums.get(door.name()).map(|sum| sum.rates).unwrap_or_default();
    doors.iter().map(|door| view(door, rates(door), stopping, now)).collect()
}

/// Why no clients are accepted there, if they are not.
pub(super) fn wrong(door: &Door, stopping: bool, now: Instant) -> Option<&'static str> {
    if stopping { Some("the gateway is stopping") } else { door.accepting.wrong(now) }
}

fn view(door: &Door, rates: Rates, stopping: bool, now: Instant) -> Listener {
    let model = &door.model;
    let reason = wrong(door, stopping, now);
    Listener {
        listener: model.name.to_string(),
        addresses: door.addresses(),
        protocol: model.protocol.name().to_owned(),
        tls: model.tls.is_some(),
        proxy_protocol: match model.proxy_protocol {
            ProxyIn::Off => "off",
            ProxyIn::Optional => "optional",
            ProxyIn::Required => "required",
        }
        .to_owned(),
        cluster: model.cluster.as_ref().map(ToString::to_string),
        accepting: reason.is_none(),
        reason: reason.map(str::to_owned),
        sessions: door.gate.live(),
        max_connections: model.max_connections,
        rates,
    }
}
