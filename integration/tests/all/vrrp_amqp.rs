//! What a client that publishes with confirms notices of an address that moves: nothing confirmed is lost, and it
//! publishes again within a second. The figures are the longest times between two confirms: the takeover, the client's
//! noticing it, its reconnect, and what the broker needs for the first message. `VRRP_RUNS` repeats all events.
//!
//! ```text
//!   client --- bridge --- gw1 (priority 100) --- a link of its own, 10.78.0.0/24 --- broker: RabbitMQ
//!                   \---- gw2 (priority 90)  --- the bridge ------------------------/
//! ```
//!
//! gw1 reaches RabbitMQ by a link of its own: without the bridge it still has its cluster and stays active, and without
//! that link it has clients and no cluster.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use integration::rabbit::RabbitCluster;
use integration::vrrp_lab::*;

use super::vrrp_member::{INTERVAL, LONG, runs};
use super::vrrp_publisher::{Notes, Publisher, declare_queue, drain_queue};
use super::vrrp_setup::watch;

const CRITERION: Duration = Duration::from_secs(1);
/// What is asserted: other tests may have the machine for seconds.
const BOUND: Duration = Duration::from_secs(15);
/// The broker at the link that only gw1 has.
const BEHIND: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 60);

/// Two gateways, RabbitMQ behind them, and a client at work.
struct Scene {
    first: Option<Gateway>,
    _second: Gateway,
    publisher: Publisher,
    rabbit: RabbitCluster,
    lab: Lab,
}

impl Scene {
    fn set(lab: Lab) -> Result<Self> {
        let broker = lab.full_name(BROKER)?;
        lab.ip("gw1", &format!("link add eth1 type veth peer name eth1 netns {broker}"))?;
        for (namespace, host) in [("gw1", 11), (BROKER, 60)] {
            lab.ip(namespace, &format!("addr add 10.78.0.{host}/24 dev eth1"))?;
            lab.ip(namespace, "link set eth1 up")?;
        }
        let rabbit = lab.inside_async(BROKER, || async {
            let node =
                RabbitCluster::builder("shared").extra_conf("listeners.tcp.2 = 0.0.0.0:5672");
            let rabbit = node.start().await?;
            declare_queue(rabbit.amqp_addr(1)).await?;
            anyhow::Ok(rabbit)
        })??;
        fs::write(lab.dir()?.join("well"), "")?;
        let first = Some(Gateway::start(&lab, "gw1", &config(lab.dir()?, 1))?);
        let second = Gateway::start(&lab, "gw2", &config(lab.dir()?, 2))?;
        lab.wait_for_holder("gw1", VIP, LONG)?;
        let publisher = Publisher::start(&lab, SocketAddr::new(VIP, 5672))?;
        publisher.wait_steady(LONG)?;
        Ok(Self { first, _second: second, publisher, rabbit, lab })
    }

    fn first(&mut self) -> Result<&mut Gateway> {
        self.first.as_mut().context("gw1 does not run")
    }

    /// Ends gw1 for good and starts it anew.
    fn restart_first(&mut self) -> Result<()> {
        self.first = None;
        self.first = Some(Gateway::start(&self.lab, "gw1", &config(self.lab.dir()?, 1))?);
        Ok(())
    }

    /// Takes this from gw1's cluster, or gives it back.
    fn link_behind(&self, state: &str) -> Result<()> {
        self.lab.ip("gw1", &format!("link set eth1 {state}"))
    }

    /// Makes the script of gw1 fail, or well again.
    fn script(&self, well: bool) -> Result<()> {
        let file = self.lab.dir()?.join("well");
        let done = if well { fs::write(file, "") } else { fs::remove_file(file) };
        done.context("the file of the script")
    }
}

