//! TLS that only the node can read: it is routed by server name, and logins by certificate work as without a gateway.

use std::net::SocketAddr;
use std::time::Duration;

use integration::certificates::Authority;
use integration::openssl::SClient;
use integration::peer::{HEADER, Peer, ScriptedBroker};
use integration::ports::PortBlock;
use integration::proxy_header::V2;
use integration::rabbit::{ClientCertificate, Tls};
use integration::suites::{Client, Place, Script, Suite, run_suite};
use integration::tls::{ClientTls, Version};
use integration::{RabbitCluster, http, wait};
use tokio::io::AsyncReadExt;
use tokio::time::interval;

use crate::front::{Front, SOON, Setup, local};

/// A broker that takes whoever has a certificate for the user that its common name says. Its TLS port is `port` of `host`,
/// too.
async fn broker(name: &str, authority: &Authority, host: &str, port: u16) -> RabbitCluster {
    let names = [&*format!("{name}.test"), "localhost", "127.0.0.1"];
    let server = authority.server(&names).unwrap().write(name).unwrap();
    let tls = Tls::new(authority, &server).clients(ClientCertificate::Required).external();
    let listens = format!("listeners.ssl.2 = {host}:{port}");
    RabbitCluster::builder(name).tls(tls).extra_conf(&listens).start().await.unwrap()
}

fn listener(bind: SocketAddr, node_port: u16) -> String {
    format!(
        "[listener.sealed]\nbind = \"{bind}\"\nprotocol = \"tls-passthrough\"\n\
         node_port = {node_port}\ncluster = \"main\"\n"
    )
}

#[tokio::test]
async fn external_works_end_to_end_at_the_cluster_that_the_server_name_says() {
    let authority = Authority::new("ca").unwrap();
    let app = authority.client("app").unwrap().write("app").unwrap();
    let ports = PortBlock::claim().unwrap();
    let (at, port) = (local(ports.port(0)), ports.port(1));
    let (red, blue) = tokio::join!(
        broker("red", &authority, "127.0.0.1", port),
        broker("blue", &authority, "127.0.0.2", port),
    );
    let more = listener(at, port)
        + "[[route]]\nsni = \"blue.*\"\ncluster = \"blue\"\n"
        + &format!("[cluster.blue.node.b1]\naddress = \"127.0.0.2:{port}\"\n");
    let front = Setup::at_accept().more(&more).start(&[red.amqp_addr(1)]).await;

    for (name, broker, cluster) in [("red.test", &red, "main"), ("blue.test", &blue, "blue")] {
        for version in [Version::Tls12, Version::Tls13] {
            // It looks for the name in the certificate of the broker.
            let tls = ClientTls::new(&authority, name).certificate(&app).version(version);
            let (place, vhost) = (Place::over(at, &tls), ["orders".to_owned()]);
            let mut client = Script::start(Client::Pika, "external", place, &vhost).unwrap();
            client.expect_line("connected").await.unwrap();
            wait::until("EXTERNAL in the management", SOON, async || {
                let url = broker.mgmt_api(1, "connections");
                let all = http::get_json(&url).await.unwrap_or_default();
                all[0]["user"] == "app" && all[0]["auth_mechanism"] == "EXTERNAL"
            })
            .await
            .unwrap();
            drop(client);
            let talk = SClient::new(at, &tls).talk().await.unwrap();
            assert!(talk.text().contains("EXTERNAL"), "{}", talk.text());
        }
        let record = record_of_name(&front, name).await;
        assert_eq!(record["cluster"], cluster, "{record}");
        assert_eq!(record["protocol"], "tls-passthrough", "{record}");
        assert!(record["tls"].is_null() && record["user"].is_null(), "{record}");
    }
    let tls = ClientTls::new(&authority, "red.test").certificate(&app);
    let report = run_suite(Suite::Pika, Place::over(at, &tls)).await.unwrap();
    assert_eq!(report.failures(), Vec::<String>::new());

    // Without a server name (an address is none) it is the listener's own cluster.
    let unnamed = ClientTls::new(&authority, "127.0.0.1").certificate(&app).connector().unwrap();
    let mut client = Peer::connect_tls(at, &unnamed).await.unwrap();
    client.login_by("EXTERNAL", b"").await.unwrap();
    let own = client.local_addr().unwrap();
    drop(client);
    let record = front.record_of(own).await;
    assert_eq!((&record["cluster"], record["sni"].is_null()), (&"main".into(), true));
}

