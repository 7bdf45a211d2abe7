//! What the harness says of TLS is true of RabbitMQ's own TLS listeners.

use integration::RabbitCluster;
use integration::certificates::{Authority, Issued, Key};
use integration::openssl::SClient;
use integration::peer::{Peer, Tune};
use integration::rabbit::{ClientCertificate, Tls};
use integration::suites::{Place, Suite, run_suite};
use integration::testssl;
use integration::tls::{ClientTls, Version};

const VERSIONS: [Version; 2] = [Version::Tls12, Version::Tls13];

fn localhost(authority: &Authority, key: Key) -> Issued {
    authority.server(&["localhost", "127.0.0.1"]).unwrap().key(key).write("server").unwrap()
}

#[tokio::test]
async fn client_libraries_pass_over_tls_what_they_pass_in_the_clear() {
    let authority = Authority::new("root").unwrap();
    let server = localhost(&authority.intermediate("below").unwrap(), Key::EcdsaP256);
    let node = RabbitCluster::builder("secure").tls(Tls::new(&authority, &server));
    let node = node.start().await.unwrap();
    for version in VERSIONS {
        let tls = ClientTls::new(&authority, "localhost").version(version);
        for suite in [Suite::Lapin, Suite::Pika, Suite::Amqplib] {
            let report = run_suite(suite, Place::over(node.amqps_addr(1), &tls)).await.unwrap();
            assert_eq!(report.failures(), Vec::<String>::new(), "{suite:?} {version:?}");
            assert_eq!(report.len(), suite.checks(), "{suite:?} {version:?}: a check is missing");
        }
    }
    let tls = ClientTls::new(&authority, "localhost");
    for place in [node.mgmt_addr(1).into(), Place::over(node.mgmt_tls_addr(1), &tls)] {
        let report = run_suite(Suite::ManagementUi, place.clone()).await.unwrap();
        assert_eq!(report.failures(), Vec::<String>::new(), "{place:?}");
        assert_eq!(report.len(), Suite::ManagementUi.checks(), "{place:?}: a check is missing");
    }
}

#[tokio::test]
async fn a_client_without_the_certificate_asked_for_is_refused_and_external_logs_in_with_it() {
    let authority = Authority::new("ca").unwrap();
    let tls = Tls::new(&authority, &localhost(&authority, Key::Rsa2048));
    let tls = tls.clients(ClientCertificate::Required).external();
    let node = RabbitCluster::builder("strict").tls(tls).start().await.unwrap();
    let app = authority.client("app").unwrap().write("app").unwrap();
    let stranger = Authority::new("other").unwrap();
    let stranger = stranger.client("app").unwrap().write("app").unwrap();
    for version in VERSIONS {
        let none = ClientTls::new(&authority, "localhost").version(version);
        let talk = async |tls: &ClientTls| SClient::new(node.amqps_addr(1), tls).talk().await;
        talk(&none).await.unwrap_err();
        talk(&none.clone().certificate(&stranger)).await.unwrap_err();
        let own = none.certificate(&app);
        let said = talk(&own).await.unwrap();
        assert!(said.text().contains("EXTERNAL"), "{}", said.text());

        let tls = own.connector().unwrap();
        let mut client = Peer::connect_tls(node.amqps_addr(1), &tls).await.unwrap();
        let tune = client.login_by("EXTERNAL", b"").await.unwrap();
        client.send_open("orders", Tune { heartbeat: 0, ..tune }).await.unwrap();
        client.expect_method((10, 41)).await.unwrap();
        client.close().await.unwrap();
        let suite = run_suite(Suite::Pika, Place::over(node.amqps_addr(1), &own)).await.unwrap();
        assert_eq!(suite.failures(), Vec::<String>::new(), "{version:?}");
    }
}

#[tokio::test]
async fn openssl_tells_what_was_agreed_on_and_whether_a_session_was_resumed() {
    let authority = Authority::new("ca").unwrap();
    let server = localhost(&authority, Key::Rsa2048);
    let node = RabbitCluster::builder("tell").tls(Tls::new(&authority, &server));
    // Erlang keeps sessions of TLS 1.2 by itself, those of 1.3 only if it is told to.
    let node = node.start().await.unwrap();
    let tls = ClientTls::new(&authority, "localhost");
    let client = SClient::new(node.amqps_addr(1), &tls);
    let full = client.talk().await.unwrap();
    assert!(!full.resumed() && full.agreed().starts_with("TLSv1.3 TLS_"), "{}", full.text());
    assert_eq!(full.certificate(), server.certificate);

    let session = authority.dir().join("session");
    let client = SClient::new(node.amqps_addr(1), &tls.clone().version(Version::Tls12));
    let full = client.clone().save_session(&session).talk().await.unwrap();
    assert!(!full.resumed() && full.agreed().starts_with("TLSv1.2 ECDHE-RSA-"), "{}", full.text());
    let resumed = client.clone().resume_session(&session).talk().await.unwrap();
    assert!(resumed.resumed(), "{}", resumed.text());

    let old = SClient::new(node.amqps_addr(1), &tls.clone().version(Version::Tls11)).talk().await;
    assert!(format!("{:#}", old.unwrap_err()).contains("alert protocol version"));
    let other_name = ClientTls::new(&authority, "elsewhere.test");
    let error = SClient::new(node.amqps_addr(1), &other_name).talk().await.unwrap_err();
    assert!(format!("{error:#}").contains("hostname mismatch"), "{error:#}");
}

#[tokio::test]
async fn testssl_tells_what_is_wrong_with_a_listener() {
    let authority = Authority::new("ca").unwrap();
    let server = authority.server(&["localhost"]).unwrap().expired().write("server").unwrap();
    let node = RabbitCluster::builder("rated").tls(Tls::new(&authority, &server));
    let node = node.start().await.unwrap();
    let tls = ClientTls::new(&authority, "localhost");
    let found = testssl::findings(node.amqps_addr(1), &tls).await.unwrap();
    let bad: Vec<_> = found.iter().filter(|one| one.is_above_low()).collect();
    assert!(bad.iter().any(|one| one.id == "cert_expirationStatus"), "{bad:?}");
}
