//! A gateway with one session, one listener and three revisions.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::super::operator::Refusal;
use super::super::view::config::{Checked, Config, Diff, Reloaded, Revision, RevisionText};
use super::super::view::session::{Closing, Session, SessionHistory, SessionQuery, Sessions};
use super::super::view::session::{TapLine, TapQuery};
use super::super::view::status::{History, Process, Rates, Status, Topology, Traffic};
use super::super::view::traffic::{Certificate, Listener, Route, User, Vhost};
use super::*;
use crate::telemetry::events::Actor;

pub(super) struct Seen;

impl Observer for Seen {
    fn status(&self) -> Status {
        Status {
            gateway: "gw".into(),
            version: "0".into(),
            process_id: 1,
            started_at: "2026-11-21T10:00:00.000Z".into(),
            now: "2026-11-21T10:00:00.000Z".into(),
            revision: 1,
            ready: true,
            not_ready: Vec::new(),
            stopping: false,
            sessions: 1,
            in_handshake: 0,
            max_connections: 10,
            channels: 0,
            unconfirmed: 0,
            totals: Traffic::default(),
            rates: Rates::default(),
            process: Process::default(),
            alarms: Vec::new(),
        }
    }

    fn history(&self) -> History {
        History::default()
    }

    fn topology(&self) -> Topology {
        Topology::default()
    }

    fn listeners(&self) -> Vec<Listener> {
        vec![Listener {
            listener: "amqp".into(),
            addresses: vec!["127.0.0.1:5672".into()],
            protocol: "amqp".into(),
            tls: false,
            proxy_protocol: "off".into(),
            cluster: None,
            accepting: true,
            reason: None,
            sessions: 1,
            max_connections: None,
            rates: Rates::default(),
        }]
    }

    fn routes(&self) -> Vec<Route> {
        vec![Route {
            position: 1,
            name: None,
            conditions: Vec::new(),
            cluster: Some("main".into()),
            rename_vhost: None,
            reject: None,
            sessions: 1,
            rates: Rates::default(),
        }]
    }

    fn vhosts(&self) -> Vec<Vhost> {
        vec![Vhost {
            vhost: "/".into(),
            sessions: 1,
            users: Vec::new(),
            nodes: Vec::new(),
            routed: "main".into(),
            totals: Traffic::default(),
            rates: Rates::default(),
            unconfirmed: 0,
            refused: 0,
            delayed_seconds: 0.0,
        }]
    }

    fn users(&self) -> Vec<User> {
        vec![User {
            user: "jane".into(),
            sessions: 1,
            vhosts: Vec::new(),
            nodes: Vec::new(),
            totals: Traffic::default(),
            rates: Rates::default(),
            unconfirmed: 0,
            refused: 0,
            delayed_seconds: 0.0,
        }]
    }

    fn certificates(&self) -> Vec<Certificate> {
        Vec::new()
    }

    fn sessions(&self, query: &SessionQuery) -> Result<Sessions, Refusal> {
        if query.source.as_deref() == Some("nowhere") {
            return Err(Refusal::Invalid("source is no address.".into(), Vec::new()));
        }
        let (page, page_size) = (query.page.unwrap_or(1), query.page_size.unwrap_or(100));
        let sessions = self.session(7).into_iter().collect();
        Ok(Sessions { sessions, page, page_size, filtered: 1, total: 1, age_ms: 0 })
    }

    fn session(&self, id: u64) -> Option<Session> {
        let session = serde_json::json!({
            "id": 7, "state": "open", "listener": "amqp", "protocol": "amqp-0-9-1", "source": "127.0.0.1:1",
            "channels": 1, "unconfirmed": 0, "heartbeat_s": 60, "since": "2026-11-21T10:00:00.000Z", "age_s": 1.0,
            "waited_ms": 0.0, "client_held": false, "node_held": false,
            "totals": serde_json::to_value(Traffic::default()).unwrap(),
            "rates": serde_json::to_value(Rates::default()).unwrap(),
        });
        (id == 7).then(|| serde_json::from_value(session).unwrap())
    }

    fn session_history(&self, id: u64) -> Option<SessionHistory> {
        (id == 7).then(SessionHistory::default)
    }

