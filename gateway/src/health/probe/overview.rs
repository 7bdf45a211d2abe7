//! The check of HTTP listeners: does a node's management answer requests? More it need not prove: it is clients who log in.

use hyper::StatusCode;

use super::Wrong;
use super::http::{Api, Site};
use super::management::OVERVIEW;
use crate::cluster::report::Outcome;
use crate::config::model::Login;

/// The check and its connection.
#[derive(Debug)]
pub struct OverviewCheck {
    api: Api,
    logs_in: bool,
}

impl OverviewCheck {
    /// Not connected yet. Without a login, to be asked for one is an answer.
    #[must_use]
    pub fn new(site: Site, login: Option<&Login>) -> Self {
        Self { api: Api::new(site, login), logs_in: login.is_some() }
    }

    /// Asks. What a check that passed has to remark, the operator should know.
    ///
    /// # Errors
    /// If there is no answer, or one that no management gives.
    pub async fn check(&mut self) -> Result<Option<Wrong>, Wrong> {
        match self.api.get(OVERVIEW).await {
            Ok(answer) if answer.status == StatusCode::OK => Ok(None),
            Ok(answer) => Err(Wrong::failed("status", format!("/api/overview: {}", answer.status))),
            Err(wrong) if wrong.outcome == Outcome::Misconfigured && wrong.reason == "login" => {
                Ok(self.logs_in.then_some(wrong))
            }
            Err(wrong) => Err(wrong),
        }
    }
}

#[cfg(test)]
mod tests;
