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
use tokio::time::sleep_until;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::warden::Burden;
use crate::cluster::Cluster;
use crate::cluster::condition::Fitness;
use crate::cluster::report::HealthEvent;
use crate::config::model::{ClusterName, Cost, Track, TrackScript, VirtualRouter};
use verdict::Standing;

/// How long a listener or a cluster has to be well again before that counts.
const HOLD: Duration = Duration::from_secs(1);
/// How often everything is looked at that tells nothing by itself.
const LOOK: Duration = Duration::from_secs(1);

/// Finds a cluster.
pub type ClusterByName = Box<dyn Fn(&ClusterName) -> Option<Arc<Cluster>> + Send>;

/// Where it is to be seen how things are.
pub struct Sources {
    /// The cluster with this name, as it is now.
    pub clusters: ClusterByName,
    /// Why this gateway does not accept clients, if it does not.
    pub listeners: Box<dyn Fn(Instant) -> Option<String> + Send>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// The configuration is another: these are the virtual routers from now on.
pub struct Change {
    /// They, in its order.
    pub routers: Vec<Arc<VirtualRouter>>,
    /// Is told what each has to bear right now, before anything else is told.
    pub then: Box<dyn FnOnce(Vec<Burden>) + Send>,
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Change").field("routers", &self.routers).finish_non_exhaustive()
    }
}

/// What a virtual router tracks.
#[derive(Debug)]
struct Load {
    router: Arc<VirtualRouter>,
    things: Vec<Thing>,
    /// The script, while it is run, and what its results are marked with.
    running: Option<AbortOnDropHandle<()>>,
    mark: u64,
    /// As it was told last.
    burden: Burden,
}

/// A tracked thing.
#[derive(Debug)]
struct Thing {
    what: What,
    cost: Cost,
    standing: Standing,
    /// Is it taken for well as long as nothing is known of it? A virtual router that serves is not to leave because it
    /// tracks one thing more.
    trusted: bool,
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
    /// Marks of scripts that were given.
    marks: u64,
}

impl Tracker {
    /// Of these virtual routers. Nothing counts as well before it has been seen to be.
    #[must_use]
    pub fn new(routers: &[Arc<VirtualRouter>], sources: Sources) -> Self {
        let loads = routers.iter().map(|router| Load::new(router, None)).collect();
        Self { loads, sources, marks: 0 }
    }

    /// These are the virtual routers from now on. What is known of a thing that is still tracked stays known.
    fn change(&mut self, routers: &[Arc<VirtualRouter>]) {
        let mut before = std::mem::take(&mut self.loads);
        let loads = routers.iter().map(|router| {
            let former = before.iter().position(|load| load.router.name == router.name);
            Load::new(router, former.map(|at| before.remove(at)))
        });
        self.loads = loads.collect();
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
        bear: impl Fn(&Arc<str>, Burden),
        mut news: broadcast::Receiver<HealthEvent>,
        mut changes: mpsc::Receiver<Change>,
    ) {
        let (told, mut results) = mpsc::channel(16);
        loop {
            self.run_scripts(&told);
            let now = Instant::now();
            for (index, burden) in self.look(now) {
                bear(&self.loads[index].router.name, burden);
            }
            let holds = self.loads.iter().flat_map(|load| &load.things);
            let next =
                holds.filter_map(|thing| thing.standing.next()).fold(now + LOOK, Instant::min);
            tokio::select! {
                // One that was too slow for them looks at everything, too.
                event = news.recv() => if let Err(RecvError::Closed) = event {
                    return;
                },
                Some((mark, result)) = results.recv() => self.said(mark, result),
                Some(Change { routers, then }) = changes.recv() => {
                    self.change(&routers);
                    then(self.burdens(Instant::now()));
                }
                () = sleep_until(next.into()) => {}
            }
        }
    }

    /// Starts those that do not run yet.
    fn run_scripts(&mut self, told: &mpsc::Sender<(u64, Option<String>)>) {
        for load in self.loads.iter_mut().filter(|load| load.running.is_none()) {
            let Some(track) = load.router.track.script.clone() else { continue };
            self.marks += 1;
            let (mark, name, told) = (self.marks, load.router.name.clone(), told.clone());
            let run = script::run(track, name, move |result| {
                let told = told.clone();
                async move { drop(told.send((mark, result)).await) }
            });
            load.mark = mark;
            load.running = Some(AbortOnDropHandle::new(tokio::spawn(run)));
        }
    }

    fn said(&mut self, mark: u64, result: Option<String>) {
        let loads = self.loads.iter_mut().filter(|load| load.mark == mark);
        for thing in loads.flat_map(|load| &mut load.things) {
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
    /// `former`: what was known of it.
    fn new(router: &Arc<VirtualRouter>, former: Option<Self>) -> Self {
        let track = &router.track;
        let same_script = former.as_ref().is_some_and(|former| former.runs(track));
        let mut former = former;
        let mut running = former.as_mut().and_then(|former| former.running.take());
        running.take_if(|_| !same_script);
        let (mark, burden) =
            former.as_ref().map_or_else(Default::default, |f| (f.mark, f.burden.clone()));
        let trusted = former.is_some();
        let mut known = former.map(|former| former.things).unwrap_or_default();
        if !same_script {
            known.retain(|thing| !matches!(thing.what, What::Script(_)));
        }
        let mut things = Vec::new();
        let mut add = |what: What, cost, unknown: String, hold| {
            let at = known.iter().position(|thing| thing.what.is(&what));
            things.push(match at.map(|at| known.remove(at)) {
                Some(thing) => Thing { cost, ..thing },
                None => Thing { what, cost, standing: Standing::new(unknown, hold), trusted },
            });
        };
        if let Some(cost) = track.listeners {
            add(What::Listeners, cost, "clients are not accepted yet".to_owned(), HOLD);
        }
        for (name, cost) in &track.clusters {
            add(What::Cluster(name.clone()), *cost, unknown(name), HOLD);
        }
        if let Some(script) = &track.script {
            let unknown = "the script has not ended yet".to_owned();
            let what = What::Script((!trusted).then(|| unknown.clone()));
            add(what, script.cost, unknown, Duration::ZERO);
        }
        Self { router: router.clone(), things, running, mark, burden }
    }

    /// Does its script run as these settings have it?
    fn runs(&self, track: &Track) -> bool {
        let run = |track: &Track| {
            track.script.clone().map(|script| TrackScript { cost: Cost::Fault, ..script })
        };
        self.running.is_some() && run(&self.router.track) == run(track)
    }
}

impl What {
    /// Is it the same thing?
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Cluster(one), Self::Cluster(other)) => one == other,
            (Self::Listeners, Self::Listeners) | (Self::Script(_), Self::Script(_)) => true,
            _ => false,
        }
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
                    Some(cluster) if is_unknown(&cluster) && self.trusted => None,
                    Some(cluster) if is_unknown(&cluster) => Some(unknown(name)),
                    Some(_) => Some(format!("cluster {name} has no usable node")),
                    // It is just leaving the configuration, and its tracking with it.
                    None => self.standing.wrong().map(str::to_owned),
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
