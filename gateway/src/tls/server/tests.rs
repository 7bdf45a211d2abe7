use std::fs;

use rustls::{
    AlertDescription, CertificateError, Error, PeerIncompatible, ProtocolVersion, version,
};

use super::*;
use crate::config::model::{Certificate, ClientAuth};
use crate::tls::problem::TlsProblem;
use crate::tls::samples::{Authority, Client, ECDSA, RSA, Wanted, meet, pem_file, section};

fn termination(model: ListenerTls) -> Result<Termination, Vec<TlsProblem>> {
    let mut findings = Findings::default();
    let name = ListenerName("amqps".into());
    let made = Termination::new(&name, &Arc::new(model), Alpn::Ignored, &mut findings);
    let problems = findings.into_problems();
    match made {
        Some(made) if problems.iter().all(|problem| !problem.fatal) => Ok(made),
        _ => Err(problems),
    }
}

/// What is wrong, and the only thing.
fn wrong(model: ListenerTls) -> TlsProblem {
    let mut problems = termination(model).map(|_| ()).expect_err("it is wrong");
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0)
}

fn named<'a>(file: &'a str, names: &'a [&'a str]) -> Wanted<'a> {
    Wanted { file, common_name: file, names, ..Wanted::default() }
}

#[test]
fn the_server_name_chooses_the_certificate_and_the_first_one_is_the_default() {
    let ca = Authority::new("ca");
    let pairs = [
        named("first", &["localhost"]),
        named("wild", &["*.example.com"]),
        named("exact", &["amqp.example.com"]),
    ];
    let pairs = pairs.iter().map(|wanted| ca.issue(wanted)).collect();
    let listener = termination(section(pairs)).expect("good");
    let client = Client::of(&ca).config();
    let shown = |name: &str| match meet(&client, &listener.config(), name) {
        Ok(met) => met.server,
        // A client that does not like the name of the certificate tells which it was.
        Err(parted) => Some(format!("{:?}", parted.client)),
    };
    assert_eq!(shown("amqp.example.com").as_deref(), Some("exact"));
    assert_eq!(shown("other.example.com").as_deref(), Some("wild"));
    assert_eq!(shown("localhost").as_deref(), Some("first"));
    let other = shown("unknown.test").expect("an error");
    assert!(other.contains("localhost"), "{other}");
}

#[test]
fn a_certificate_without_other_names_is_for_its_common_name() {
    let ca = Authority::new("ca");
    let pairs = [named("first", &["localhost"]), named("old.test", &[])];
    let pairs = pairs.iter().map(|wanted| ca.issue(wanted)).collect();
    let strict = ListenerTls { strict_sni: true, ..section(pairs) };
    let listener = termination(strict).expect("good");
    let parted = meet(&Client::of(&ca).config(), &listener.config(), "old.test");
    // Clients of today look for the name elsewhere. But it was shown.
    let parted = parted.expect_err("a name that clients do not look at");
    assert!(matches!(parted.client, Some(Error::InvalidCertificate(_))), "{parted:?}");
}

#[test]
fn with_strict_sni_nobody_gets_a_certificate_for_another_name() {
    let ca = Authority::new("ca");
    let strict = ListenerTls { strict_sni: true, ..section(vec![ca.issue(&Wanted::default())]) };
    let listener = termination(strict).expect("good");
    let client = Client::of(&ca).config();
    assert!(meet(&client, &listener.config(), "localhost").is_ok());
    let parted = meet(&client, &listener.config(), "unknown.test").expect_err("another name");
    assert_eq!(parted.client, Some(Error::AlertReceived(AlertDescription::AccessDenied)));
    // An IP address is no server name.
    assert!(meet(&client, &listener.config(), "127.0.0.1").is_err());
}

#[test]
fn whoever_knows_ecdsa_gets_that_and_others_get_rsa() {
    let ca = Authority::new("ca");
    let rsa = Wanted { key: RSA, ..named("rsa", &["localhost"]) };
    let ecdsa = Wanted { key: ECDSA, ..named("ecdsa", &["localhost"]) };
    let listener = termination(section(vec![ca.issue(&rsa), ca.issue(&ecdsa)])).expect("good");
    let shown = |client: &Client<'_>, name: &str| {
        let met = meet(&client.config(), &listener.config(), name);
        met.map(|met| (met.version, met.server.unwrap_or_default()))
    };
    let mut client = Client::of(&ca);
    let known = shown(&client, "localhost").expect("a handshake");
    assert_eq!(known, (ProtocolVersion::TLSv1_3, "ecdsa".to_owned()));
    client.versions = vec![&version::TLS12];
    let known = shown(&client, "localhost").expect("a handshake");
    assert_eq!(known, (ProtocolVersion::TLSv1_2, "ecdsa".to_owned()));
    // It knows the signatures, but has no suite that goes with them.
    client.suites = vec!["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"];
    let known = shown(&client, "localhost").expect("a handshake");
    assert_eq!(known, (ProtocolVersion::TLSv1_2, "rsa".to_owned()));
}

