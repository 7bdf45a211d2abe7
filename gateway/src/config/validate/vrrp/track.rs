//! `[vrrp.NAME.track]`: what is watched, and what it costs while it fails.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::super::{Context, HOUR, MILLISECOND, TEN_MINUTES, number};
use super::{notify, octet};
use crate::config::defaults;
use crate::config::file::{self, At, Tracked, Tracks};
use crate::config::model::{ClusterName, Cost, Script, Track, TrackScript};
use crate::config::values;

const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(10)..=HOUR;
const TIMEOUTS: RangeInclusive<Duration> = MILLISECOND..=TEN_MINUTES;

pub(super) fn track(
    context: &mut Context<'_, '_>,
    section: &str,
    router: &file::VirtualRouter,
    priority: u8,
) -> Track {
    let Some(file) = &router.track else { return Track::default() };
    let section = &format!("{section}.track");
    let listeners = file.listeners.as_ref().filter(|switch| switch.on).map(|switch| {
        cost(context, &format!("{section}.listeners"), switch.weight.as_ref(), priority)
    });
    let clusters = clusters(context, section, file.cluster.as_ref(), priority);
    Track {
        listeners,
        clusters,
        interfaces: interfaces(context, section, router, priority),
        script: file.script.as_ref().and_then(|file| script(context, section, file, priority)),
    }
}

/// What the thing at `key` costs while it fails.
fn cost(context: &mut Context<'_, '_>, key: &str, weight: Option<&At<u32>>, priority: u8) -> Cost {
    let Some(weight) = weight else { return Cost::Fault };
    if **weight >= u32::from(priority) {
        let message = format!("{key}.weight is not below the priority, {priority}");
        let advice = "write a smaller one: the priority never falls below 1; or remove it, and the \
                      addresses are given up";
        context.report.warning(weight.span(), message, advice.to_owned());
    }
    Cost::Weight(octet(**weight))
}

/// Names with what each costs; one that is there twice is reported.
fn tracked<'f>(
    context: &mut Context<'_, '_>,
    key: &str,
    file: Option<&'f Tracks>,
    priority: u8,
) -> Vec<(&'f At<String>, Cost)> {
    let mut found: Vec<(&At<String>, Cost)> = Vec::new();
    for entry in file.iter().flat_map(|tracks| &tracks.0) {
        let (name, weight) = match entry {
            Tracked::Name(name) => (Some(name), None),
            Tracked::Weighted(entry) => (entry.name.as_ref(), entry.weight.as_ref()),
        };
        let cost = cost(context, key, weight, priority);
        let Some(name) = name else { continue };
        if found.iter().any(|(other, _)| other.as_str() == name.as_str()) {
            let message = format!("{key} names {} twice", name.as_str());
            context.report.error(name.span(), message, "remove one of the two".to_owned());
            continue;
        }
        found.push((name, cost));
    }
    found
}

fn clusters(
    context: &mut Context<'_, '_>,
    section: &str,
    file: Option<&Tracks>,
    priority: u8,
) -> Vec<(ClusterName, Cost)> {
    let key = format!("{section}.cluster");
    let found = tracked(context, &key, file, priority);
    for (name, _) in &found {
        // To track a cluster does not make it one that sessions go to.
        if !context.clusters.contains(name.as_str()) {
            context.no_such(&key, "cluster", name, &context.clusters.clone());
        }
    }
    found.into_iter().map(|(name, cost)| (ClusterName(name.as_str().into()), cost)).collect()
}

fn interfaces(
    context: &mut Context<'_, '_>,
    section: &str,
    router: &file::VirtualRouter,
    priority: u8,
) -> Vec<(Arc<str>, Cost)> {
    let key = format!("{section}.interface");
    let file = router.track.as_ref().and_then(|track| track.interface.as_ref());
    let mut interfaces = Vec::new();
    for (text, cost) in tracked(context, &key, file, priority) {
        let Some(name) = context.text(&key, text, values::interface) else { continue };
        if router.interface.as_ref().is_some_and(|own| own.as_str() == text.as_str()) {
            let message = format!("{key}: {name} is the interface of the virtual router itself");
            let advice = "remove it: without that one there is nothing to share".to_owned();
            context.report.warning(text.span(), message, advice);
            continue;
        }
        interfaces.push((name, cost));
    }
    interfaces
}

fn script(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::TrackScript,
    priority: u8,
) -> Option<TrackScript> {
    let key = format!("{section}.script");
    let cost = cost(context, &key, file.weight.as_ref(), priority);
    let (text, default) = (file.interval.as_ref(), defaults::TRACK_INTERVAL);
    let interval = context.duration(&format!("{key}.interval"), text, INTERVALS, default);
    let (text, default) = (file.timeout.as_ref(), defaults::TRACK_TIMEOUT.min(interval));
    let timeout = context.duration(&format!("{key}.timeout"), text, TIMEOUTS, default);
    if let Some(text) = text.filter(|_| timeout > interval) {
        let interval = defaults::text(interval);
        let message = format!("{key}.timeout is longer than the interval, {interval}");
        let advice = "the next run then begins late; shorten the timeout, or lengthen the interval";
        context.report.warning(text.span(), message, advice.to_owned());
    }
    let command = notify::command(context, &format!("{key}.command"), file.command.as_ref()?)?;
    Some(TrackScript {
        script: Script { command, timeout },
        interval,
        rise: number(file.rise.as_ref(), defaults::TRACK_RISE),
        fall: number(file.fall.as_ref(), defaults::TRACK_FALL),
        cost,
    })
}
