//! Prepares a configuration, which may fail and changes nothing, and puts it in force, which cannot fail.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;
use tracing::warn;

use super::super::listeners::{Ground, Plan};
use super::super::{Gateway, Logs, files, vrrp};
use super::{Steward, retire, words};
use crate::admin::auth::Accounts;
use crate::admin::view::config::ConfigProblem;
use crate::admin::{self, BoundAdmin};
use crate::cluster::Cluster;
use crate::cluster::lookup::Lookup;
use crate::config::model::Model;
use crate::snapshot::Snapshot;
use crate::telemetry::log::LEVEL_VARIABLE;
use crate::telemetry::sink::Opened;
use crate::tls::Tls;
use crate::tls::server::Termination;

/// How long names of nodes may keep a reload waiting.
const NAMES_PATIENCE: Duration = Duration::from_secs(3);

/// What is to be put in force, and what is now.
pub(super) struct Steps<'a> {
    pub(super) before: &'a Model,
    pub(super) model: &'a Model,
    /// `None` if something is wrong with its files, which is known already.
    pub(super) tls: Option<Tls>,
    pub(super) revision: u64,
}

/// A configuration that only has to be put in force.
pub(super) struct Prepared {
    tls: Arc<Tls>,
    snapshot: Snapshot,
    listeners: Plan,
    admin: AdminPlan,
    log: Opened,
    level: bool,
    routers: Option<vrrp::Plan>,
}

/// What becomes of the admin address.
enum AdminPlan {
    Stays,
    Moves(BoundAdmin),
    Ends,
}

impl Steps<'_> {
    /// Gets everything that it takes.
    ///
    /// # Errors
    /// All that cannot be had.
    pub(super) async fn prepare(
        self,
        gateway: &mut Gateway,
        logs: &Logs<'_>,
        path: &Path,
    ) -> Result<Prepared, Vec<ConfigProblem>> {
        let Self { before, model, tls, revision } = self;
        let file = path.display().to_string();
        let mut problems = Vec::new();
        let mut wrong = |text: String| problems.push(words::problem(&file, text, ""));
        let files_are_wrong = tls.is_none();
        let tls = tls.unwrap_or_default();
        let routers = gateway.routers.as_ref().map(|routers| routers.prepare(model));
        let shares = |address: IpAddr| routers.as_ref().is_some_and(|plan| plan.shares(address));
        let ground = Ground {
            workers: gateway.workers.all().len(),
            shares: &shares,
            stop: &gateway.stop_accepting,
        };
        let listeners = gateway.listeners.plan(model, &tls, &ground);
        let listeners = listeners.map_err(|all| all.into_iter().for_each(&mut wrong)).ok();
        let log = logs.sink.prepare(&model.log);
        let log = log.map_err(|error| wrong(format!("log: {error}"))).ok();
        let admin = admin_plan(gateway, (before, model), &tls, &shares).map_err(&mut wrong).ok();
        let threads = listeners.as_ref().map(|plan| gateway.make_threads(plan, &logs.dispatch));
        let threads = threads.unwrap_or(Ok(()));
        threads.unwrap_or_else(|error| wrong(format!("cannot start a thread: {error}")));
        let (Some(listeners), Some(log), Some(admin), false, true) =
            (listeners, log, admin, files_are_wrong, problems.is_empty())
        else {
            return Err(problems);
        };
        let now = gateway.shared.snapshot.load();
        let snapshot = now.next(model, &tls, revision);
        let lookup = Lookup::new(model.gateway.name_servers.clone());
        discover_new(&now, &snapshot, &lookup).await;
        let level = before.log.level != model.log.level;
        Ok(Prepared { tls: Arc::new(tls), snapshot, listeners, admin, log, level, routers })
    }
}

