//! Publishers with confirms and consumers with acknowledgements, on both vhosts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use integration::suites::Lapin;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

/// The queue on each vhost.
pub(crate) const QUEUE: &str = "demo";
const CLIENTS: usize = 3;
const PACE: Duration = Duration::from_millis(8);
const READY_DEADLINE: Duration = Duration::from_secs(20);
const BEFORE_RECONNECT: Duration = Duration::from_millis(200);

/// Clients at work; dropping it cuts them.
pub(crate) struct Traffic {
    pub(crate) vhosts: Vec<Arc<Vhost>>,
    _clients: JoinSet<()>,
}

/// What the clients of a vhost have counted.
pub(crate) struct Vhost {
    name: &'static str,
    published: AtomicU64,
    consumed: AtomicU64,
    reconnects: AtomicU64,
    before: Mutex<(Instant, u64, u64)>,
    last_loss: Mutex<String>,
}

impl Traffic {
    /// Three publishers and three consumers a vhost, each with a connection of its own.
    ///
    /// The queues are declared before: for whoever declares a quorum queue while another client does, RabbitMQ says
    /// declare-ok before the queue has a leader, and 541 or nack to what follows.
    pub(crate) async fn start(gateway: SocketAddr) -> Result<Self> {
        let mut clients = JoinSet::new();
        let vhosts = ["orders", "billing"].map(|name| Arc::new(Vhost::new(name))).to_vec();
        for vhost in &vhosts {
            declare_patiently(gateway, vhost.name).await?;
            for _ in 0..CLIENTS {
                clients.spawn(for_ever(gateway, vhost.clone(), "publisher", publish));
                clients.spawn(for_ever(gateway, vhost.clone(), "consumer", consume));
            }
        }
        Ok(Self { vhosts, _clients: clients })
    }
}

impl Vhost {
    fn new(name: &'static str) -> Self {
        let zero = AtomicU64::default;
        let (published, consumed, reconnects) = (zero(), zero(), zero());
        let before = Mutex::new((Instant::now(), 0, 0));
        let last_loss = Mutex::default();
        Self { name, published, consumed, reconnects, before, last_loss }
    }

    /// One line of the status block: rates since the last call, and why if nothing moves.
    pub(crate) fn line(&self, place: &str) -> String {
        let now = (Instant::now(), self.published.load(Relaxed), self.consumed.load(Relaxed));
        let mut before = lock(&self.before);
        let seconds = (now.0 - before.0).as_secs_f64().max(0.001);
        let rate = |count: u64| (count as f64 / seconds).round();
        let (published, consumed) = (rate(now.1 - before.1), rate(now.2 - before.2));
        *before = now;
        let (name, total, reconnects) = (self.name, now.2, self.reconnects.load(Relaxed));
        let mut line = format!(
            "{name:<8} {place:<47} {published:>11} {consumed:>11} {total:>10} {reconnects:>11}"
        );
        if consumed == 0.0 {
            line += &format!("  {}", lock(&self.last_loss));
        }
        line
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Works until the connection is lost, and connects again.
async fn for_ever(
    gateway: SocketAddr,
    vhost: Arc<Vhost>,
    role: &'static str,
    work: impl AsyncFn(&Channel, &Vhost) -> Result<()>,
) {
    let there = Lapin { name: format!("demo {role}"), ..Lapin::new(gateway, vhost.name) };
    loop {
        if let Err(loss) = once(&there, &vhost, &work).await {
            *lock(&vhost.last_loss) = format!("{role}: {loss:#}");
        }
        vhost.reconnects.fetch_add(1, Relaxed);
        sleep(BEFORE_RECONNECT).await;
    }
}

async fn once(
    there: &Lapin,
    vhost: &Vhost,
    work: &impl AsyncFn(&Channel, &Vhost) -> Result<()>,
) -> Result<()> {
    let connection = there.connect().await?;
    let channel = connection.create_channel().await?;
    work(&channel, vhost).await
}

/// On a machine that is busy with other things, a cluster may take a while after its start.
async fn declare_patiently(gateway: SocketAddr, vhost: &str) -> Result<()> {
    let end = Instant::now() + READY_DEADLINE;
    loop {
        match declare(gateway, vhost).await {
            Err(_) if Instant::now() < end => sleep(BEFORE_RECONNECT).await,
            result => return result.with_context(|| format!("no queue on vhost {vhost}")),
        }
    }
}

/// A quorum queue lives on while one of three nodes is dead.
async fn declare(gateway: SocketAddr, vhost: &str) -> Result<()> {
    let connection = Lapin::new(gateway, vhost).connect().await?;
    let channel = connection.create_channel().await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(QUEUE.into(), options, arguments).await?;
    Ok(connection.close(200, "bye".into()).await?)
}

async fn publish(channel: &Channel, vhost: &Vhost) -> Result<()> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let properties = BasicProperties::default().with_delivery_mode(2);
    let mut pace = interval(PACE);
    loop {
        pace.tick().await;
        let options = BasicPublishOptions::default();
        let body = b"a message of the demo";
        let sent =
            channel.basic_publish("".into(), QUEUE.into(), options, body, properties.clone());
        let confirmation = sent.await?.await?;
        ensure!(matches!(confirmation, Confirmation::Ack(_)), "refused: {confirmation:?}");
        vhost.published.fetch_add(1, Relaxed);
    }
}

async fn consume(channel: &Channel, vhost: &Vhost) -> Result<()> {
    channel.basic_qos(50, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(QUEUE.into(), "".into(), options, FieldTable::default());
    let mut consumer = consumer.await?;
    loop {
        let message = consumer.next().await.context("the consumer was cancelled")??;
        message.ack(BasicAckOptions::default()).await?;
        vhost.consumed.fetch_add(1, Relaxed);
    }
}
