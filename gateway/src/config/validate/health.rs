//! `[cluster.NAME.health]`: what the nodes are asked, and as whom.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::{Context, HOUR, MILLISECOND, TEN_MINUTES, login, positive};
use crate::config::defaults::{self, OFF};
use crate::config::file::{self, At, OffOr};
use crate::config::model::{Check, Health, Node, OnDown, Passive, Script};
use crate::config::values;

const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(10)..=HOUR;
const TIMEOUTS: RangeInclusive<Duration> = MILLISECOND..=TEN_MINUTES;
/// Checks that log in to the broker.
const WITH_LOGIN: [Check; 3] = [Check::Amqp, Check::ChannelRoundtrip, Check::Management];

/// The health of a cluster with these `nodes`; `section` is the cluster's.
pub(super) fn health(
    context: &mut Context<'_, '_>,
    section: &str,
    file: Option<&file::Health>,
    (nodes, loopback_users): (&[Node], &[Arc<str>]),
) -> Health {
    let none = file::Health::default();
    let file = file.unwrap_or(&none);
    let section = &format!("{section}.health");
    let written = login::Written {
        username: file.username.as_ref(),
        password: file.password.as_ref(),
        password_file: file.password_file.as_ref(),
    };
    let login = login::login(context, section, &written);
    if let Some(username) = &file.username
        && loopback_users.iter().any(|user| **user == **username)
    {
        login::warn_of_loopback_user(context, section, username, nodes);
    }
    let checks = checks(context, section, file, nodes);
    warn_unused(context, section, file, &checks);
    let (vhost, queue) = (file.vhost.as_ref(), file.queue.as_ref());
    let (key, check) = (format!("{section}.vhost"), values::short_string);
    let vhost = vhost.and_then(|text| context.text(&key, text, check));
    let (key, check) = (format!("{section}.queue"), values::queue_name);
    let queue = queue.and_then(|text| context.text(&key, text, check));
    let default = Health::default();
    Health {
        rise: positive(file.rise.as_ref(), defaults::HEALTH_RISE),
        fall: positive(file.fall.as_ref(), defaults::HEALTH_FALL),
        passive: passive(context, section, file.passive.as_ref()),
        checks,
        login,
        vhost: vhost.unwrap_or(default.vhost),
        script: script(context, section, file),
        queue: queue.unwrap_or(default.queue),
        on_down: file.on_down.unwrap_or(OnDown::Close),
        ..times(context, section, file)
    }
}

/// Its intervals and timeout; the rest is as by default.
fn times(context: &mut Context<'_, '_>, section: &str, file: &file::Health) -> Health {
    let mut duration = |key: &str, text: &Option<At<String>>, range, default| {
        context.duration(&format!("{section}.{key}"), text.as_ref(), range, default)
    };
    let interval = duration("interval", &file.interval, INTERVALS, defaults::HEALTH_INTERVAL);
    let fast = defaults::HEALTH_FAST_INTERVAL.min(interval);
    let fast_interval = duration("fast_interval", &file.fast_interval, INTERVALS, fast);
    let timeout = duration("timeout", &file.timeout, TIMEOUTS, defaults::HEALTH_TIMEOUT);
    let mut warn_longer = |key: &str, text: &Option<At<String>>, value: Duration, why: &str| {
        if let Some(text) = text.as_ref().filter(|_| value > interval) {
            let interval = defaults::text(interval);
            let message = format!("{section}.{key} is longer than the interval, {interval}");
            context.report.warning(text.span(), message, why.to_owned());
        }
    };
    let late = "a round then begins late; shorten the timeout, or lengthen the interval";
    warn_longer("timeout", &file.timeout, timeout, late);
    let slow = "it is there to see a change sooner: write a shorter one";
    warn_longer("fast_interval", &file.fast_interval, fast_interval, slow);
    Health { interval, fast_interval, timeout, ..Health::default() }
}

