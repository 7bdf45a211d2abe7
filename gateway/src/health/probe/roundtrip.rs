//! A message is published with confirm to a queue of the gateway's own, fetched again and compared.
//!
//! This has a connection of its own: a broker in alarm stops reading connections that publish, and would no longer
//! answer the other checks there.

use std::time::Duration;

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation};

use super::Wrong;
use super::connection::{Monitor, Settings, wrong};

/// How often the broker is asked for a message that it has confirmed, and how long apart.
const FETCHES: u32 = 20;
const BETWEEN_FETCHES: Duration = Duration::from_millis(25);
/// How often it is looked at whether the broker has blocked the connection.
const LOOK_AT_BLOCKED: Duration = Duration::from_millis(50);

/// The check, its connection and its queue.
#[derive(Debug)]
pub struct RoundtripCheck {
    settings: Settings,
    queue: String,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    monitor: Monitor,
    channel: Channel,
    queue: ShortString,
}

impl RoundtripCheck {
    /// Not connected yet. `queue` is what the queue's name begins with.
    #[must_use]
    pub fn new(settings: Settings, queue: String) -> Self {
        Self { settings, queue, open: None }
    }

    /// Does a message that is published come back? While an alarm keeps the broker from taking messages, nobody can tell:
    /// that passes, with a remark. Dropping the future cuts the connection.
    ///
    /// # Errors
    /// If it does not, not even over a new connection.
    pub async fn check(&mut self) -> Result<Option<String>, Wrong> {
        if let Some(open) = self.open.take().filter(|open| open.monitor.is_open())
            && let Ok(remark) = open.round_trip().await
        {
            self.open = Some(open);
            return Ok(remark);
        }
        let open = Box::pin(self.open()).await?;
        let remark = open.round_trip().await?;
        self.open = Some(open);
        Ok(remark)
    }

    /// Leaves the node in order; the queue goes with the connection.
    pub async fn close(&mut self, limit: Duration) {
        if let Some(open) = self.open.take() {
            open.monitor.close(limit).await;
        }
    }

    async fn open(&self) -> Result<Open, Wrong> {
        let monitor = Monitor::open(&self.settings).await?;
        let refused = |error: lapin::Error| wrong("permission", &error);
        let channel = monitor.connection.create_channel().await.map_err(refused)?;
        let options =
            QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        // A name of its own each time: a broker that has not noticed the end of the last connection keeps its queue.
        let queue: ShortString =
            format!("{}.{:08x}", self.queue, fastrand::u32(..)).as_str().into();
        let declaring = channel.queue_declare(queue.clone(), options, FieldTable::default());
        declaring.await.map_err(refused)?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(refused)?;
        Ok(Open { monitor, channel, queue })
    }
}

impl Open {
    async fn round_trip(&self) -> Result<Option<String>, Wrong> {
        if let Some(reason) = self.monitor.blocked() {
            return Ok(Some(blocked(&reason)));
        }
        let exchange = Box::pin(self.publish_and_fetch());
        tokio::select! {
            result = exchange => result.map(|()| None),
            reason = self.until_blocked() => Ok(Some(blocked(&reason))),
        }
    }

    async fn publish_and_fetch(&self) -> Result<(), Wrong> {
        let refused = |error: lapin::Error| wrong("permission", &error);
        let message = fastrand::u128(..).to_be_bytes();
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let properties = BasicProperties::default().with_expiration("60000".into());
        let publishing = self.channel.basic_publish(
            "".into(),
            self.queue.clone(),
            options,
            &message,
            properties,
        );
        let confirm = publishing.await.map_err(refused)?.await.map_err(refused)?;
        if !matches!(confirm, Confirmation::Ack(None)) {
            return Err(Wrong::failed("mismatch", "the message was not taken by its queue"));
        }
        for _ in 0..FETCHES {
            let options = BasicGetOptions { no_ack: true };
            let fetched = self.channel.basic_get(self.queue.clone(), options).await;
            match fetched.map_err(refused)? {
                Some(got) if got.delivery.data == message => return Ok(()),
                // What an earlier check did not wait for.
                Some(_) => {}
                None => tokio::time::sleep(BETWEEN_FETCHES).await,
            }
        }
        Err(Wrong::failed("mismatch", "the message was confirmed and did not come back"))
    }

    async fn until_blocked(&self) -> String {
        loop {
            if let Some(reason) = self.monitor.blocked() {
                return reason;
            }
            tokio::time::sleep(LOOK_AT_BLOCKED).await;
        }
    }
}

fn blocked(reason: &str) -> String {
    format!("not tried: the broker takes no messages: {reason}")
}
