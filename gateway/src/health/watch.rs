//! Watches over a cluster: a task for each of its nodes, also for those that come and go.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::GOODBYE;
use super::driver;
use super::news::News;
use crate::cluster::Cluster;
use crate::cluster::node::Node;
use crate::config::model::{Health, ManagementUrl, ProxyOut};
use crate::tls::client::Origination;

/// How often it is looked at whether the cluster has other nodes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches until told to stop.
pub(super) async fn watch(news: Arc<News>, gateway: Arc<str>, stop: CancellationToken) {
    let (drivers, mut driven) = (TaskTracker::new(), Vec::<Driven>::new());
    while !stop.is_cancelled() {
        let cluster = news.cluster();
        let nodes = cluster.nodes();
        let checked = !cluster.model.health.checks.is_empty();
        let is_present = |driven: &Driven| nodes.iter().any(|node| Arc::ptr_eq(node, &driven.node));
        driven.retain(is_present);
        if !checked {
            driven.drain(..).for_each(|driven| news.unchecked(&driven.node));
        }
        for node in nodes.iter().filter(|_| checked) {
            let manner = Manner::of(node, &cluster);
            let at = driven.iter().position(|driven| Arc::ptr_eq(&driven.node, node));
            if at.is_some_and(|at| driven[at].manner.is(&manner)) {
                continue;
            }
            let before = at.map(|at| driven.swap_remove(at));
            let stop = stop.child_token();
            let (drive_on, node) = ((news.clone(), gateway.clone(), stop.clone()), node.clone());
            let of = node.clone();
            let task = drivers.spawn(async move {
                if let Some(before) = before {
                    before.ended().await;
                }
                let (news, gateway, stop) = drive_on;
                driver::drive(of, news, gateway, stop).await;
            });
            driven.push(Driven { node, manner, stop, task });
        }
        if checked {
            news.forget_all_but(&nodes);
        }
        drop(cluster);
        tokio::select! {
            () = stop.cancelled() => {}
            () = news.replaced.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    drop(driven);
    drivers.close();
    let _ = tokio::time::timeout(2 * GOODBYE, drivers.wait()).await;
}

/// A node that has a task, which ends with this.
struct Driven {
    node: Arc<Node>,
    manner: Manner,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Driven {
    /// Ends it, and waits until it has left the node: two that ask the same at once might be in each other's way.
    async fn ended(mut self) {
        self.stop.cancel();
        let _ = tokio::time::timeout(2 * GOODBYE, &mut self.task).await;
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// How a node is asked. If that changes, the task of the node makes way for another.
struct Manner {
    health: Arc<Health>,
    proxy_protocol: ProxyOut,
    management: Option<ManagementUrl>,
    tls: [Option<Arc<Origination>>; 2],
}

impl Manner {
    fn of(node: &Node, cluster: &Cluster) -> Self {
        Self {
            health: cluster.model.health.clone(),
            proxy_protocol: cluster.model.proxy_protocol,
            management: node.management(),
            tls: [cluster.tls.clone(), cluster.https.clone()],
        }
    }

    fn is(&self, other: &Self) -> bool {
        let tls = |manner: &Self| manner.tls.each_ref().map(|tls| tls.as_ref().map(Arc::as_ptr));
        self.health == other.health
            && self.proxy_protocol == other.proxy_protocol
            && self.management == other.management
            && tls(self) == tls(other)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::SystemTime;

    use tokio::net::TcpListener;

    use crate::cluster::condition::Verdict;
    use crate::config::model::{self, Check, samples};
    use crate::health::Health;
    use crate::tls::OfCluster;

    use super::*;

    const SHORT: Duration = Duration::from_millis(10);

    async fn until(what: &str, holds: impl Fn() -> bool) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        while !holds() {
            assert!(tokio::time::Instant::now() < deadline, "{what}");
            tokio::time::sleep(SHORT).await;
        }
    }

    /// Has each node been asked since?
    fn asked(cluster: &Cluster, since: SystemTime) -> bool {
        cluster.nodes().iter().all(|node| {
            let report = node.report.load();
            report.checks.first().is_some_and(|check| check.at > since)
        })
    }

    #[tokio::test]
    async fn checks_that_are_configured_anew_take_effect_at_once_and_go_on_from_the_verdict() {
        let up = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let down = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = |of: &TcpListener| of.local_addr().expect("bound").port();
        let nodes = vec![samples::node("up", port(&up)), samples::node("down", port(&down))];
        drop(down);
        let count = |number| NonZeroU32::new(number).expect("not 0");
        let first = model::Health { fall: count(1), fast_interval: SHORT, ..Default::default() };
        let model = |health: model::Health, nodes: &[model::Node]| model::Cluster {
            health: health.into(),
            ..samples::cluster("main", nodes.to_vec())
        };
        let health = Health::new("gw".into(), Arc::default());
        let before = Arc::new(Cluster::new(&model(first.clone(), &nodes)));
        health.watch(before.clone());
        let verdicts = |of: &Cluster| {
            let nodes = of.nodes();
            nodes.iter().map(|node| node.condition.verdict()).collect::<Vec<_>>()
        };
        until("verdicts", || verdicts(&before) == [Verdict::Up, Verdict::Down]).await;

        let mut news = health.subscribe();
        let since = SystemTime::now();
        let again = model::Health { rise: count(1000), interval: SHORT, ..first };
        let after = before.next(&model(again, &nodes), OfCluster::default());
        after.take_effect(&before);
        health.watch(after.clone());
        until("asked again", || asked(&after, since)).await;
        assert_eq!(verdicts(&after), [Verdict::Up, Verdict::Down]);
        assert!(news.try_recv().is_err(), "nothing is news");

        let none = model::Health { checks: Vec::<Check>::new(), ..Default::default() };
        let unchecked = after.next(&model(none, &nodes), OfCluster::default());
        unchecked.take_effect(&after);
        health.watch(unchecked.clone());
        until("unknown again", || verdicts(&unchecked) == [Verdict::Unknown; 2]).await;
        health.leave(&unchecked.name);
        health.stop().await;
    }

    #[tokio::test]
    async fn a_change_that_is_none_of_the_checks_business_leaves_their_tasks_alone() {
        let up = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let nodes = vec![samples::node("up", up.local_addr().expect("bound").port())];
        let cluster = Arc::new(Cluster::new(&samples::cluster("main", nodes.clone())));
        let manner = |of: &Cluster| Manner::of(&of.nodes()[0], of);
        let model = model::Cluster { retry: 9, ..samples::cluster("main", nodes.clone()) };
        let next = cluster.next(&model, OfCluster::default());
        assert!(!Arc::ptr_eq(&cluster, &next) && manner(&cluster).is(&manner(&next)));
        let slow = model::Health { interval: Duration::from_secs(9), ..Default::default() };
        let model = model::Cluster { health: slow.into(), ..model };
        assert!(!manner(&next).is(&manner(&next.next(&model, OfCluster::default()))));
    }
}