fn config(dir: &Path, number: u8) -> String {
    let priority = 110 - 10 * u16::from(number);
    let node = if number == 1 { BEHIND } else { Ipv4Addr::new(10, 77, 0, 60) };
    // What the script of gw1 finds is for the test to say; that of gw2 is always content.
    let script = if number == 1 { dir.join("well") } else { dir.to_owned() };
    format!(
        "[gateway]
name = \"gw{number}\"
workers = 1
drain_timeout = \"5s\"
[listener.amqp]
bind = [\"{VIP}:5672\"]
cluster = \"main\"
[cluster.main.node.r1]
address = \"{node}:5672\"
[cluster.main.health]
interval = \"200ms\"
fast_interval = \"100ms\"
timeout = \"2s\"
fall = 2
[vrrp.amqp]
interface = \"eth0\"
virtual_router_id = 51
priority = {priority}
addresses = [\"{VIP}\"]
version = 3
advertisement_interval = \"{interval}ms\"
[vrrp.amqp.track]
cluster = {{ name = \"main\", weight = 40 }}
script = {{ command = [\"test\", \"-e\", {script:?}], interval = \"200ms\", timeout = \"2s\", fall = 2, weight = 40 }}
",
        interval = INTERVAL.as_millis()
    )
}

/// What happens to gw1, and how that is made good again.
struct Event {
    name: &'static str,
    hurt: fn(&mut Scene) -> Result<()>,
    heal: fn(&mut Scene) -> Result<()>,
    /// Whether gw1 knows nothing of it, and so still has the address.
    unnoticed: bool,
}

const EVENTS: &[Event] = &[
    Event {
        name: "crash (kill -9 of the gateway process)",
        hurt: |scene| scene.first()?.kill_gateway(),
        heal: Scene::restart_first,
        unnoticed: false,
    },
    Event {
        name: "crash (kill -9 of both processes)",
        hurt: |scene| scene.first()?.kill_both(),
        heal: Scene::restart_first,
        unnoticed: true,
    },
    Event {
        name: "goodbye (SIGTERM)",
        hurt: |scene| scene.first()?.terminate(),
        heal: |scene| {
            scene.first()?.wait_for_log("stopped", LONG)?;
            scene.restart_first()
        },
        unnoticed: false,
    },
    Event {
        name: "link cut",
        hurt: |scene| scene.lab.cut("gw1"),
        heal: |scene| scene.lab.heal("gw1"),
        unnoticed: false,
    },
    Event {
        name: "silent partition",
        hurt: |scene| scene.lab.isolate("gw1"),
        heal: |scene| scene.lab.heal("gw1"),
        unnoticed: true,
    },
    Event {
        name: "pause (SIGSTOP of both processes)",
        hurt: |scene| scene.first()?.pause(),
        heal: |scene| scene.first()?.resume(),
        unnoticed: true,
    },
    Event {
        name: "health failure (cluster)",
        hurt: |scene| scene.link_behind("down"),
        heal: |scene| scene.link_behind("up"),
        unnoticed: false,
    },
    Event {
        name: "health failure (script)",
        hurt: |scene| scene.script(false),
        heal: |scene| scene.script(true),
        unnoticed: false,
    },
];

/// Time that something lasts at least: more than two down times, as a pause and a partition should.
const LASTS: Duration = Duration::from_secs(2);

/// The event, until gw2 serves the client steadily; then the way back, until gw1 does.
fn suffer(scene: &mut Scene, event: &Event) -> Result<[[Instant; 2]; 2]> {
    let hurt = Instant::now();
    (event.hurt)(scene)?;
    let holders: &[&str] = if event.unnoticed { &["gw1", "gw2"] } else { &["gw2"] };
    scene.lab.wait_for_holders(holders, VIP, LONG)?;
    scene.publisher.wait_steady(LONG)?;
    if event.unnoticed {
        watch(LASTS.saturating_sub(hurt.elapsed()));
    }
    let heal = Instant::now();
    (event.heal)(scene)?;
    scene.lab.wait_for_holder("gw1", VIP, LONG)?;
    scene.publisher.wait_steady(LONG)?;
    Ok([[hurt, heal], [heal, Instant::now()]])
}

#[test]
fn a_publisher_with_confirms_loses_nothing_confirmed_and_goes_on_within_a_second() -> Result<()> {
    let build = || Lab::with_broker(2);
    let Some(lab) = or_skip("publisher with confirms", build) else { return Ok(()) };
    let mut scene = Scene::set(lab)?;
    let undisturbed = Instant::now();
    scene.publisher.wait_steady(LONG)?;
    let undisturbed = [undisturbed, Instant::now()];
    let mut windows = Vec::new();
    for round in 0..EVENTS.len() * runs(1) {
        let event = &EVENTS[round % EVENTS.len()];
        windows.push(suffer(&mut scene, event).with_context(|| event.name)?);
    }
    let Scene { first, _second, publisher, rabbit, lab } = scene;
    let notes = publisher.finish();
    let queue = lab.inside_async(BROKER, || drain_queue(rabbit.amqp_addr(1)))??;
    drop((first, _second, rabbit));
    let gap = notes.gap(undisturbed).as_millis();
    figure("publisher", &format!("nothing happens: up to {gap} ms from one confirm to the next"));
    let gone = |number: &&u64| !queue.contains_key(number);
    let lost: Vec<_> = notes.confirmed.iter().filter(gone).collect();
    let copies: usize = queue.values().map(|times| times - 1).sum();
    let (confirmed, count) = (notes.confirmed.len(), lost.len());
    figure(
        "publisher",
        &format!("confirmed {confirmed}, lost {count} (criterion: 0), copies {copies} (allowed)"),
    );
    for (index, event) in EVENTS.iter().enumerate() {
        let of_event = windows.iter().skip(index).step_by(EVENTS.len());
        let (away, back): (Vec<_>, Vec<_>) = of_event.map(|[away, back]| (*away, *back)).unzip();
        judge(event.name, &notes, &away)?;
        judge(&format!("{}, way back", event.name), &notes, &back)?;
    }
    ensure!(lost.is_empty(), "confirmed and lost: {lost:?}");
    Ok(())
}

/// Tells the longest times without a confirm in these windows, with what the client saw in the worst of them.
fn judge(what: &str, notes: &Notes, windows: &[[Instant; 2]]) -> Result<()> {
    let mut gaps: Vec<_> = windows.iter().map(|window| (notes.gap(*window), *window)).collect();
    gaps.sort_unstable();
    let (least, median) = (gaps[0].0.as_millis(), gaps[gaps.len() / 2].0.as_millis());
    let (worst, window) = gaps[gaps.len() - 1];
    let held = if worst <= CRITERION { "held" } else { "MISSED" };
    let (worst_ms, criterion) = (worst.as_millis(), CRITERION.as_millis());
    let (count, losses) = (gaps.len(), notes.losses(window));
    let figures = format!("{least} / {median} / {worst_ms} ms of {count}");
    figure(
        "publisher",
        &format!("{what}: {figures} (criterion: {criterion} ms, {held}); {losses}"),
    );
    ensure!(worst <= BOUND, "{what}: {worst:?} without a confirm; {losses}");
    Ok(())
}
