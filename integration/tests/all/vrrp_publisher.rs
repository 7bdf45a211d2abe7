//! A publisher with confirms at a shared address, written as people write them for a broker that may move.
//!
//! What it does, and what its figures therefore hold:
//! - It publishes persistent messages at a fixed pace and does not wait for each confirm.
//! - It gives an attempt to connect (TCP, login, channel, confirm mode) 250 ms, pauses 5 ms, and tries again. Each
//!   attempt that timed out allows the next 250 ms more, up to 2 s, until a message is confirmed: a fixed limit would
//!   shut it out of a broker that is merely slow.
//! - When nothing is confirmed for 300 ms although something should be, it takes the connection for dead. That is what
//!   notices a link that has become silent; a heartbeat takes seconds. Where the other gateway has the address by
//!   then, its reset may be faster.
//! - What was not confirmed when a connection is lost is published again first. So there are duplicates, and no losses.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use integration::suites::Lapin;
use integration::vrrp_lab::*;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until, timeout};

const VHOST: &str = "orders";
const QUEUE: &str = "steady";
/// Between two messages.
const PACE: Duration = Duration::from_millis(5);
/// After a connection that was lost, or that did not come about.
const PAUSE: Duration = Duration::from_millis(5);
/// For the first attempt to connect, and what each further one has more.
const CONNECT: Duration = Duration::from_millis(250);
const CONNECT_AT_MOST: Duration = Duration::from_secs(2);
/// Without a confirm, although one is due.
const SILENCE: Duration = Duration::from_millis(300);
/// Messages under way at once; without a bound a slow broker would never catch up.
const UNDER_WAY: usize = 1000;
const PERSISTENT: u8 = 2;

/// The publisher on a thread in the client's namespace; it ends when dropped.
pub(crate) struct Publisher {
    notes: Arc<Mutex<Notes>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What it has seen.
#[derive(Debug, Default, Clone)]
pub(crate) struct Notes {
    /// When each confirm came, in order.
    pub(crate) confirms: Vec<Instant>,
    /// The numbers of the messages that were confirmed.
    pub(crate) confirmed: BTreeSet<u64>,
    /// When and why it lost connections, or got none.
    pub(crate) losses: Vec<(Instant, String)>,
}

impl Publisher {
    /// Begins to publish; the queue must be there.
    pub(crate) fn start(lab: &Lab, address: SocketAddr) -> Result<Self> {
        let (notes, stop) = (Arc::<Mutex<Notes>>::default(), Arc::<AtomicBool>::default());
        let client = Client { address, notes: notes.clone(), stop: stop.clone(), next: 0 };
        // A thread stays in the namespace that its maker was in.
        let thread = lab.inside(CLIENT, || std::thread::spawn(move || client.run()))?;
        Ok(Self { notes, stop, thread: Some(thread) })
    }

    pub(crate) fn notes(&self) -> Notes {
        lock(&self.notes).clone()
    }

    /// Waits until a hundred more messages have been confirmed: half a second of steady work.
    pub(crate) fn wait_steady(&self, deadline: Duration) -> Result<()> {
        let count = || lock(&self.notes).confirms.len();
        let before = count();
        if !wait(deadline, || count() >= before + 100) {
            let losses = self.notes().losses;
            let last = &losses[losses.len().saturating_sub(5)..];
            bail!("{} confirms in {deadline:?}; lost connections: {last:?}", count() - before);
        }
        Ok(())
    }

    /// Stops it, and gives what it has seen.
    pub(crate) fn finish(mut self) -> Notes {
        self.end();
        self.notes()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.end();
    }
}

impl Notes {
    /// The longest time between two confirms within the window; its ends count as confirms.
    pub(crate) fn gap(&self, [from, to]: [Instant; 2]) -> Duration {
        let within = self.confirms.iter().copied().filter(|at| *at > from && *at < to);
        let (mut longest, mut last) = (Duration::ZERO, from);
        for at in within.chain([to]) {
            longest = longest.max(at - last);
            last = at;
        }
        longest
    }

