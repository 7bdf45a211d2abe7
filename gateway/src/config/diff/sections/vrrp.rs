//! `[vrrp.NAME]` and what lies below it.

use super::{Section, Value, list, maybe, one, secret, section, time, word};
use crate::config::model::{Cost, Track, TrackScript, VirtualRouter, VrrpNotify, VrrpVersion};

pub(super) fn of_virtual_router(router: &VirtualRouter) -> Vec<Section> {
    let VirtualRouter {
        name,
        interface,
        virtual_router_id,
        priority,
        addresses,
        version,
        advertisement_interval,
        preempt,
        preempt_delay,
        fast_takeover,
        authentication,
        peers,
        source_address,
        virtual_mac,
        sync_group,
        garp,
        checksum,
        track,
        notify,
    } = router;
    let path = format!("vrrp.{name}");
    let addresses = addresses.iter().map(|at| format!("{}/{}", at.address, at.prefix));
    let garp = format!(
        "repeat {}, delay {}, refresh {}",
        garp.repeat,
        humantime::format_duration(garp.delay),
        garp.refresh
            .map_or_else(|| "off".to_owned(), |r| humantime::format_duration(r).to_string())
    );
    let VrrpNotify { command, webhook } = notify;
    let own = section(
        path.clone(),
        vec![
            ("interface", one(interface)),
            ("virtual_router_id", one(virtual_router_id)),
            ("priority", one(priority)),
            ("addresses", list(addresses)),
            ("version", one(if *version == VrrpVersion::V2 { 2 } else { 3 })),
            ("advertisement_interval", time(*advertisement_interval)),
            ("preempt", one(preempt)),
            ("preempt_delay", time(*preempt_delay)),
            ("fast_takeover", one(fast_takeover)),
            ("authentication", authentication.as_ref().map_or(Value::Nothing, |p| secret(&p.0))),
            ("peers", list(peers)),
            ("source_address", maybe(source_address.as_ref())),
            ("virtual_mac", one(virtual_mac)),
            ("sync_group", maybe(sync_group.as_ref())),
            ("garp", one(garp)),
            ("checksum", word(checksum)),
        ],
    );
    let told = section(
        format!("{path}.notify"),
        vec![
            ("command", maybe(command.as_ref().map(|command| command.join(" ")))),
            // A webhook's URL may hold a token.
            ("webhook", webhook.as_ref().map_or(Value::Nothing, |url| secret(url.as_bytes()))),
        ],
    );
    vec![own, of_track(&path, track), told]
}

fn of_track(router: &str, track: &Track) -> Section {
    let Track { listeners, clusters, interfaces, script } = track;
    let cost = |cost: &Cost| match cost {
        Cost::Weight(weight) => format!("weight {weight}"),
        Cost::Fault => "fault".to_owned(),
    };
    let script =
        script.as_ref().map(|TrackScript { script, interval, rise, fall, cost: costs }| {
            format!(
                "{} within {}, every {}, rise {rise}, fall {fall}, {}",
                script.command.join(" "),
                humantime::format_duration(script.timeout),
                humantime::format_duration(*interval),
                cost(costs)
            )
        });
    section(
        format!("{router}.track"),
        vec![
            ("listeners", maybe(listeners.as_ref().map(cost))),
            ("cluster", list(clusters.iter().map(|(name, c)| format!("{name}: {}", cost(c))))),
            ("interface", list(interfaces.iter().map(|(name, c)| format!("{name}: {}", cost(c))))),
            ("script", maybe(script)),
        ],
    )
}
