//! Who asks.

use tokio_util::sync::CancellationToken;

use super::view::login::Role;
use crate::telemetry::events::Actor;

/// Who asks, and what they may do. The guard puts it into every request for the API.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// For whatever is kept of what they do.
    pub(super) actor: Actor,
    /// What they may do.
    pub(super) role: Role,
    /// Cancelled when what they showed is worth nothing any more; streams end then.
    pub(super) ended: CancellationToken,
}
