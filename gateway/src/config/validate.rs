//! File types -> model: addresses, names that must exist, and what else a schema cannot say.

mod admin;
mod cluster;
mod health;
mod listener;
mod login;
mod route;
mod tls;
mod vrrp;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::defaults::{self, OFF};
use super::diagnostic::Report;
use super::environment::Environment;
use super::file::{self, At, LogTarget, Named};
use super::model::{Gateway, Log, LogFormat, LogLevel, LogOutput, Model};
use super::shape::Dropped;
use super::values::{self, Fault};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const TEN_MINUTES: Duration = Duration::from_secs(10 * 60);
/// Where name servers answer.
const DNS_PORT: u16 = 53;
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The model of a file; usable only if `report` holds no error afterwards.
pub(super) fn model(
    file: file::File,
    dropped: Dropped,
    environment: &Environment<'_>,
    report: &mut Report<'_>,
) -> Model {
    let mut context = Context {
        report,
        environment,
        listeners: names(file.listener.as_ref(), "listener.", &dropped),
        clusters: names(file.cluster.as_ref(), "cluster.", &dropped),
        used_clusters: BTreeSet::new(),
        misnamed_cluster: false,
        dropped,
    };
    let routes = file.route.unwrap_or_default();
    let listeners = file.listener.map(|listeners| listeners.0).unwrap_or_default();
    let clusters = file.cluster.map(|clusters| clusters.0).unwrap_or_default();
    let gateway = gateway(&mut context, file.gateway.unwrap_or_default(), environment);
    let log = log(&mut context, file.log.unwrap_or_default());
    listener::warn_unreachable(&mut context, &listeners, &routes);
    let (listeners, mut bound) = listener::listeners(&mut context, &listeners);
    let admin = file.admin.and_then(|file| admin::admin(&mut context, &file, &mut bound));
    route::warn_unheard(&mut context, &routes, &listeners);
    let routes = route::routes(&mut context, &routes);
    let clusters = cluster::clusters(&mut context, &clusters, (&listeners, &routes));
    let virtual_routers = file.vrrp.map(|routers| routers.0).unwrap_or_default();
    Model {
        gateway,
        log,
        listeners,
        routes,
        clusters,
        virtual_routers: vrrp::virtual_routers(&mut context, &virtual_routers),
        email: vrrp::email(&mut context, file.notify.and_then(|notify| notify.email)),
        admin,
    }
}

/// What the checks of a section know of the whole file.
struct Context<'c, 'r> {
    report: &'c mut Report<'r>,
    environment: &'c Environment<'c>,
    /// Declared names, those of sections with problems included.
    listeners: BTreeSet<String>,
    clusters: BTreeSet<String>,
    /// Clusters that a listener or route names.
    used_clusters: BTreeSet<String>,
    /// A listener or route names a cluster that does not exist, and may mean any other.
    misnamed_cluster: bool,
    dropped: Dropped,
}

impl Context<'_, '_> {
    /// Parses a text; a fault is reported at its place as one of `key`.
    fn take<T>(
        &mut self,
        key: &str,
        text: &At<String>,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        match parse(text) {
            Ok(value) => Some(value),
            Err(fault) => {
                let message = format!("{key}: {}", fault.message);
                self.report.error(text.span(), message, fault.advice);
                None
            }
        }
    }

    /// A text that `check` finds nothing wrong with.
    fn text(
        &mut self,
        key: &str,
        text: &At<String>,
        check: impl for<'t> FnOnce(&'t str) -> Result<&'t str, Fault>,
    ) -> Option<Arc<str>> {
        self.take(key, text, |text| check(text).map(Arc::from))
    }

    fn duration(
        &mut self,
        key: &str,
        text: Option<&At<String>>,
        range: RangeInclusive<Duration>,
        default: Duration,
    ) -> Duration {
        text.and_then(|text| self.take(key, text, |text| values::duration(text, &range)))
            .unwrap_or(default)
    }

    /// The name of a section. A bad one is reported and kept, so that what refers to it is found.
    fn name(&mut self, section: &str, name: &At<String>) -> String {
        self.take(section, name, |name| values::name(name).map(|_| ()));
        String::clone(name)
    }

    fn check_listener(&mut self, key: &str, name: &At<String>) {
        if !self.listeners.contains(name.as_str()) {
            self.no_such(key, "listener", name, &self.listeners.clone());
        }
    }

    fn check_cluster(&mut self, key: &str, name: &At<String>) {
        self.used_clusters.insert(String::clone(name));
        if !self.clusters.contains(name.as_str()) {
            self.misnamed_cluster = true;
            self.no_such(key, "cluster", name, &self.clusters.clone());
        }
    }

    fn no_such(&mut self, key: &str, kind: &str, name: &At<String>, known: &BTreeSet<String>) {
        let message = format!("{key}: there is no {kind} {:?}", name.as_str());
        let similar = values::similar(name, known.iter());
        let known = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let advice = match similar {
            Some(similar) => format!("did you mean {similar:?}?"),
            None if known.is_empty() => format!("add a section [{kind}.{}]", name.as_str()),
            None => format!("name one of: {known}; or add its section"),
        };
        self.report.error(name.span(), message, advice);
    }
}

fn names<T>(sections: Option<&Named<T>>, prefix: &str, dropped: &Dropped) -> BTreeSet<String> {
    let kept = sections.into_iter().flat_map(|named| &named.0).map(|(name, _)| String::clone(name));
    kept.chain(dropped.sections(prefix).map(str::to_owned)).collect()
}

