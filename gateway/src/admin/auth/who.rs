//! Who sends a request, and what they may do.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use super::logins::{Login, Now};
use crate::admin::caller::Caller;
use crate::admin::view::login::Role;
use crate::telemetry::events::Actor;

/// Who sends a request. The guard puts it into every one that takes a login, besides a [`Caller`].
#[derive(Debug, Clone)]
pub(in crate::admin) struct Who {
    pub(in crate::admin) name: Arc<str>,
    pub(in crate::admin) role: Role,
    /// `cookie`, `bearer`, `token`, `basic` or `local`.
    pub(in crate::admin) by: &'static str,
    /// The number of their login, if they have one.
    pub(in crate::admin) login: Option<u64>,
    /// Until when it works.
    pub(in crate::admin) expires: Option<SystemTime>,
    /// What their changes need, if they come with the cookie.
    pub(in crate::admin) csrf_token: Option<String>,
    ended: CancellationToken,
}

impl Who {
    /// Somebody on this host, where nobody has to log in.
    pub(super) fn local() -> Self {
        Self::new("local".into(), Role::Admin, "local", CancellationToken::new())
    }

    /// Somebody without a login, until `ended` is cancelled.
    pub(super) fn new(
        name: Arc<str>,
        role: Role,
        by: &'static str,
        ended: CancellationToken,
    ) -> Self {
        Self { name, role, by, login: None, expires: None, csrf_token: None, ended }
    }

    /// Somebody with one.
    pub(super) fn of_login(login: &Login, by: &'static str, csrf_token: Option<String>) -> Self {
        Self {
            name: login.user.name.clone(),
            role: login.user.role,
            by,
            login: Some(login.id),
            expires: Some(Now::get().wall_at(login.expires())),
            csrf_token,
            ended: login.ended.clone(),
        }
    }

    /// For whatever is kept of what they do.
    pub(super) fn actor(&self, from: IpAddr) -> Actor {
        super::actor(&self.name, self.by, from)
    }

    /// The same, for handlers.
    pub(super) fn caller(&self, from: IpAddr) -> Caller {
        Caller { actor: self.actor(from), role: self.role, ended: self.ended.clone() }
    }
}
