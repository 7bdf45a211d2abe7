//! Holds the arrows of ARCHITECTURE.md: who may name whom, who may ask the time, the network or chance, and who may be
//! unsafe.
//!
//! Files are read as Rust tokens, so comments and strings do not count, and what stands inside macros does.

#![allow(clippy::unwrap_used)]

#[path = "architecture/tokens.rs"]
mod tokens;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use tokens::{Place, Source};

/// A room, from the bottom up, and what it may name besides itself. A room named with more steps counts before the one
/// it lies in. To name a room is to name all of it.
const ROOMS: &[(&str, &[&str])] = &[
    // Pure: no clock, no network, no chance.
    ("config", &[]),
    ("config::defaults", &[]),
    ("config::pattern", &[]),
    ("config::model", &["config::defaults", "config::pattern"]),
    ("route", &["config::model", "config::pattern"]),
    ("cluster::balance", &["config::model"]),
    ("cluster::rounds", &[]),
    ("drain::balance", &[]),
    ("drain::moved", &[]),
    ("telemetry::counters", &[]),
    ("telemetry::names", &[]),
    ("telemetry::escape", &[]),
    ("vrrp::packet", &[]),
    ("vrrp::machine", &["vrrp::packet"]),
    ("vrrp::talk", &["config::model"]),
    // What the data plane is made of.
    ("gate", &[]),
    ("program", &[]),
    ("socket", &[]),
    ("stream", &["config::model"]),
    ("telemetry", &["config::model", "stream"]),
    ("tls", &["config::model", "config::diagnostic", "stream", "telemetry"]),
    ("cluster", &["config::model", "tls"]),
    ("snapshot", &["config::model", "route", "cluster", "tls"]),
    ("worker", &["telemetry::counters"]),
    // Who serves: none of these three knows another.
    ("listener", &["config::model", "gate", "socket", "stream", "telemetry", "tls"]),
    (
        "session",
        &[
            "config::model",
            "gate",
            "route",
            "cluster",
            "snapshot",
            "socket",
            "stream",
            "telemetry",
            "tls",
            "worker",
        ],
    ),
    ("admin::view", &[]),
    ("health", &["config::model", "cluster", "program", "socket", "telemetry::metrics", "tls"]),
    ("health::machine", &["config::model", "cluster::condition"]),
    ("health::partition", &[]),
    // On top of some of them.
    (
        "http",
        &[
            "config::model",
            "gate",
            "cluster",
            "socket",
            "stream",
            "telemetry",
            "tls",
            "worker",
            "listener",
            "health::machine",
            "health::probe",
        ],
    ),
    ("http::headers", &[]),
    ("http::page", &[]),
    ("http::pulse", &[]),
    ("http::redirect", &[]),
    ("telemetry::events", &[]),
    ("admin", &["config::model", "socket", "telemetry::events", "tls"]),
    ("admin::auth::passwords", &["admin::auth"]),
    ("admin::auth::secret", &[]),
    (
        "drain",
        &[
            "config::model",
            "route",
            "cluster",
            "snapshot",
            "session",
            "stream",
            "telemetry::events",
            "tls",
        ],
    ),
    (
        "vrrp::process",
        &["config::model", "vrrp::packet", "vrrp::machine", "vrrp::talk", "worker::timeslice"],
    ),
    (
        "vrrp",
        &[
            "config::model",
            "cluster",
            "session",
            "socket",
            "telemetry",
            "tls",
            "worker::timeslice",
            "health::probe",
            "program",
        ],
    ),
    // Who puts it together.
    (
        "app",
        &[
            "config",
            "route",
            "cluster",
            "snapshot",
            "gate",
            "socket",
            "stream",
            "telemetry",
            "tls",
            "worker",
            "listener",
            "session",
            "health",
            "http",
            "admin",
            "drain",
            "vrrp",
        ],
    ),
    ("cli", &["config", "admin::auth::passwords", "admin::auth::secret", "admin::view", "tls"]),
    ("main", &["app", "cli", "vrrp::process"]),
];

/// Rooms that hang on their arguments alone; their tests may do as they like.
const PURE: &[&str] = &[
    "config",
    "route",
    "admin::auth::roles",
    "cluster::admission::line",
    "cluster::balance",
    "cluster::offer",
    "cluster::rounds",
    "health::machine",
    "health::partition",
    "cluster::target",
    "drain::balance",
    "drain::moved",
    "http::headers",
    "http::page",
    "http::pulse",
    "http::redirect",
    "snapshot",
    "telemetry::counters",
    "telemetry::names",
    "telemetry::escape",
    "vrrp::packet",
    "vrrp::machine",
    "vrrp::track::verdict",
    "vrrp::warden::pace",
    "vrrp::warden::parting",
    "vrrp::warden::timing",
];

/// What a pure room may not say.
const IMPURE: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "tokio",
    "std::net::Tcp*",
    "std::net::Udp*",
    "fastrand",
    "rand",
];