    /// When and why connections were lost or not made in the window: "12 ms reset; 20 ms refused (9 times)".
    pub(crate) fn losses(&self, [from, to]: [Instant; 2]) -> String {
        let within: Vec<_> =
            self.losses.iter().filter(|(at, _)| *at >= from && *at <= to).collect();
        let told = within.chunk_by(|one, next| one.1 == next.1).map(|same| {
            let times =
                if same.len() > 1 { format!(" ({} times)", same.len()) } else { String::new() };
            format!("{} ms {}{times}", (same[0].0 - from).as_millis(), same[0].1)
        });
        told.collect::<Vec<_>>().join("; ")
    }
}

/// What runs on the thread.
struct Client {
    address: SocketAddr,
    notes: Arc<Mutex<Notes>>,
    stop: Arc<AtomicBool>,
    next: u64,
}

impl Client {
    fn run(mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let mut again = BTreeSet::new();
            let mut patience = CONNECT;
            while !self.stop.load(Ordering::Relaxed) {
                let before = lock(&self.notes).confirms.len();
                let Err(error) = self.publish(&mut again, patience).await;
                let served = self.note_loss(&error) > before;
                patience = if served { CONNECT } else { (patience + CONNECT).min(CONNECT_AT_MOST) };
                sleep(PAUSE).await;
            }
        });
    }

    /// Gives how many confirms there were so far.
    fn note_loss(&self, error: &anyhow::Error) -> usize {
        let mut notes = lock(&self.notes);
        notes.losses.push((Instant::now(), error.to_string()));
        notes.confirms.len()
    }

    /// Publishes until the connection is lost. What was not confirmed is in `again` then.
    async fn publish(
        &mut self,
        again: &mut BTreeSet<u64>,
        patience: Duration,
    ) -> Result<Infallible> {
        let opened = timeout(patience, self.open()).await;
        let (_connection, channel) = opened.context("no connection in time")??;
        let mut waiting = FuturesUnordered::new();
        let mut first: VecDeque<u64> = again.iter().copied().collect();
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                _ = pace.tick(), if first.is_empty() && waiting.len() < UNDER_WAY => {
                    if self.stop.load(Ordering::Relaxed) {
                        bail!("stopped");
                    }
                    if waiting.is_empty() {
                        heard = Instant::now();
                    }
                    again.insert(self.next);
                    waiting.push(send(&channel, self.next).await?);
                    self.next += 1;
                }
                () = std::future::ready(()), if !first.is_empty() => {
                    let number = first.pop_front().context("nothing to repeat")?;
                    waiting.push(send(&channel, number).await?);
                }
                Some(confirmed) = waiting.next() => {
                    let number = confirmed?;
                    heard = Instant::now();
                    again.remove(&number);
                    let mut notes = lock(&self.notes);
                    notes.confirmed.insert(number);
                    notes.confirms.push(heard);
                }
                () = sleep_until((heard + SILENCE).into()), if !waiting.is_empty() => {
                    bail!("no confirm for {SILENCE:?}");
                }
            }
        }
    }

    async fn open(&self) -> Result<(Connection, Channel)> {
        let connection = Lapin::new(self.address, VHOST).connect().await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok((connection, channel))
    }
}

/// Sends a message; what comes of it gives its number once it is confirmed.
async fn send(channel: &Channel, number: u64) -> Result<impl Future<Output = Result<u64>> + use<>> {
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let body = number.to_be_bytes();
    let sent = channel.basic_publish("".into(), QUEUE.into(), options, &body, properties).await?;
    Ok(async move {
        match sent.await? {
            Confirmation::Ack(None) => Ok(number),
            other => bail!("message {number} was not confirmed: {other:?}"),
        }
    })
}

/// Declares the queue: durable, of the classic kind.
pub(crate) async fn declare_queue(node: SocketAddr) -> Result<()> {
    let connection = Lapin::new(node, VHOST).connect().await?;
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(QUEUE.into(), options, FieldTable::default()).await?;
    Ok(connection.close(200, "bye".into()).await?)
}

/// Takes all messages out of the queue: how often each number is there.
pub(crate) async fn drain_queue(node: SocketAddr) -> Result<BTreeMap<u64, usize>> {
    let connection = Lapin::new(node, VHOST).connect().await?;
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    let queue = channel.queue_declare(QUEUE.into(), options, FieldTable::default()).await?;
    let count = queue.message_count() as usize;
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let consumer =
        channel.basic_consume(QUEUE.into(), "".into(), options, FieldTable::default()).await?;
    let mut messages = consumer.take(count);
    let mut numbers = BTreeMap::new();
    while let Some(message) = messages.next().await {
        let body: [u8; 8] = message?.data.as_slice().try_into().context("a foreign message")?;
        *numbers.entry(u64::from_be_bytes(body)).or_default() += 1;
    }
    connection.close(200, "bye".into()).await?;
    Ok(numbers)
}

fn lock(notes: &Mutex<Notes>) -> std::sync::MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}
