//! A publisher that never gives up: one message after the other, each with its confirm, and a new connection whenever
//! it loses the old one. What it says is confirmed must be there in the end.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::suites::Lapin;

/// How long it waits before it connects again.
const PAUSE: Duration = Duration::from_millis(50);
/// How long one attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(8);
/// Between two messages.
const PACE: Duration = Duration::from_millis(5);
/// Messages are on disk where a majority holds them.
const PERSISTENT: u8 = 2;

/// The publisher at work. Dropping it stops it.
#[derive(Debug)]
pub struct Steady {
    done: Arc<Mutex<Done>>,
    task: JoinHandle<()>,
}

/// What it has done so far.
#[derive(Debug, Default, Clone)]
pub struct Done {
    /// The numbers of the messages that were confirmed.
    pub confirmed: BTreeSet<u64>,
    /// When the last confirm came.
    pub last: Option<Instant>,
    /// Why it lost its connections, one after the other.
    pub losses: Vec<String>,
}

impl Steady {
    /// Begins to publish to the queue `queue` of the vhost `orders`, which must be there.
    #[must_use]
    pub fn start(address: SocketAddr, queue: &str) -> Self {
        let done = Arc::new(Mutex::new(Done::default()));
        let work = publish_for_ever(address, queue.to_owned(), done.clone());
        Self { done, task: tokio::spawn(work) }
    }

    /// What it has done so far.
    #[must_use]
    pub fn done(&self) -> Done {
        lock(&self.done).clone()
    }

    /// How many messages were confirmed so far.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.done).confirmed.len()
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn publish_for_ever(address: SocketAddr, queue: String, done: Arc<Mutex<Done>>) {
    let mut next = 0;
    loop {
        let Err(error) = publish(address, &queue, &mut next, &done).await;
        lock(&done).losses.push(format!("{error:#}"));
        sleep(PAUSE).await;
    }
}

/// Publishes until the connection is lost.
async fn publish(
    address: SocketAddr,
    queue: &str,
    next: &mut u64,
    done: &Mutex<Done>,
) -> Result<std::convert::Infallible> {
    let lapin = Lapin { name: "steady".to_owned(), ..Lapin::new(address, "orders") };
    let connection = timeout(CONNECT, lapin.connect()).await.context("no open-ok")??;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    loop {
        let number = *next;
        *next += 1;
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let body = number.to_be_bytes();
        let sent = channel.basic_publish("".into(), queue.into(), options, &body, properties);
        match sent.await?.await? {
            Confirmation::Ack(None) => {}
            other => bail!("message {number} was not confirmed: {other:?}"),
        }
        note_confirmed(done, number);
        sleep(PACE).await;
    }
}

fn note_confirmed(done: &Mutex<Done>, number: u64) {
    let mut done = lock(done);
    done.confirmed.insert(number);
    done.last = Some(Instant::now());
}

/// Declares a quorum queue in the vhost `orders`, led by the node at `address`.
///
/// # Errors
/// When the node refuses.
pub async fn declare_quorum_queue(address: SocketAddr, queue: &str) -> Result<()> {
    let connection = Lapin::new(address, "orders").connect().await?;
    let channel = connection.create_channel().await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(queue.into(), options, arguments).await?;
    Ok(connection.close(200, "bye".into()).await?)
}

/// Takes all messages out of the queue: their numbers.
///
/// # Errors
/// When the node at `address` cannot serve them.
pub async fn drain_queue(address: SocketAddr, queue: &str) -> Result<BTreeSet<u64>> {
    let connection: Connection = Lapin::new(address, "orders").connect().await?;
    let channel: Channel = connection.create_channel().await?;
    let mut numbers = BTreeSet::new();
    while let Some(message) =
        channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await?
    {
        let body: [u8; 8] = message.data.as_slice().try_into().context("a foreign message")?;
        numbers.insert(u64::from_be_bytes(body));
    }
    connection.close(200, "bye".into()).await?;
    Ok(numbers)
}

fn lock(done: &Mutex<Done>) -> std::sync::MutexGuard<'_, Done> {
    done.lock().unwrap_or_else(PoisonError::into_inner)
}
