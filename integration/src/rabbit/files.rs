//! What a cluster reads: its directory, configuration, environment and definitions.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::listeners::{Listeners, Protocol};
use crate::ports::PortBlock;

/// The schedulers of Erlang must not spin while idle: several nodes share few cores.
const QUIET: &str = "+sbwt none +sbwtdcpu none +sbwtdio none \
     -kernel inet_dist_use_interface {127,0,0,1}";

/// Ports of one node.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodePorts {
    pub(super) amqp: u16,
    pub(super) management: u16,
    pub(super) amqp_tls: u16,
    pub(super) management_tls: u16,
    mqtt: u16,
    stomp: u16,
    stream: u16,
    distribution: u16,
}

impl NodePorts {
    const COUNT: u16 = 8;

    fn new(index: u16, ports: &PortBlock) -> Self {
        let port = |place| ports.port(1 + Self::COUNT * index + place);
        Self {
            amqp: port(0),
            management: port(1),
            amqp_tls: port(2),
            management_tls: port(3),
            mqtt: port(4),
            stomp: port(5),
            stream: port(6),
            distribution: port(7),
        }
    }

    pub(super) fn of(&self, protocol: Protocol) -> u16 {
        match protocol {
            Protocol::Mqtt => self.mqtt,
            Protocol::Stomp => self.stomp,
            Protocol::Stream => self.stream,
        }
    }
}

/// The directory of a cluster and the ports it uses.
#[derive(Debug)]
pub(super) struct Files {
    name: String,
    dir: PathBuf,
    epmd: u16,
    nodes: Vec<NodePorts>,
}

impl Files {
    pub(super) fn new(name: &str, nodes: usize, dir: &Path, ports: &PortBlock) -> Self {
        let nodes = (0..nodes as u16).map(|index| NodePorts::new(index, ports)).collect();
        Self { name: name.to_owned(), dir: dir.to_owned(), epmd: ports.port(0), nodes }
    }

    pub(super) fn epmd_port(&self) -> u16 {
        self.epmd
    }

    pub(super) fn ports(&self, n: usize) -> NodePorts {
        self.nodes[n - 1]
    }

    pub(super) fn node_name(&self, n: usize) -> String {
        format!("{}{n}@localhost", self.name)
    }

    pub(super) fn node_dir(&self, n: usize) -> PathBuf {
        self.dir.join(format!("node{n}"))
    }

    /// Where the node's own output goes: what it says before it can log.
    pub(super) fn output(&self, n: usize) -> PathBuf {
        self.node_dir(n).join("log/stdout")
    }

