#![allow(clippy::unwrap_used)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::cluster::condition::Verdict;
use crate::cluster::report::Change as News;
use crate::config::model::{Check, Health, Script, Track, TrackScript, samples};
use crate::vrrp::warden::tests::router;

const LONG: Duration = Duration::from_secs(20);

fn checked(name: &str) -> Arc<Cluster> {
    let mut model = samples::cluster(name, vec![samples::node("r1", 5672)]);
    model.health = Health { checks: vec![Check::Tcp], ..Health::default() }.into();
    Arc::new(Cluster::new(&model))
}

fn tracker(track: Track, cluster: &Arc<Cluster>, accepts: &Arc<AtomicBool>) -> Tracker {
    let router = Arc::new(VirtualRouter { track, ..router() });
    let accepts = accepts.clone();
    let sources = Sources {
        clusters: {
            let cluster = cluster.clone();
            Box::new(move |name| (*name == cluster.name).then(|| cluster.clone()))
        },
        listeners: Box::new(move |_| {
            (!accepts.load(Ordering::Relaxed)).then(|| "listener amqp does not accept".to_owned())
        }),
    };
    Tracker::new(&[router], sources)
}

fn of_cluster(cost: Cost) -> Track {
    Track { clusters: vec![(ClusterName("main".into()), cost)], ..Track::default() }
}

fn set(cluster: &Cluster, verdict: Verdict) -> Arc<crate::cluster::node::Node> {
    let node = cluster.nodes()[0].clone();
    node.condition.set_verdict(verdict);
    node
}

#[test]
fn a_cluster_costs_what_it_is_to_until_a_node_has_passed_and_again_when_none_does() {
    let (cluster, accepts) = (checked("main"), Arc::new(AtomicBool::new(true)));
    let mut tracker = tracker(of_cluster(Cost::Weight(40)), &cluster, &accepts);
    let now = Instant::now();
    assert_eq!(tracker.burdens(now)[0].penalty, 40, "nothing is known");
    set(&cluster, Verdict::Up);
    assert_eq!(tracker.burdens(now), [Burden::default()]);
    set(&cluster, Verdict::Down);
    assert_eq!(tracker.burdens(now)[0].penalty, 40);
    set(&cluster, Verdict::Up);
    assert_eq!(tracker.burdens(now)[0].penalty, 40);
    assert_eq!(tracker.burdens(now + HOLD), [Burden::default()]);
}

#[test]
fn without_checks_a_cluster_counts_by_what_clients_meet() {
    let mut model = samples::cluster("main", vec![samples::node("r1", 5672)]);
    model.health = Health { checks: Vec::new(), ..Health::default() }.into();
    let cluster = Arc::new(Cluster::new(&model));
    let accepts = Arc::new(AtomicBool::new(true));
    let mut tracker = tracker(of_cluster(Cost::Fault), &cluster, &accepts);
    let now = Instant::now();
    assert_eq!(tracker.burdens(now), [Burden::default()]);
    cluster.nodes()[0].failed(now);
    let fault = tracker.burdens(now).remove(0).fault;
    assert_eq!(fault.as_deref(), Some("cluster main has no usable node"));
}

#[test]
fn listeners_and_clusters_add_up() {
    let (cluster, accepts) = (checked("main"), Arc::new(AtomicBool::new(false)));
    set(&cluster, Verdict::Down);
    let track = Track { listeners: Some(Cost::Weight(100)), ..of_cluster(Cost::Weight(40)) };
    let mut tracker = tracker(track, &cluster, &accepts);
    let now = Instant::now();
    assert_eq!(tracker.burdens(now)[0].penalty, 140);
    accepts.store(true, Ordering::Relaxed);
    assert_eq!(tracker.burdens(now)[0].penalty, 40);
}

/// What a tracker that runs tells.
async fn told(
    tracker: Tracker,
    news: broadcast::Receiver<HealthEvent>,
    mut is: impl FnMut(&Burden) -> bool,
) -> Duration {
    let (heard, mut burdens) = mpsc::unbounded_channel();
    let begun = Instant::now();
    let (_changes, changed) = mpsc::channel(1);
    let running = tracker.run(move |_, burden| drop(heard.send(burden)), news, changed);
    let awaited = async {
        while !is(&burdens.recv().await.unwrap()) {}
        begun.elapsed()
    };
    tokio::select! {
        () = running => panic!("it has ended"),
        took = tokio::time::timeout(LONG, awaited) => took.unwrap(),
    }
}

#[tokio::test]
async fn news_of_a_node_is_told_at_once() {
    let (cluster, accepts) = (checked("main"), Arc::new(AtomicBool::new(true)));
    let node = set(&cluster, Verdict::Up);
    let mut tracker = tracker(of_cluster(Cost::Weight(40)), &cluster, &accepts);
    assert_eq!(tracker.burdens(Instant::now()), [Burden::default()]);
    let (news, hears) = broadcast::channel(4);
    let at = Arc::new(Mutex::new(Instant::now()));
    let when = at.clone();
    let telling = async move {
        // So that its looks of each second are not what tells it.
        tokio::time::sleep(Duration::from_millis(100)).await;
        node.condition.set_verdict(Verdict::Down);
        *when.lock().unwrap() = Instant::now();
        news.send(HealthEvent { node, change: News::Down { reason: "tcp".into() } }).unwrap();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = telling => {}
        _ = told(tracker, hears, |burden| burden.penalty == 40) => {}
    }
    println!("told {:?} after the verdict (criterion: 50 ms)", at.lock().unwrap().elapsed());
}

