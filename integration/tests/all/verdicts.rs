//! A node of three comes to harm in every way we know. Each time the gateway comes to the right verdict in time and
//! says why, and a client that publishes through it loses nothing that was confirmed to it, and is soon served again.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use integration::ports::PortBlock;
use integration::steady::{Steady, declare_quorum_queue, drain_queue};
use integration::{GatewayProcess, RabbitCluster, wait};
use tokio::time::Instant;

use crate::front::SOON;

/// Two seconds between rounds, three bad ones make a node down, a check may take two seconds.
const VERDICT_AFTER: Duration = Duration::from_secs(3 * 2 + 2);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(4);
/// When a client must be served again after the verdict, and what a busy machine may add.
const SERVED_AFTER: Duration = Duration::from_secs(2);

/// A cluster whose first node comes to harm while it is the one that serves.
struct Patient {
    cluster: RabbitCluster,
    gateway: GatewayProcess,
    address: SocketAddr,
    _ports: PortBlock,
}

/// What a harm leads to.
#[derive(Clone, Copy)]
enum Verdict {
    /// `node_up` is 0.
    Down,
    /// `node_up` stays 1, and `node_state` shows this.
    State(&'static str),
    /// `node_up` stays 1, and `node_probe_failures_total` counts these.
    StaysUp { failures: &'static str },
}

impl Patient {
    async fn start() -> Self {
        let cluster = RabbitCluster::builder("patient").nodes(3).start().await.unwrap();
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
cluster = "patient"
[cluster.patient]
balance = "first"
[cluster.patient.health]
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
                "[cluster.patient.node.n{n}]\naddress = \"{address}\"\n\
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

    async fn reached(&self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Down => !self.is_up("n1").await,
            Verdict::State(state) => {
                let labels = ["node=\"n1\"", &format!("state=\"{state}\"")];
                let shown = self.gateway.metric("amqp_gateway_node_state", &labels).await;
                shown.is_ok_and(|shown| shown == 1.0)
            }
            Verdict::StaysUp { failures } => {
                let labels = ["node=\"n1\"", &format!("reason=\"{failures}\"")];
                let name = "amqp_gateway_node_probe_failures_total";
                let counted = self.gateway.metric(name, &labels).await;
                counted.is_ok_and(|count| count >= 3.0) && self.is_up("n1").await
            }
        }
    }

    /// Does harm to the first node while a client publishes through it, and undoes it again.
    async fn suffers(
        &self,
        what: &str,
        harm: impl AsyncFn(&RabbitCluster),
        cure: impl AsyncFn(&RabbitCluster),
        (verdict, reason): (Verdict, &str),
    ) {
        let queue = format!("steady {what}");
        declare_quorum_queue(self.cluster.amqp_addr(2), &queue).await.unwrap();
        let steady = Steady::start(self.address, &queue);
        self.served(&steady, "before").await;
        let (lines, began) = (self.gateway.json_lines().len(), Instant::now());
        harm(&self.cluster).await;
        let harmed = Instant::now();
        let what_for = format!("the verdict on {what}");
        let waited =
            wait::until(what_for, VERDICT_AFTER + SLACK, async || self.reached(verdict).await)
                .await;
        waited.unwrap_or_else(|error| panic!("{error}\n{}", self.gateway.log()));
        let judged = Instant::now();
        self.says_why(lines, reason).await;
        let served = if what == "a memory alarm" {
            // The broker blocks publishers on every node: no gateway can help.
            None
        } else {
            Some(self.served(&steady, what).await.saturating_duration_since(judged))
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
        assert!(served.is_none_or(|served| served <= SERVED_AFTER + SLACK), "{what}: {served:?}");
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

    /// The log of the gateway tells of the node since line `since`, with `reason` in it.
    async fn says_why(&self, since: usize, reason: &str) {
        let told = async || {
            self.gateway
                .json_lines()
                .iter()
                .skip(since)
                .any(|line| line["node"] == "n1" && line.to_string().contains(reason))
        };
        let waited = wait::until(format!("a log line with {reason:?}"), SOON, told).await;
        waited.unwrap_or_else(|error| panic!("{error}\n{}", self.gateway.log()));
    }
}

#[tokio::test]
async fn every_harm_to_a_node_leads_to_its_verdict_and_clients_are_served_elsewhere() {
    let patient = Patient::start().await;
    let down = |reason| (Verdict::Down, reason);
    patient
        .suffers(
            "kill -9",
            async |c| c.kill_node(1).await.unwrap(),
            async |c| c.start_node(1).await.unwrap(),
            down("refused"),
        )
        .await;
    patient
        .suffers(
            "a node that hangs",
            async |c| c.pause_node(1).await.unwrap(),
            async |c| c.resume_node(1).await.unwrap(),
            down("no answer"),
        )
        .await;
    patient
        .suffers(
            "stop_app",
            async |c| drop(c.ctl(1, &["stop_app"]).await.unwrap()),
            async |c| drop(c.ctl(1, &["start_app"]).await.unwrap()),
            down("refused"),
        )
        .await;
    patient
        .suffers(
            "maintenance",
            async |c| drop(c.tool(1, "rabbitmq-upgrade", &["drain"]).await.unwrap()),
            async |c| drop(c.tool(1, "rabbitmq-upgrade", &["revive"]).await.unwrap()),
            (Verdict::State("maintenance"), "maintenance"),
        )
        .await;
    patient
        .suffers(
            "a memory alarm",
            async |c| watermark(c, "0.00001").await,
            async |c| watermark(c, "0.4").await,
            (Verdict::State("alarm"), "memory"),
        )
        .await;
    patient
        .suffers(
            "a management port that is cut",
            async |c| eval(c, "application:stop(rabbitmq_management).").await,
            async |c| eval(c, "application:start(rabbitmq_management).").await,
            (Verdict::StaysUp { failures: "refused" }, "management"),
        )
        .await;
    patient
        .suffers(
            "a wrong monitoring password",
            async |c| drop(c.ctl(2, &["change_password", "admin", "changed"]).await.unwrap()),
            async |c| drop(c.ctl(2, &["change_password", "admin", "admin"]).await.unwrap()),
            (Verdict::StaysUp { failures: "login" }, "password"),
        )
        .await;
}

async fn watermark(cluster: &RabbitCluster, fraction: &str) {
    cluster.ctl(1, &["set_vm_memory_high_watermark", fraction]).await.unwrap();
}

async fn eval(cluster: &RabbitCluster, expression: &str) {
    cluster.ctl(1, &["eval", expression]).await.unwrap();
}
