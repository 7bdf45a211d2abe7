//! Clients speak TLS to the gateway, which speaks AMQP to the nodes.

use std::net::SocketAddr;

use anyhow::Result;
use futures_util::future::join_all;
use integration::certificates::{Authority, Issued, Key};
use integration::openssl::{SClient, Talk};
use integration::peer::{HEADER, Peer};
use integration::ports::PortBlock;
use integration::suites::{Place, Suite, run_suite};
use integration::testssl;
use integration::tls::{ClientTls, Version};
use integration::{GatewayProcess, RabbitCluster};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::front::SOON;

const VERSIONS: [Version; 2] = [Version::Tls12, Version::Tls13];
const KEYS: [(&str, Key); 2] = [("ecdsa", Key::EcdsaP256), ("rsa", Key::Rsa2048)];

/// Every listener of the gateway; each has a port of its own.
const LISTENERS: [&str; 9] =
    ["plain", "ecdsa", "rsa", "rated-ecdsa", "rated-rsa", "modern", "names", "strict", "mutual"];

static SHARED: OnceCell<Shared> = OnceCell::const_new();

/// A gateway in front of one node; lives until the test program ends.
struct Shared {
    gateway: GatewayProcess,
    ports: PortBlock,
    authority: Authority,
    named: [Issued; 3],
    client: Issued,
    revoked: Issued,
    _cluster: RabbitCluster,
}

async fn setup() -> &'static Shared {
    SHARED.get_or_init(start).await
}

async fn start() -> Shared {
    let cluster = RabbitCluster::builder("terminated").start().await.unwrap();
    let authority = Authority::new("ca").unwrap();
    let below = authority.intermediate("below").unwrap();
    let server = |key, file: &str, names: &[&str]| {
        below.server(names).unwrap().key(key).write(file).unwrap()
    };
    let [ecdsa, rsa] = KEYS.map(|(name, key)| server(key, name, &["localhost", "127.0.0.1"]));
    let named = ["default.test", "exact.test", "*.wild.test"];
    let named = named.map(|name| server(Key::EcdsaP256, &name.replace('*', "any"), &[name]));
    let client = authority.client("app").unwrap().uri("spiffe://test/app").unwrap();
    let client = client.email("app@test").unwrap().write("client").unwrap();
    let revoked = authority.client("revoked").unwrap().write("revoked").unwrap();
    let ports = PortBlock::claim().unwrap();
    let mut config = "[log]\nformat = \"json\"\n".to_owned();
    for (index, name) in LISTENERS.iter().enumerate() {
        let bind = at(&ports, index);
        config += &format!("[listener.{name}]\nbind = \"{bind}\"\ncluster = \"terminated\"\n");
        let certificates: &[Issued] = match *name {
            "plain" => continue,
            "rsa" | "rated-rsa" => std::slice::from_ref(&rsa),
            "names" | "strict" => &named,
            _ => std::slice::from_ref(&ecdsa),
        };
        let certificates: Vec<String> = certificates.iter().map(pair).collect();
        config += &format!("tls.certificates = [{}]\n", certificates.join(", "));
        config += &match *name {
            "modern" => "tls.min_version = \"1.3\"\n".to_owned(),
            "strict" => "tls.strict_sni = true\n".to_owned(),
            "mutual" => format!(
                "tls.client_auth = \"required\"\ntls.client_ca = {:?}\ntls.client_crl = [{:?}]\n",
                authority.file(),
                authority.crl("revoked", &[&revoked]).unwrap(),
            ),
            _ => String::new(),
        };
    }
    let admin = at(&ports, LISTENERS.len());
    config += &format!("[admin]\nbind = \"{admin}\"\n{}", cluster.config_section());
    let gateway = GatewayProcess::start(&config).await.unwrap();
    Shared { gateway, ports, authority, named, client, revoked, _cluster: cluster }
}

fn at(ports: &PortBlock, index: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], ports.port(index as u16)))
}

/// RSA as a bundle, as HAProxy has it; the others as two files.
fn pair(issued: &Issued) -> String {
    let Issued { chain, key, bundle, .. } = issued;
    if chain.ends_with("rsa.crt") {
        return format!("{{ bundle = {bundle:?} }}");
    }
    format!("{{ chain = {chain:?}, key = {key:?} }}")
}

impl Shared {
    fn address(&self, listener: &str) -> SocketAddr {
        at(&self.ports, LISTENERS.iter().position(|name| *name == listener).unwrap())
    }

    fn client(&self) -> ClientTls {
        ClientTls::new(&self.authority, "localhost")
    }

    async fn talk(&self, listener: &str, tls: &ClientTls) -> Result<Talk> {
        SClient::new(self.address(listener), tls).talk().await
    }

