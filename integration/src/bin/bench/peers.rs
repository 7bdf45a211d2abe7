//! What is measured side by side: starting the gateway, HAProxy and nginx in front of the broker.

use crate::proxy::Proxy;
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// A column of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Peer {
    Gateway,
    Haproxy,
    Nginx,
    /// No proxy: the client talks to the broker.
    Direct,
}

impl Peer {
    pub(crate) const ALL: [Peer; 4] = [Peer::Gateway, Peer::Haproxy, Peer::Nginx, Peer::Direct];

    /// Its name in options, table and JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Gateway => "gateway",
            Peer::Haproxy => "haproxy",
            Peer::Nginx => "nginx",
            Peer::Direct => "direct",
        }
    }

    /// What its program says its version is; empty without a program.
    ///
    /// # Errors
    /// When it is not installed, with what to do about it.
    pub(crate) fn version(self) -> Result<String> {
        match self {
            Peer::Gateway => output(&gateway_program()?, &["--version"])
                .context("the gateway does not start: build it with `cargo build --release`"),
            Peer::Haproxy => output(&program("haproxy")?, &["-v"]),
            Peer::Nginx if !Path::new(NGINX_STREAM).exists() => {
                bail!("{NGINX_STREAM} is missing: apt-get install libnginx-mod-stream")
            }
            Peer::Nginx => output(&program("nginx")?, &["-v"]),
            Peer::Direct => Ok(String::new()),
        }
    }
}

/// A peer that serves: where sessions arrive.
pub(crate) struct Running {
    pub(crate) peer: Peer,
    /// All sessions go to the broker.
    pub(crate) address: SocketAddr,
    /// The gateway's listener that decides at open by vhost; elsewhere the same as `address`.
    pub(crate) by_vhost: SocketAddr,
    /// The process to account for; none for `direct`.
    pub(crate) proxy: Option<Proxy>,
}

/// Starts a fresh process of `peer` in front of `broker`, with its files in `directory`.
///
/// # Errors
/// When it does not come up, with the end of its log.
pub(crate) fn start(peer: Peer, broker: SocketAddr, directory: &Path) -> Result<Running> {
    if peer == Peer::Direct {
        return Ok(Running { peer, address: broker, by_vhost: broker, proxy: None });
    }
    std::fs::create_dir_all(directory)?;
    let [address, by_vhost, admin] = free_addresses()?;
    let config = directory.join("config");
    let (text, mut command) = match peer {
        Peer::Gateway => {
            let mut command = Command::new(gateway_program()?);
            command.arg("run").arg("--config").arg(&config);
            (gateway_config(address, by_vhost, admin, broker, directory), command)
        }
        Peer::Haproxy => {
            let mut command = Command::new(program("haproxy")?);
            command.arg("-db").arg("-f").arg(&config);
            (haproxy_config(address, broker), command)
        }
        _ => {
            let mut command = Command::new(program("nginx")?);
            command.arg("-p").arg(directory).arg("-c").arg(&config);
            command.arg("-e").arg(directory.join("error.log"));
            (nginx_config(address, broker, directory), command)
        }
    };
    std::fs::write(&config, text)?;
    let by_vhost = if peer == Peer::Gateway { by_vhost } else { address };
    let proxy = Proxy::start(peer.name(), &mut command, &[address, by_vhost], directory)?;
    Ok(Running { peer, address, by_vhost, proxy: Some(proxy) })
}

fn gateway_config(
    single: SocketAddr,
    by_vhost: SocketAddr,
    admin: SocketAddr,
    broker: SocketAddr,
    directory: &Path,
) -> String {
    let log = directory.join("gateway.log");
    format!(
        r#"[gateway]
workers = 2

[log]
access = true
output = "file"
file = "{}"

[admin]
bind = "{admin}"

[listener.single]
bind = "{single}"
cluster = "main"

[listener.byvhost]
bind = "{by_vhost}"

[[route]]
listener = "byvhost"
vhost = "elsewhere"
cluster = "other"

[[route]]
listener = "byvhost"
vhost = "bench"
cluster = "main"

[cluster.main.node.n1]
address = "{broker}"

[cluster.other.node.n1]
address = "{broker}"
"#,
        log.display()
    )
}

fn haproxy_config(address: SocketAddr, broker: SocketAddr) -> String {
    format!(
        "global
    nbthread 2
defaults
    mode tcp
    balance leastconn
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen bench
    bind {address}
    server n1 {broker}
"
    )
}

fn nginx_config(address: SocketAddr, broker: SocketAddr, directory: &Path) -> String {
    let mut text = format!("load_module {NGINX_STREAM};\n");
    let directory = directory.display();
    let _ = write!(
        text,
        "daemon off;
worker_processes 2;
worker_rlimit_nofile 20000;
pid {directory}/pid;
events {{ worker_connections 15000; }}
stream {{
    upstream bench {{
        zone bench 64k;
        least_conn;
        server {broker};
    }}
    server {{
        listen {address};
        proxy_pass bench;
        proxy_connect_timeout 5s;
        proxy_timeout 1h;
    }}
}}
"
    );
    text
}

/// `AMQP_GATEWAY_BIN`, or the release build.
fn gateway_program() -> Result<PathBuf> {
    let path = match (std::env::var_os("AMQP_GATEWAY_BIN"), std::env::var_os("CARGO_TARGET_DIR")) {
        (Some(path), _) => PathBuf::from(path),
        (None, Some(target)) => Path::new(&target).join("release/amqp-gateway"),
        (None, None) => PathBuf::from("target/release/amqp-gateway"),
    };
    if !path.exists() {
        bail!(
            "there is no gateway at {}: run `cargo build --release`, or name it with \
             AMQP_GATEWAY_BIN, or leave it out with `--peers haproxy,nginx,direct`",
            path.display()
        );
    }
    Ok(path)
}

fn program(name: &str) -> Result<PathBuf> {
    let places = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let mut paths = places.iter().map(|place| Path::new(place).join(name));
    paths.find(|path| path.exists()).with_context(|| {
        format!("{name} is not installed: apt-get install {name}, or leave it out with --peers")
    })
}

/// The first line a program prints, on either output.
fn output(program: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output()?;
    if !output.status.success() {
        bail!("{} {} fails: {}", program.display(), arguments.join(" "), output.status);
    }
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
}

/// Three free ports of 127.0.0.1, distinct because they are held together.
fn free_addresses() -> Result<[SocketAddr; 3]> {
    let hold = || TcpListener::bind("127.0.0.1:0");
    let held = [hold()?, hold()?, hold()?];
    Ok([held[0].local_addr()?, held[1].local_addr()?, held[2].local_addr()?])
}
