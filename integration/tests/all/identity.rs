//! Clients that log in by their certificate, which the gateway tells nodes as a user and a password.

use std::fs;
use std::net::SocketAddr;

use integration::certificates::{Authority, Issued};
use integration::peer::{Args, HEADER, Peer};
use integration::ports::PortBlock;
use integration::proxy_header::v1;
use integration::rabbit::{ClientCertificate, Tls};
use integration::suites::{Client, Place, Script};
use integration::tls::ClientTls;
use integration::{RabbitCluster, http, wait};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::front::{Front, SOON, Setup, end_of, local, nobody};
use crate::proxy_protocol::connection_of;

/// An authority, and the certificates of a gateway and of its clients.
struct Papers {
    authority: Authority,
    gateway: Issued,
}

impl Papers {
    fn new() -> Self {
        let authority = Authority::new("ca").unwrap();
        let gateway = authority.server(&["localhost"]).unwrap().write("gateway").unwrap();
        Self { authority, gateway }
    }

    /// The section of a listener that asks for certificates, whether a client has one or not.
    fn listener_tls(&self, listener: &str) -> String {
        let Issued { chain, key, .. } = &self.gateway;
        format!(
            "[listener.{listener}.tls]\ncertificates = [{{ chain = {chain:?}, key = {key:?} }}]\n\
             client_auth = \"optional\"\nclient_ca = {:?}\n",
            self.authority.file()
        )
    }

    /// A section for the cluster `main`; the password stands in a file of its own.
    fn identity(&self, name: &str, conditions: &str, user: &str, password: &str) -> String {
        let file = self.authority.dir().join(format!("{name}.password"));
        fs::write(&file, format!("{password}\n")).unwrap();
        format!(
            "[cluster.main.identity.{name}]\n{conditions}\nusername = \"{user}\"\n\
             password_file = {file:?}\n"
        )
    }

    fn nobody(&self) -> ClientTls {
        ClientTls::new(&self.authority, "localhost")
    }

    fn client(&self, common_name: &str) -> ClientTls {
        let leaf = self.authority.client(common_name).unwrap();
        self.nobody().certificate(&leaf.write(common_name).unwrap())
    }

    fn client_with_uri(&self, common_name: &str, uri: &str) -> ClientTls {
        let leaf = self.authority.client(common_name).unwrap().uri(uri).unwrap();
        self.nobody().certificate(&leaf.write(common_name).unwrap())
    }
}

/// The mechanisms that a client is offered.
async fn offered(address: SocketAddr, tls: &ClientTls) -> String {
    let mut client = Peer::connect_tls(address, &tls.connector().unwrap()).await.unwrap();
    client.send_raw(&HEADER).await.unwrap();
    let mut start = client.expect_method((10, 10)).await.unwrap();
    start.u8().unwrap();
    start.u8().unwrap();
    start.longstr().unwrap();
    String::from_utf8(start.longstr().unwrap()).unwrap()
}

/// A client that logs in by its certificate, up to tune; its address.
async fn external(address: SocketAddr, tls: &ClientTls) -> (Result<Peer, String>, SocketAddr) {
    let mut client = Peer::connect_tls(address, &tls.connector().unwrap()).await.unwrap();
    let own = client.local_addr().unwrap();
    match client.login_by("EXTERNAL", b"").await {
        Ok(tune) => {
            client.send_open("orders", tune).await.unwrap();
            match client.expect_method((10, 41)).await {
                Ok(_) => (Ok(client), own),
                Err(error) => (Err(format!("{error:#}")), own),
            }
        }
        Err(error) => (Err(format!("{error:#}")), own),
    }
}

/// User and mechanism of the only connection with this client library that a node's management API shows.
async fn logged_in(node: &RabbitCluster, product: &str) -> (String, String) {
    let url = node.mgmt_api(1, "connections");
    let mut found = Value::Null;
    wait::until(format!("one connection of {product}"), SOON, async || {
        let all = http::get_json(&url).await.unwrap_or_default();
        let all = all.as_array().cloned().unwrap_or_default();
        let mut its = all.into_iter().filter(|one| one["client_properties"]["product"] == product);
        found = its.next().unwrap_or_default();
        its.next().is_none() && found["user"].is_string()
    })
    .await
    .unwrap();
    login(&found)
}

/// User and mechanism of a connection that a management API shows.
fn login(shown: &Value) -> (String, String) {
    let text = |key: &str| shown[key].as_str().unwrap_or_default().to_owned();
    (text("user"), text("auth_mechanism"))
}

fn plain(user: &str) -> (String, String) {
    (user.to_owned(), "PLAIN".to_owned())
}

static SCENE: OnceCell<Scene> = OnceCell::const_new();

/// A gateway with two clusters, which are the same broker, and a listener of each kind.
struct Scene {
    papers: Papers,
    node: RabbitCluster,
    front: Front,
    /// Decided at open: the vhost orders is `main`, billing is `other`.
    at_open: SocketAddr,
    in_the_clear: SocketAddr,
    _ports: PortBlock,
}