fn gateway(
    context: &mut Context<'_, '_>,
    file: file::Gateway,
    environment: &Environment<'_>,
) -> Gateway {
    let name = match &file.name {
        Some(name) => context.name("gateway.name", name),
        None => environment.host_name.clone(),
    };
    let (user, group) = account(context, &file);
    let (default, text) = (defaults::HANDSHAKE_TIMEOUT, file.handshake_timeout.as_ref());
    let handshake_timeout =
        context.duration("gateway.handshake_timeout", text, MILLISECOND..=HOUR, default);
    let (default, text) = (defaults::DRAIN_TIMEOUT, file.drain_timeout.as_ref());
    let drain_timeout =
        context.duration("gateway.drain_timeout", text, Duration::ZERO..=DAY, default);
    Gateway {
        name: name.into(),
        workers: number(file.workers.as_ref(), defaults::WORKERS) as usize,
        max_connections: number(file.max_connections.as_ref(), defaults::MAX_CONNECTIONS) as usize,
        handshake_timeout,
        idle_timeout: idle_timeout(context, file.idle_timeout.as_ref()),
        user,
        group,
        drain_timeout,
        drain_rate: positive(file.drain_rate.as_ref(), defaults::DRAIN_RATE),
        name_servers: name_servers(context, file.name_servers.as_ref()),
        reload_on_change: file.reload_on_change.unwrap_or(defaults::RELOAD_ON_CHANGE),
    }
}

fn name_servers(context: &mut Context<'_, '_>, texts: Option<&file::OneOrMany>) -> Vec<SocketAddr> {
    let texts = texts.into_iter().flat_map(|texts| &texts.0);
    texts
        .filter_map(|t| {
            context.take("gateway.name_servers", t, |t| values::server_address(t, DNS_PORT))
        })
        .collect()
}

/// User and group to drop to.
fn account(
    context: &mut Context<'_, '_>,
    file: &file::Gateway,
) -> (Option<String>, Option<String>) {
    if let (None, Some(group)) = (&file.user, &file.group)
        && !context.dropped.contains("gateway.user")
    {
        let message = "gateway.group has no effect without gateway.user".to_owned();
        context.report.error(group.span(), message, "add user, or remove group".to_owned());
    }
    let mut name = |key: &str, text: &Option<At<String>>| {
        context.take(key, text.as_ref()?, |text| values::plain_text(text).map(str::to_owned))
    };
    (name("gateway.user", &file.user), name("gateway.group", &file.group))
}

fn idle_timeout(context: &mut Context<'_, '_>, text: Option<&At<String>>) -> Option<Duration> {
    let text = text.filter(|text| text.as_str() != OFF)?;
    context.take("gateway.idle_timeout", text, |text| {
        values::duration(text, &(SECOND..=30 * DAY)).map_err(|fault| {
            let advice = format!("{}; or \"off\"", fault.advice);
            Fault { advice, ..fault }
        })
    })
}

fn log(context: &mut Context<'_, '_>, file: file::Log) -> Log {
    Log {
        level: file.level.unwrap_or(LogLevel::Info),
        format: file.format.unwrap_or(LogFormat::Text),
        output: log_output(context, &file),
        access: file.access.unwrap_or(defaults::LOG_ACCESS),
    }
}

fn log_output(context: &mut Context<'_, '_>, file: &file::Log) -> LogOutput {
    let target = file.output.as_deref().copied().unwrap_or(LogTarget::Stdout);
    let used = target == LogTarget::Syslog;
    check_log_key(context, file, ("syslog", &file.syslog), used, "127.0.0.1:514");
    let used = target == LogTarget::File;
    check_log_key(context, file, ("file", &file.file), used, "/var/log/amqp-gateway.log");
    let syslog = file.syslog.as_ref();
    let syslog = syslog.and_then(|t| context.take("log.syslog", t, values::socket_address));
    let path = file.file.as_ref().and_then(|text| {
        context.take("log.file", text, |text| values::plain_text(text).map(PathBuf::from))
    });
    match (target, syslog, path) {
        (LogTarget::Syslog, Some(address), _) => LogOutput::Syslog(address),
        (LogTarget::File, _, Some(path)) => LogOutput::File(path),
        (LogTarget::Journald, ..) => LogOutput::Journald,
        _ => LogOutput::Stdout,
    }
}

/// A key that belongs to one value of `log.output` is there if, and only if, it is `used`.
fn check_log_key(
    context: &mut Context<'_, '_>,
    file: &file::Log,
    (key, text): (&str, &Option<At<String>>),
    used: bool,
    example: &str,
) {
    let misread = |key: &str| context.dropped.contains(&format!("log.{key}"));
    match text {
        None if used && !misread(key) => {
            let place = file.output.as_ref().map_or(0..0, At::span);
            let message = format!("log.output = \"{key}\" needs log.{key}");
            context.report.error(place, message, format!("add {key} = \"{example}\""));
        }
        Some(text) if !used && !misread("output") => {
            let message = format!("log.{key} has no effect: log.output is not \"{key}\"");
            let advice = format!("write output = \"{key}\", or remove {key}");
            context.report.warning(text.span(), message, advice);
        }
        _ => {}
    }
}

fn number(value: Option<&At<u32>>, default: u32) -> u32 {
    value.map_or(default, |value| **value)
}

/// The schema allows no zero where this is used.
fn positive(value: Option<&At<u32>>, default: u32) -> NonZeroU32 {
    NonZeroU32::new(number(value, default)).unwrap_or(NonZeroU32::MIN)
}
