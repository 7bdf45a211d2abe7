//! Clients for the web console to show: each publishes to itself, slowly, comes back when it is sent away, and keeps what
//! it was told then.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{Stream, StreamExt};
use integration::suites::Lapin;
use integration::wait;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ErrorKind, Event};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::front::SOON;

/// Between two messages of a client.
const PACE: Duration = Duration::from_millis(40);
/// Before a client comes back.
const PAUSE: Duration = Duration::from_millis(300);

/// Why a connection has ended is known a moment after that it has.
const EVENT: Duration = Duration::from_secs(2);

/// What each client was told when it was sent away: reply code and text.
type Told = Arc<Mutex<BTreeMap<String, (u16, String)>>>;

/// The clients. Dropping it ends them.
pub(crate) struct Clients {
    told: Told,
    _tasks: JoinSet<()>,
}

impl Clients {
    /// Starts a client for each name and vhost.
    pub(crate) fn start(address: SocketAddr, clients: &[(&str, &str)]) -> Self {
        let told = Told::default();
        let mut tasks = JoinSet::new();
        for &(name, vhost) in clients {
            let lapin = Lapin { name: name.to_owned(), ..Lapin::new(address, vhost) };
            tasks.spawn(stay(lapin, told.clone()));
        }
        Self { told, _tasks: tasks }
    }

    /// Forgets what they were told so far.
    pub(crate) fn forget(&self) {
        lock(&self.told).clear();
    }

    /// Waits until this client has been told to go.
    pub(crate) async fn told(&self, name: &str) -> Result<(u16, String)> {
        let mut found = None;
        let look = async || {
            found = lock(&self.told).remove(name);
            found.is_some()
        };
        wait::until(format!("{name} to be told to go"), SOON, look).await?;
        found.context("it was there")
    }
}

async fn stay(lapin: Lapin, told: Told) {
    loop {
        if let Ok(connection) = lapin.connect().await {
            let events = connection.events_listener();
            let Err(_) = work(&connection).await;
            if let Ok(Some(reply)) = timeout(EVENT, reply(events)).await {
                lock(&told).insert(lapin.name.clone(), reply);
            }
        }
        sleep(PAUSE).await;
    }
}

/// What the connection was closed with, if it was not just lost.
async fn reply(events: impl Stream<Item = Event>) -> Option<(u16, String)> {
    let mut events = pin!(events);
    while let Some(event) = events.next().await {
        // That the socket has ended may be told before why.
        if let Event::Error(error) = event
            && let ErrorKind::ProtocolError(reply) = error.kind()
        {
            return Some((reply.get_id(), reply.get_message().to_string()));
        }
    }
    None
}

fn lock(told: &Told) -> MutexGuard<'_, BTreeMap<String, (u16, String)>> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Publishes and consumes until it is sent away.
async fn work(connection: &Connection) -> Result<std::convert::Infallible> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
    let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?;
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let name = queue.name().clone();
    let consuming =
        channel.basic_consume(name.clone(), "own".into(), options, FieldTable::default());
    let mut consumer = consuming.await?;
    loop {
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default().with_content_type("text/plain".into());
        let sent =
            channel.basic_publish("".into(), name.clone(), options, b"a message", properties);
        sent.await?.await?;
        match consumer.next().await {
            Some(delivery) => delivery?,
            None => bail!("the consumer has ended"),
        };
        sleep(PACE).await;
    }
}