async fn scene() -> &'static Scene {
    SCENE.get_or_init(start).await
}

async fn start() -> Scene {
    let papers = Papers::new();
    let node = RabbitCluster::builder("main").start().await.unwrap();
    let ports = PortBlock::claim().unwrap();
    let (at_open, in_the_clear) = (local(ports.port(0)), local(ports.port(1)));
    let other = node.amqp_addr(1);
    let more = [
        papers.listener_tls("amqp"),
        format!("[listener.at-open]\nbind = \"{at_open}\"\n"),
        papers.listener_tls("at-open"),
        format!("[listener.in-the-clear]\nbind = \"{in_the_clear}\"\ncluster = \"main\"\n"),
        "[[route]]\nlistener = \"at-open\"\nvhost = \"orders\"\ncluster = \"main\"\n\
         [[route]]\nlistener = \"at-open\"\nvhost = \"billing\"\ncluster = \"other\"\n"
            .to_owned(),
        papers.identity("first", "common_name = \"app-*\"", "app", "secret"),
        papers.identity("second", "common_name = \"app-2\"", "admin", "admin"),
        papers.identity("both", "common_name = \"ops\"\nsan = \"spiffe://*\"", "admin", "admin"),
        papers.identity("wrong", "common_name = \"mallory\"", "app", "a wrong one"),
        format!("[cluster.other.node.n1]\naddress = \"{other}\"\n"),
        "[cluster.other.identity.ops]\ncommon_name = \"ops\"\nusername = \"app\"\n\
         password = \"secret\"\n"
            .to_owned(),
    ];
    let front = Setup::at_accept().more(&more.join("\n")).start(&[node.amqp_addr(1)]).await;
    Scene { papers, node, front, at_open, in_the_clear, _ports: ports }
}

#[tokio::test]
async fn real_clients_log_in_as_whom_their_certificate_stands_for() {
    let Scene { papers, node, front, at_open, .. } = scene().await;
    let app = papers.client("app-2");
    for (client, product) in
        [(Client::Pika, "Pika Python Client Library"), (Client::Amqplib, "amqplib")]
    {
        for address in [front.address, *at_open] {
            let (place, vhost) = (Place::over(address, &app), ["orders".to_owned()]);
            let mut client = Script::start(client, "external", place, &vhost).unwrap();
            client.expect_line("connected").await.unwrap();
            assert_eq!(logged_in(node, product).await, plain("app"), "the first that matches");
        }
    }
    let (client, own) = external(front.address, &app).await;
    client.unwrap().close().await.unwrap();
    let record = front.record_of(own).await;
    assert_eq!((&record["user"], &record["certificate"]), (&"app".into(), &"CN=app-2".into()));
}

#[tokio::test]
async fn external_is_offered_where_a_certificate_stands_for_a_login_and_nowhere_else() {
    let Scene { papers, front, at_open, in_the_clear, .. } = scene().await;
    let app = papers.client("app-1");
    let ops = papers.client_with_uri("ops", "spiffe://test/ops");
    for address in [front.address, *at_open] {
        for tls in [&app, &ops] {
            assert_eq!(offered(address, tls).await, "EXTERNAL AMQPLAIN PLAIN", "{address}");
        }
        for tls in [papers.nobody(), papers.client("stranger")] {
            assert!(!offered(address, &tls).await.contains("EXTERNAL"), "{address}");
        }
    }
    let half = papers.client_with_uri("ops", "https://test/half");
    assert!(!offered(front.address, &half).await.contains("EXTERNAL"), "half of it matches");
    let there = offered(*at_open, &half).await;
    assert!(there.starts_with("EXTERNAL"), "the other cluster may be meant: {there}");

    let mut client = Peer::connect(*in_the_clear).await.unwrap();
    let refused = format!("{:#}", client.login_by("EXTERNAL", b"").await.unwrap_err());
    assert!(refused.contains("403"), "{refused}");
}

