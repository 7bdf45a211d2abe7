//! What became of an order, as its event tells it.

use crate::telemetry::events::{Event, Kind};

/// The detail of an event that names it.
pub(super) const KEY: &str = "outcome";

/// What became of an order to put a configuration in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::app) enum Outcome {
    Applied,
    /// In force, but something of it does not work.
    Incomplete,
    /// It was in force already.
    Unchanged,
    Refused,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Applied, Self::Incomplete, Self::Unchanged, Self::Refused];

    pub(in crate::app) fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Incomplete => "incomplete",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }

    /// The one that an event tells of, if it is about the configuration.
    pub(in crate::app) fn of(event: &Event) -> Option<Self> {
        let name = event.what.details.get(KEY)?;
        let is_config = event.what.kind == Kind::Config;
        Self::ALL.into_iter().find(|outcome| is_config && outcome.name() == name)
    }
}