/// A library, and the only rooms that may name it.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("admin_ui", &["admin"]),
    ("argon2", &["admin::auth", "config::values"]),
    ("axum", &["admin", "health::probe::management::tests", "health::probe::overview::tests"]),
    ("async_rs", &["health::probe"]),
    (
        "hyper",
        &[
            "admin",
            "health::probe::http",
            "health::probe::management",
            "health::probe::overview",
            "health::probe::view",
            "http",
            "vrrp::notify",
        ],
    ),
    ("getrandom", &["admin::auth"]),
    ("hyper_util", &["admin", "health::probe::http", "http", "vrrp::notify"]),
    ("lapin", &["health::probe"]),
    ("lettre", &["vrrp::notify"]),
    ("libc", &["worker", "vrrp::process"]),
    ("clap", &["cli"]),
    ("hickory_resolver", &["cluster::lookup"]),
    ("indicatif", &["cli"]),
    ("metrics", &["telemetry"]),
    ("metrics_exporter_prometheus", &["telemetry"]),
    ("netlink_packet_core", &["vrrp::process"]),
    ("netlink_packet_route", &["vrrp::process"]),
    ("netlink_sys", &["vrrp::process"]),
    ("nix", &["app", "telemetry::process", "vrrp::process", "vrrp::warden"]),
    ("similar", &["config"]),
    ("ratatui", &["cli"]),
    ("crossterm", &["cli"]),
    ("siphasher", &["cluster::balance"]),
    ("toml", &["config"]),
    ("rustls_native_certs", &["cli", "tls"]),
    ("ureq", &["cli"]),
    ("utoipa", &["admin"]),
    ("utoipa_axum", &["admin"]),
    ("x509_cert", &["tls"]),
    ("schemars", &["config"]),
];

#[test]
fn no_arrow_between_rooms_points_upward() {
    let found: Vec<_> =
        sources("gateway/src").iter().flat_map(|file| arrows(file, ROOMS)).collect();
    assert_none(&found);
}

#[test]
fn pure_code_knows_no_clock_no_network_and_no_chance() {
    let gateway = sources("gateway/src").into_iter().filter(|file| lies_in(&file.module, PURE));
    let pure: Vec<_> = gateway.chain(sources("amqp-codec/src")).collect();
    assert!(pure.len() > 20, "only {} pure files found", pure.len());
    assert_none(&pure.iter().flat_map(impurities).collect::<Vec<_>>());
}

/// The files that hold what is unsafe: system calls that no library wraps.
const UNSAFE: &[&str] = &["gateway/src/worker/timeslice.rs", "gateway/src/vrrp/process/frames.rs"];

#[test]
fn each_library_is_named_only_where_it_belongs() {
    assert_none(&sources("gateway/src").iter().flat_map(misplaced).collect::<Vec<_>>());
}