    pub(super) fn write(&self, listeners: &Listeners, extra_conf: &str) -> io::Result<()> {
        let cookie = self.dir.join(".erlang.cookie");
        fs::write(&cookie, self.dir.file_name().unwrap_or_default().as_encoded_bytes())?;
        fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400))?;
        let plugins = ["rabbitmq_management", "rabbitmq_amqp1_0"];
        let plugins = [&plugins, listeners.plugins().as_slice()].concat().join(",");
        fs::write(self.dir.join("plugins"), format!("[{plugins}].\n"))?;
        fs::write(self.dir.join("empty-env.conf"), "")?;
        for n in 1..=self.nodes.len() {
            fs::create_dir_all(self.node_dir(n).join("log"))?;
            let conf = self.rabbitmq_conf(n) + &listeners.conf(&self.ports(n)) + extra_conf;
            fs::write(self.node_dir(n).join("rabbitmq.conf"), conf)?;
        }
        Ok(())
    }

    fn rabbitmq_conf(&self, n: usize) -> String {
        let NodePorts { amqp, management, .. } = self.ports(n);
        let mut conf = format!(
            "listeners.tcp.1 = 127.0.0.1:{amqp}\n\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {management}\n\
             log.file.level = info\n\
             disk_free_limit.absolute = 50MB\n\
             collect_statistics_interval = 1000\n"
        );
        if self.nodes.len() > 1 {
            // The first node finds nobody to join and pays for every retry.
            conf += "cluster_formation.peer_discovery_backend = classic_config\n\
                     cluster_formation.discovery_retry_interval = 200\n\
                     cluster_formation.discovery_retry_limit = 5\n";
            for peer in 1..=self.nodes.len() {
                let name = self.node_name(peer);
                conf += &format!("cluster_formation.classic_config.nodes.{peer} = {name}\n");
            }
        }
        conf
    }

    /// Environment for the server and the tools of node `n`: nothing of /etc and /var is used.
    pub(super) fn environment(&self, n: usize) -> Vec<(&'static str, String)> {
        let NodePorts { amqp, distribution, .. } = self.ports(n);
        let dir = self.node_dir(n);
        let in_dir = |name: &str| dir.join(name).display().to_string();
        let shared = |name: &str| self.dir.join(name).display().to_string();
        vec![
            ("HOME", self.dir.display().to_string()),
            ("ERL_EPMD_PORT", self.epmd.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_NODENAME", self.node_name(n)),
            ("RABBITMQ_USE_LONGNAME", "false".to_owned()),
            ("RABBITMQ_NODE_PORT", amqp.to_string()),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_DIST_PORT", distribution.to_string()),
            ("RABBITMQ_BASE", self.dir.display().to_string()),
            ("RABBITMQ_MNESIA_BASE", in_dir("mnesia")),
            ("RABBITMQ_LOG_BASE", in_dir("log")),
            ("RABBITMQ_LOGS", in_dir("log/rabbit.log")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", shared("plugins")),
            ("RABBITMQ_CONFIG_FILE", in_dir("rabbitmq.conf")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", in_dir("none.config")),
            ("RABBITMQ_CONF_ENV_FILE", shared("empty-env.conf")),
            ("RABBITMQ_GENERATED_CONFIG_DIR", in_dir("generated")),
            ("RABBITMQ_SCHEMA_DIR", in_dir("schema")),
            ("RABBITMQ_PID_FILE", in_dir("rabbit.pid")),
            ("RABBITMQ_ALLOW_INPUT", "1".to_owned()),
            ("RABBITMQ_CTL_ERL_ARGS", format!("+S 1:1 {QUIET}")),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", format!("+S 1:1 +A 16 {QUIET}")),
        ]
    }

    /// The node has said that it is up. Before that it serves clients already, but a vhost
    /// created on another node would never start on this one.
    pub(super) fn says_complete(&self, n: usize) -> bool {
        fs::read_to_string(self.output(n)).is_ok_and(|said| said.contains("completed with"))
    }

    pub(super) fn log(&self, n: usize) -> String {
        fs::read_to_string(self.node_dir(n).join("log/rabbit.log")).unwrap_or_default()
    }

    pub(super) fn log_tail(&self, n: usize) -> String {
        let mut text = fs::read_to_string(self.output(n)).unwrap_or_default();
        text += &self.log(n);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(25)..].join("\n");
        format!("end of the log of {}:\n{tail}", self.node_name(n))
    }
}

/// Users, vhosts and permissions, as POST /api/definitions takes them.
pub(super) fn definitions(vhosts: &[String]) -> Value {
    let user = |name: &str, password: &str, tags: &str| json!({ "name": name, "password": password, "tags": tags });
    let all_rights = |user: &str, vhost: &str| json!({ "user": user, "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*" });
    let mut permissions = Vec::new();
    for vhost in vhosts {
        permissions.extend(["guest", "app", "admin"].map(|name| all_rights(name, vhost)));
        // It opens channels, and touches nothing.
        let nothing = "^$";
        permissions.push(json!({ "user": "monitor", "vhost": vhost, "configure": nothing, "write": nothing, "read": nothing }));
        if vhost == "orders" {
            permissions.push(all_rights("limited", vhost));
        }
    }
    json!({
        "users": [
            user("guest", "guest", "administrator"),
            user("app", "secret", ""),
            user("admin", "admin", "administrator"),
            user("monitor", "monitor", "monitoring"),
            user("limited", "limited", ""),
            user("noperm", "noperm", ""),
        ],
        "vhosts": vhosts.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>(),
        "permissions": permissions,
    })
}
