//! A channel is opened and closed on a connection that is kept: the broker's log stays silent.

use std::time::Duration;

use super::Wrong;
use super::connection::{Monitor, Settings, wrong};

/// The check, and its connection.
#[derive(Debug)]
pub struct AmqpCheck {
    settings: Settings,
    monitor: Option<Monitor>,
}

impl AmqpCheck {
    /// Not connected yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, monitor: None }
    }

    /// Can a channel be opened? Dropping the future cuts the connection.
    ///
    /// # Errors
    /// If it cannot, not even on a new connection.
    pub async fn check(&mut self) -> Result<Option<String>, Wrong> {
        if let Some(monitor) = self.monitor.take().filter(Monitor::is_open)
            && open_channel(&monitor).await.is_ok()
        {
            self.monitor = Some(monitor);
            return Ok(None);
        }
        let monitor = Monitor::open(&self.settings).await?;
        open_channel(&monitor).await?;
        self.monitor = Some(monitor);
        Ok(None)
    }

    /// Leaves the node in order.
    pub async fn close(&mut self, limit: Duration) {
        if let Some(monitor) = self.monitor.take() {
            monitor.close(limit).await;
        }
    }
}

async fn open_channel(monitor: &Monitor) -> Result<(), Wrong> {
    let refused = |error: lapin::Error| wrong("permission", &error);
    let channel = Box::pin(monitor.connection.create_channel()).await.map_err(refused)?;
    Box::pin(channel.close(200, "OK".into())).await.map_err(refused)
}
