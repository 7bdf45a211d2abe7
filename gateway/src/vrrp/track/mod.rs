//! What virtual routers track: whether this gateway accepts clients, has nodes for them, and what scripts say.
//!
//! Interfaces are not here: the VRRP process hears of them first. Failures count at once, wellness only once it has lasted
//! (but for scripts, which have `rise` and `fall`), so that no address goes to and fro.

mod script;
pub mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tracing::{info, warn};

use super::warden::Burden;
use crate::cluster::Cluster;
use crate::cluster::condition::Fitness;
use crate::cluster::report::HealthEvent;
use crate::config::model::{ClusterName, Cost, VirtualRouter};
use verdict::Standing;

/// How long a listener or a cluster has to be well again before that counts.
const HOLD: Duration = Duration::from_secs(1);
/// How often everything is looked at that tells nothing by itself.
const LOOK: Duration = Duration::from_secs(1);

/// Where it is to be seen how things are.
pub struct Sources {
    /// A cluster, as it is now.
    pub clusters: Box<dyn Fn(&ClusterName) -> Option<Arc<Cluster>> + Send>,
    /// Why this gateway does not accept clients, if it does not.
    pub listeners: Box<dyn Fn(Instant) -> Option<String> + Send>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// What a virtual router tracks.
#[derive(Debug)]
struct Load {
    router: Arc<VirtualRouter>,
    things: Vec<Thing>,
    /// As it was told last.
    burden: Burden,
}

/// A tracked thing.
#[derive(Debug)]
struct Thing {
    what: What,
    cost: Cost,
    standing: Standing,
}

#[derive(Debug)]
enum What {
    Listeners,
    Cluster(ClusterName),
    /// What it said last.
    Script(Option<String>),
}

/// Everything that is tracked.
#[derive(Debug)]
pub struct Tracker {
    loads: Vec<Load>,
    sources: Sources,
}

impl Tracker {
    /// Of these virtual routers. Nothing counts as well before it has been seen to be.
    #[must_use]
    pub fn new(routers: &[Arc<VirtualRouter>], sources: Sources) -> Self {
        Self { loads: routers.iter().map(Load::new).collect(), sources }
    }

    /// Looks at everything, and tells what it costs each virtual router.
    pub fn burdens(&mut self, now: Instant) -> Vec<Burden> {
        self.look(now);
        self.loads.iter().map(|load| load.burden.clone()).collect()
    }

    /// Looks whenever there is news, and has `bear` told of the burden of each virtual router whose burden is another now.
    /// Runs as long as there is news to come.
    pub async fn run(
        mut self,
        bear: impl Fn(usize, Burden),
        mut news: broadcast::Receiver<HealthEvent>,
    ) {
        let (told, mut results) = mpsc::channel(16);
        let mut scripts = JoinSet::new();
        for (index, load) in self.loads.iter().enumerate() {
            if let Some(track) = &load.router.track.script {
                let (track, name, told) = (track.clone(), load.router.name.clone(), told.clone());
                scripts.spawn(script::run(track, name, move |result| {
                    let told = told.clone();
                    async move { drop(told.send((index, result)).await) }
                }));
            }
        }
        loop {
            let now = Instant::now();
            for (index, burden) in self.look(now) {
                bear(index, burden);
            }
            let holds = self.loads.iter().flat_map(|load| &load.things);
            let next =
                holds.filter_map(|thing| thing.standing.next()).fold(now + LOOK, Instant::min);
            tokio::select! {
                // One that was too slow for them looks at everything, too.
                event = news.recv() => if let Err(RecvError::Closed) = event {
                    return;
                },
                Some((index, result)) = results.recv() => self.said(index, result),
                () = sleep_until(next.into()) => {}
            }
        }
    }

    fn said(&mut self, index: usize, result: Option<String>) {
        let things = self.loads.get_mut(index).into_iter().flat_map(|load| &mut load.things);
        for thing in things {
            if let What::Script(said) = &mut thing.what {
                said.clone_from(&result);
            }
        }
    }