fn admin_plan(
    gateway: &Gateway,
    (before, model): (&Model, &Model),
    tls: &Tls,
    shares: &dyn Fn(IpAddr) -> bool,
) -> Result<AdminPlan, String> {
    let Some(new) = &model.admin else { return Ok(AdminPlan::Ends) };
    let same_address = before.admin.as_ref().is_some_and(|old| old.bind == new.bind);
    let running = gateway.admin.as_ref().filter(|_| same_address);
    let bound = match running {
        Some(_) if same_tls(gateway.tls.load().admin.as_ref(), tls.admin.as_ref()) => {
            return Ok(AdminPlan::Stays);
        }
        Some(running) => running.again(),
        None => admin::bind(new.bind, shares(new.bind.ip())),
    };
    bound.map(AdminPlan::Moves).map_err(|error| format!("admin: {error}"))
}

fn same_tls(old: Option<&Arc<Termination>>, new: Option<&Arc<Termination>>) -> bool {
    match (old, new) {
        (None, None) => true,
        (Some(old), Some(new)) => Arc::ptr_eq(old, new),
        _ => false,
    }
}

/// Looks up the names of nodes in clusters that are new or other than before, so that the first session finds them.
async fn discover_new(now: &Snapshot, next: &Snapshot, lookup: &Lookup) {
    let is_new = |cluster: &&Arc<Cluster>| {
        !now.clusters.get(&cluster.name).is_some_and(|before| Arc::ptr_eq(before, cluster))
    };
    let new = next.clusters.values().filter(is_new);
    let all = join_all(new.map(|cluster| cluster.discover(lookup)));
    if timeout(NAMES_PATIENCE, all).await.is_err() {
        warn!(waited = ?NAMES_PATIENCE, "names of nodes do not resolve: the configuration is put in force all the same");
    }
}

impl Prepared {
    /// Virtual routers that cannot be begun with before a restart, and why.
    pub(super) fn waits(&self) -> Option<&str> {
        self.routers.as_ref().and_then(vrrp::Plan::needs_restart)
    }

    /// Puts it in force. Returns how many sessions are being closed.
    pub(super) async fn commit(
        self,
        gateway: &mut Gateway,
        logs: &Logs<'_>,
        model: &Model,
        steward: &Steward,
    ) -> usize {
        let Self { tls, snapshot, listeners, admin, log, level, routers } = self;
        let sessions_closed = gateway.keeper.would_close(model, |_| false);
        files::raise_limit(model);
        // First, so that whoever has waited there goes where the old routes lead.
        let gone = gateway.listeners.make_way(&listeners).await;
        let leaving = retire::Leaving::of(&gateway.shared, gone);
        gateway.tls.store(tls);
        gateway.lookup.ask(model.gateway.name_servers.clone());
        gateway.gate.set_limit(model.gateway.max_connections);
        let snapshot = Arc::new(snapshot);
        let before = gateway.shared.snapshot.swap(snapshot.clone());
        snapshot.take_effect(&before);
        gateway.watch_clusters();
        let (loops, http) = gateway.listeners.follow(listeners);
        gateway.serve_http(model, http);
        gateway.accept(loops);
        logs.sink.go_to(log);
        if level && !logs.level.set(model.log.level) {
            warn!(
                "log.level has changed, but {LEVEL_VARIABLE} is set: that counts until a restart"
            );
        }
        if let Some(access) = &gateway.shared.access {
            access.switch(model.log.access);
        }
        change_admin(gateway, admin, model, steward);
        if let (Some(changes), Some(plan)) = (gateway.routers.clone(), routers) {
            changes.apply(plan, &logs.dispatch).await;
        }
        leaving.close(gateway, model.gateway.drain_rate);
        gateway.keeper.reloaded();
        sessions_closed
    }
}

fn change_admin(gateway: &mut Gateway, plan: AdminPlan, model: &Model, steward: &Steward) {
    if let Some(admin) = &model.admin {
        gateway.auth.replace(Accounts::of(admin));
    }
    let old = match plan {
        AdminPlan::Stays => None,
        AdminPlan::Moves(bound) => match bound.start(gateway.sources(steward)) {
            Ok(new) => gateway.admin.replace(new),
            Err(error) => {
                warn!(%error, "the admin address stays where it was");
                None
            }
        },
        AdminPlan::Ends => gateway.admin.take(),
    };
    // It may be the one that waits for our answer, and gives it time to be sent.
    if let Some(old) = old {
        tokio::task::spawn_blocking(move || old.stop());
    }
}
