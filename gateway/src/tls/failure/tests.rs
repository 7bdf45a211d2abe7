use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, version};

use super::*;
use crate::config::model::{ClientAuth, ListenerName, ListenerTls};
use crate::tls::problem::Findings;
use crate::tls::samples::{Authority, Client, RSA, Wanted, meet, section};
use crate::tls::server::{Alpn, Termination};

fn config(model: ListenerTls) -> Arc<ServerConfig> {
    let name = ListenerName("amqps".into());
    let made = Termination::new(&name, &Arc::new(model), Alpn::Http11, &mut Findings::default());
    made.expect("good").config()
}

/// What the server tells of a handshake that fails.
fn told(client: &Client<'_>, server: &Arc<ServerConfig>, name: &str) -> &'static str {
    let parted = meet(&client.config(), server, name).expect_err("it fails");
    let (reason, detail) = reason(&parted.server.expect("the server knows"));
    assert!(detail.len() > 20, "{detail}");
    reason
}

#[test]
fn clients_that_come_without_what_is_needed_are_told_apart() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let own = ca.issue(&Wanted { key: RSA, ..Wanted::default() });
    let plain = config(section(vec![own.clone()]));
    let modern = ListenerTls {
        min_version: crate::config::model::TlsVersion::Tls13,
        ..section(vec![own.clone()])
    };
    let strict = ListenerTls { strict_sni: true, ..section(vec![own.clone()]) };
    let asking = ListenerTls {
        client_auth: ClientAuth::Required,
        client_ca: Some(ca.ca()),
        client_crl: vec![ca.revoke("list.pem", &[7])],
        ..section(vec![own])
    };
    let (modern, strict, asking) = (config(modern), config(strict), config(asking));
    let mut client = Client::of(&ca);
    client.versions = vec![&version::TLS12];
    assert_eq!(told(&client, &modern, "localhost"), "tls-version");
    client.suites = vec!["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"];
    assert_eq!(told(&client, &plain, "localhost"), "tls-cipher");
    assert_eq!(told(&Client::of(&ca), &strict, "unknown.test"), "tls-unknown-name");
    let mut client = Client::of(&ca);
    client.alpn = vec!["h2"];
    assert_eq!(told(&client, &plain, "localhost"), "tls-alpn");

    let mut client = Client::of(&ca);
    assert_eq!(told(&client, &asking, "localhost"), "certificate-required");
    let mut with = |certificate| {
        client.certificate = Some(certificate);
        told(&client, &asking, "localhost")
    };
    let wanted =
        |serial, days| Wanted { file: "client", names: &[], serial, days, ..Wanted::default() };
    assert_eq!(with(other.issue(&wanted(1, (-1, 1)))), "certificate-unknown-ca");
    assert_eq!(with(ca.issue(&wanted(7, (-1, 1)))), "certificate-revoked");
    assert_eq!(with(ca.issue(&wanted(8, (-9, -1)))), "certificate-expired");
    assert_eq!(with(ca.issue(&wanted(9, (1, 9)))), "certificate-expired");

    // Those who do not like the listener's certificate say so.
    assert_eq!(told(&Client::of(&other), &plain, "localhost"), "certificate-rejected");
    assert_eq!(told(&Client::of(&ca), &plain, "unknown.test"), "certificate-rejected");
}

#[test]
fn bytes_that_are_no_tls_are_called_so() {
    let ca = Authority::new("ca");
    let server = config(section(vec![ca.issue(&Wanted::default())]));
    for bytes in
        [&b"AMQP\x00\x00\x09\x01"[..], b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x00\x00\x00"]
    {
        let mut connection = ServerConnection::new(server.clone()).expect("a server");
        connection.read_tls(&mut &*bytes).expect("bytes");
        let error = connection.process_new_packets().expect_err("no TLS");
        assert_eq!(reason(&error).0, "not-tls", "{bytes:?}: {error:?}");
    }
}

#[test]
fn what_is_wrong_with_a_node_is_said_with_the_cure() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let node = |wanted: &Wanted<'_>| config(section(vec![ca.issue(wanted)]));
    let told = |client: &Client<'_>, server, name| {
        let parted = meet(&client.config(), server, name).expect_err("it fails");
        of_node(&parted.client.expect("the client knows"))
    };
    let good = node(&Wanted::default());
    let (reason, detail) = told(&Client::of(&other), &good, "localhost");
    assert!(reason == "certificate" && detail.contains("name its authority with ca"), "{detail}");
    let (reason, detail) = told(&Client::of(&ca), &good, "rabbit1.internal");
    assert!(reason == "certificate" && detail.contains("server_name"), "{detail}");
    assert!(detail.contains("rabbit1.internal") && detail.contains("localhost"), "{detail}");
    let expired = node(&Wanted { days: (-9, -1), ..Wanted::default() });
    let (reason, detail) = told(&Client::of(&ca), &expired, "localhost");
    assert!(reason == "certificate" && detail.contains("expired at 20"), "{detail}");
    let asking = ListenerTls {
        client_auth: ClientAuth::Required,
        client_ca: Some(ca.ca()),
        ..section(vec![ca.issue(&Wanted::default())])
    };
    let (reason, detail) = told(&Client::of(&ca), &config(asking), "localhost");
    assert!(reason == "certificate" && detail.contains("certificate"), "{detail}");
}

#[test]
fn every_reason_is_explained_to_operators() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../docs/access-log.md")).expect("the page");
    for reason in [
        "not-tls",
        "tls-version",
        "tls-cipher",
        "tls-unknown-name",
        "tls-alpn",
        "bad-tls",
        "certificate-required",
        "certificate-unknown-ca",
        "certificate-expired",
        "certificate-revoked",
        "certificate-bad",
        "certificate-rejected",
    ] {
        assert!(page.contains(&format!("\n| `{reason}` |")), "no line for `{reason}`");
    }
}