    /// Those whose burden is another now.
    fn look(&mut self, now: Instant) -> Vec<(usize, Burden)> {
        let mut changed = Vec::new();
        for (index, load) in self.loads.iter_mut().enumerate() {
            for thing in &mut load.things {
                let wrong = thing.wrong(&self.sources, now);
                if thing.standing.look(wrong, now) {
                    thing.log(&load.router.name);
                }
            }
            let things = load.things.iter().map(|thing| (thing.cost, thing.standing.wrong()));
            let burden = verdict::sum(things);
            if burden != load.burden {
                load.burden = burden.clone();
                changed.push((index, burden));
            }
        }
        changed
    }
}

impl Load {
    fn new(router: &Arc<VirtualRouter>) -> Self {
        let track = &router.track;
        let mut things = Vec::new();
        let mut add = |what, cost, unknown: String, hold| {
            things.push(Thing { what, cost, standing: Standing::new(unknown, hold) });
        };
        if let Some(cost) = track.listeners {
            add(What::Listeners, cost, "clients are not accepted yet".to_owned(), HOLD);
        }
        for (name, cost) in &track.clusters {
            add(What::Cluster(name.clone()), *cost, unknown(name), HOLD);
        }
        if let Some(script) = &track.script {
            let unknown = "the script has not ended yet".to_owned();
            let what = What::Script(Some(unknown.clone()));
            add(what, script.cost, unknown, Duration::ZERO);
        }
        Self { router: router.clone(), things, burden: Burden::default() }
    }
}

impl Thing {
    fn wrong(&self, sources: &Sources, now: Instant) -> Option<String> {
        match &self.what {
            What::Listeners => (sources.listeners)(now),
            What::Cluster(name) => {
                let cluster = (sources.clusters)(name);
                match cluster {
                    Some(cluster) if is_usable(&cluster, now) => None,
                    Some(cluster) if is_unknown(&cluster) => Some(unknown(name)),
                    Some(_) | None => Some(format!("cluster {name} has no usable node")),
                }
            }
            What::Script(said) => said.clone(),
        }
    }

    fn log(&self, router: &str) {
        let cost = match self.cost {
            Cost::Weight(weight) => weight.to_string(),
            Cost::Fault => "fault".to_owned(),
        };
        match self.standing.wrong() {
            Some(wrong) if self.cost == Cost::Fault => warn!("({router}) {wrong}: {cost}"),
            Some(wrong) => warn!("({router}) {wrong}: -{cost}"),
            None => {
                let what = match &self.what {
                    What::Listeners => "clients are accepted".to_owned(),
                    What::Cluster(name) => format!("cluster {name} has a usable node"),
                    What::Script(_) => "the script succeeds".to_owned(),
                };
                match self.cost {
                    Cost::Fault => info!("({router}) {what}: no fault"),
                    Cost::Weight(_) => info!("({router}) {what}: +{cost}"),
                }
            }
        }
    }
}

/// Is there a node that works? The checks decide that, which also hear of what clients meet; where there are none, what
/// clients met decides alone. A node that is full works: clients would find it no emptier from another gateway.
fn is_usable(cluster: &Cluster, now: Instant) -> bool {
    let checked = !cluster.model.health.checks.is_empty();
    let open = || {
        let nodes = cluster.nodes();
        nodes.iter().any(|n| n.condition.fitness() < Fitness::Unfit && !n.is_skipped(now))
    };
    cluster.is_ready() && (checked || open())
}

fn unknown(name: &ClusterName) -> String {
    format!("cluster {name} has no usable node yet")
}

/// Are there checks, and has no node been asked yet?
fn is_unknown(cluster: &Cluster) -> bool {
    !cluster.model.health.checks.is_empty()
        && cluster.nodes().iter().all(|node| !node.report.load().asked)
}

#[cfg(test)]
mod tests;
