//! `[cluster.NAME.health]`: how nodes are checked.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::defaults;

/// `[cluster.NAME.health]`: how the nodes of a cluster are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Between two rounds of checks while the verdict stands.
    pub interval: Duration,
    /// Between two rounds while it is changing.
    pub fast_interval: Duration,
    /// For each check.
    pub timeout: Duration,
    /// Good rounds in a row that make a node up.
    pub rise: NonZeroU32,
    /// Bad rounds in a row that make it down.
    pub fall: NonZeroU32,
    /// Failed connections of clients that make it down; `None` = they do not count.
    pub passive: Option<Passive>,
    /// All of them must pass; empty = nodes are not checked.
    pub checks: Vec<Check>,
    /// The monitoring user of the broker, for the checks that log in.
    pub login: Option<Login>,
    /// Where the AMQP checks open their connection.
    pub vhost: Arc<str>,
    /// For [`Check::Script`].
    pub script: Option<Script>,
    /// The queue of [`Check::ChannelRoundtrip`].
    pub queue: Arc<str>,
    /// What happens to the sessions of a node that went down.
    pub on_down: OnDown,
}

impl Default for Health {
    fn default() -> Self {
        let count = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            interval: defaults::HEALTH_INTERVAL,
            fast_interval: defaults::HEALTH_FAST_INTERVAL,
            timeout: defaults::HEALTH_TIMEOUT,
            rise: count(defaults::HEALTH_RISE),
            fall: count(defaults::HEALTH_FALL),
            passive: Some(Passive {
                failures: count(defaults::PASSIVE_FAILURES),
                within: defaults::PASSIVE_WITHIN,
            }),
            checks: vec![Check::Tcp],
            login: None,
            vhost: defaults::HEALTH_VHOST.into(),
            script: None,
            queue: defaults::HEALTH_QUEUE.into(),
            on_down: OnDown::Close,
        }
    }
}

/// `passive`: failures of clients' connections that make a node down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passive {
    /// So many failures …
    pub failures: NonZeroU32,
    /// … within this time.
    pub within: Duration,
}

/// One of `checks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The host answers an echo request.
    Icmp,
    /// The AMQP port takes a connection.
    Tcp,
    /// A channel can be opened.
    Amqp,
    /// A message that is published comes back.
    ChannelRoundtrip,
    /// The management API finds nothing wrong.
    Management,
    /// A command ends with 0.
    Script,
}

impl Check {
    /// Its name, in the configuration and in labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Icmp => "icmp",
            Self::Tcp => "tcp",
            Self::Amqp => "amqp",
            Self::ChannelRoundtrip => "channel-roundtrip",
            Self::Management => "management",
            Self::Script => "script",
        }
    }
}

/// A user name and its password, which no debug output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub username: Arc<str>,
    /// The password.
    pub password: Arc<str>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// `script`: a command that checks a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// After which it is ended, and has failed.
    pub timeout: Duration,
}

/// `on_down`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnDown {
    /// They are closed with 320.
    Close,
    /// They stay: the node may only be unfit for new ones.
    Keep,
}
