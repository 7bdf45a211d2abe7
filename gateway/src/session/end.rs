//! How a session ended: for the access record and the metrics.

use amqp_codec::frame::FrameError;
use amqp_codec::reply::CloseReason;

pub use crate::telemetry::access::{Phase, Who};

/// The end of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// Who ended it.
    pub who: Who,
    /// How far it had come.
    pub phase: Phase,
    /// A label: kebab-case, from a fixed set.
    pub reason: &'static str,
    /// The connection.close that was sent or passed on.
    pub close: Option<CloseReason>,
    /// What is worth a line in the log.
    pub detail: Option<String>,
}

impl End {
    /// An end without a connection.close.
    #[must_use]
    pub fn new(who: Who, phase: Phase, reason: &'static str) -> Self {
        Self { who, phase, reason, close: None, detail: None }
    }

    /// With the connection.close that was sent or passed on.
    #[must_use]
    pub fn with_close(self, close: CloseReason) -> Self {
        Self { close: Some(close), ..self }
    }

    /// With what is worth a line in the log.
    #[must_use]
    pub fn with_detail(self, detail: impl ToString) -> Self {
        Self { detail: Some(detail.to_string()), ..self }
    }

    /// An end by bytes of `who` that are no frame.
    #[must_use]
    pub fn bad_frame(who: Who, error: FrameError) -> Self {
        Self::new(who, Phase::Relay, "bad-frame").with_detail(error)
    }
}
