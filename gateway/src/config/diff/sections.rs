//! A configuration as sections with keys, named as in the file, so that two can be compared. Every field is taken apart by
//! name: one that is new has to find its place here.

use std::fmt::Display;
use std::time::Duration;

use crate::config::model::{
    Admin, AdminToken, AdminUser, Admission, Certificate, Cluster, ClusterTls, Conditions, Cost,
    Email, Gateway, Health, Http, Identity, Listener, ListenerTls, Log, LogOutput, Login, Model,
    Node, PemFile, Protocol, Route, RouteAction, TlsVersion, Track, TrackScript, VirtualRouter,
    VrrpNotify, VrrpVersion,
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

fn of_cluster(cluster: &Cluster) -> Vec<Section> {
    let Cluster {
        name,
        balance,
        retry,
        connect_timeout,
        resolve_interval,
        slow_start,
        admission,
        rebalance,
        rebalance_rate,
        drain_patience,
        loopback_users,
        proxy_protocol,
        tls,
        identities,
        health,
        nodes,
    } = cluster;
    let path = format!("cluster.{name}");
    let admission = admission.as_ref().map(|Admission { rate, queue, wait }| {
        format!("rate {rate}, queue {queue}, wait {}", humantime::format_duration(*wait))
    });
    let mut all = vec![section(
        path.clone(),
        vec![
            ("balance", one(balance.name())),
            ("retry", one(retry)),
            ("connect_timeout", time(*connect_timeout)),
            ("resolve_interval", time(*resolve_interval)),
            ("slow_start", time(*slow_start)),
            ("admission", maybe(admission)),
            ("rebalance", one(if *rebalance { "auto" } else { "off" })),
            ("rebalance_rate", one(rebalance_rate)),
            ("drain_patience", time(*drain_patience)),
            ("loopback_users", list(loopback_users)),
            ("proxy_protocol", word(proxy_protocol)),
        ],
    )];
    all.extend(tls.as_ref().map(|tls| of_cluster_tls(&path, tls)));
    all.extend(identities.iter().map(|identity| of_identity(&path, identity)));
    all.push(of_health(&path, health));
    all.extend(nodes.iter().map(|node| of_node(&path, balance.name() == "first", node)));
    all
}

fn of_cluster_tls(cluster: &str, tls: &ClusterTls) -> Section {
    let ClusterTls { ca, server_name, certificate } = tls;
    section(
        format!("{cluster}.tls"),
        vec![
            ("ca", maybe(ca.as_ref().map(path))),
            ("server_name", maybe(server_name.as_ref())),
            ("certificate", maybe(certificate.as_ref().map(pair))),
        ],
    )
}

fn of_identity(cluster: &str, identity: &Identity) -> Section {
    let Identity { name, common_name, san, login } = identity;
    let mut keys = vec![("common_name", maybe(common_name.as_ref())), ("san", maybe(san.as_ref()))];
    keys.extend(of_login(Some(login)));
    let group = format!("{cluster}.identity");
    Section { first_of: Some(group.clone()), ..section(format!("{group}.{name}"), keys) }
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

fn of_health(cluster: &str, health: &Health) -> Section {
    let Health {
        interval,
        fast_interval,
        timeout,
        rise,
        fall,
        passive,
        checks,
        login,
        vhost,
        script,
        queue,
        on_down,
    } = health;
    let passive = passive.map(|passive| {
        let within = humantime::format_duration(passive.within);
        format!("{} failures within {within}", passive.failures)
    });
    let script = script.as_ref().map(|script| {
        let timeout = humantime::format_duration(script.timeout);
        format!("{} within {timeout}", script.command.join(" "))
    });
    let mut keys = vec![
        ("interval", time(*interval)),
        ("fast_interval", time(*fast_interval)),
        ("timeout", time(*timeout)),
        ("rise", one(rise)),
        ("fall", one(fall)),
        ("passive", passive.map_or_else(|| one("off"), one)),
        ("checks", list(checks.iter().map(|check| check.name()))),
        ("vhost", one(vhost)),
        ("script", maybe(script)),
        ("queue", one(queue)),
        ("on_down", word(on_down)),
    ];
    keys.extend(of_login(login.as_ref()));
    section(format!("{cluster}.health"), keys)
}

/// `ordered`: the first that is usable is the one.
fn of_node(cluster: &str, ordered: bool, node: &Node) -> Section {
    let Node { name, address, weight, max_connections, backup, management } = node;
    let keys = vec![
        ("address", one(address)),
        ("weight", one(weight)),
        ("max_connections", maybe(max_connections.as_ref())),
        ("backup", one(backup)),
        ("management", maybe(management.as_ref())),
    ];
    let group = format!("{cluster}.node");
    let first_of = ordered.then(|| group.clone());
    Section { first_of, ..section(format!("{group}.{name}"), keys) }
}

fn of_virtual_router(router: &VirtualRouter) -> Vec<Section> {
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
