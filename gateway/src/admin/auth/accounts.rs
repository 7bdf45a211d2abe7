//! Who may log in, by the configuration.

use std::collections::HashMap;
use std::sync::Arc;

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
#[derive(PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: Arc<str>,
    pub(super) password_hash: Arc<str>,
    pub(super) role: Role,
}

/// A program that may use the API.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) name: Arc<str>,
    pub(super) role: Role,
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
            Arc::new(User { name, password_hash, role: role(user.role) })
        };
        let named = |token: &model::AdminToken| {
            let known = Token { name: token.name.clone(), role: role(token.role) };
            (token.hash, Arc::new(known))
        };
        let tokens: Vec<_> = admin.tokens.iter().map(named).collect();
        Self {
            users: admin.users.iter().map(user).collect(),
            tokens: tokens.iter().map(|(_, token)| token.clone()).collect(),
            tokens_by_hash: tokens.into_iter().collect(),
            metrics_auth: admin.metrics_auth,
        }
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
