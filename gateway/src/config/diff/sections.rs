//! A configuration as sections with keys, named as in the file, so that two can be compared. Every field is taken apart by
//! name: one that is new has to find its place here.

mod cluster;
mod vrrp;

use std::fmt::Display;
use std::time::Duration;

use cluster::of_cluster;
use vrrp::of_virtual_router;

use crate::config::model::{
    Admin, AdminToken, AdminUser, Certificate, Conditions, Email, Gateway, Http, Listener,
    ListenerTls, Log, LogOutput, Login, Model, PemFile, Protocol, Route, RouteAction, TlsVersion,
};

/// A section of a configuration.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) keys: Vec<(&'static str, Value)>,
    /// The group in which the first that fits counts, if it lies in one.
    pub(super) first_of: Option<String>,
}

/// The value of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    Nothing,
    One(String),
    List(Vec<String>),
    Secret(Vec<u8>),
}

impl Value {
    pub(super) fn is_nothing(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::List(items) => items.is_empty(),
            Self::One(_) | Self::Secret(_) => false,
        }
    }

    pub(super) fn shown(&self) -> String {
        match self {
            Self::Nothing => "none".to_owned(),
            Self::One(text) => text.clone(),
            Self::List(items) => format!("[{}]", items.join(", ")),
            Self::Secret(_) => "(not shown)".to_owned(),
        }
    }
}

/// All sections of a configuration, in its order.
pub(super) fn sections(model: &Model) -> Vec<Section> {
    let Model { gateway, log, listeners, routes, clusters, virtual_routers, email, admin } = model;
    let mut all = vec![of_gateway(gateway), of_log(log)];
    all.extend(listeners.iter().flat_map(of_listener));
    all.extend(routes.iter().enumerate().map(|(at, route)| of_route(at, route, routes)));
    all.extend(clusters.iter().flat_map(of_cluster));
    all.extend(virtual_routers.iter().flat_map(of_virtual_router));
    all.extend(email.as_ref().map(of_email));
    all.extend(admin.iter().flat_map(of_admin));
    all
}

