//! What the API shows of sessions and traffic. All of it is made for whoever asks, of what the hot path counts anyway.

mod alarms;
mod certificates;
mod choose;
mod closer;
mod events;
mod figures;
mod history;
mod list;
mod listeners;
mod routes;
#[cfg(test)]
mod samples;
mod show;
mod status;
mod sums;
mod topology;
mod vhosts;
mod watched;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::broadcast;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::operator::Refusal;
use crate::admin::operator::observe::Observer;
use crate::admin::view::session::{Closing, Session, SessionHistory, SessionQuery, Sessions};
use crate::admin::view::status::{History, Status, Topology};
use crate::admin::view::traffic::{Certificate, Listener, Route, User, Vhost};
use crate::cluster::report::HealthEvent;
use crate::config::model::Protocol;
use crate::drain::Keeper;
use crate::gate::Gate;
use crate::route::Decision;
use crate::session::Shared;
use crate::session::registry::{Order, SessionId};
use crate::telemetry::process;
use crate::tls::Tls;
use crate::vrrp::board::Board;
use choose::{Filter, Paging};
use closer::Wishes;
use events::Trouble;
use history::{Measured, Sampler};
use list::{List, Lists, Row};
pub(super) use listeners::Door;
use show::Moment;
use sums::Whole;
use watched::Watched;

/// Both intervals are multiples of it.
const TICK: Duration = Duration::from_secs(1);

/// What is looked at.
pub(super) struct Sights {
    pub(super) shared: Arc<Shared>,
    /// The listeners there are now, in the order of the configuration.
    pub(super) doors: Arc<dyn Fn() -> Arc<Vec<Door>> + Send + Sync>,
    /// The TLS that is in use now.
    pub(super) tls: Arc<dyn Fn() -> Arc<Tls> + Send + Sync>,
    /// The gateway's limit.
    pub(super) gate: Arc<Gate>,
    pub(super) keeper: Arc<Keeper>,
    pub(super) board: Arc<Board>,
    /// Why the gateway is not ready.
    pub(super) not_ready: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Log lines that were dropped.
    pub(super) dropped: Arc<dyn Fn() -> u64 + Send + Sync>,
    pub(super) stopping: CancellationToken,
}

/// Shows sessions and traffic of the running gateway.
pub(super) struct Lookout {
    sights: Sights,
    started: SystemTime,
    lists: Lists,
    sampler: Sampler,
    watched: Watched,
    trouble: Trouble,
    wishes: Wishes,
}

impl fmt::Debug for Lookout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookout")
    }
}

impl Lookout {
    /// Looks at all that. Its tasks, which `tasks` keeps, run on the runtime of the caller.
    pub(super) fn start(
        sights: Sights,
        news: broadcast::Receiver<HealthEvent>,
        tasks: &TaskTracker,
    ) -> Arc<Self> {
        let (wishes, wished) = closer::channel();
        let (shared, keeper) = (sights.shared.clone(), sights.keeper.clone());
        tasks.spawn(closer::run(shared.clone(), keeper, wished));
        tasks.spawn(events::tell_of_nodes(shared, news));
        let started = process::started().map(Duration::from_secs_f64);
        let started = started.and_then(|started| SystemTime::UNIX_EPOCH.checked_add(started));
        let lookout = Arc::new(Self {
            sights,
            started: started.unwrap_or_else(SystemTime::now),
            lists: Lists::default(),
            sampler: Sampler::default(),
            watched: Watched::default(),
            trouble: Trouble::default(),
            wishes,
        });
        tasks.spawn(lookout.clone().keep_watch());
        lookout
    }

    /// Takes what is kept over time, for ever.
    async fn keep_watch(self: Arc<Self>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for count in 0_u64.. {
            ticks.tick().await;
            let moment = Moment::now();
            let is_due = |every: Duration| count.is_multiple_of(every.as_secs());
            if is_due(watched::EVERY) {
                self.watched.take(moment);
            }
            if is_due(history::EVERY) {
                let measured = Measured {
                    whole: Whole::take(&self.sights.shared),
                    openings: self.sights.shared.metrics.openings(),
                    usage: process::usage(),
                    dropped: (self.sights.dropped)(),
                };
                self.sampler.take(&measured, moment.now, moment.wall);
                self.lists.forget(moment.now);
            }
            self.trouble.look(self.wrong(moment.now), &self.sights.shared.events);
        }
    }

    /// Listeners that do not accept though they should.
    fn wrong(&self, now: Instant) -> HashMap<String, &'static str> {
        let doors = (self.sights.doors)();
        let wrong = |door: &Door| Some((door.name().to_owned(), door.accepting.wrong(now)?));
        doors.iter().filter_map(wrong).collect()
    }

    fn list(&self, now: Instant) -> Arc<List> {
        self.lists.get(&self.sights.shared.registry, now)
    }

    fn is_stopping(&self) -> bool {
        self.sights.stopping.is_cancelled()
    }

    /// Where a new session of a vhost would go.
    fn routed(&self, doors: &[Door], vhost: &str) -> String {
        let speaks_amqp = |door: &&Door| matches!(door.model.protocol, Protocol::Amqp);
        let names = doors.iter().filter(speaks_amqp).map(|door| &door.model.name);
        match self.sights.shared.snapshot.load().routes.of_vhost(names, vhost) {
            Decision::To(target) => target.cluster.to_string(),
            Decision::Rejected(_) => "rejected".to_owned(),
            Decision::NeedsMore => "depends".to_owned(),
        }
    }

    fn closing(&self, sessions: usize) -> Closing {
        Closing { sessions, rate: self.sights.keeper.drain_rate().get() }
    }
}

