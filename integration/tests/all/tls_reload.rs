//! Certificates that change while the gateway runs.

use std::fs;
use std::net::SocketAddr;

use integration::certificates::{Authority, Issued};
use integration::openssl::SClient;
use integration::peer::Peer;
use integration::ports::PortBlock;
use integration::tls::{ClientTls, Version};
use integration::{GatewayProcess, wait};

use crate::front::SOON;
use crate::shared;

/// A gateway with TLS.
struct Front {
    authority: Authority,
    gateway: GatewayProcess,
    address: SocketAddr,
    _ports: PortBlock,
}

impl Front {
    /// `own` is written as the listener's certificate; the listener's section has these lines.
    async fn start(
        own: impl FnOnce(&Authority) -> Issued,
        tls: impl FnOnce(&Authority) -> String,
    ) -> Self {
        let authority = Authority::new("ca").unwrap();
        let own = own(&authority);
        let node = shared::setup().await.cluster.amqp_addr(1);
        let ports = PortBlock::claim().unwrap();
        let local = |index| SocketAddr::from(([127, 0, 0, 1], ports.port(index)));
        let (address, admin) = (local(0), local(1));
        let config = format!(
            "[admin]\nbind = \"{admin}\"\n\
             [listener.amqps]\nbind = \"{address}\"\ncluster = \"main\"\n\
             [listener.amqps.tls]\ncertificates = [{{ chain = \"{}\", key = \"{}\" }}]\n{}\n\
             [cluster.main.node.n1]\naddress = \"{}\"\n[cluster.main.health]\nchecks = []\n",
            own.chain.display(),
            own.key.display(),
            tls(&authority),
            node,
        );
        let gateway = GatewayProcess::start(&config).await.unwrap();
        Self { authority, gateway, address, _ports: ports }
    }

    fn client(&self) -> ClientTls {
        ClientTls::new(&self.authority, "localhost")
    }

    /// The certificate that a client is shown.
    async fn shown(&self) -> String {
        SClient::new(self.address, &self.client()).talk().await.unwrap().certificate()
    }

    /// Files that were taken over, and refused.
    async fn counted(&self) -> (f64, f64) {
        let count = async |result: &str| {
            let label = format!("result=\"{result}\"");
            self.gateway.metric("amqp_gateway_certificate_reloads_total", &[&label]).await.unwrap()
        };
        (count("success").await, count("failure").await)
    }
}

fn server(authority: &Authority) -> Issued {
    authority.server(&["localhost"]).unwrap().write("server").unwrap()
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_the_next_client_and_sessions_live_on() {
    let front = Front::start(server, |_| String::new()).await;
    let before = front.shown().await;
    let tls = front.client().connector().unwrap();
    let mut living = Peer::connect_tls(front.address, &tls).await.unwrap();
    living.open("guest", "guest", "/").await.unwrap();
    let session = front.authority.dir().join("session");
    let old = SClient::new(front.address, &front.client().version(Version::Tls12));
    old.clone().save_session(&session).talk().await.unwrap();
    let renewed = server(&front.authority).certificate;
    assert_ne!(before, renewed);
    wait::until("the new certificate", SOON, async || front.shown().await == renewed)
        .await
        .unwrap();
    // Counted a moment after it is in use.
    let counted = async || front.counted().await == (1.0, 0.0);
    wait::until("it to be counted", SOON, counted).await.unwrap();
    let resumed = old.resume_session(&session).talk().await.unwrap();
    assert!(resumed.resumed(), "a renewal takes no session from its client: {}", resumed.text());
    living.close().await.unwrap();
}

#[tokio::test]
async fn a_broken_certificate_is_refused_and_the_old_one_stays() {
    let front = Front::start(server, |_| String::new()).await;
    let before = front.shown().await;
    let other = front.authority.server(&["localhost"]).unwrap().write("other").unwrap();
    fs::copy(&other.key, front.authority.dir().join("server.key")).unwrap();
    let line = front.gateway.wait_for_log("changed certificate refused", SOON).await.unwrap();
    assert!(line.contains("the key does not belong to the first certificate"), "{line}");
    assert!(line.contains("ERROR"), "{line}");
    assert_eq!((front.shown().await, front.counted().await), (before, (0.0, 1.0)));
    let expired = front.authority.server(&["localhost"]).unwrap().expired();
    expired.write("server").unwrap();
    front.gateway.wait_for_log("expired at", SOON).await.unwrap();
    let renewed = server(&front.authority).certificate;
    wait::until("the new certificate", SOON, async || front.shown().await == renewed)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_client_that_is_revoked_is_out_at_its_next_connection_even_with_a_ticket() {
    let front = Front::start(server, |authority| {
        let (ca, crl) = (authority.file().to_owned(), authority.crl("list", &[]).unwrap());
        let (ca, crl) = (ca.display(), crl.display());
        format!("client_auth = \"required\"\nclient_ca = \"{ca}\"\nclient_crl = [\"{crl}\"]")
    });
    let front = front.await;
    let app = front.authority.client("app").unwrap().write("app").unwrap();
    let tls = front.client().version(Version::Tls12).certificate(&app);
    let client = SClient::new(front.address, &tls);
    let session = front.authority.dir().join("session");
    client.clone().save_session(&session).talk().await.unwrap();
    let client = client.resume_session(&session);
    assert!(client.talk().await.unwrap().resumed());
    front.authority.crl("list", &[&app]).unwrap();
    front.gateway.wait_for_log("new authorities and revocation lists", SOON).await.unwrap();
    client.talk().await.unwrap_err();
    front.gateway.wait_for_log("reason=certificate-revoked", SOON).await.unwrap();
}

#[tokio::test]
async fn a_ticket_does_not_outlive_the_certificate_that_it_was_given_for() {
    let front = Front::start(server, |authority| {
        let ca = authority.file().display();
        format!("client_auth = \"required\"\nclient_ca = \"{ca}\"")
    });
    let front = front.await;
    let app = front.authority.client("app").unwrap().seconds(8).write("app").unwrap();
    let tls = front.client().version(Version::Tls12).certificate(&app);
    let client = SClient::new(front.address, &tls);
    let session = front.authority.dir().join("session");
    client.clone().save_session(&session).talk().await.unwrap();
    let client = client.resume_session(&session);
    assert!(client.talk().await.unwrap().resumed());
    wait::until("the end", SOON, async || client.talk().await.is_err()).await.unwrap();
    front.gateway.wait_for_log("reason=certificate-expired", SOON).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_warned_of_and_its_end_is_a_metric() {
    let soon = |authority: &Authority| {
        let leaf = authority.server(&["localhost"]).unwrap().valid(-80, 10);
        leaf.write("server").unwrap()
    };
    let front = Front::start(soon, |_| String::new()).await;
    front.gateway.wait_for_log("certificate ends within 14 days", SOON).await.unwrap();
    let labels = ["listener=\"amqps\"", "certificate=\"localhost\""];
    let name = "amqp_gateway_certificate_expiry_timestamp_seconds";
    let end = front.gateway.metric(name, &labels).await.unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let days = (end - now.as_secs_f64()) / 86_400.0;
    assert!((9.0..11.0).contains(&days), "{days}");
}
