//! What the API shows and changes of the configuration.

use futures_util::future::BoxFuture;

use super::Refusal;
use crate::admin::view::config::{Checked, Config, Diff, Reloaded, RevisionText};
use crate::telemetry::events::Actor;

/// Shows the configuration, and has it reloaded. What takes time is done elsewhere, one after the other.
pub trait Configurator: Send + Sync {
    /// The configuration in force, and those before it.
    fn config(&self) -> BoxFuture<'_, Config>;

    /// The text of a revision, secrets starred out.
    ///
    /// # Errors
    /// When it is not known any more.
    fn revision(&self, revision: u64) -> Result<RevisionText, Refusal>;

    /// Is what is in the file valid?
    fn check(&self) -> BoxFuture<'_, Checked>;

    /// What would a reload change?
    fn diff(&self) -> BoxFuture<'_, Diff>;

    /// Puts in force what is in the file.
    ///
    /// # Errors
    /// When it is not valid, or something it needs cannot be had: then nothing has changed.
    fn reload(&self, by: Actor) -> BoxFuture<'_, Result<Reloaded, Refusal>>;

    /// Puts an earlier revision in force again; the file stays as it is.
    ///
    /// # Errors
    /// As [`Configurator::reload`], and when that revision is not known any more.
    fn rollback(&self, revision: u64, by: Actor) -> BoxFuture<'_, Result<Reloaded, Refusal>>;
}
