//! A broker short of memory blocks publishers, and its word reaches them.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use integration::peer::{Args, Frame, Peer};
use integration::ports::PortBlock;
use integration::suites::{Client, Lapin, Script};
use integration::{GatewayProcess, RabbitCluster};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, Event, PublisherConfirm};
use tokio::time::timeout;

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
    let mut lapins = [Listening::at(places[0]).await, Listening::at(places[1]).await];
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
    for lapin in &mut lapins {
        lapin.hears_blocked().await;
    }
    for script in &mut scripts {
        script.expect_line("ok blocked").await.unwrap();
    }
    cluster.ctl(1, &["set_vm_memory_high_watermark", "0.4"]).await.unwrap();
    for client in &mut raw {
        client.expect_method(UNBLOCKED).await.unwrap();
    }
    for lapin in lapins {
        lapin.hears_unblocked_and_publishes().await;
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

/// A lapin client whose messages are confirmed, and what it says about its connection.
struct Listening {
    connection: Connection,
    channel: Channel,
    events: Pin<Box<dyn Stream<Item = Event> + Send>>,
}

impl Listening {
    async fn at(address: SocketAddr) -> Self {
        let connection = Lapin::new(address, "orders").connect().await.unwrap();
        let events = Box::pin(connection.events_listener());
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Self { connection, channel, events }
    }

    /// Publishes, which the broker answers with connection.blocked.
    async fn hears_blocked(&mut self) {
        drop(self.publish().await);
        let event = self.next_event().await;
        let Event::ConnectionBlocked(reason) = event else { panic!("{event:?}") };
        assert!(reason.contains("memory"), "{reason}");
        assert!(self.connection.status().blocked());
    }

    async fn hears_unblocked_and_publishes(mut self) {
        let event = self.next_event().await;
        assert!(matches!(event, Event::ConnectionUnblocked), "{event:?}");
        let answer = self.publish().await.await.unwrap();
        assert!(matches!(answer, Confirmation::Ack(None)), "{answer:?}");
        self.connection.close(200, "bye".into()).await.unwrap();
    }

    async fn publish(&self) -> PublisherConfirm {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let to = "nobody".into();
        self.channel.basic_publish("".into(), to, options, b"x", properties).await.unwrap()
    }

    /// The next event but `Connected`, which may come before or after the listener.
    async fn next_event(&mut self) -> Event {
        loop {
            let event = timeout(Duration::from_secs(30), self.events.next()).await;
            match event.expect("lapin hears nothing").expect("lapin's events end") {
                Event::Connected => {}
                event => return event,
            }
        }
    }
}