    /// Waits for the `nth` access record (from 1) of sessions at a listener that ended for a reason.
    async fn record(&self, listener: &str, reason: &str, nth: usize) -> Value {
        let what = format!("{reason} at {listener}");
        let its = |line: &Value| {
            line["message"] == "session" && line["listener"] == listener && line["reason"] == reason
        };
        let mut found = self.gateway.wait_for_lines(what, nth, SOON, its).await.unwrap();
        found.swap_remove(nth - 1)
    }
}

/// With both kinds of keys and both versions.
async fn passes_over_tls(suite: Suite) {
    let shared = setup().await;
    let runs = KEYS.iter().flat_map(|(listener, _)| {
        VERSIONS.map(async |version| {
            let tls = shared.client().version(version);
            let place = Place::over(shared.address(listener), &tls);
            (*listener, version, run_suite(suite, place).await.unwrap())
        })
    });
    for (listener, version, report) in join_all(runs).await {
        assert_eq!(report.failures(), Vec::<String>::new(), "{suite:?} {listener} {version:?}");
        assert_eq!(report.len(), suite.checks(), "{suite:?} {listener}: a check is missing");
    }
}

#[tokio::test]
async fn lapin_passes_over_tls_what_it_passes_directly() {
    passes_over_tls(Suite::Lapin).await;
}

#[tokio::test]
async fn pika_passes_over_tls_what_it_passes_directly() {
    passes_over_tls(Suite::Pika).await;
}

#[tokio::test]
async fn amqplib_passes_over_tls_what_it_passes_directly() {
    passes_over_tls(Suite::Amqplib).await;
}

#[tokio::test]
async fn sessions_of_both_versions_are_resumed_again_and_again() {
    let shared = setup().await;
    for (listener, key) in KEYS {
        for version in VERSIONS {
            let tls = shared.client().version(version);
            let client = SClient::new(shared.address(listener), &tls);
            let file = shared.authority.dir().join(format!("{listener}-{version:?}.session"));
            let full = client.clone().save_session(&file).talk().await.unwrap();
            assert!(!full.resumed(), "{}", full.text());
            let suite = match (version, key) {
                (Version::Tls13, _) => "TLSv1.3 TLS_AES_",
                (_, Key::EcdsaP256) => "TLSv1.2 ECDHE-ECDSA-AES",
                (_, Key::Rsa2048) => "TLSv1.2 ECDHE-RSA-AES",
            };
            assert!(full.agreed().starts_with(suite), "{}", full.agreed());
            // Each worker must be able to, and a ticket is good for more than one connection.
            for _ in 0..6 {
                let again = client.clone().resume_session(&file).talk().await.unwrap();
                assert!(again.resumed(), "{listener} {version:?}: {}", again.text());
                assert!(again.agreed().starts_with(suite), "{}", again.agreed());
            }
            let record = shared.record(listener, "client-gone", 1).await;
            assert!(record["sni"] == "localhost" && record["tls"].is_string(), "{record}");
        }
    }
    for version in ["1.2", "1.3"] {
        for (resumed, at_least) in [("no", 2.0), ("yes", 12.0)] {
            let labels = [format!("version=\"TLSv{version}\""), format!("resumed=\"{resumed}\"")];
            let labels = labels.each_ref().map(String::as_str);
            let name = "amqp_gateway_tls_handshakes_total";
            let count = shared.gateway.metric(name, &labels).await.unwrap();
            assert!(count >= at_least, "{labels:?}: {count}");
        }
    }
}

#[tokio::test]
async fn the_name_asked_for_chooses_the_certificate() {
    let shared = setup().await;
    let [default, exact, wildcard] = &shared.named;
    for (name, issued) in [
        ("default.test", default),
        ("exact.test", exact),
        ("EXACT.test", exact),
        ("a.wild.test", wildcard),
    ] {
        for (version, listener) in VERSIONS.into_iter().zip(["names", "strict"]) {
            let tls = ClientTls::new(&shared.authority, name).version(version);
            let talk = shared.talk(listener, &tls).await.unwrap();
            assert_eq!(talk.certificate(), issued.certificate, "{name} {listener}");
        }
    }
    // Any other name gets the default, and the client finds out that it is not the one it wants.
    let strangers = ["elsewhere.test", "wild.test", "a.b.wild.test"];
    for (stranger, nth) in strangers.into_iter().zip(1..) {
        let tls = ClientTls::new(&shared.authority, stranger);
        let error = format!("{:#}", shared.talk("names", &tls).await.unwrap_err());
        assert!(error.contains("hostname mismatch"), "{stranger}: {error}");
        shared.record("names", "certificate-rejected", nth).await;
        let error = format!("{:#}", shared.talk("strict", &tls).await.unwrap_err());
        assert!(error.contains("alert"), "{stranger}: {error}");
        let record = shared.record("strict", "tls-unknown-name", nth).await;
        assert_eq!(record["phase"], "tls", "{record}");
    }
}

