//! Where logs go, and what changes that.

use std::sync::Arc;
use std::time::Duration;

use tracing::{Dispatch, info, warn};

use super::disk::Disk;
use crate::config::model::Log;
use crate::telemetry::log::LevelSwitch;
use crate::telemetry::sink::{Opened, Sink};

/// How long the log file may take to be opened.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where logs go, and what changes that.
pub(super) struct Logs {
    pub(super) sink: Arc<Sink>,
    pub(super) level: LevelSwitch,
    pub(super) dispatch: Dispatch,
    disk: Disk,
}

impl Logs {
    pub(super) fn new(sink: Arc<Sink>, level: LevelSwitch, dispatch: Dispatch) -> Self {
        Self { sink, level, dispatch, disk: Disk::default() }
    }

    /// Opens what a configuration names, if that is another place than before.
    ///
    /// # Errors
    /// It cannot be opened, or not in time.
    pub(super) async fn prepare(&self, log: &Log) -> Result<Opened, String> {
        let (sink, log) = (self.sink.clone(), log.clone());
        let opened = self.disk.ask(PATIENCE, move || sink.prepare(&log)).await;
        opened.map_err(|why| format!("log.file: {why}"))?.map_err(|error| error.to_string())
    }

    /// Opens the log file anew, for log rotation.
    pub(super) async fn reopen(&self) {
        let sink = self.sink.clone();
        let reopened = self.disk.ask(PATIENCE, move || sink.reopen()).await;
        match reopened.map_err(|why| why.to_string()).and_then(|it| it.map_err(|e| e.to_string())) {
            Ok(()) => info!("log file reopened"),
            Err(error) => warn!(%error, "cannot reopen the log file: the old one stays in use"),
        }
    }
}
