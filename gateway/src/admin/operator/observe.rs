//! What the API shows of what passes through the gateway.

use super::Refusal;
use crate::admin::view::session::{Closing, Session, SessionHistory, SessionQuery, Sessions};
use crate::admin::view::status::{History, Status, Topology};
use crate::admin::view::traffic::{Certificate, Listener, Route, User, Vhost};

/// Shows sessions and traffic, and closes sessions. All of it is made for whoever asks and bounded in its cost: lists of
/// sessions are made at most once a second.
pub trait Observer: Send + Sync {
    /// The gateway as a whole.
    fn status(&self) -> Status;

    /// The last hour.
    fn history(&self) -> History;

    /// Listeners, routes, clusters and nodes, and what passes between them.
    fn topology(&self) -> Topology;

    /// In the order of the configuration.
    fn listeners(&self) -> Vec<Listener>;

    /// In the order in which they are asked.
    fn routes(&self) -> Vec<Route>;

    /// By name.
    fn vhosts(&self) -> Vec<Vhost>;

    /// Those of AMQP, by name.
    fn users(&self) -> Vec<User>;

    /// Those that end first come first.
    fn certificates(&self) -> Vec<Certificate>;

    /// One page of sessions.
    ///
    /// # Errors
    /// When the query cannot be read: an address that is none.
    fn sessions(&self, query: &SessionQuery) -> Result<Sessions, Refusal>;

    /// One session, as it is now.
    fn session(&self, id: u64) -> Option<Session>;

    /// What a session did lately. From now on it is watched for a while.
    fn session_history(&self, id: u64) -> Option<SessionHistory>;

    /// Closes a session with 320.
    ///
    /// # Errors
    /// When there is none.
    fn close(&self, id: u64) -> Result<Closing, Refusal>;

    /// Closes all sessions that the query chooses with 320, at a pace.
    ///
    /// # Errors
    /// When the query chooses by nothing, or cannot be read.
    fn close_all(&self, query: &SessionQuery) -> Result<Closing, Refusal>;
}