#[tokio::test]
async fn a_certificate_that_stands_for_nobody_at_its_cluster_is_refused_as_rabbitmq_does() {
    let Scene { papers, front, at_open, .. } = scene().await;
    let half = papers.client_with_uri("ops", "https://test/nobody");
    let (refused, client) = external(*at_open, &half).await;
    let refused = refused.unwrap_err();
    assert!(refused.contains("403") && refused.contains("stands for no user"), "{refused}");
    let record = front.record_of(client).await;
    assert_eq!(end_of(&record), "gateway connect access-refused 403");
    assert_eq!(record["user"], Value::Null);

    // One that does not understand a refusal of its login.
    let mut simple = Peer::connect_tls(*at_open, &half.connector().unwrap()).await.unwrap();
    simple.send_raw(&HEADER).await.unwrap();
    simple.expect_method((10, 10)).await.unwrap();
    let start_ok = Args::new().nested(Args::new()).shortstr("EXTERNAL").longstr(b"");
    simple.send_method(0, (10, 11), start_ok.shortstr("en_US")).await.unwrap();
    let tune = simple.expect_method((10, 30)).await.unwrap();
    simple.send_method(0, (10, 31), Args::new().raw(tune.rest())).await.unwrap();
    let open = Args::new().shortstr("orders").shortstr("").u8(0);
    simple.send_method(0, (10, 40), open).await.unwrap();
    simple.expect_eof().await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_of_an_identity_is_the_brokers_to_refuse_and_shown_nowhere() {
    let Scene { papers, front, .. } = scene().await;
    let (refused, client) = external(front.address, &papers.client("mallory")).await;
    let refused = refused.unwrap_err();
    assert!(refused.contains("403") && refused.contains("mechanism PLAIN"), "{refused}");
    let record = front.record_of(client).await;
    assert_eq!(end_of(&record), "node connect refused-by-node 403");
    assert_eq!(record["user"], "app");
    assert!(!front.gateway.log().contains("a wrong one"), "{}", front.gateway.log());
}

#[tokio::test]
async fn with_a_certificate_plain_means_what_it_always_means() {
    let Scene { papers, node, front, .. } = scene().await;
    let tls = papers.client("app-plain").connector().unwrap();
    let mut client = Peer::connect_tls(front.address, &tls).await.unwrap();
    client.open("limited", "limited", "orders").await.unwrap();
    let shown = connection_of(node, client.local_addr().unwrap()).await;
    assert_eq!(login(&shown), plain("limited"));
}

#[tokio::test]
async fn another_node_is_told_the_same_login_and_a_loopback_user_stays_one() {
    let papers = Papers::new();
    let node = RabbitCluster::builder("main").start().await.unwrap();
    let (dead, _ports) = nobody();
    let more = [
        papers.listener_tls("amqp"),
        papers.identity("app", "common_name = \"app\"", "app", "secret"),
        papers.identity("guest", "common_name = \"guest\"", "guest", "guest"),
    ];
    let setup = Setup::at_accept().more(&more.join("\n")).cluster("balance = \"first\"");
    let setup = setup.listener("proxy_protocol = \"optional\"");
    let setup = setup.listener("trusted_proxies = [\"127.0.0.1\"]");
    let front = setup.start(&[dead, node.amqp_addr(1)]).await;

    let (client, own) = external(front.address, &papers.client("app")).await;
    client.unwrap().close().await.unwrap();
    let record = front.record_of(own).await;
    assert_eq!((&record["user"], &record["node"]), (&"app".into(), &"n2".into()));

    let (client, _) = external(front.address, &papers.client("guest")).await;
    client.unwrap().close().await.unwrap();
    let far: SocketAddr = "203.0.113.7:4000".parse().unwrap();
    let refused = from_afar(&front, far, &papers.client("guest")).await;
    assert!(refused.contains("403") && refused.contains("own host only"), "{refused}");
    assert_eq!(front.record_of(far).await["user"], "guest");
}

async fn from_afar(front: &Front, source: SocketAddr, tls: &ClientTls) -> String {
    let mut client = front.client().await;
    client.send_raw(&v1(source, front.address)).await.unwrap();
    let mut client = client.start_tls(&tls.connector().unwrap()).await.unwrap();
    format!("{:#}", client.login_by("EXTERNAL", b"").await.unwrap_err())
}

#[tokio::test]
async fn nobody_logs_in_by_the_certificate_that_the_gateway_shows_of_itself() {
    let papers = Papers::new();
    let of_node = papers.authority.server(&["localhost", "127.0.0.1"]).unwrap();
    let tls = Tls::new(&papers.authority, &of_node.write("node").unwrap());
    let tls = tls.clients(ClientCertificate::Required).external();
    let node = RabbitCluster::builder("main").tls(tls).start().await.unwrap();
    let own = papers.authority.client("admin").unwrap().write("own").unwrap();
    let section = format!(
        "[cluster.main.tls]\nca = {:?}\ncertificate = {{ bundle = {:?} }}\n",
        papers.authority.file(),
        own.bundle
    );
    let front = Setup::at_accept().more(&section).start(&[node.amqps_addr(1)]).await;

    let mut client = front.client().await;
    client.send_raw(&HEADER).await.unwrap();
    let start = client.expect_method((10, 10)).await.unwrap();
    let start = String::from_utf8_lossy(start.rest()).into_owned();
    assert!(start.contains("PLAIN AMQPLAIN") && !start.contains("EXTERNAL"), "{start}");

    let mut client = front.client().await;
    let refused = client.login_by("EXTERNAL", b"").await.unwrap_err();
    assert!(format!("{refused:#}").contains("403"), "{refused:#}");
    assert!(!node.log(1).contains("'admin' authenticated"), "{}", node.log(1));
    for (mechanism, response, code) in
        [("EXTERNAL", &b""[..], 1), ("PLAIN", &b"\0app\0secret"[..], 0)]
    {
        let outcome = crate::strangers::outcome(front.address, mechanism, response).await;
        assert_eq!(outcome, code, "AMQP 1.0, {mechanism}");
    }
    let mut client = front.client().await;
    client.open("app", "secret", "orders").await.unwrap();
    let shown = connection_of(&node, client.local_addr().unwrap()).await;
    assert_eq!(login(&shown), plain("app"));
}
