//! Checks find out what is true of real nodes, and leave no trace in their logs.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use integration::peer::Peer;
use integration::ports::PortBlock;
use integration::{GatewayProcess, RabbitCluster, wait};
use tokio::net::TcpListener;

use crate::front::{SOON, Setup};

const PASSWORD: &str = "a password that nobody may see";

/// A single node with a user for monitoring, as docs/health.md makes it.
struct Watched {
    cluster: RabbitCluster,
    _ports: PortBlock,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Watched {
    async fn start(name: &str) -> Self {
        Self::with(name, "").await
    }

    async fn with(name: &str, conf: &str) -> Self {
        let cluster = RabbitCluster::builder(name).extra_conf(conf).start().await.unwrap();
        for line in [
            &["add_user", "health", PASSWORD][..],
            &["set_user_tags", "health", "monitoring"],
            &[
                "set_permissions",
                "health",
                "^amqp-gateway\\.health",
                "^amqp-gateway\\.health|^amq\\.default$",
                "^amqp-gateway\\.health",
            ],
        ] {
            cluster.ctl(1, line).await.unwrap();
        }
        let ports = PortBlock::claim().unwrap();
        let local = |index| SocketAddr::from(([127, 0, 0, 1], ports.port(index)));
        let (address, admin) = (local(0), local(1));
        Self { cluster, _ports: ports, address, admin }
    }

    /// A gateway whose `[cluster.main.health]` has these lines.
    async fn gateway(&self, password: &str, health: &str) -> GatewayProcess {
        let Self { cluster, address, admin, .. } = self;
        let (amqp, management) = (cluster.amqp_addr(1), cluster.mgmt_url(1));
        GatewayProcess::start(&format!(
            "[gateway]\nname = \"gw\"\n[admin]\nbind = \"{admin}\"\n\
             [listener.amqp]\nbind = \"{address}\"\n\
             [[route]]\nvhost = \"*\"\ncluster = \"main\"\n\
             [cluster.main.node.n1]\naddress = \"{amqp}\"\nmanagement = \"{management}\"\n\
             [cluster.main.health]\nusername = \"health\"\npassword = \"{password}\"\n\
             interval = \"200ms\"\nfast_interval = \"100ms\"\ntimeout = \"20s\"\n{health}\n"
        ))
        .await
        .unwrap()
    }

    async fn a_client_is_served(&self) {
        let mut client = Peer::connect(self.address).await.unwrap();
        client.open("app", "secret", "orders").await.unwrap();
        client.close().await.unwrap();
    }
}

async fn state(gateway: &GatewayProcess, state: &str) -> bool {
    let label = format!("state=\"{state}\"");
    gateway.metric("amqp_gateway_node_state", &[&label]).await.unwrap() == 1.0
}

async fn becomes(gateway: &GatewayProcess, name: &str, expected: bool) {
    let what = format!("{name} = {expected}");
    let result = wait::until(what, SOON, async || state(gateway, name).await == expected).await;
    assert!(result.is_ok(), "{}\n{}", result.unwrap_err(), gateway.log());
}

/// Checks that failed, or could not be made, for this reason.
async fn failures(gateway: &GatewayProcess, check: &str, reason: &str) -> f64 {
    let labels = [format!("check=\"{check}\""), format!("reason=\"{reason}\"")];
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    gateway.metric("amqp_gateway_node_probe_failures_total", &labels).await.unwrap()
}

#[tokio::test]
async fn a_hundred_rounds_of_all_checks_leave_the_brokers_log_as_silent_as_a_single_client() {
    let watched = Watched::start("silent").await;
    let before = watched.cluster.log(1).len();
    let counter = tempfile("rounds");
    let script = format!("script = {{ command = [\"/bin/sh\", \"-c\", \"echo >> {counter}\"] }}");
    let checks = "checks = [\"tcp\", \"amqp\", \"channel-roundtrip\", \"management\", \"script\"]";
    let mut gateway = watched.gateway(PASSWORD, &format!("{checks}\n{script}")).await;
    let rounds = async || fs::read(&counter).is_ok_and(|lines| lines.len() >= 100);
    wait::until("100 rounds", Duration::from_secs(120), rounds).await.unwrap();
    assert!(state(&gateway, "up").await, "{}", gateway.log());
    gateway.terminate().unwrap();
    assert!(gateway.wait(SOON).await.unwrap().success());
    fs::remove_file(&counter).unwrap();
    let log = &watched.cluster.log(1)[before..];
    let loud = |line: &&str| line.contains("[warning]") || line.contains("[error]");
    assert_eq!(log.lines().find(loud), None, "{log}");
    // One for the checks, and one for messages: that of an alarm would block the other.
    assert_eq!(log.matches("accepting AMQP connection").count(), 2, "{log}");
    assert_eq!(log.matches("name: amqp-gateway gw health\n").count(), 1, "{log}");
    assert!(!gateway.log().contains(PASSWORD));
}

#[tokio::test]
async fn an_alarm_is_shown_and_ejects_nobody_not_even_where_messages_are_checked() {
    let watched = Watched::start("alarmed").await;
    let checks = "checks = [\"tcp\", \"amqp\", \"channel-roundtrip\", \"management\"]";
    let gateway = watched.gateway(PASSWORD, checks).await;
    becomes(&gateway, "up", true).await;
    watched.cluster.ctl(1, &["set_vm_memory_high_watermark", "0.00001"]).await.unwrap();
    becomes(&gateway, "alarm", true).await;
    watched.a_client_is_served().await;
    watched.cluster.ctl(1, &["set_vm_memory_high_watermark", "0.4"]).await.unwrap();
    becomes(&gateway, "alarm", false).await;
    assert!(state(&gateway, "up").await);
    assert!(!gateway.log().contains("node is down"), "{}", gateway.log());
}

#[tokio::test]
async fn a_management_port_that_is_cut_takes_a_node_away_only_if_no_amqp_check_vouches_for_it() {
    let watched = Watched::start("cut").await;
    let gateway = watched.gateway(PASSWORD, "").await;
    becomes(&gateway, "up", true).await;
    let stop = "application:stop(rabbitmq_management).";
    watched.cluster.ctl(1, &["eval", stop]).await.unwrap();
    gateway.wait_for_log("does not count while AMQP works", SOON).await.unwrap();
    assert!(failures(&gateway, "management", "refused").await >= 1.0);
    assert!(state(&gateway, "up").await, "{}", gateway.log());
    watched.a_client_is_served().await;
    drop(gateway);
    let strict = watched.gateway(PASSWORD, "checks = [\"tcp\", \"management\"]").await;
    becomes(&strict, "down", true).await;
    let line = strict.wait_for_log("node is down", SOON).await.unwrap();
    assert!(line.contains("management: connect to http://127.0.0.1"), "{line}");
    strict.wait_for_log("no node of the cluster is healthy", SOON).await.unwrap();
    // With nobody else to ask it is tried all the same.
    watched.a_client_is_served().await;
    let start = "application:start(rabbitmq_management).";
    watched.cluster.ctl(1, &["eval", start]).await.unwrap();
    becomes(&strict, "up", true).await;
}

#[tokio::test]
async fn a_wrong_monitoring_password_is_told_loudly_and_takes_no_node_away() {
    let watched = Watched::start("wrongpass").await;
    let gateway = watched.gateway("not the password", "").await;
    for check in ["amqp", "management"] {
        let told =
            format!("check cannot be made: it does not count cluster=main node=n1 check={check}");
        gateway.wait_for_log(&told, SOON).await.unwrap();
        assert!(failures(&gateway, check, "login").await >= 1.0);
    }
    becomes(&gateway, "up", true).await;
    watched.a_client_is_served().await;
    assert!(!gateway.log().contains("not the password"), "{}", gateway.log());
}

#[tokio::test]
async fn a_node_whose_vhost_is_down_is_down_until_the_vhost_is_back() {
    let watched = Watched::start("vhostdown").await;
    let gateway = watched.gateway(PASSWORD, "").await;
    becomes(&gateway, "up", true).await;
    let stop = "{ok, Vhost} = rabbit_vhost_sup_sup:get_vhost_sup(<<\"orders\">>), \
                [supervisor:terminate_child(rabbit_vhost_sup_sup, Child) || \
                {_, Child, _, _} <- supervisor:which_children(rabbit_vhost_sup_sup), \
                lists:keymember(Vhost, 2, supervisor:which_children(Child))].";
    watched.cluster.ctl(1, &["eval", stop]).await.unwrap();
    becomes(&gateway, "down", true).await;
    let line = gateway.wait_for_log("node is down", SOON).await.unwrap();
    assert!(line.contains("Some virtual hosts are down: orders"), "{line}");
    watched.cluster.ctl(1, &["restart_vhost", "-p", "orders"]).await.unwrap();
    becomes(&gateway, "up", true).await;
    watched.a_client_is_served().await;
}

#[tokio::test]
async fn the_first_client_of_a_listener_decided_at_open_is_offered_what_the_node_can_keep() {
    let watched = Watched::with("learned", "channel_max = 100\nframe_max = 65536\n").await;
    let gateway = watched.gateway(PASSWORD, "").await;
    becomes(&gateway, "up", true).await;
    let mut client = Peer::connect(watched.address).await.unwrap();
    let tune = client.open("app", "secret", "orders").await.unwrap();
    assert_eq!((tune.channel_max, tune.frame_max), (100, 65536));
    client.close().await.unwrap();
}

#[tokio::test]
async fn failures_of_clients_take_a_node_away_whose_port_only_looks_well() {
    let looks_well = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = looks_well.local_addr().unwrap();
    // Takes connections and drops them at once: nobody there speaks AMQP.
    let dropping = tokio::spawn(async move { while looks_well.accept().await.is_ok() {} });
    let setup = Setup::at_accept().cluster("retry = 0").health("checks = [\"tcp\"]");
    let front = setup.health("interval = \"1m\"\nfast_interval = \"50ms\"").start(&[address]).await;
    front.gateway.wait_for_log("node is up", SOON).await.unwrap();
    let refused = async || {
        let mut client = front.client().await;
        assert!(client.open("app", "secret", "orders").await.is_err());
        front.gateway.log().contains("node is down")
    };
    wait::until("enough clients to fail", SOON, refused).await.unwrap();
    let line = front.gateway.wait_for_log("node is down", SOON).await.unwrap();
    assert!(line.contains("clients failed again and again within 10s"), "{line}");
    dropping.abort();
}

/// A file of this test's own.
fn tempfile(name: &str) -> String {
    std::env::temp_dir().join(format!("health-{name}-{}", std::process::id())).display().to_string()
}