#[test]
fn keys_of_the_older_formats_are_taken_and_so_are_bundles() {
    let ca = Authority::new("ca");
    for (key, traditional) in [(ECDSA, "EC PRIVATE KEY"), (RSA, "RSA PRIVATE KEY")] {
        let issued = ca.issue(&Wanted { key, ..Wanted::default() });
        let openssl = |command: &str| {
            let mut openssl = std::process::Command::new("openssl");
            openssl.arg(command).args(["-traditional", "-in"]).arg(&issued.key);
            let output = match command {
                // This one writes no other format.
                "ec" => std::process::Command::new("openssl")
                    .args(["ec", "-in"])
                    .arg(&issued.key)
                    .output(),
                _ => openssl.output(),
            };
            String::from_utf8(output.expect("openssl").stdout).expect("text")
        };
        let old = openssl(if key == RSA { "rsa" } else { "ec" });
        assert!(old.contains(traditional), "{old}");
        let chain = fs::read_to_string(&issued.chain).expect("a file");
        let bundle = ca.path("bundle.pem");
        for text in [format!("{old}{chain}"), format!("{chain}\nsome text\n{old}")] {
            fs::write(&bundle, text).expect("a file");
            let both = Certificate { chain: bundle.clone(), key: bundle.clone(), ..issued.clone() };
            let listener = termination(section(vec![both])).expect("good");
            assert!(meet(&Client::of(&ca).config(), &listener.config(), "localhost").is_ok());
        }
    }
}

#[test]
fn min_version_and_cipher_suites_bound_what_is_spoken() {
    let ca = Authority::new("ca");
    let own = ca.issue(&Wanted::default());
    let modern = ListenerTls { min_version: TlsVersion::Tls13, ..section(vec![own.clone()]) };
    let modern = termination(modern).expect("good");
    let mut client = Client::of(&ca);
    client.versions = vec![&version::TLS12];
    let parted = meet(&client.config(), &modern.config(), "localhost").expect_err("too old");
    assert!(matches!(parted.server, Some(Error::PeerIncompatible(_))), "{parted:?}");

    let suites = ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"].map(Arc::from);
    let model = ListenerTls {
        cipher_suites: suites.to_vec(),
        min_version: TlsVersion::Tls13,
        ..section(vec![own])
    };
    let listener = termination(model).expect("good");
    let mut client = Client::of(&ca);
    let met = meet(&client.config(), &listener.config(), "localhost").expect("a handshake");
    assert_eq!(met.suite, "TLS_CHACHA20_POLY1305_SHA256", "the listener's order counts");
    client.suites = vec!["TLS_AES_256_GCM_SHA384"];
    client.versions = vec![&version::TLS13];
    let parted = meet(&client.config(), &listener.config(), "localhost").expect_err("none");
    let expected = Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon);
    assert_eq!(parted.server, Some(expected));
}

#[test]
fn whatever_a_client_offers_by_alpn_amqp_goes_on_and_http_gets_its_version() {
    let ca = Authority::new("ca");
    let mut client = Client::of(&ca);
    client.alpn = vec!["h2", "amqp", "http/1.1"];
    let model = Arc::new(section(vec![ca.issue(&Wanted::default())]));
    let alpn = |alpn| {
        let name = ListenerName("x".into());
        let listener = Termination::new(&name, &model, alpn, &mut Findings::default());
        let config = listener.expect("good").config();
        meet(&client.config(), &config, "localhost").expect("a handshake").alpn
    };
    assert_eq!(alpn(Alpn::Ignored), None);
    assert_eq!(alpn(Alpn::Http11).as_deref(), Some(&b"http/1.1"[..]));
}

fn asking(ca: &Authority, client_auth: ClientAuth) -> ListenerTls {
    let own = ca.issue(&Wanted { file: "own", serial: 100, ..Wanted::default() });
    ListenerTls { client_auth, client_ca: Some(ca.ca()), ..section(vec![own]) }
}