#[test]
fn only_the_named_files_are_unsafe_and_every_crate_obeys_the_lints_that_say_so() {
    let root: toml::Table = read("Cargo.toml").parse().unwrap();
    assert_eq!(root["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("deny"));
    for member in root["workspace"]["members"].as_array().unwrap() {
        let member = member.as_str().unwrap();
        let manifest: toml::Table = read(&format!("{member}/Cargo.toml")).parse().unwrap();
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{member}/Cargo.toml");
        assert_none(&sources(member).iter().flat_map(unsafety).collect::<Vec<_>>());
    }
}

#[test]
fn the_table_lists_every_room_once_and_from_the_bottom_up() {
    for (at, (room, below)) in ROOMS.iter().enumerate() {
        assert!(ROOMS[..at].iter().all(|(other, _)| other != room), "{room} stands twice");
        for lower in *below {
            let known = ROOMS[..at].iter().any(|(other, _)| within(lower, other));
            // The pure parts of config are drawn apart, but are parts of config.
            let part = lower.starts_with("config::") && room.starts_with("config::");
            assert!(known || part, "{room} may name {lower}, which does not stand below it");
        }
    }
    let lib = Source::parse("gateway/src/lib.rs", "", &read("gateway/src/lib.rs"));
    for room in lib.modules() {
        assert!(ROOMS.iter().any(|(known, _)| *known == room), "give {room} its line in ROOMS");
    }
}

#[test]
fn a_forbidden_arrow_is_found_in_whatever_shape_it_comes() {
    let text = "//! crate::app is a comment here.
use crate::{
    cluster,
    admin::{self, Sources},
};
use super::app as upstairs;
fn f() { let _ = \"crate::cli\"; info!(\"{}\", crate::listener::bind()); }
mod inner { use super::registry; use super::super::worker; use super::super::main; }
";
    let file = Source::parse("gateway/src/session.rs", "session", text);
    let found = arrows(&file, ROOMS);
    let expected = [
        "gateway/src/session.rs:4: session may not name admin",
        "gateway/src/session.rs:4: session may not name admin::Sources",
        "gateway/src/session.rs:6: session may not name app",
        "gateway/src/session.rs:7: session may not name listener::bind",
        "gateway/src/session.rs:8: session may not name main",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            found.starts_with(expected) && found.contains("only itself, config::model, "),
            "{found}"
        );
    }
    let stranger = Source::parse("gateway/src/stranger.rs", "stranger", "use crate::config;");
    assert!(arrows(&stranger, ROOMS)[0].contains("give it a line"));
}

#[test]
fn impure_and_unsafe_code_is_found_but_not_in_tests_and_comments() {
    let text = "//! Instant::now() is only spoken of.
use std::time::Instant;
use std::net::{IpAddr, TcpStream};
fn f() { let _ = std::time::Instant::now(); debug!(\"{}\", fastrand::u8(..)); }
#[cfg(test)]
mod tests { use tokio::time; fn g() { unsafe {} } }
fn h() { let _ = std::time::SystemTime::now(); }
";
    let file = Source::parse("x.rs", "route", text);
    let lines = |found: Vec<String>| -> Vec<String> {
        found.iter().map(|f| f.split(':').nth(1).unwrap().to_owned()).collect()
    };
    assert_eq!(lines(impurities(&file)), ["3", "4", "4", "7"]);
    assert_eq!(lines(unsafety(&file)), ["6"]);
    let file = Source::parse("x.rs", "route", "use axum::Router;\nuse crate::axum;");
    assert_eq!(lines(misplaced(&file)), ["1"]);
}

/// Where `file` names a room that it may not.
fn arrows(file: &Source, rooms: &[(&str, &[&str])]) -> Vec<String> {
    if file.module.is_empty() {
        return Vec::new();
    }
    let of_file = rooms.iter().filter(|(room, _)| within(&file.module, room));
    let Some((room, below)) = of_file.max_by_key(|(room, _)| room.len()) else {
        return vec![format!(
            "{}:1: {} is a new room: give it a line in ROOMS",
            file.name, file.module
        )];
    };
    let may = |path: &str| within(path, room) || below.iter().any(|lower| within(path, lower));
    let wrong = file.inner_paths().into_iter().filter(|place| !may(&place.path));
    wrong
        .map(|Place { path, line }| {
            let may = [&["itself"], *below].concat().join(", ");
            format!("{}:{line}: {room} may not name {path}: only {may}", file.name)
        })
        .collect()
}

/// Where a file that has to be pure is not.
fn impurities(file: &Source) -> Vec<String> {
    let found = file.outer_paths(false).into_iter().filter_map(|Place { path, line }| {
        let rule = IMPURE.iter().find(|rule| says(&path, rule))?;
        Some(format!(
            "{}:{line}: {path}: {} is pure and may not say {rule}",
            file.name, file.module
        ))
    });
    found.collect()
}

/// Where a library is named by a room that has no business with it.
fn misplaced(file: &Source) -> Vec<String> {
    let found = file.outer_paths(true).into_iter().filter_map(|Place { path, line }| {
        let (library, rooms) = LIBRARIES.iter().find(|(library, _)| within(&path, library))?;
        (!lies_in(&file.module, rooms)).then(|| {
            let rooms = rooms.join(", ");
            format!("{}:{line}: {path}: {library} belongs to {rooms} alone", file.name)
        })
    });
    found.collect()
}

/// Where a file is unsafe, or allows itself to be.
fn unsafety(file: &Source) -> Vec<String> {
    if UNSAFE.contains(&file.name.as_str()) {
        return Vec::new();
    }
    let words = file.words().into_iter();
    let found = words.filter(|(word, _)| word == "unsafe");
    let found = found.map(|(_, line)| {
        format!("{}:{line}: unsafe code is allowed in {UNSAFE:?} alone", file.name)
    });
    let lenient = file.lenient().into_iter();
    let lenient =
        lenient.map(|line| format!("{}:{line}: the lint unsafe_code stays as it is", file.name));
    found.chain(lenient).collect()
}

/// Does `path` break `rule`: a library, the end of a path, or with `*` its beginning?
fn says(path: &str, rule: &str) -> bool {
    match rule.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None if rule.contains("::") => path.ends_with(rule),
        None => within(path, rule),
    }
}

/// Is `path` the room, or in it?
fn within(path: &str, room: &str) -> bool {
    path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn lies_in(module: &str, rooms: &[&str]) -> bool {
    rooms.iter().any(|room| within(module, room))
}

fn assert_none(found: &[String]) {
    let mut list = String::new();
    for line in found {
        writeln!(list, "  {line}").unwrap();
    }
    assert!(found.is_empty(), "against the rules of gateway/tests/architecture.rs:\n{list}");
}

/// The Rust files below a folder of the repository.
fn sources(folder: &str) -> Vec<Source> {
    let mut files = Vec::new();
    collect(&root().join(folder), &mut files);
    assert!(!files.is_empty(), "no Rust files in {folder}");
    let named = files.iter().map(|path| {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        let below = path.strip_prefix(root().join(folder)).unwrap();
        Source::parse(&name, &module_of(below), &fs::read_to_string(path).unwrap())
    });
    named.collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
}

/// `session/open.rs` is the module `session::open`; `lib.rs` is none.
fn module_of(file: &Path) -> String {
    let path = file.with_extension("");
    let steps = path.iter().map(|step| step.to_str().unwrap());
    let steps = steps.map(|step| step.strip_suffix("_tests").unwrap_or(step));
    steps.filter(|step| !["lib", "mod"].contains(step)).collect::<Vec<_>>().join("::")
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
