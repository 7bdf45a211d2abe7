//! What a node's own management API finds wrong with the node.
//!
//! What counts is what a node answers by itself: its own checks. Newer brokers ask all nodes for `/api/overview`, even
//! without statistics, so it may hang on every node while one of them does. It tells the node's name and version, and
//! decides only where a broker has no checks of its own. `/api/nodes` and some others hang in the same way: see
//! [`super::view`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde_json::Value;

use super::Wrong;
use super::http::{Answer, Api, Site};
use crate::config::model::Login;

/// Without statistics, which would be gathered from all nodes.
pub(super) const OVERVIEW: &str = "overview?disable_stats=true&enable_queue_totals=true";
/// After so long a question that was not offered is asked again: the broker may have been upgraded.
const ASK_AGAIN: Duration = Duration::from_secs(300);
/// After so long a node that did not tell who it is is asked again.
const IDENTIFY_AGAIN: Duration = Duration::from_secs(15);

/// The check, its connection, and what the node does not offer.
#[derive(Debug)]
pub struct ManagementCheck {
    api: Api,
    not_offered: HashMap<&'static str, Instant>,
    /// The connection over which that was learned.
    learned_over: u64,
    identity: Identity,
}

/// Who answers, as it said last.
#[derive(Debug, Default)]
struct Identity {
    broker: Option<Arc<str>>,
    version: Option<Arc<str>>,
    /// The connection over which it was told.
    told_over: u64,
    /// When it was asked in vain.
    unanswered: Option<Instant>,
}

/// What the API says of its node beside whether it works.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// What the broker calls itself.
    pub broker: Option<Arc<str>>,
    /// Its version.
    pub version: Option<Arc<str>>,
    /// Memory and disk alarm; `None` where it does not offer to tell.
    pub alarms: Option<(bool, bool)>,
    /// Is it in maintenance? `None` where it does not offer to tell.
    pub maintenance: Option<bool>,
}

impl ManagementCheck {
    /// Not connected yet.
    #[must_use]
    pub fn new(site: Site, login: Option<&Login>) -> Self {
        let api = Api::new(site, login);
        let identity = Identity::default();
        Self { api, not_offered: HashMap::new(), learned_over: 0, identity }
    }

    /// Asks all that the node offers to tell, for at most `limit`: who asks gives up then.
    ///
    /// # Errors
    /// If there is no answer, the login is refused, or the broker finds something wrong that keeps it from serving.
    pub async fn check(&mut self, limit: Duration) -> Result<Findings, Wrong> {
        let begun = Instant::now();
        let mut findings = Findings::default();
        let mut offered = 0;
        if let Some(answer) = self.ask("health/checks/local-alarms").await? {
            findings.alarms = Some(alarms(&answer));
            offered += 1;
        }
        if let Some(answer) = self.ask("health/checks/is-in-service").await? {
            findings.maintenance = Some(!answer.status.is_success());
            offered += 1;
        }
        for (question, reason) in [
            ("health/checks/virtual-hosts", "vhost-down"),
            ("health/checks/protocol-listener/amqp", "no-listener"),
        ] {
            if let Some(answer) = self.ask(question).await? {
                passes(&answer, reason)?;
                offered += 1;
            }
        }
        match offered {
            0 => self.overview().await?,
            _ => self.identify(limit.saturating_sub(begun.elapsed()) / 2).await,
        }
        findings.broker.clone_from(&self.identity.broker);
        findings.version.clone_from(&self.identity.version);
        Ok(findings)
    }

    /// Asks who answers, once a connection. No answer is no fault: the node may wait for others.
    async fn identify(&mut self, patience: Duration) {
        let told = self.identity.told_over == self.api.connections;
        let in_vain = self.identity.unanswered.is_some_and(|at| at.elapsed() < IDENTIFY_AGAIN);
        if told || in_vain {
            return;
        }
        let answered = tokio::time::timeout(patience, self.overview()).await;
        let in_vain = !matches!(answered, Ok(Ok(())));
        self.identity.unanswered = in_vain.then(Instant::now);
    }

    async fn overview(&mut self) -> Result<(), Wrong> {
        let overview = self.api.get(OVERVIEW).await?;
        if overview.status != StatusCode::OK {
            return Err(Wrong::silent("status", format!("/api/overview: {}", overview.status)));
        }
        let text = |key: &str| overview.body[key].as_str().map(Arc::from);
        self.identity = Identity {
            broker: text("node"),
            version: text("rabbitmq_version"),
            told_over: self.api.connections,
            unanswered: None,
        };
        Ok(())
    }

    /// `None` if the node does not offer to tell. That is never a fault.
    async fn ask(&mut self, question: &'static str) -> Result<Option<Answer>, Wrong> {
        if self.learned_over != self.api.connections {
            self.learned_over = self.api.connections;
            self.not_offered.clear();
        }
        if self.not_offered.get(question).is_some_and(|at| at.elapsed() < ASK_AGAIN) {
            return Ok(None);
        }
        let answer = self.api.get(question).await?;
        match answer.status {
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => Ok(Some(answer)),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::BAD_REQUEST => {
                self.not_offered.insert(question, Instant::now());
                Ok(None)
            }
            status => Err(Wrong::silent("status", format!("/api/{question}: {status}"))),
        }
    }
}

/// Memory and disk.
fn alarms(answer: &Answer) -> (bool, bool) {
    if answer.status.is_success() {
        return (false, false);
    }
    let named = answer.body["alarms"].as_array().into_iter().flatten();
    let resources: Vec<&str> = named.filter_map(|alarm| alarm["resource"].as_str()).collect();
    let disk = resources.contains(&"disk");
    // An alarm that is not named is one all the same.
    (resources.contains(&"memory") || !disk, disk)
}

fn passes(answer: &Answer, reason: &'static str) -> Result<(), Wrong> {
    if answer.status.is_success() {
        return Ok(());
    }
    let said = answer.body["reason"].as_str().unwrap_or("no reason given");
    let vhosts = answer.body["virtual-hosts"].as_array().into_iter().flatten();
    let vhosts: Vec<&str> = vhosts.filter_map(Value::as_str).collect();
    let which = if vhosts.is_empty() { String::new() } else { format!(": {}", vhosts.join(", ")) };
    Err(Wrong::failed(reason, format!("the broker says: {said}{which}")))
}

#[cfg(test)]
mod tests;
