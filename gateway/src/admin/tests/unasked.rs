//! What tests of other things do not ask of the gateway.

use futures_util::future::BoxFuture;

use crate::admin::operator::Refusal;
use crate::admin::operator::configure::Configurator;
use crate::admin::view::config::{Checked, Config, Diff, Reloaded, RevisionText};
use crate::config::model::Admin;
use crate::telemetry::events::Actor;

/// Nobody asks it.
pub(super) struct Unasked;

/// An admin address without logins.
pub(super) fn admin() -> Admin {
    Admin {
        bind: ([127, 0, 0, 1], 0).into(),
        certificates: Vec::new(),
        metrics_auth: false,
        users: Vec::new(),
        tokens: Vec::new(),
    }
}

impl Configurator for Unasked {
    fn config(&self) -> BoxFuture<'_, Config> {
        unreachable!()
    }

    fn revision(&self, _: u64) -> Result<RevisionText, Refusal> {
        unreachable!()
    }

    fn check(&self) -> BoxFuture<'_, Checked> {
        unreachable!()
    }

    fn diff(&self) -> BoxFuture<'_, Diff> {
        unreachable!()
    }

    fn reload(&self, _: Actor) -> BoxFuture<'_, Result<Reloaded, Refusal>> {
        unreachable!()
    }

    fn rollback(&self, _: u64, _: Actor) -> BoxFuture<'_, Result<Reloaded, Refusal>> {
        unreachable!()
    }
}