fn script(text: &str, timeout: Duration) -> Track {
    let command = ["/bin/sh", "-c", text].map(str::to_owned).to_vec();
    let script = TrackScript {
        script: Script { command, timeout },
        interval: Duration::from_millis(50),
        rise: 2,
        fall: 2,
        cost: Cost::Weight(20),
    };
    Track { script: Some(script), ..Track::default() }
}

#[tokio::test]
async fn a_script_costs_its_weight_until_it_has_succeeded_and_while_it_fails() {
    let directory = tempfile::tempdir().unwrap();
    let flag = directory.path().join("flag");
    let text = format!("test \"$VRRP_NAME\" = amqp && test ! -e {}", flag.display());
    let (cluster, accepts) = (checked("main"), Arc::new(AtomicBool::new(true)));
    let mut tracker = tracker(script(&text, LONG), &cluster, &accepts);
    assert_eq!(tracker.burdens(Instant::now())[0].penalty, 20, "it has not run");
    let (_news, hears) = broadcast::channel(4);
    let mut step = 0;
    told(tracker, hears, |burden| {
        match (step, burden.penalty) {
            (0, 0) => std::fs::write(&flag, "").unwrap(),
            (1, 20) => std::fs::remove_file(&flag).unwrap(),
            (2, 0) => return true,
            other => panic!("{other:?}"),
        }
        step += 1;
        false
    })
    .await;
}

#[tokio::test]
async fn a_script_that_hangs_fails() {
    let (cluster, accepts) = (checked("main"), Arc::new(AtomicBool::new(true)));
    let text = "test -e /nonexistent || sleep 600";
    let mut track = script(text, Duration::from_millis(50));
    track.listeners = Some(Cost::Weight(1));
    let mut tracker = tracker(track, &cluster, &accepts);
    let _ = tracker.burdens(Instant::now());
    accepts.store(false, Ordering::Relaxed);
    let (_news, hears) = broadcast::channel(4);
    told(tracker, hears, |burden| burden.penalty == 21).await;
}

#[test]
fn what_is_known_stays_known_across_a_change_and_one_thing_more_costs_nothing_before_it_is_known() {
    let (cluster, accepts) = (checked("main"), Arc::new(AtomicBool::new(true)));
    let mut tracker = tracker(of_cluster(Cost::Weight(40)), &cluster, &accepts);
    let now = Instant::now();
    set(&cluster, Verdict::Up);
    assert_eq!(tracker.burdens(now), [Burden::default()]);
    set(&cluster, Verdict::Down);
    assert_eq!(tracker.burdens(now)[0].penalty, 40);
    set(&cluster, Verdict::Up);
    let track = Track { listeners: Some(Cost::Fault), ..of_cluster(Cost::Weight(30)) };
    let changed = Arc::new(VirtualRouter { track, ..router() });
    let added = VirtualRouter { name: "added".into(), track: of_cluster(Cost::Fault), ..router() };
    tracker.change(&[Arc::new(added), changed]);
    let burdens = tracker.burdens(now);
    assert_eq!(burdens[0], Burden::default());
    assert_eq!(burdens[1].penalty, 30, "it has not been well for long enough");
    assert_eq!(tracker.burdens(now + HOLD)[1], Burden::default());
    let unknown = checked("other");
    tracker.sources.clusters = Box::new(move |_| Some(unknown.clone()));
    let other = |name: &str| {
        let clusters = vec![(ClusterName("other".into()), Cost::Fault)];
        let track = Track { clusters, ..Track::default() };
        Arc::new(VirtualRouter { name: name.into(), track, ..router() })
    };
    tracker.change(&[other("amqp"), other("new")]);
    let burdens = tracker.burdens(now);
    assert_eq!(burdens[0], Burden::default(), "it serves");
    assert!(burdens[1].fault.is_some(), "it has not begun");
}

#[tokio::test]
async fn a_script_runs_on_across_a_change_and_another_one_takes_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let count = |file: &str| {
        let text = std::fs::read_to_string(directory.path().join(file)).unwrap_or_default();
        text.lines().count()
    };
    let says = |file: &str| {
        script(&format!("echo >> {}/{file}; sleep 600", directory.path().display()), LONG)
    };
    let (cluster, accepts) = (checked("main"), Arc::new(AtomicBool::new(true)));
    let tracker = tracker(says("first"), &cluster, &accepts);
    let (_news, hears) = broadcast::channel(4);
    let (changes, changed) = mpsc::channel(1);
    let running = tracker.run(|_, _| {}, hears, changed);
    let change = async |track: Track| {
        let (told, heard) = tokio::sync::oneshot::channel();
        let routers = vec![Arc::new(VirtualRouter { track, priority: 9, ..router() })];
        let then = Box::new(move |burdens: Vec<Burden>| drop(told.send(burdens)));
        changes.send(Change { routers, then }).await.unwrap();
        heard.await.unwrap()
    };
    let until = async |is: &dyn Fn() -> bool| {
        while !is() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let steps = async {
        until(&|| count("first") == 1).await;
        let mut same = says("first");
        same.script.as_mut().unwrap().cost = Cost::Weight(7);
        assert_eq!(change(same).await[0].penalty, 7, "it has not ended yet");
        assert_eq!(change(says("second")).await[0].penalty, 0, "nothing is known of this one");
        until(&|| count("second") == 1).await;
        assert_eq!(count("first"), 1);
    };
    tokio::select! {
        () = running => panic!("it has ended"),
        done = tokio::time::timeout(LONG, steps) => done.unwrap(),
    }
}