#[test]
fn clients_are_let_in_by_their_certificates() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let certificate = |ca: &Authority, file: &str, days: (i64, i64), serial: u64| {
        ca.issue(&Wanted { days, serial, ..named(file, &[]) })
    };
    let good = certificate(&ca, "app", (-1, 1), 2);
    let expired = certificate(&ca, "expired", (-9, -1), 3);
    let revoked = certificate(&ca, "revoked", (-1, 1), 4);
    let foreign = certificate(&other, "foreign", (-1, 1), 5);
    let crl = vec![ca.revoke("list.pem", &[4])];
    let required = ListenerTls { client_crl: crl, ..asking(&ca, ClientAuth::Required) };
    let required = termination(required).expect("good").config();
    let optional = termination(asking(&ca, ClientAuth::Optional)).expect("good").config();
    for versions in [vec![&version::TLS12], vec![&version::TLS13]] {
        let with = |certificate: Option<&Certificate>, server| {
            let mut client = Client::of(&ca);
            client.versions.clone_from(&versions);
            client.certificate = certificate.cloned();
            meet(&client.config(), server, "localhost")
                .map(|met| met.client)
                .map_err(|parted| parted.server.expect("the server refuses"))
        };
        assert_eq!(with(Some(&good), &required), Ok(Some("app".to_owned())));
        assert_eq!(with(None, &required), Err(Error::NoCertificatesPresented));
        assert_eq!(with(None, &optional), Ok(None));
        assert_eq!(with(Some(&good), &optional), Ok(Some("app".to_owned())));
        let refused = |certificate, server| match with(Some(certificate), server) {
            Err(Error::InvalidCertificate(error)) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(&foreign, &required), CertificateError::UnknownIssuer);
        assert_eq!(refused(&foreign, &optional), CertificateError::UnknownIssuer);
        assert_eq!(refused(&revoked, &required), CertificateError::Revoked);
        let error = refused(&expired, &required);
        assert!(matches!(error, CertificateError::ExpiredContext { .. }), "{error:?}");
    }
}

#[test]
fn sessions_are_resumed_after_a_renewal_and_show_the_certificate_that_was_looked_at() {
    let ca = Authority::new("ca");
    let mut client = Client::of(&ca);
    client.certificate = Some(ca.issue(&Wanted { serial: 2, ..named("app", &[]) }));
    for versions in [vec![&version::TLS12], vec![&version::TLS13]] {
        let listener = termination(asking(&ca, ClientAuth::Required)).expect("good");
        client.versions = versions;
        let client = client.config();
        let resumed = || {
            let met = meet(&client, &listener.config(), "localhost").expect("a handshake");
            assert_eq!(met.client.as_deref(), Some("app"));
            met.resumed
        };
        assert_eq!((resumed(), resumed()), (false, true));
        ca.issue(&Wanted { file: "own", serial: 101, ..Wanted::default() });
        let mut findings = Findings::default();
        listener.renew_certificate(0, &mut findings);
        listener.renew_clients(&mut findings);
        assert_eq!(findings.into_problems(), []);
        assert!(resumed(), "a renewal takes no session from its client");
    }
}

#[test]
fn a_ticket_lets_nobody_in_where_other_rules_hold() {
    let ca = Authority::new("ca");
    let without = termination(section(vec![ca.issue(&Wanted::default())])).expect("good");
    let mut client = Client::of(&ca);
    client.certificate = Some(ca.issue(&Wanted { serial: 2, ..named("app", &[]) }));
    let (listed, asks) = (ca.revoke("list.pem", &[]), asking(&ca, ClientAuth::Required));
    let asks = ListenerTls { client_crl: vec![listed], ..asks };
    let asks = termination(asks).expect("good");
    for versions in [vec![&version::TLS12], vec![&version::TLS13]] {
        client.versions = versions;
        let client = client.config();
        let resumed = |listener: &Termination| {
            let met = meet(&client, &listener.config(), "localhost").expect("a handshake");
            met.resumed
        };
        assert_eq!((resumed(&without), resumed(&without)), (false, true));
        assert!(!resumed(&asks), "a ticket of a listener that asks for no certificate");
        assert!(resumed(&asks));
        ca.revoke("list.pem", &[99]);
        let mut findings = Findings::default();
        asks.renew_clients(&mut findings);
        assert_eq!(findings.into_problems(), []);
        assert!(!resumed(&asks), "a ticket from before the new revocation list");
        ca.revoke("list.pem", &[]);
        asks.renew_clients(&mut Findings::default());
    }
    // Whoever is revoked meanwhile is out, ticket or not.
    let client = client.config();
    assert!(meet(&client, &asks.config(), "localhost").is_ok());
    ca.revoke("list.pem", &[2]);
    asks.renew_clients(&mut Findings::default());
    let parted = meet(&client, &asks.config(), "localhost").expect_err("revoked");
    assert_eq!(parted.server, Some(Error::InvalidCertificate(CertificateError::Revoked)));
}

