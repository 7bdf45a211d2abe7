//! A node of three comes to harm in every way we know. Each time the gateway comes to the right verdict in time and
//! says why, and a client that publishes through it loses nothing that was confirmed to it, and is soon served again.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use integration::ports::PortBlock;
use integration::steady::{Steady, declare_quorum_queue, drain_queue};
use integration::{GatewayProcess, RabbitCluster, wait};
use tokio::time::Instant;

/// Two seconds between rounds, three bad ones make a node down, a check may take two seconds.
const VERDICT_AFTER: Duration = Duration::from_secs(3 * 2 + 2);
/// What a busy machine may add to that.
const SLACK: Duration = Duration::from_secs(20);
/// When a client must be served again after the verdict.
const SERVED_AFTER: Duration = Duration::from_secs(10);

/// A cluster whose first node comes to harm while it is the one that serves.
struct Patient {
    cluster: RabbitCluster,
    gateway: GatewayProcess,
    address: SocketAddr,
    _ports: PortBlock,
}

/// What comes to a node, and what it must lead to.
struct Harm {
    what: &'static str,
    verdict: Verdict,
    /// The message of the log line about the node, and what else stands in it.
    says: (&'static str, &'static str),
    /// The reason under which `node_probe_failures_total` counts, where a check fails.
    counts: Option<&'static str>,
    /// Can clients be served on another node meanwhile?
    elsewhere: bool,
}

/// What the gateway makes of it.
#[derive(Clone, Copy)]
enum Verdict {
    /// `node_up` is 0.
    Down,
    /// `node_state` shows this.
    State(&'static str),
    /// `node_up` stays 1, though a check fails.
    StaysUp,
}

impl Patient {
    async fn start() -> Self {
        Self::with("patient", "").await
    }

