//! The configurations of the proxies: as alike as they can be, and otherwise their defaults.

use crate::peers::NGINX_STREAM;
use crate::tls::Certificates;
use integration::certificates::Issued;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

/// Where one proxy listens.
#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    /// All sessions go to the broker.
    pub(crate) plain: SocketAddr,
    /// The gateway's listener that decides at open, by vhost.
    pub(crate) by_vhost: SocketAddr,
    /// As `plain`, with TLS; named after the certificate's key.
    pub(crate) ecdsa: SocketAddr,
    pub(crate) rsa: SocketAddr,
    /// The gateway's API.
    pub(crate) admin: SocketAddr,
}

impl Addresses {
    /// The listeners with TLS, if there are certificates: name, address and files.
    fn with_tls<'a>(
        &self,
        certificates: Option<&'a Certificates>,
    ) -> impl Iterator<Item = (&'static str, SocketAddr, &'a Issued)> {
        let (ecdsa, rsa) = (self.ecdsa, self.rsa);
        certificates.into_iter().flat_map(move |certificates| {
            [("ecdsa", ecdsa, &certificates.ecdsa), ("rsa", rsa, &certificates.rsa)]
        })
    }
}

/// The gateway's: with what it has switched on as a rule, its access log and its API.
pub(crate) fn gateway(
    addresses: &Addresses,
    broker: SocketAddr,
    directory: &Path,
    certificates: Option<&Certificates>,
) -> String {
    let Addresses { plain, by_vhost, admin, .. } = addresses;
    let log = directory.join("gateway.log");
    let mut text = format!(
        r#"[gateway]
workers = 2

[log]
access = true
output = "file"
file = "{}"

[admin]
bind = "{admin}"

[listener.single]
bind = "{plain}"
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
    );
    for (name, address, files) in addresses.with_tls(certificates) {
        let _ = write!(
            text,
            r#"
[listener.{name}]
bind = "{address}"
cluster = "main"
tls.certificates = [{{ bundle = "{}" }}]
"#,
            files.bundle.display()
        );
    }
    text
}

/// HAProxy's.
pub(crate) fn haproxy(
    addresses: &Addresses,
    broker: SocketAddr,
    certificates: Option<&Certificates>,
) -> String {
    let mut text = format!(
        "global
    nbthread 2
defaults
    mode tcp
    balance leastconn
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen bench
    bind {}
",
        addresses.plain
    );
    for (_, address, files) in addresses.with_tls(certificates) {
        let _ = writeln!(text, "    bind {address} ssl crt {}", files.bundle.display());
    }
    let _ = writeln!(text, "    server n1 {broker}");
    text
}

/// nginx's. TLS 1.3 is not among its defaults before 1.23.4.
pub(crate) fn nginx(
    addresses: &Addresses,
    broker: SocketAddr,
    directory: &Path,
    certificates: Option<&Certificates>,
) -> String {
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
    proxy_connect_timeout 5s;
    proxy_timeout 1h;
    ssl_protocols TLSv1.2 TLSv1.3;
    server {{
        listen {};
        proxy_pass bench;
    }}
",
        addresses.plain
    );
    for (_, address, files) in addresses.with_tls(certificates) {
        let _ = write!(
            text,
            "    server {{
        listen {address} ssl;
        ssl_certificate {};
        ssl_certificate_key {};
        proxy_pass bench;
    }}
",
            files.chain.display(),
            files.key.display()
        );
    }
    text.push_str("}\n");
    text
}
