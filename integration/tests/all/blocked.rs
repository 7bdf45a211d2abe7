//! A broker short of memory blocks publishers, and its word reaches them.

use std::net::SocketAddr;

use integration::peer::{Args, Frame, Peer};
use integration::ports::PortBlock;
use integration::suites::{Client, Script};
use integration::{GatewayProcess, RabbitCluster};

const BLOCKED: (u16, u16) = (10, 60);
const UNBLOCKED: (u16, u16) = (10, 61);

#[tokio::test]
async fn blocked_and_unblocked_reach_publishers_directly_and_through_the_gateway() {
    let cluster = RabbitCluster::builder("blocked").start().await.unwrap();
    let ports = PortBlock::claim().unwrap();
    let listener = SocketAddr::from(([127, 0, 0, 1], ports.port(0)));
    let nodes = cluster.config_section();
    let config =
        format!("[listener.amqp]\nbind = \"{listener}\"\ncluster = \"blocked\"\n\n{nodes}");
    let _gateway = GatewayProcess::start(&config).await.unwrap();

    let places = [cluster.amqp_addr(1), listener];
    let mut raw = Vec::new();
    for place in places {
        raw.push(publisher(place).await);
    }
    cluster.ctl(1, &["set_vm_memory_high_watermark", "0.00001"]).await.unwrap();
    let mut scripts = Vec::new();
    for place in places {
        for client in [Client::Pika, Client::Amqplib] {
            scripts.push(Script::start(client, "blocked", place, &[]).unwrap());
        }
    }
    for client in &mut raw {
        publish(client).await;
        let reason = client.expect_method(BLOCKED).await.unwrap().shortstr().unwrap();
        assert!(reason.contains("memory"), "{reason}");
    }
    for script in &mut scripts {
        script.expect_line("ok blocked").await.unwrap();
    }
    cluster.ctl(1, &["set_vm_memory_high_watermark", "0.4"]).await.unwrap();
    for client in &mut raw {
        client.expect_method(UNBLOCKED).await.unwrap();
    }
    for mut script in scripts {
        script.expect_line("ok unblocked").await.unwrap();
        script.report().await.unwrap();
    }
}

/// A client that has announced `connection.blocked` and opened channel 1.
async fn publisher(address: SocketAddr) -> Peer {
    let mut client = Peer::connect(address).await.unwrap();
    client.open("app", "secret", "orders").await.unwrap();
    client.open_channel(1).await.unwrap();
    client
}

async fn publish(client: &mut Peer) {
    let publish = Args::new().u16(0).shortstr("").shortstr("nobody").u8(0);
    client.send_method(1, (60, 40), publish).await.unwrap();
    client.send_frame(&Frame::content_header(1, 1)).await.unwrap();
    client.send_frame(&Frame::body(1, b"x")).await.unwrap();
}