impl Observer for Lookout {
    fn status(&self) -> Status {
        status::status(&self.sights, self.started, &self.sampler.lately(), Moment::now())
    }

    fn history(&self) -> History {
        self.sampler.history()
    }

    fn topology(&self) -> Topology {
        let (now, doors) = (Instant::now(), (self.sights.doors)());
        let (list, snapshot) = (self.list(now), self.sights.shared.snapshot.load());
        topology::draw(&doors, &snapshot, &list.rows, self.is_stopping(), now)
    }

    fn listeners(&self) -> Vec<Listener> {
        let now = Instant::now();
        listeners::all(&(self.sights.doors)(), &self.list(now).rows, self.is_stopping(), now)
    }

    fn routes(&self) -> Vec<Route> {
        let snapshot = self.sights.shared.snapshot.load();
        routes::all(snapshot.routes.routes(), &self.list(Instant::now()).rows)
    }

    fn vhosts(&self) -> Vec<Vhost> {
        // Ended ones first: who is in there is known to have ended, and not counted twice.
        let ended = self.sights.shared.ended.ledger.vhosts();
        let (list, doors) = (self.list(Instant::now()), (self.sights.doors)());
        vhosts::vhosts(&list.rows, &ended, |vhost| self.routed(&doors, vhost))
    }

    fn users(&self) -> Vec<User> {
        let ended = self.sights.shared.ended.ledger.users();
        vhosts::users(&self.list(Instant::now()).rows, &ended)
    }

    fn certificates(&self) -> Vec<Certificate> {
        certificates::all((self.sights.tls)().certificates(), SystemTime::now())
    }

    fn sessions(&self, query: &SessionQuery) -> Result<Sessions, Refusal> {
        let (filter, paging) = (Filter::read(query)?, Paging::read(query)?);
        let moment = Moment::now();
        let list = self.list(moment.now);
        let page = choose::page(&list.rows, &filter, paging, moment.now);
        let rows = page.rows.iter().filter_map(|at| list.rows.get(*at));
        let snapshot = self.sights.shared.snapshot.load();
        let routes = snapshot.routes.routes();
        let age = moment.now.saturating_duration_since(list.at);
        Ok(Sessions {
            sessions: rows.map(|row| show::session(row, routes, moment)).collect(),
            page: paging.page,
            page_size: paging.size,
            filtered: page.filtered,
            total: list.rows.len(),
            age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        })
    }

    fn session(&self, id: u64) -> Option<Session> {
        let session = self.sights.shared.registry.get(SessionId(id))?;
        let moment = Moment::now();
        let list = self.list(moment.now);
        let known = list.rows.binary_search_by_key(&session.id, |row| row.id);
        let known = known.ok().and_then(|at| list.rows.get(at));
        let rates = known.map(|row| row.rates).unwrap_or_default();
        let snapshot = self.sights.shared.snapshot.load();
        let row = Row { rates, ..Row::of(session) };
        Some(show::session(&row, snapshot.routes.routes(), moment))
    }

    fn session_history(&self, id: u64) -> Option<SessionHistory> {
        let id = SessionId(id);
        self.watched.look(id, self.sights.shared.registry.get(id), Moment::now())
    }

    fn close(&self, id: u64) -> Result<Closing, Refusal> {
        let unknown = || Refusal::Unknown(format!("There is no session {id}."));
        let session = self.sights.shared.registry.get(SessionId(id)).ok_or_else(unknown)?;
        session.order(Order::OperatorClose);
        Ok(self.closing(1))
    }

    fn close_all(&self, query: &SessionQuery) -> Result<Closing, Refusal> {
        let filter = Filter::read(query)?;
        if filter.is_empty() {
            let text = "The query chooses by nothing: this would close all sessions.".to_owned();
            let how = "Give one filter at least: listener, vhost, user, cluster, node, client, source or search.";
            return Err(Refusal::Invalid(text, vec![how.to_owned()]));
        }
        // Made anew: whoever has come within the last second is meant as well.
        let list = List::make(&self.sights.shared.registry, None, Instant::now());
        let chosen = list.rows.into_iter().filter(|row| filter.chooses(row));
        let chosen: Vec<_> =
            chosen.map(|row| row.session).filter(|session| !session.has_order()).collect();
        let closing = self.closing(chosen.len());
        let busy = |_| Refusal::Conflict("Too many are being closed: try again.".to_owned());
        self.wishes.try_send(chosen).map_err(busy)?;
        Ok(closing)
    }
}