fn section(name: impl Into<String>, keys: Vec<(&'static str, Value)>) -> Section {
    Section { name: name.into(), keys, first_of: None }
}

fn one(value: impl Display) -> Value {
    Value::One(value.to_string())
}

fn maybe(value: Option<impl Display>) -> Value {
    value.map_or(Value::Nothing, one)
}

fn list(values: impl IntoIterator<Item = impl Display>) -> Value {
    Value::List(values.into_iter().map(|value| value.to_string()).collect())
}

fn time(value: Duration) -> Value {
    one(humantime::format_duration(value))
}

fn time_or_off(value: Option<Duration>) -> Value {
    value.map_or_else(|| one("off"), time)
}

/// A unit variant as the configuration has it: kebab-case.
fn word(value: impl std::fmt::Debug) -> Value {
    let mut text = String::new();
    for c in format!("{value:?}").chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    Value::One(text)
}

fn of_gateway(gateway: &Gateway) -> Section {
    let Gateway {
        name,
        workers,
        max_connections,
        handshake_timeout,
        idle_timeout,
        user,
        group,
        drain_timeout,
        drain_rate,
        name_servers,
        reload_on_change,
    } = gateway;
    section(
        "gateway",
        vec![
            ("name", one(name)),
            ("workers", one(workers)),
            ("max_connections", one(max_connections)),
            ("handshake_timeout", time(*handshake_timeout)),
            ("idle_timeout", time_or_off(*idle_timeout)),
            ("user", maybe(user.as_ref())),
            ("group", maybe(group.as_ref())),
            ("drain_timeout", time(*drain_timeout)),
            ("drain_rate", one(drain_rate)),
            ("name_servers", list(name_servers)),
            ("reload_on_change", one(reload_on_change)),
        ],
    )
}

fn of_log(log: &Log) -> Section {
    let Log { level, format, output, access } = log;
    let (output, target) = match output {
        LogOutput::Stdout => ("stdout", Value::Nothing),
        LogOutput::Journald => ("journald", Value::Nothing),
        LogOutput::Syslog(address) => ("syslog", one(address)),
        LogOutput::File(path) => ("file", one(path.display())),
    };
    section(
        "log",
        vec![
            ("level", word(level)),
            ("format", word(format)),
            ("output", one(output)),
            ("to", target),
            ("access", one(access)),
        ],
    )
}

fn of_listener(listener: &Listener) -> Vec<Section> {
    let Listener {
        name,
        bind,
        protocol,
        cluster,
        max_connections,
        proxy_protocol,
        trusted_proxies,
        tls,
    } = listener;
    let (node_port, balance, redirect) = match protocol {
        Protocol::Amqp => (Value::Nothing, Value::Nothing, Value::Nothing),
        Protocol::Tcp { node_port } | Protocol::TlsPassthrough { node_port } => {
            (one(node_port), Value::Nothing, Value::Nothing)
        }
        Protocol::Http(Http::Balance(strategy)) => (Value::Nothing, word(strategy), Value::Nothing),
        Protocol::Http(Http::RedirectToHttps(port)) => (Value::Nothing, Value::Nothing, one(port)),
    };
    let path = format!("listener.{name}");
    let tls = tls.as_ref().map(|tls| of_listener_tls(&path, tls));
    let own = section(
        path,
        vec![
            ("bind", list(bind)),
            ("protocol", one(protocol.name())),
            ("cluster", maybe(cluster.as_ref())),
            ("max_connections", maybe(max_connections.as_ref())),
            ("proxy_protocol", word(proxy_protocol)),
            ("trusted_proxies", list(trusted_proxies)),
            ("node_port", node_port),
            ("balance", balance),
            ("redirect_to_https", redirect),
        ],
    );
    std::iter::once(own).chain(tls).collect()
}

fn of_listener_tls(listener: &str, tls: &ListenerTls) -> Section {
    let ListenerTls {
        certificates,
        min_version,
        cipher_suites,
        client_auth,
        client_ca,
        client_crl,
        strict_sni,
    } = tls;
    section(
        format!("{listener}.tls"),
        vec![
            ("certificates", list(certificates.iter().map(pair))),
            ("min_version", one(if *min_version == TlsVersion::Tls12 { "1.2" } else { "1.3" })),
            ("cipher_suites", list(cipher_suites)),
            ("client_auth", word(client_auth)),
            ("client_ca", maybe(client_ca.as_ref().map(path))),
            ("client_crl", list(client_crl.iter().map(path))),
            ("strict_sni", one(strict_sni)),
        ],
    )
}

fn pair(Certificate { chain, key, place: _ }: &Certificate) -> String {
    match chain == key {
        true => chain.display().to_string(),
        false => format!("{} with {}", chain.display(), key.display()),
    }
}

fn path(PemFile { path, place: _ }: &PemFile) -> String {
    path.display().to_string()
}

/// Routes with a name of their own go by that, others by where they stand.
fn of_route(at: usize, route: &Route, all: &[Route]) -> Section {
    let Route { name, conditions, action } = route;
    let same = |other: &&Route| other.name.is_some() && other.name == *name;
    let path = match name {
        Some(name) if all.iter().filter(same).count() == 1 => format!("route {name:?}"),
        _ => format!("route.{}", at + 1),
    };
    let Conditions { vhost, user, listener, source, sni, common_name, client_property } =
        conditions;
    let (cluster, rename, reject) = match action {
        RouteAction::To { cluster, rename_vhost } => {
            (one(cluster), maybe(rename_vhost.as_ref()), Value::Nothing)
        }
        RouteAction::Reject { code, text } => {
            (Value::Nothing, Value::Nothing, one(format!("{code} {text}")))
        }
    };
    let properties = client_property.iter().map(|(name, pattern)| format!("{name} = {pattern}"));
    let keys = vec![
        ("name", maybe(name.as_ref())),
        ("vhost", maybe(vhost.as_ref())),
        ("user", maybe(user.as_ref())),
        ("listener", maybe(listener.as_ref())),
        ("source", list(source)),
        ("sni", maybe(sni.as_ref())),
        ("common_name", maybe(common_name.as_ref())),
        ("client_property", list(properties)),
        ("cluster", cluster),
        ("rename_vhost", rename),
        ("reject", reject),
    ];
    Section { first_of: Some("route".to_owned()), ..section(path, keys) }
}

fn of_login(login: Option<&Login>) -> [(&'static str, Value); 2] {
    match login {
        None => [("username", Value::Nothing), ("password", Value::Nothing)],
        Some(Login { username, password }) => {
            [("username", one(username)), ("password", secret(password.as_bytes()))]
        }
    }
}

fn secret(bytes: &[u8]) -> Value {
    Value::Secret(bytes.to_vec())
}

fn of_email(email: &Email) -> Section {
    let Email { smtp: (host, port), from, to, tls, login } = email;
    let mut keys = vec![
        ("smtp", one(format!("{host}:{port}"))),
        ("from", one(from)),
        ("to", list(to)),
        ("tls", word(tls)),
    ];
    keys.extend(of_login(login.as_ref()));
    section("notify.email", keys)
}

fn of_admin(admin: &Admin) -> Vec<Section> {
    let Admin { bind, certificates, metrics_auth, users, tokens } = admin;
    let own = section(
        "admin",
        vec![
            ("bind", one(bind)),
            ("tls.certificates", list(certificates.iter().map(pair))),
            ("metrics_auth", one(metrics_auth)),
        ],
    );
    let users = users.iter().map(|AdminUser { name, password_hash, role }| {
        let keys = vec![("password_hash", secret(password_hash.as_bytes())), ("role", word(role))];
        section(format!("admin.user.{name}"), keys)
    });
    let tokens = tokens.iter().map(|AdminToken { name, hash, role }| {
        section(format!("admin.token.{name}"), vec![("hash", secret(hash)), ("role", word(role))])
    });
    std::iter::once(own).chain(users).chain(tokens).collect()
}
