//! lapin, the Rust client.

mod dial;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions,
    BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::uri::AMQPUri;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer};
use tokio::time::{sleep, timeout};

use super::{Place, Report};
use crate::tls::{ClientTls, Connector};

const DEADLINE: Duration = Duration::from_secs(60);

/// Where and as whom a lapin client connects.
#[derive(Debug, Clone)]
pub struct Lapin {
    /// The broker or the gateway.
    pub address: SocketAddr,
    /// `/` is written as it is.
    pub vhost: String,
    /// Name and password, with a colon between them.
    pub login: String,
    /// Seconds; 0 = none.
    pub heartbeat: u16,
    /// The name that the management API shows.
    pub name: String,
    /// With TLS; those that share a connector resume each other's sessions.
    pub tls: Option<Connector>,
}

impl Lapin {
    /// As `app`, with a heartbeat of 30 s.
    #[must_use]
    pub fn new(address: SocketAddr, vhost: &str) -> Self {
        Self {
            address,
            vhost: vhost.to_owned(),
            login: "app:secret".to_owned(),
            heartbeat: 30,
            name: "lapin".to_owned(),
            tls: None,
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// When the broker refuses or does not answer within a minute.
    pub async fn connect(&self) -> Result<Connection> {
        let Self { address, login, heartbeat, name, .. } = self;
        let vhost = self.vhost.replace('/', "%2f");
        let url = format!("amqp://{login}@{address}/{vhost}?heartbeat={heartbeat}");
        let properties = ConnectionProperties::default().with_connection_name(name.as_str().into());
        let uri: AMQPUri = url.parse().map_err(anyhow::Error::msg)?;
        let (runtime, dial) = dial::new(*address, self.tls.clone());
        let connecting = Box::pin(Connection::connector(uri, runtime, dial, properties));
        let connected = timeout(DEADLINE, connecting).await;
        Ok(connected.with_context(|| format!("no answer from {address}"))??)
    }
}

/// Declares a queue of this connection only, with a name made by the broker.
async fn own_queue(channel: &Channel) -> Result<ShortString> {
    let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
    let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?;
    Ok(queue.name().clone())
}

async fn publish(channel: &Channel, queue: &ShortString, body: &[u8]) -> Result<Confirmation> {
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let properties = BasicProperties::default();
    let sent = channel.basic_publish("".into(), queue.clone(), options, body, properties).await?;
    Ok(sent.await?)
}

async fn confirmed(channel: &Channel, queue: &ShortString, body: &[u8]) -> Result<()> {
    match publish(channel, queue, body).await? {
        Confirmation::Ack(None) => Ok(()),
        other => bail!("not confirmed: {other:?}"),
    }
}

async fn consume(channel: &Channel, queue: &ShortString) -> Result<Consumer> {
    let options = BasicConsumeOptions::default();
    let tag = "consumer".into();
    Ok(channel.basic_consume(queue.clone(), tag, options, FieldTable::default()).await?)
}

async fn fetch(channel: &Channel, queue: &ShortString) -> Result<Option<Vec<u8>>> {
    let got = channel.basic_get(queue.clone(), BasicGetOptions { no_ack: true }).await?;
    Ok(got.map(|message| message.delivery.data))
}

/// The error's text contains `expected`.
fn refused<T>(result: Result<T>, expected: &str) -> Result<()> {
    let Err(error) = result else { bail!("accepted") };
    let text = format!("{error:#} {error:?}");
    ensure!(text.contains(expected), "expected {expected}, got {text}");
    Ok(())
}

pub(super) async fn run(place: &Place) -> Result<Report> {
    let mut orders = Lapin::new(place.address, "orders");
    orders.tls = place.tls.as_ref().map(ClientTls::connector).transpose()?;
    let on = |vhost: &str| Lapin { vhost: vhost.to_owned(), ..orders.clone() };
    let mut report = Report::default();
    for vhost in ["/", "orders", "billing"] {
        let name = format!("confirms-and-acks-on-{vhost}");
        report.add(&name, within(confirms(&on(vhost), 200, 20)).await);
    }
    report.add("1-mb-messages", within(confirms(&orders, 5, 1_000_000)).await);
    report.add("10-mib-message", within(confirms(&orders, 1, 10 << 20)).await);
    report.add("empty-body", within(confirms(&orders, 1, 0)).await);
    report.add("prefetch", within(prefetch(&orders)).await);
    report.add("nack-and-requeue", within(requeue(&orders)).await);
    report.add("transactions", within(transactions(&orders)).await);
    report.add("500-channels", within(many_channels(&orders)).await);
    report.add("mandatory-return", within(returned(&orders)).await);
    report.add("exclusive-queue", within(exclusive(&orders)).await);
    report.add("auto-delete-queue", within(auto_delete(&orders)).await);
    report.add("channel-error", within(channel_error(&orders)).await);
    report.add("update-secret", within(update_secret(&orders)).await);
    let wrong = Lapin { login: "app:wrong".to_owned(), ..orders.clone() };
    report.add("wrong-password", refused(wrong.connect().await, "ACCESS_REFUSED"));
    report.add("unknown-vhost", refused(on("nosuch").connect().await, "vhost nosuch not found"));
    let forbidden = Lapin { login: "limited:limited".to_owned(), ..on("billing") };
    let text = "access to vhost 'billing' refused for user 'limited'";
    report.add("no-permission", refused(forbidden.connect().await, text));
    Ok(report)
}

/// Silent connections with heartbeats of 0, 5 and 60 s work after `seconds`.
pub(super) async fn idle(address: SocketAddr, seconds: u64) -> Report {
    let silent = async |heartbeat: u16| {
        let there = Lapin { heartbeat, ..Lapin::new(address, "orders") };
        let connection = there.connect().await?;
        let channel = connection.create_channel().await?;
        sleep(Duration::from_secs(seconds)).await;
        own_queue(&channel).await?;
        bye(connection).await
    };
    let mut report = Report::default();
    let heartbeats = [0, 5, 60];
    for (heartbeat, result) in heartbeats.iter().zip(join_all(heartbeats.map(silent)).await) {
        report.add(&format!("idle-heartbeat-{heartbeat}"), result);
    }
    report
}

async fn within(check: impl Future<Output = Result<()>>) -> Result<()> {
    timeout(DEADLINE, check).await.with_context(|| format!("no end after {DEADLINE:?}"))?
}

async fn bye(connection: Connection) -> Result<()> {
    Ok(connection.close(200, "bye".into()).await?)
}

async fn confirms(there: &Lapin, count: usize, size: usize) -> Result<()> {
    let connection = there.connect().await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let queue = own_queue(&channel).await?;
    let mut consumer = consume(&channel, &queue).await?;
    for number in 0..count {
        let body: Vec<u8> = (0..size).map(|at| (at + number) as u8).collect();
        confirmed(&channel, &queue, &body).await?;
        let got = consumer.next().await.context("the consumer ended")??;
        ensure!(got.data == body, "another body came back, of {} bytes", got.data.len());
        got.ack(BasicAckOptions::default()).await?;
    }
    bye(connection).await
}

async fn prefetch(there: &Lapin) -> Result<()> {
    let connection = there.connect().await?;
    let channel = connection.create_channel().await?;
    let queue = own_queue(&channel).await?;
    for number in 0..30_u8 {
        publish(&channel, &queue, &[number]).await?;
    }
    channel.basic_qos(10, BasicQosOptions::default()).await?;
    let mut consumer = consume(&channel, &queue).await?;
    for round in 0..3 {
        let mut last = None;
        for number in 0..10 {
            let got = consumer.next().await.context("the consumer ended")??;
            ensure!(got.data == [round * 10 + number], "out of order: {:?}", got.data);
            last = Some(got);
        }
        // Nothing more comes until these ten are acknowledged.
        let eleventh = timeout(Duration::from_millis(100), consumer.next()).await;
        ensure!(eleventh.is_err(), "more than ten are under way");
        let last = last.context("no message")?;
        last.ack(BasicAckOptions { multiple: true }).await?;
    }
    bye(connection).await
}

async fn requeue(there: &Lapin) -> Result<()> {
    let connection = there.connect().await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let queue = own_queue(&channel).await?;
    confirmed(&channel, &queue, b"again").await?;
    let got = channel.basic_get(queue.clone(), BasicGetOptions::default()).await?;
    let options = BasicNackOptions { requeue: true, ..Default::default() };
    got.context("nothing there")?.delivery.nack(options).await?;
    let got = channel.basic_get(queue.clone(), BasicGetOptions::default()).await?;
    let got = got.context("not requeued")?;
    ensure!(got.delivery.redelivered && got.delivery.data == b"again", "{got:?}");
    bye(connection).await
}

async fn transactions(there: &Lapin) -> Result<()> {
    let connection = there.connect().await?;
    let (channel, other) = (connection.create_channel().await?, connection.create_channel().await?);
    let queue = own_queue(&channel).await?;
    channel.tx_select().await?;
    publish(&channel, &queue, b"rolled back").await?;
    channel.tx_rollback().await?;
    ensure!(fetch(&other, &queue).await?.is_none(), "published in spite of the rollback");
    publish(&channel, &queue, b"committed").await?;
    channel.tx_commit().await?;
    ensure!(fetch(&other, &queue).await?.as_deref() == Some(b"committed"), "not committed");
    bye(connection).await
}

async fn many_channels(there: &Lapin) -> Result<()> {
    let connection = there.connect().await?;
    let channels = try_join_all((0..500).map(|_| connection.create_channel())).await?;
    let queue = own_queue(&channels[0]).await?;
    for channel in &channels {
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
    }
    try_join_all(channels.iter().map(|channel| confirmed(channel, &queue, b"x"))).await?;
    let mut consumer = consume(&channels[499], &queue).await?;
    for _ in 0..500 {
        consumer.next().await.context("the consumer ended")??.ack(Default::default()).await?;
    }
    bye(connection).await
}

async fn returned(there: &Lapin) -> Result<()> {
    let connection = there.connect().await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let answer = publish(&channel, &"nobody-has-this-queue".into(), b"x").await?;
    let Confirmation::Ack(Some(message)) = answer else { bail!("not returned: {answer:?}") };
    ensure!(message.reply_code == 312, "returned with {}", message.reply_code);
    bye(connection).await
}

async fn passive(channel: &Channel, name: &str) -> Result<()> {
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    channel.queue_declare(name.into(), options, FieldTable::default()).await?;
    Ok(())
}

async fn exclusive(there: &Lapin) -> Result<()> {
    let (owner, other) = (there.connect().await?, there.connect().await?);
    let channels = (owner.create_channel().await?, other.create_channel().await?);
    let queue = own_queue(&channels.0).await?;
    refused(passive(&channels.1, queue.as_str()).await, "RESOURCE_LOCKED")?;
    bye(owner).await?;
    let channel = other.create_channel().await?;
    refused(passive(&channel, queue.as_str()).await, "NOT_FOUND")?;
    bye(other).await
}

async fn auto_delete(there: &Lapin) -> Result<()> {
    let connection = there.connect().await?;
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions { auto_delete: true, ..Default::default() };
    let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?;
    consume(&channel, queue.name()).await?;
    channel.basic_cancel("consumer".into(), BasicCancelOptions::default()).await?;
    refused(passive(&channel, queue.name().as_str()).await, "NOT_FOUND")?;
    bye(connection).await
}

async fn channel_error(there: &Lapin) -> Result<()> {
    let connection = there.connect().await?;
    let channel = connection.create_channel().await?;
    refused(passive(&channel, "nobody-has-this-queue").await, "NOT_FOUND")?;
    let channel = connection.create_channel().await?;
    own_queue(&channel).await?;
    bye(connection).await
}

async fn update_secret(there: &Lapin) -> Result<()> {
    let connection = there.connect().await?;
    connection.update_secret("secret".into(), "rotated".into()).await?;
    let channel = connection.create_channel().await?;
    own_queue(&channel).await?;
    bye(connection).await
}