#[test]
fn a_broken_renewal_leaves_the_old_certificate_in_use() {
    let ca = Authority::new("ca");
    let own = ca.issue(&named("server", &["localhost"]));
    let listener = termination(section(vec![own.clone()])).expect("good");
    let shown = || {
        let met = meet(&Client::of(&ca).config(), &listener.config(), "localhost");
        met.expect("a handshake").server.expect("a certificate")
    };
    let renew = || {
        let mut findings = Findings::default();
        listener.renew_certificate(0, &mut findings);
        let problems = findings.into_problems();
        problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>().join("; ")
    };
    fs::copy(ca.issue(&named("other", &["localhost"])).chain, &own.chain).expect("a copy");
    assert!(renew().contains("the key does not belong to the first certificate"));
    let expired = Wanted { days: (-9, -1), ..named("server", &["localhost"]) };
    ca.issue(&expired);
    assert!(renew().contains("expired at"));
    fs::remove_file(&own.key).expect("it was there");
    assert!(renew().contains("cannot read it"));
    assert_eq!(shown(), "server");
    ca.issue(&Wanted { common_name: "new", ..named("server", &["localhost"]) });
    assert_eq!(renew(), "");
    assert_eq!(shown(), "new");
}

#[test]
fn each_fault_of_a_file_is_named_with_its_cure() {
    let ca = Authority::new("ca");
    let own = ca.issue(&Wanted::default());
    let other = ca.issue(&named("other", &["localhost"]));
    let broken = |change: &dyn Fn(&mut Certificate)| {
        let mut certificate = own.clone();
        change(&mut certificate);
        wrong(section(vec![certificate]))
    };
    let missing = broken(&|c| c.chain = ca.path("missing.crt"));
    let begins = format!(
        "listener.amqps.tls.certificates: {}: cannot read it: No such file",
        ca.path("missing.crt").display()
    );
    assert!(missing.message.starts_with(&begins), "{missing:?}");
    assert_eq!(missing.place, Some(own.place));
    let mixed = broken(&|c| c.key.clone_from(&other.key));
    assert!(mixed.advice.contains("requested with"), "{mixed:?}");
    // The authority's certificate stands before the leaf's.
    let upside_down = ca.path("upside-down.crt");
    let text = |path| fs::read_to_string(path).expect("a file");
    fs::write(&upside_down, text(ca.path("ca.pem")) + &text(own.chain.clone())).expect("a file");
    let reversed = broken(&|c| c.chain.clone_from(&upside_down));
    assert!(reversed.advice.contains("put that one first"), "{reversed:?}");
    let keyless = broken(&|c| c.key.clone_from(&own.chain));
    assert!(keyless.message.contains("no private key"), "{keyless:?}");
}

#[test]
fn authorities_and_lists_that_cannot_be_used_are_named() {
    let ca = Authority::new("ca");
    let broken = |change: &dyn Fn(&mut ListenerTls)| {
        let mut model = asking(&ca, ClientAuth::Required);
        change(&mut model);
        wrong(model).message
    };
    let empty = ca.path("empty.pem");
    fs::write(&empty, "").expect("a file");
    assert!(broken(&|m| m.client_ca = Some(pem_file(&empty))).contains("no certificate in it"));
    assert!(broken(&|m| m.client_crl = vec![pem_file(&empty)]).contains("no revocation list"));
    let text = fs::read_to_string(ca.path("ca.pem")).expect("a file");
    let lie = ca.path("lie.pem");
    fs::write(&lie, text.replace(" CERTIFICATE", " X509 CRL")).expect("a file");
    let message = broken(&|m| m.client_crl = vec![pem_file(&lie)]);
    assert!(
        message.contains("listener.amqps.tls.client_crl: ") && message.contains("cannot be used")
    );
    assert!(broken(&|m| m.client_ca = Some(pem_file(&ca.path("gone.pem")))).contains("client_ca"));
}

#[test]
fn what_may_be_a_mistake_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let ca = Authority::new("ca");
    let expired = ca.issue(&Wanted { days: (-9, -1), ..Wanted::default() });
    fs::set_permissions(&expired.key, fs::Permissions::from_mode(0o644)).expect("permissions");
    let early = ca.issue(&Wanted { days: (1, 9), ..named("early", &["localhost"]) });
    let mut model = section(vec![expired, early]);
    model.cipher_suites =
        ["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"].map(Arc::from).to_vec();
    let mut findings = Findings::default();
    let name = ListenerName("amqps".into());
    let made = Termination::new(&name, &Arc::new(model), Alpn::Ignored, &mut findings);
    assert!(made.is_some(), "the gateway starts");
    let problems = findings.into_problems();
    let all = format!("{problems:#?}");
    assert!(problems.iter().all(|problem| !problem.fatal), "{all}");
    for said in ["every user of", "expired at", "not valid before", "none goes with its key"] {
        assert_eq!(
            all.matches(said).count(),
            if said.starts_with("none") { 2 } else { 1 },
            "{all}"
        );
    }
}