    /// A cluster of this name whose nodes have these lines in their configuration.
    async fn with(name: &str, conf: &str) -> Self {
        let cluster = RabbitCluster::builder(name).nodes(3).extra_conf(conf).start().await.unwrap();
        let ports = PortBlock::claim().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], ports.port(0)));
        let admin = ports.port(1);
        let mut config = format!(
            r#"
[gateway]
name = "gw"
[log]
format = "json"
[admin]
bind = "127.0.0.1:{admin}"
[listener.amqp]
bind = "{address}"
cluster = "{name}"
[cluster.{name}]
balance = "first"
[cluster.{name}.health]
interval = "2s"
fast_interval = "500ms"
timeout = "2s"
rise = 2
fall = 3
checks = ["tcp", "amqp", "management"]
username = "admin"
password = "admin"
"#
        );
        for n in 1..=3 {
            let (address, management) = (cluster.amqp_addr(n), cluster.mgmt_url(n));
            write!(
                config,
                "[cluster.{name}.node.n{n}]\naddress = \"{address}\"\n\
                 management = \"{management}\"\n"
            )
            .unwrap();
        }
        let gateway = GatewayProcess::start(&config).await.unwrap();
        let patient = Self { cluster, gateway, address, _ports: ports };
        patient.all_up().await;
        patient
    }

    async fn is_up(&self, node: &str) -> bool {
        let label = format!("node=\"{node}\"");
        self.gateway.metric("amqp_gateway_node_up", &[&label]).await.is_ok_and(|up| up == 1.0)
    }

    async fn all_up(&self) {
        let up = async || {
            let mut up = 0;
            for node in ["n1", "n2", "n3"] {
                up += usize::from(self.is_up(node).await);
            }
            up == 3
        };
        let waited = wait::until("all nodes to be up", Duration::from_secs(60), up).await;
        waited.unwrap_or_else(|error| panic!("{error}\n{}", self.gateway.log()));
    }

    /// How often checks of the first node have failed with this reason.
    async fn failures(&self, reason: &str) -> f64 {
        let labels = ["node=\"n1\"", &format!("reason=\"{reason}\"")];
        let counted = self.gateway.metric("amqp_gateway_node_probe_failures_total", &labels).await;
        counted.unwrap_or_default()
    }

    async fn reached(&self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Down => !self.is_up("n1").await,
            Verdict::StaysUp => self.is_up("n1").await,
            Verdict::State(state) => {
                let labels = ["node=\"n1\"", &format!("state=\"{state}\"")];
                let shown = self.gateway.metric("amqp_gateway_node_state", &labels).await;
                shown.is_ok_and(|shown| shown == 1.0)
            }
        }
    }

    /// Does harm to the first node while a client publishes through it, and undoes it again.
    async fn suffers(
        &self,
        harm: Harm,
        does: impl AsyncFn(&RabbitCluster),
        cure: impl AsyncFn(&RabbitCluster),
    ) {
        let Harm { what, verdict, says, counts, elsewhere } = harm;
        let queue = format!("steady {what}");
        declare_quorum_queue(self.cluster.amqp_addr(2), &queue).await.unwrap();
        let steady = Steady::start(self.address, &queue);
        self.served(&steady, "before").await;
        let failures = self.failures(counts.unwrap_or_default()).await;
        let (lines, began) = (self.gateway.json_lines().len(), Instant::now());
        does(&self.cluster).await;
        let harmed = Instant::now();
        let judged = async || {
            let counted = match counts {
                Some(reason) => self.failures(reason).await > failures,
                None => true,
            };
            counted && self.reached(verdict).await && self.has_said(lines, says)
        };
        let what_for = format!("the verdict on {what}");
        let waited = wait::until(what_for, VERDICT_AFTER + SLACK, judged).await;
        waited.unwrap_or_else(|error| panic!("{error}\n{}", self.gateway.log()));
        let judged = Instant::now();
        let served = match elsewhere {
            true => Some(self.served(&steady, what).await.saturating_duration_since(judged)),
            false => None,
        };
        cure(&self.cluster).await;
        self.all_up().await;
        self.served(&steady, "after").await;
        let done = steady.done();
        drop(steady);
        println!(
            "{what}: verdict {:.1?} after the harm was done (it took {:.1?}), served {served:.1?} after that; {} \
             confirmed, {} connections lost: {:?}",
            judged - harmed,
            harmed - began,
            done.confirmed.len(),
            done.losses.len(),
            done.losses,
        );
        assert!(served.is_none_or(|served| served <= SERVED_AFTER), "{what}: {served:?}");
        let there = drain_queue(self.cluster.amqp_addr(2), &queue).await.unwrap();
        let lost: Vec<_> = done.confirmed.difference(&there).collect();
        assert!(lost.is_empty(), "{what}: confirmed and lost: {lost:?}");
    }

    /// Waits until the publisher has some more confirms: when the first of them came.
    async fn served(&self, steady: &Steady, what: &str) -> Instant {
        let before = steady.count();
        let first = std::cell::Cell::new(None);
        let more = async || {
            let count = steady.count();
            if count > before && first.get().is_none() {
                first.set(Some(Instant::now()));
            }
            count >= before + 5
        };
        let waited = wait::until(format!("confirms, {what}"), Duration::from_secs(40), more).await;
        waited.unwrap_or_else(|error| {
            panic!("{error}: {:?}\n{}", steady.done().losses, self.gateway.log())
        });
        first.get().unwrap()
    }

    /// Has the log told this of the first node since line `since`?
    fn has_said(&self, since: usize, (message, more): (&str, &str)) -> bool {
        self.gateway.json_lines().iter().skip(since).any(|line| {
            line["node"] == "n1" && line["message"] == message && line.to_string().contains(more)
        })
    }
}

const DOWN: &str = "node is down";

