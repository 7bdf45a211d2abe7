//! Prepares a configuration, which may fail and changes nothing, and puts it in force, which cannot fail.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
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
use crate::admin::{self, AdminError, AdminServer, BoundAdmin};
use crate::cluster::Cluster;
use crate::cluster::lookup::Lookup;
use crate::config::model::{Admin, Model};
use crate::snapshot::Snapshot;
use crate::telemetry::log::LEVEL_VARIABLE;
use crate::telemetry::sink::Opened;
use crate::tls::Tls;

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
        logs: &Logs,
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
        let log = logs.prepare(&model.log).await;
        let log = log.map_err(|error| wrong(format!("log: {error}"))).ok();
        let admin = admin_plan(gateway.admin.as_ref(), (before, model), &tls, &shares)
            .map_err(&mut wrong)
            .ok();
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

/// What counts is the server that runs, not the configuration before: that may have had another one, which could not be
/// started.
fn admin_plan(
    running: Option<&AdminServer>,
    (before, model): (&Model, &Model),
    tls: &Tls,
    shares: &dyn Fn(IpAddr) -> bool,
) -> Result<AdminPlan, String> {
    let Some(new) = &model.admin else { return Ok(AdminPlan::Ends) };
    let there = running.filter(|running| running.is_at(new.bind));
    let bound = match there {
        Some(running) if running.speaks(tls.admin.as_ref()) => return Ok(AdminPlan::Stays),
        Some(running) => running.again(),
        None => admin::bind(new.bind, shares(new.bind.ip())),
    };
    bound.map(AdminPlan::Moves).map_err(|error| {
        match own_in_the_way(running.map(AdminServer::address), before, &error) {
            Some(why) => why,
            None => format!("admin: {error}"),
        }
    })
}

/// Why the admin address cannot be bound, if it is for what the gateway itself has bound until the new one counts.
fn own_in_the_way(admin: Option<SocketAddr>, before: &Model, error: &AdminError) -> Option<String> {
    let AdminError::Bind { address, source } = error else { return None };
    let of_admin = admin.into_iter().map(|address| ("admin.bind".to_owned(), address));
    let of_listeners = before.listeners.iter().flat_map(|listener| {
        listener.bind.iter().map(|bind| (format!("listener.{}.bind", listener.name), *bind))
    });
    let mut own = of_admin.chain(of_listeners);
    let is_in_use = source.kind() == ErrorKind::AddrInUse;
    let (key, ours) = own.find(|(_, ours)| is_in_use && overlap(*ours, *address))?;
    Some(format!(
        "admin.bind {address}: the gateway itself listens at {ours} ({key}) until the new configuration is in force; \
         choose another port, or restart the gateway"
    ))
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (everywhere || one.ip() == other.ip())
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

/// What a commit has come to.
pub(super) struct Committed {
    /// Sessions that are being closed.
    pub(super) sessions_closed: usize,
    /// What does not work all the same.
    pub(super) problems: Vec<String>,
    /// The admin server that was in use. It gives running answers a moment, the one to this reload perhaps among them.
    pub(super) old_admin: Option<AdminServer>,
}

impl Prepared {
    /// Virtual routers that cannot be begun with before a restart, and why.
    pub(super) fn waits(&self) -> Option<&str> {
        self.routers.as_ref().and_then(vrrp::Plan::needs_restart)
    }

    /// Puts it in force.
    pub(super) async fn commit(
        self,
        gateway: &mut Gateway,
        logs: &Logs,
        model: &Model,
        steward: &Steward,
    ) -> Committed {
        let Self { tls, snapshot, listeners, admin, log, level, routers } = self;
        let sessions_closed = gateway.keeper.would_close(model, |_| false);
        files::raise_limit(model);
        // First, so that whoever has waited there goes where the old routes lead.
        let gone = gateway.listeners.make_way(&listeners).await;
        let leaving = retire::Leaving::of(&gateway.shared, gone);
        let mut problems = Vec::new();
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
        if let (Some(changes), Some(plan)) = (gateway.routers.clone(), routers) {
            let applied = changes.apply(plan, &logs.dispatch).await;
            problems.extend(applied.err().map(|why| format!("vrrp: {why}")));
        }
        leaving.close(gateway, model.gateway.drain_rate);
        gateway.keeper.reloaded();
        // Last: whoever waits for our answer there is not to wait for anything else then.
        let changed = change_admin(gateway, admin, model, steward);
        let changed = changed.map_err(|why| problems.push(why));
        Committed { sessions_closed, problems, old_admin: changed.unwrap_or_default() }
    }
}

/// Returns the server that was in use, if another one takes its place, or none.
fn change_admin(
    gateway: &mut Gateway,
    plan: AdminPlan,
    model: &Model,
    steward: &Steward,
) -> Result<Option<AdminServer>, String> {
    let admin = model.admin.as_ref();
    // Where nobody has to log in, that may not count yet while an address that others reach is served.
    let (open, guarded) = (admin.filter(is_open), admin.filter(|admin| !is_open(admin)));
    if let Some(guarded) = guarded {
        gateway.auth.replace(Accounts::of(guarded));
    }
    let old = match plan {
        AdminPlan::Stays => None,
        AdminPlan::Moves(bound) => {
            let started = bound.start(gateway.sources(steward));
            let started = started.map_err(|why| not_started(admin, &why.to_string()));
            gateway.admin.replace(started?)
        }
        AdminPlan::Ends => gateway.admin.take(),
    };
    old.iter().for_each(AdminServer::end);
    if let Some(open) = open {
        gateway.auth.replace(Accounts::of(open));
    }
    Ok(old)
}

/// Whom the address knows then is what has been put in force before the start, or would have been after it.
fn not_started(admin: Option<&Admin>, why: &str) -> String {
    let accounts = match admin.is_some_and(|admin| is_open(&admin)) {
        true => "its accounts",
        false => "the new accounts",
    };
    format!("the admin address stays where it was, with {accounts}: {why}")
}

fn is_open(admin: &&Admin) -> bool {
    admin.users.is_empty() && admin.tokens.is_empty()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::config::model::samples;

    #[test]
    fn of_an_address_that_overlaps_one_of_ours_it_is_told_which_one_that_is() {
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let before = samples::model(Vec::new());
        let admin = Some(at("127.0.0.1:15680"));
        let why = |address: &str, kind: ErrorKind| {
            let source = io::Error::from(kind);
            own_in_the_way(admin, &before, &AdminError::Bind { address: at(address), source })
        };
        let told = why("0.0.0.0:15680", ErrorKind::AddrInUse).expect("ours");
        assert!(told.contains("127.0.0.1:15680 (admin.bind)"), "{told}");
        assert!(told.contains("another port"), "{told}");
        for (address, kind) in [
            ("0.0.0.0:15681", ErrorKind::AddrInUse),
            ("127.0.0.2:15680", ErrorKind::AddrInUse),
            ("0.0.0.0:15680", ErrorKind::PermissionDenied),
        ] {
            assert_eq!(why(address, kind), None, "{address}");
        }
    }
}