#[tokio::test]
async fn old_versions_are_refused_and_the_record_says_so() {
    let shared = setup().await;
    for (listener, version) in [("modern", Version::Tls12), ("strict", Version::Tls11)] {
        let tls = ClientTls::new(&shared.authority, "default.test").version(version);
        let error = format!("{:#}", shared.talk(listener, &tls).await.unwrap_err());
        assert!(error.contains("alert"), "{listener}: {error}");
        let record = shared.record(listener, "tls-version", 1).await;
        assert_eq!((&record["phase"], &record["who"]), (&"tls".into(), &"client".into()));
    }
    shared.talk("modern", &shared.client()).await.unwrap();
}

#[tokio::test]
async fn a_client_shows_a_good_certificate_or_has_no_session() {
    let shared = setup().await;
    let authority = &shared.authority;
    let stranger = Authority::new("other").unwrap();
    let stranger = stranger.client("app").unwrap().write("app").unwrap();
    let expired = authority.client("app").unwrap().expired().write("expired").unwrap();
    let server = authority.server(&["app"]).unwrap().write("a-server").unwrap();
    for (version, nth) in VERSIONS.into_iter().zip(1..) {
        let bare = shared.client().version(version);
        shared.talk("mutual", &bare).await.unwrap_err();
        shared.record("mutual", "certificate-required", nth).await;
        for (bad, reason) in [
            (&stranger, "certificate-unknown-ca"),
            (&expired, "certificate-expired"),
            (&shared.revoked, "certificate-revoked"),
            (&server, "certificate-bad"),
        ] {
            shared.talk("mutual", &bare.clone().certificate(bad)).await.unwrap_err();
            let record = shared.record("mutual", reason, nth).await;
            assert_eq!(record["phase"], "tls", "{record}");
        }
        let own = bare.certificate(&shared.client);
        let talk = shared.talk("mutual", &own).await.unwrap();
        assert!(!talk.text().contains("EXTERNAL"), "a node sees no certificate: {}", talk.text());
        let connector = own.connector().unwrap();
        let address = shared.address("mutual");
        let mut client = Peer::connect_tls(address, &connector).await.unwrap();
        client.open("app", "secret", "orders").await.unwrap();
        client.close().await.unwrap();
        let record = shared.record("mutual", "client-closed", nth).await;
        assert!(record["certificate"].as_str().unwrap().contains("CN=app"), "{record}");
        let names = record["certificate_san"].to_string();
        assert!(names.contains("spiffe://test/app") && names.contains("app@test"), "{record}");
    }
}

#[tokio::test]
async fn plain_amqp_at_a_tls_listener_and_tls_at_a_plain_one_are_told_apart() {
    let shared = setup().await;
    let mut plain = Peer::connect(shared.address("modern")).await.unwrap();
    plain.send_raw(&HEADER).await.unwrap();
    plain.read_until_gone().await.unwrap();
    let record = shared.record("modern", "not-tls", 1).await;
    assert_eq!(record["phase"], "tls", "{record}");

    shared.talk("plain", &shared.client()).await.unwrap_err();
    shared.record("plain", "not-amqp", 1).await;
}

#[tokio::test]
async fn a_session_ends_with_a_close_notify() {
    let shared = setup().await;
    for version in VERSIONS {
        let connector = shared.client().version(version).connector().unwrap();
        let mut client = Peer::connect_tls(shared.address("ecdsa"), &connector).await.unwrap();
        client.open("app", "secret", "orders").await.unwrap();
        client.half_close().await.unwrap();
        // An end without close_notify would be an error.
        client.expect_fin().await.unwrap();
    }
}

/// Nothing above "low", with both kinds of keys.
async fn rated(listener: &str) {
    let shared = setup().await;
    let found = testssl::findings(shared.address(listener), &shared.client()).await.unwrap();
    let bad: Vec<String> =
        found.iter().filter(|one| one.is_above_low()).map(ToString::to_string).collect();
    assert_eq!(bad, Vec::<String>::new(), "{listener}");
}

#[tokio::test]
async fn testssl_finds_nothing_above_low_with_an_ecdsa_key() {
    rated("rated-ecdsa").await;
}

#[tokio::test]
async fn testssl_finds_nothing_above_low_with_an_rsa_key() {
    rated("rated-rsa").await;
}
