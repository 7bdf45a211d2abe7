//! What the API says of who may use it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What somebody may do: each role may all that those before it may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Viewer,
    /// Move and close: nodes, sessions, virtual routers; reload.
    Operator,
    /// All: roll back, see bodies of messages, end the logins of others.
    Admin,
}

impl Role {
    /// As in JSON and in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// `POST /api/v1/login`
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Who.
    pub username: String,
    /// Their password.
    pub password: String,
}

/// The answer to it.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct LoggedIn {
    /// For the header `Authorization: Bearer`.
    pub token: String,
    /// What they may do.
    pub role: Role,
    /// Until when the token works (RFC 3339).
    pub expires_at: String,
    /// For the header `X-CSRF-Token`, which changes need that come with the cookie.
    pub csrf_token: String,
}

/// `GET /api/v1/whoami`; 401 for whoever has to log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhoAmI {
    /// Their name; `local` where there are no logins.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// `cookie`, `bearer`, `token`, `basic` or `local`.
    pub by: String,
    /// Until when the login works (RFC 3339); absent where it does not end.
    pub expires_at: Option<String>,
    /// For the header `X-CSRF-Token`; only with the cookie.
    pub csrf_token: Option<String>,
    /// Name of the gateway.
    pub gateway: String,
    /// Version of the program.
    pub version: String,
}

/// `GET /api/v1/admin/users`: who may log in, by the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminUsers {
    /// `[[admin.user]]`, in the order of the configuration.
    pub users: Vec<AdminUser>,
    /// `[[admin.token]]`, in the order of the configuration.
    pub tokens: Vec<AdminToken>,
    /// Who is logged in now.
    pub logins: Vec<ActiveLogin>,
}

/// Somebody who may log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminUser {
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// When they logged in last (RFC 3339), since the start of the process.
    pub last_login: Option<String>,
    /// Failed attempts since then.
    pub failures: u64,
    /// Until when attempts are refused (RFC 3339).
    pub locked_until: Option<String>,
}

/// A token that programs use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminToken {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was used last (RFC 3339), since the start of the process.
    pub last_used: Option<String>,
}

/// A login that works now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActiveLogin {
    /// Its number.
    pub id: u64,
    /// Who.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// From where.
    pub from: String,
    /// Since when (RFC 3339).
    pub since: String,
    /// Until when (RFC 3339).
    pub expires_at: String,
    /// When it was used last (RFC 3339).
    pub last_used: String,
    /// Is it the one that asks?
    pub own: bool,
}

/// `POST /api/v1/admin/tokens`: a new token, to be put in the configuration. Nothing is kept of it here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Its name: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// What it may do: at most what the one who asks may.
    pub role: Role,
}

/// The answer to it.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct MadeToken {
    /// To be given to the program. It is not shown again.
    pub token: String,
    /// The section to put in the configuration file, before the next reload.
    pub section: String,
}
