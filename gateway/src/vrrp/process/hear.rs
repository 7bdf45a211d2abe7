//! Is an advertisement meant for a virtual router of ours, and from one who may send it?

use std::net::IpAddr;

use super::station::Station;
use crate::vrrp::packet::{Advert, Datagram, Flaw};
use crate::vrrp::talk::Alarm;

/// What to do with an advertisement for a VRID of ours.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    /// Why it does not count; `None` = it does.
    pub(super) dropped: Option<&'static str>,
    /// What is wrong with it, whether it counts or not.
    pub(super) alarm: Option<(Alarm, String)>,
}

impl Judgement {
    fn drop(reason: &'static str, alarm: Alarm, text: String) -> Self {
        Self { dropped: Some(reason), alarm: Some((alarm, text)) }
    }
}

/// Compares an advertisement with what is configured.
///
/// One of another version, password or sender is dropped, as keepalived does: it may be another company's router. One
/// with other addresses counts, unlike there, as long as one address is shared: a list that is changed on one gateway
/// after the other must not make both active.
pub(super) fn judge(station: &Station, datagram: &Datagram<'_>, advert: &Advert) -> Judgement {
    let (source, vrid) = (datagram.source, station.vrid);
    if advert.version != station.version() {
        let (theirs, ours) = (advert.version, station.version());
        let text = format!(
            "{source} speaks VRRP version {theirs} for VRID {vrid}, this gateway version {ours}: both \
             may be active at once; set the same version on both"
        );
        return Judgement::drop("version", Alarm::OtherVersion, text);
    }
    if advert.auth != station.auth() {
        let text = format!(
            "{source} has another password for VRID {vrid}, or one of the two has none: both may be \
             active at once; set the same authentication on both"
        );
        return Judgement::drop("authentication", Alarm::OtherPassword, text);
    }
    if let Some(text) = stranger(station, source, datagram.destination) {
        return Judgement::drop("peer", Alarm::UnknownPeer, text);
    }
    let shared = advert.addresses.iter().filter(|address| station.has(**address)).count();
    if shared == 0 {
        let text = format!(
            "{source} uses VRID {vrid} for other addresses ({}): give one of the two pairs another \
             virtual_router_id",
            list(&advert.addresses)
        );
        return Judgement::drop("addresses", Alarm::DuplicateVrid, text);
    }
    if shared < advert.addresses.len() || shared < station.config.addresses.len() {
        let text = format!(
            "{source} shares other addresses by VRID {vrid} ({}): set the same addresses on both",
            list(&advert.addresses)
        );
        return Judgement { dropped: None, alarm: Some((Alarm::OtherAddresses, text)) };
    }
    Judgement::default()
}

/// Why a sender is none that is expected.
fn stranger(station: &Station, source: IpAddr, destination: IpAddr) -> Option<String> {
    let (vrid, peers) = (station.vrid, &station.config.peers);
    match (peers.is_empty(), destination.is_multicast()) {
        (true, true) => None,
        (true, false) => Some(format!(
            "{source} sends VRID {vrid} to this gateway alone, which has no peers configured: both \
             may be active at once; set peers on both, or on none"
        )),
        (false, true) => Some(format!(
            "{source} sends VRID {vrid} to all by multicast, this gateway to its peers alone: both \
             may be active at once; set peers on both, or on none"
        )),
        (false, false) if peers.contains(&source) => None,
        (false, false) => Some(format!(
            "{source} sends VRID {vrid} to this gateway and is none of its peers ({}): add it to \
             peers, or stop it",
            list(peers)
        )),
    }
}

/// A flaw that tells of a misconfiguration: only one does.
pub(super) fn flaw_alarm(flaw: &Flaw, source: Option<IpAddr>) -> Option<(Alarm, String)> {
    let source = source.map_or_else(String::new, |source| format!(" from {source}"));
    (flaw.reason() == "version").then(|| {
        let text =
            format!("an advertisement{source} was dropped: {flaw}; set the same version on both");
        (Alarm::OtherVersion, text)
    })
}

fn list(addresses: &[IpAddr]) -> String {
    // As long as a log line bears.
    let mut texts: Vec<_> = addresses.iter().take(8).map(IpAddr::to_string).collect();
    if addresses.len() > texts.len() {
        texts.push("…".to_owned());
    }
    texts.join(", ")
}
