//! What is measured side by side: starting the gateway, HAProxy and nginx in front of the broker.

use crate::cases::Case;
use crate::proxy::Proxy;
use crate::settings::{self, Addresses};
use crate::tls::Certificates;
use crate::tls_cases::Key;
use anyhow::{Context, Result, bail};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

pub(crate) const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

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
    addresses: Addresses,
    /// What it shows at its listeners with TLS; none if it has none.
    pub(crate) certificates: Option<Arc<Certificates>>,
    /// The process to account for; none for `direct`.
    pub(crate) proxy: Option<Proxy>,
}

impl Running {
    /// The gateway's API.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.addresses.admin
    }

    /// All sessions that arrive here go to the broker.
    pub(crate) fn plain(&self) -> SocketAddr {
        self.addresses.plain
    }

    /// Where the sessions of `case` arrive. All of them go to the broker.
    pub(crate) fn address(&self, case: &Case) -> SocketAddr {
        match case.tls.map(|tls| tls.key) {
            Some(Key::Ecdsa) => self.addresses.ecdsa,
            Some(Key::Rsa) => self.addresses.rsa,
            // Only the gateway can decide by vhost.
            None if case.by_vhost && self.peer == Peer::Gateway => self.addresses.by_vhost,
            None => self.addresses.plain,
        }
    }
}

/// Starts a fresh process of `peer` in front of `broker`, with its files in `directory`; with
/// certificates, listeners with TLS are added to the others.
///
/// # Errors
/// When it does not come up, with the end of its log.
pub(crate) fn start(
    peer: Peer,
    broker: SocketAddr,
    directory: &Path,
    certificates: Option<&Arc<Certificates>>,
) -> Result<Running> {
    let mut addresses = free_addresses()?;
    if peer == Peer::Direct {
        addresses.plain = broker;
        return Ok(Running { peer, addresses, certificates: None, proxy: None });
    }
    std::fs::create_dir_all(directory)?;
    let with = certificates.map(Arc::as_ref);
    let (text, mut command) = match peer {
        Peer::Gateway => {
            let mut command = Command::new(gateway_program()?);
            command.arg("run").arg("--config").arg(directory.join("config"));
            (settings::gateway(&addresses, broker, directory, with), command)
        }
        Peer::Haproxy => {
            let mut command = Command::new(program("haproxy")?);
            command.arg("-db").arg("-f").arg(directory.join("config"));
            (settings::haproxy(&addresses, broker, with), command)
        }
        _ => {
            let mut command = Command::new(program("nginx")?);
            command.arg("-p").arg(directory).arg("-c").arg(directory.join("config"));
            command.arg("-e").arg(directory.join("error.log"));
            (settings::nginx(&addresses, broker, directory, with), command)
        }
    };
    std::fs::write(directory.join("config"), text)?;
    let mut ready = vec![addresses.plain];
    if peer == Peer::Gateway {
        ready.push(addresses.by_vhost);
    }
    if certificates.is_some() {
        ready.extend([addresses.ecdsa, addresses.rsa]);
    }
    let proxy = Proxy::start(peer.name(), &mut command, &ready, directory)?;
    Ok(Running { peer, addresses, certificates: certificates.cloned(), proxy: Some(proxy) })
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

/// Free ports of 127.0.0.1, distinct because they are held together.
fn free_addresses() -> Result<Addresses> {
    let hold = || TcpListener::bind("127.0.0.1:0");
    let held = [hold()?, hold()?, hold()?, hold()?, hold()?];
    Ok(Addresses {
        plain: held[0].local_addr()?,
        by_vhost: held[1].local_addr()?,
        ecdsa: held[2].local_addr()?,
        rsa: held[3].local_addr()?,
        admin: held[4].local_addr()?,
    })
}
