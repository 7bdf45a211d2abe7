//! `[admin]` as the user writes it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Certificate, Secret};
use crate::config::defaults;
use crate::config::model::Role;

/// For operators: console, API, metrics and health.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// IP address and port of the admin HTTP server. One that other hosts reach needs a `user` or a `token`.
    #[schemars(required, example = "127.0.0.1:15680")]
    pub bind: Option<At<String>>,
    /// TLS of the admin HTTP server.
    pub tls: Option<AdminTls>,
    /// Does /metrics take a login, too?
    #[schemars(extend("default" = defaults::METRICS_AUTH))]
    pub metrics_auth: Option<At<bool>>,
    /// Who may log in.
    pub user: Option<Vec<At<AdminUser>>>,
    /// Programs that may use the API.
    pub token: Option<Vec<At<AdminToken>>>,
}

/// TLS of the admin HTTP server.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminTls {
    /// The first is the default; the others are for clients that ask for one of their names. None = plain HTTP.
    pub certificates: Option<Vec<At<Certificate>>>,
}

/// Somebody who may log in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminUser {
    /// What they call themselves; any text without a colon.
    #[schemars(required, example = &"ops")]
    pub name: Option<At<String>>,
    /// What `amqp-gateway hash-password` makes of their password.
    #[schemars(required, example = "$argon2id$v=19$m=19456,t=2,p=1$...")]
    pub password_hash: Option<At<Secret>>,
    /// What they may do.
    #[schemars(required, example = &"operator")]
    pub role: Option<At<Role>>,
}

/// A program that may use the API.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminToken {
    /// Its name, for events and the log.
    #[schemars(required, example = &"deploy")]
    pub name: Option<At<String>>,
    /// "sha256:" and the SHA-256 of the token, as `amqp-gateway new-token` makes it.
    #[schemars(required, example = "sha256:...")]
    pub hash: Option<At<Secret>>,
    /// What it may do.
    #[schemars(required, example = &"viewer")]
    pub role: Option<At<Role>>,
}
