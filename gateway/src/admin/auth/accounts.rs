//! Who may log in, by the configuration.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::secret::Digest;
use crate::admin::view::login::Role;
use crate::config::model;

/// `[[admin.user]]` and `[[admin.token]]`.
#[derive(Debug, Default)]
pub struct Accounts {
    pub(super) users: Vec<Arc<User>>,
    pub(super) tokens: Vec<Arc<Token>>,
    tokens_by_hash: HashMap<Digest, Arc<Token>>,
    /// Do `/metrics` take a login, too?
    pub(super) metrics_auth: bool,
}

/// Somebody who may log in.
pub(super) struct User {
    pub(super) name: Arc<str>,
    pub(super) password_hash: Arc<str>,
    pub(super) role: Role,
    /// Cancelled when the configuration has them no more, or as somebody else.
    pub(super) ended: CancellationToken,
}

/// A program that may use the API.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) name: Arc<str>,
    pub(super) role: Role,
    /// As of a [`User`].
    pub(super) ended: CancellationToken,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("name", &self.name).field("role", &self.role).finish()
    }
}

impl Accounts {
    /// Those of the section `[admin]`.
    #[must_use]
    pub fn of(admin: &model::Admin) -> Self {
        let user = |user: &model::AdminUser| {
            let (name, password_hash) = (user.name.clone(), user.password_hash.clone());
            let (role, ended) = (role(user.role), CancellationToken::new());
            Arc::new(User { name, password_hash, role, ended })
        };
        let named = |token: &model::AdminToken| {
            let (name, role) = (token.name.clone(), role(token.role));
            (token.hash, Arc::new(Token { name, role, ended: CancellationToken::new() }))
        };
        let tokens: Vec<_> = admin.tokens.iter().map(named).collect();
        Self {
            users: admin.users.iter().map(user).collect(),
            tokens: tokens.iter().map(|(_, token)| token.clone()).collect(),
            tokens_by_hash: tokens.into_iter().collect(),
            metrics_auth: admin.metrics_auth,
        }
    }

    /// Takes the place of `before`: who is the same as before stays, and who is not there any more, or is somebody else, ends.
    pub(super) fn after(mut self, before: &Self) -> Self {
        for user in &mut self.users {
            let same = |old: &&Arc<User>| {
                (&old.name, &old.password_hash, old.role)
                    == (&user.name, &user.password_hash, user.role)
            };
            if let Some(old) = before.users.iter().find(same) {
                *user = old.clone();
            }
        }
        for (hash, token) in &mut self.tokens_by_hash {
            let old = before.tokens_by_hash.get(hash);
            if let Some(old) = old.filter(|old| (&old.name, old.role) == (&token.name, token.role))
            {
                *token = old.clone();
            }
        }
        let kept = |old: &Arc<User>| self.users.iter().any(|user| Arc::ptr_eq(user, old));
        before.users.iter().filter(|old| !kept(old)).for_each(|old| old.ended.cancel());
        let kept = |old: &Arc<Token>| self.tokens_by_hash.values().any(|new| Arc::ptr_eq(new, old));
        let gone = before.tokens_by_hash.values().filter(|old| !kept(old));
        gone.for_each(|old| old.ended.cancel());
        self
    }

    /// Is there nobody? Then nobody has to log in.
    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.tokens.is_empty()
    }

    pub(super) fn user(&self, name: &str) -> Option<&Arc<User>> {
        self.users.iter().find(|user| *user.name == *name)
    }

    pub(super) fn token(&self, hash: &Digest) -> Option<&Arc<Token>> {
        self.tokens_by_hash.get(hash)
    }
}

fn role(role: model::Role) -> Role {
    match role {
        model::Role::Viewer => Role::Viewer,
        model::Role::Operator => Role::Operator,
        model::Role::Admin => Role::Admin,
    }
}