async fn record_of_name(front: &Front, name: &str) -> serde_json::Value {
    let its = |line: &serde_json::Value| line["sni"] == name;
    front.gateway.wait_for_lines(name, 1, SOON, its).await.unwrap().remove(0)
}

#[tokio::test]
async fn nodes_are_sealed_from_garbage_and_from_hellos_that_do_not_end() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let ports = PortBlock::claim().unwrap();
    let at = local(ports.port(0));
    let setup = Setup::at_accept().gateway("handshake_timeout = \"1s\"");
    let front = setup.more(&listener(at, broker.address().port())).start(&[broker.address()]).await;
    let hello = hello();
    for (said, end) in [
        (&HEADER[..], "client tls not-tls"),
        (b"GET / HTTP/1.1\r\n\r\n", "client tls not-tls"),
        (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", "client tls tls-bad-hello"),
        (&hello[..hello.len() / 2], "client tls tls-timeout"),
        (&[], "client tls tls-timeout"),
    ] {
        let mut client = Peer::connect(at).await.unwrap();
        client.send_raw(said).await.unwrap();
        client.expect_eof().await.unwrap();
        let own = client.local_addr().unwrap();
        assert_eq!(front.end_of(own).await, end, "{said:?}");
    }
    let mut drip = Peer::connect(at).await.unwrap();
    let own = drip.local_addr().unwrap();
    let mut pace = interval(Duration::from_millis(100));
    for byte in &hello {
        pace.tick().await;
        if drip.send_raw(&[*byte]).await.is_err() {
            break;
        }
    }
    assert_eq!(front.end_of(own).await, "client tls tls-timeout");

    // The first connection that the node gets is that of a whole hello: it hears it as it was said.
    let mut client = Peer::connect(at).await.unwrap();
    for part in hello.chunks(50) {
        client.send_raw(part).await.unwrap();
    }
    let mut node = broker.accept().await.unwrap();
    let mut heard = vec![0; hello.len()];
    node.stream().read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, hello);
    let own = client.local_addr().unwrap();
    drop((node, client));
    assert_eq!(front.record_of(own).await["sni"], "sealed.test");
}

fn hello() -> Vec<u8> {
    let authority = Authority::new("ca").unwrap();
    ClientTls::new(&authority, "sealed.test").hello().unwrap()
}

#[tokio::test]
async fn a_proxy_header_comes_before_the_hello_in_both_directions() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let ports = PortBlock::claim().unwrap();
    let at = local(ports.port(0));
    let proxied = "proxy_protocol = \"required\"\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let setup = Setup::at_accept().more(&(listener(at, broker.address().port()) + proxied));
    let setup = setup.cluster("proxy_protocol = \"v2\"\nloopback_users = []");
    let _front = setup.start(&[broker.address()]).await;
    let far: SocketAddr = "203.0.113.7:4711".parse().unwrap();
    let header = V2::new(far, at).encode();
    let hello = hello();
    let mut client = Peer::connect(at).await.unwrap();
    client.send_raw(&[&header[..], &hello].concat()).await.unwrap();
    let mut node = broker.accept().await.unwrap();
    let mut heard = Vec::new();
    let told = loop {
        node.stream().read_buf(&mut heard).await.unwrap();
        match V2::decode(&heard).unwrap() {
            Some((told, end)) if heard.len() == end + hello.len() => {
                assert_eq!(heard[end..], hello);
                break told;
            }
            _ => {}
        }
    };
    assert_eq!(told.addresses, Some((far, at)));
    assert_eq!(told.ssl().unwrap(), None, "whatever is in there, the gateway has not seen");
}