    fn close(&self, id: u64) -> Result<Closing, Refusal> {
        match id {
            7 => Ok(Closing { sessions: 1, rate: 20 }),
            _ => Err(Refusal::Unknown(format!("There is no session {id}."))),
        }
    }

    fn close_all(&self, query: &SessionQuery) -> Result<Closing, Refusal> {
        if query.vhost.is_none() {
            return Err(Refusal::Invalid("Choose some.".into(), Vec::new()));
        }
        Ok(Closing { sessions: 1, rate: 20 })
    }
}

pub(super) struct Steered;

fn applied(revision: u64) -> Revision {
    Revision {
        revision,
        at: "2026-11-21T10:00:00.000Z".into(),
        by: "start".into(),
        from: None,
        outcome: "applied".into(),
        changes: Vec::new(),
        available: true,
    }
}

impl Configurator for Steered {
    fn config(&self) -> BoxFuture<'_, Config> {
        let config = Config {
            file: "gateway.toml".into(),
            running: applied(3),
            text: String::new(),
            file_differs: false,
            reload_on_change: false,
            history: vec![applied(2), applied(1)],
        };
        async { config }.boxed()
    }

    fn revision(&self, revision: u64) -> Result<RevisionText, Refusal> {
        match revision {
            1..=3 => Ok(RevisionText { revision: applied(revision), text: String::new() }),
            _ => Err(Refusal::Unknown(format!("Revision {revision} is not known."))),
        }
    }

    fn check(&self) -> BoxFuture<'_, Checked> {
        async { Checked { valid: true, problems: Vec::new() } }.boxed()
    }

    fn diff(&self) -> BoxFuture<'_, Diff> {
        let diff = Diff {
            valid: true,
            problems: Vec::new(),
            changes: Vec::new(),
            text: String::new(),
            sessions_closed: 0,
        };
        async { diff }.boxed()
    }

    fn reload(&self, by: Actor) -> BoxFuture<'_, Result<Reloaded, Refusal>> {
        let reasons = vec![format!("{} from {} may not", by.name, by.from)];
        async { Err(Refusal::Invalid("The file is not valid.".into(), reasons)) }.boxed()
    }

    fn rollback(&self, revision: u64, _: Actor) -> BoxFuture<'_, Result<Reloaded, Refusal>> {
        let done = self.revision(revision).map(|_| Reloaded {
            revision: 4,
            changes: Vec::new(),
            problems: Vec::new(),
            sessions_closed: 0,
        });
        async { done }.boxed()
    }
}

/// A steward that takes so long to reload.
pub(super) struct Slow(pub(super) Duration);

impl Configurator for Slow {
    fn config(&self) -> BoxFuture<'_, Config> {
        Steered.config()
    }

    fn revision(&self, revision: u64) -> Result<RevisionText, Refusal> {
        Steered.revision(revision)
    }

    fn check(&self) -> BoxFuture<'_, Checked> {
        Steered.check()
    }

    fn diff(&self) -> BoxFuture<'_, Diff> {
        Steered.diff()
    }

    fn reload(&self, by: Actor) -> BoxFuture<'_, Result<Reloaded, Refusal>> {
        self.rollback(3, by)
    }

    fn rollback(&self, revision: u64, by: Actor) -> BoxFuture<'_, Result<Reloaded, Refusal>> {
        let done = async move {
            tokio::time::sleep(self.0).await;
            Steered.rollback(revision, by).await
        };
        done.boxed()
    }
}

/// A tap that shows one line and goes on.
pub(super) struct OneLine;

impl Tapping for OneLine {
    fn tap(&self, query: &TapQuery) -> Result<BoxStream<'static, TapLine>, Refusal> {
        let session = query.session.unwrap_or(7);
        if session != 7 {
            return Err(Refusal::Unknown(format!("There is no session {session}.")));
        }
        let line = TapLine {
            at: "2026-11-21T10:00:00.000Z".into(),
            session,
            direction: "from_client".into(),
            channel: 1,
            method: "basic.publish".into(),
            text: "exchange=\"\" routing_key=\"a\\nb\"".into(),
            size: 20,
            body: None,
            dropped: 0,
        };
        Ok(stream::iter([line]).chain(stream::pending()).boxed())
    }
}