fn passive(
    context: &mut Context<'_, '_>,
    section: &str,
    file: Option<&OffOr<file::Passive>>,
) -> Option<Passive> {
    let (failures, within) = match file {
        None => (None, None),
        Some(OffOr::Table(file)) => (file.failures.as_ref(), file.within.as_ref()),
        Some(OffOr::Word(word)) if word.as_str() == OFF => return None,
        Some(OffOr::Word(word)) => {
            let message = format!("{section}.passive cannot be {:?}", word.as_str());
            let advice = "write \"off\", or { failures = 3, within = \"10s\" }".to_owned();
            context.report.error(word.span(), message, advice);
            return None;
        }
    };
    let key = format!("{section}.passive.within");
    Some(Passive {
        failures: positive(failures, defaults::PASSIVE_FAILURES),
        within: context.duration(&key, within, INTERVALS, defaults::PASSIVE_WITHIN),
    })
}

/// Those of the file, or the default ones.
fn checks(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::Health,
    nodes: &[Node],
) -> Vec<Check> {
    let has_login = file.username.is_some();
    let managed = nodes.iter().any(|node| node.management.is_some());
    let Some(written) = &file.checks else {
        let given = [(Check::Tcp, true), (Check::Amqp, has_login)];
        let given = given.into_iter().chain([(Check::Management, has_login && managed)]);
        return given.filter(|(_, given)| *given).map(|(check, _)| check).collect();
    };
    let mut checks = Vec::new();
    for check in written.iter() {
        if checks.contains(&**check) {
            let message = format!("{section}.checks names {} twice", check.name());
            context.report.warning(check.span(), message, "remove one of the two".to_owned());
            continue;
        }
        checks.push(**check);
        if let Some((lack, advice)) = lack(context, section, file, **check, managed) {
            let message = format!("{section}.checks: {} needs {lack}", check.name());
            context.report.error(check.span(), message, advice.to_owned());
        }
    }
    checks
}

/// What a check needs and does not have, and what to do about it.
fn lack(
    context: &Context<'_, '_>,
    section: &str,
    file: &file::Health,
    check: Check,
    managed: bool,
) -> Option<(&'static str, &'static str)> {
    let misread = |key: &str| context.dropped.mistake_under(&format!("{section}.{key}"));
    let cluster = section.strip_suffix(".health").unwrap_or(section);
    let nodes_misread = context.dropped.mistake_under(&format!("{cluster}.node"));
    if WITH_LOGIN.contains(&check) && file.username.is_none() && !misread("username") {
        return Some(("a username", "add username and password_file, or remove the check"));
    }
    match check {
        Check::Management if !managed && !nodes_misread => Some((
            "the management address of a node",
            "add management = \"http://HOST:15672\" to the nodes, or remove the check",
        )),
        Check::Script if file.script.is_none() && !misread("script") => Some((
            "a script",
            "add script = { command = [\"/path/of/the/program\"] }, or remove the check",
        )),
        _ => None,
    }
}

/// Warns of keys that belong to a check that is not made.
fn warn_unused(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::Health,
    checks: &[Check],
) {
    if context.dropped.mistake_under(&format!("{section}.checks")) {
        return;
    }
    let spans = [
        (Check::Script, "script", file.script.as_ref().map(At::span)),
        (Check::ChannelRoundtrip, "queue", file.queue.as_ref().map(At::span)),
    ];
    for (check, key, span) in spans {
        if let Some(span) = span.filter(|_| !checks.contains(&check)) {
            let name = check.name();
            let message = format!("{section}.{key} has no effect: checks do not name {name}");
            let advice = format!("add \"{name}\" to checks, or remove {key}");
            context.report.warning(span, message, advice);
        }
    }
}

fn script(context: &mut Context<'_, '_>, section: &str, file: &file::Health) -> Option<Script> {
    let file = file.script.as_ref()?;
    let key = format!("{section}.script");
    let (range, default, timeout) = (TIMEOUTS, defaults::HEALTH_TIMEOUT, file.timeout.as_ref());
    let timeout = context.duration(&format!("{key}.timeout"), timeout, range, default);
    let key = format!("{key}.command");
    let command = file.command.as_ref()?;
    let (program, arguments) = command.split_first()?;
    context.text(&key, program, values::plain_text)?;
    for argument in arguments {
        context.text(&key, argument, values::argument)?;
    }
    Some(Script { command: command.iter().map(|part| String::clone(part)).collect(), timeout })
}