#[tokio::test]
async fn every_harm_to_a_node_leads_to_its_verdict_and_clients_are_served_elsewhere() {
    let patient = Patient::start().await;
    let harm = |what, verdict, says, counts| Harm { what, verdict, says, counts, elsewhere: true };
    patient
        .suffers(
            harm("kill -9", Verdict::Down, (DOWN, "refused"), Some("refused")),
            async |c| c.kill_node(1).await.unwrap(),
            async |c| c.start_node(1).await.unwrap(),
        )
        .await;
    patient
        .suffers(
            harm("a hang", Verdict::Down, (DOWN, "no answer within 2s"), Some("timeout")),
            async |c| c.pause_node(1).await.unwrap(),
            async |c| c.resume_node(1).await.unwrap(),
        )
        .await;
    patient
        .suffers(
            harm("stop_app", Verdict::Down, (DOWN, "it is shutting down"), Some("refused")),
            async |c| drop(c.ctl(1, &["stop_app"]).await.unwrap()),
            async |c| drop(c.ctl(1, &["start_app"]).await.unwrap()),
        )
        .await;
    patient
        .suffers(
            harm(
                "maintenance",
                Verdict::State("maintenance"),
                ("node is in maintenance: no new sessions", ""),
                Some("refused"),
            ),
            async |c| drain(c, 1).await,
            async |c| drop(c.tool(1, "rabbitmq-upgrade", &["revive"]).await.unwrap()),
        )
        .await;
    let alarm = ("node is in alarm: its cluster takes no messages", "\"memory\":true");
    patient
        .suffers(
            // The broker blocks publishers on every node: no gateway can help.
            Harm { elsewhere: false, ..harm("an alarm", Verdict::State("alarm"), alarm, None) },
            async |c| watermark(c, "0.00001").await,
            async |c| watermark(c, "0.4").await,
        )
        .await;
    patient
        .suffers(
            harm(
                "a management port that is cut",
                Verdict::StaysUp,
                ("check fails: it does not count while AMQP works", "refused"),
                Some("refused"),
            ),
            async |c| eval(c, "application:stop(rabbitmq_management).").await,
            async |c| eval(c, "application:start(rabbitmq_management).").await,
        )
        .await;
    patient
        .suffers(
            harm(
                "a wrong monitoring password",
                Verdict::StaysUp,
                ("check cannot be made: it does not count", "password"),
                Some("login"),
            ),
            async |c| drop(c.ctl(2, &["change_password", "admin", "changed"]).await.unwrap()),
            async |c| drop(c.ctl(2, &["change_password", "admin", "admin"]).await.unwrap()),
        )
        .await;
    patient
        .suffers(
            harm(
                "a vhost that is down",
                Verdict::Down,
                (DOWN, "Some virtual hosts are down: billing"),
                Some("vhost-down"),
            ),
            async |c| eval(c, STOP_BILLING).await,
            async |c| drop(c.ctl(1, &["restart_vhost", "-p", "billing"]).await.unwrap()),
        )
        .await;
}

/// Ends what serves the vhost `billing` on one node, as a broken message store does.
const STOP_BILLING: &str = "{ok, Vhost} = rabbit_vhost_sup_sup:get_vhost_sup(<<\"billing\">>), \
    [supervisor:terminate_child(rabbit_vhost_sup_sup, Child) || \
    {_, Child, _, _} <- supervisor:which_children(rabbit_vhost_sup_sup), \
    lists:keymember(Vhost, 2, supervisor:which_children(Child))].";

#[tokio::test]
async fn after_a_partition_only_the_smaller_side_is_down() {
    // A node that hangs for longer than this is given up by the others; when it is back, it is parted from them.
    let patient = Patient::with("parted", "net_ticktime = 4\n").await;
    let cluster = &patient.cluster;
    cluster.pause_node(1).await.unwrap();
    let given_up = async || {
        let mut others = 0;
        for n in [2, 3] {
            let running = cluster.ctl(n, &["eval", "length(rabbit_nodes:all_running())."]).await;
            others += usize::from(running.is_ok_and(|count| count.trim() == "2"));
        }
        others == 2
    };
    wait::until("the others to give it up", Duration::from_secs(60), given_up).await.unwrap();
    cluster.resume_node(1).await.unwrap();
    let minority = Verdict::State("minority");
    let found = async || {
        patient.reached(minority).await
            && !patient.is_up("n1").await
            && patient.is_up("n2").await
            && patient.is_up("n3").await
            && patient.has_said(0, ("node is on the smaller side of a partition", ""))
    };
    let waited = wait::until("the minority", Duration::from_secs(60), found).await;
    waited.unwrap_or_else(|error| panic!("{error}\n{}", patient.gateway.log()));
    cluster.stop_node(1).await.unwrap();
    cluster.start_node(1).await.unwrap();
    patient.all_up().await;
}

/// Puts a node into maintenance.
///
/// The tool crashes now and then, when a connection that it closes is ending at that moment; the node is drained by then
/// or with the next attempt.
pub(crate) async fn drain(cluster: &RabbitCluster, n: usize) {
    let drained = async || cluster.tool(n, "rabbitmq-upgrade", &["drain"]).await.is_ok();
    wait::until("the node to be drained", Duration::from_secs(60), drained).await.unwrap();
}

async fn watermark(cluster: &RabbitCluster, fraction: &str) {
    cluster.ctl(1, &["set_vm_memory_high_watermark", fraction]).await.unwrap();
}

async fn eval(cluster: &RabbitCluster, expression: &str) {
    cluster.ctl(1, &["eval", expression]).await.unwrap();
}
