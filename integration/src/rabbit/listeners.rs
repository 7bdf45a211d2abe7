//! What nodes listen for besides AMQP and management in the clear.

use std::path::{Path, PathBuf};

use super::files::NodePorts;
use crate::certificates::{Authority, Issued};

/// A protocol of one of RabbitMQ's plugins, in the clear. Its users are those of AMQP, its vhost
/// is `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 3.1.1.
    Mqtt,
    /// STOMP 1.2.
    Stomp,
    /// RabbitMQ streams. A node tells clients its own address, not a gateway's. It takes no PROXY
    /// header: this version has no setting for it.
    Stream,
}

/// What a node asks of clients' certificates. It looks at no revocation list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificate {
    /// Nothing.
    Ignored,
    /// A client may have one; one of a strange authority is refused.
    Optional,
    /// A client must have one.
    Required,
}

/// The TLS listeners of every node, with TLS 1.2 and 1.3.
#[derive(Debug, Clone)]
pub struct Tls {
    authority: PathBuf,
    certificate: Issued,
    clients: ClientCertificate,
    external: bool,
}

impl Tls {
    /// With this certificate for all nodes. Clients need none.
    #[must_use]
    pub fn new(authority: &Authority, certificate: &Issued) -> Self {
        Self {
            authority: authority.file().to_owned(),
            certificate: certificate.clone(),
            clients: ClientCertificate::Ignored,
            external: false,
        }
    }

    /// What clients' certificates have to be. The management listener never asks for one.
    #[must_use]
    pub fn clients(mut self, clients: ClientCertificate) -> Self {
        self.clients = clients;
        self
    }

    /// Offers EXTERNAL: the common name of the client's certificate is the user.
    #[must_use]
    pub fn external(mut self) -> Self {
        self.external = true;
        self
    }

    fn conf(&self, ports: &NodePorts) -> String {
        let (verify, must) = match self.clients {
            ClientCertificate::Ignored => ("verify_none", false),
            ClientCertificate::Optional => ("verify_peer", false),
            ClientCertificate::Required => ("verify_peer", true),
        };
        let NodePorts { amqp_tls, management_tls, .. } = ports;
        let mut conf = format!(
            "listeners.ssl.1 = 127.0.0.1:{amqp_tls}\n\
             ssl_options.verify = {verify}\n\
             ssl_options.fail_if_no_peer_cert = {must}\n\
             ssl_options.versions.1 = tlsv1.3\n\
             ssl_options.versions.2 = tlsv1.2\n\
             management.ssl.ip = 127.0.0.1\n\
             management.ssl.port = {management_tls}\n"
        );
        for section in ["ssl_options", "management.ssl"] {
            for (key, file) in self.files() {
                conf += &format!("{section}.{key} = {}\n", file.display());
            }
        }
        if self.external {
            conf += "auth_mechanisms.1 = PLAIN\n\
                     auth_mechanisms.2 = AMQPLAIN\n\
                     auth_mechanisms.3 = EXTERNAL\n\
                     ssl_cert_login_from = common_name\n";
        }
        conf
    }

    fn files(&self) -> [(&'static str, &Path); 3] {
        let Issued { chain, key, .. } = &self.certificate;
        [("cacertfile", &self.authority), ("certfile", chain), ("keyfile", key)]
    }
}

/// All of a node's further listeners.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    pub(super) protocols: Vec<Protocol>,
    pub(super) tls: Option<Tls>,
    pub(super) proxy_protocol: bool,
}

impl Listeners {
    pub(super) fn plugins(&self) -> Vec<&'static str> {
        let plugin = |protocol: &Protocol| match protocol {
            Protocol::Mqtt => "rabbitmq_mqtt",
            Protocol::Stomp => "rabbitmq_stomp",
            Protocol::Stream => "rabbitmq_stream",
        };
        let external = self.tls.as_ref().filter(|tls| tls.external);
        let external = external.map(|_| "rabbitmq_auth_mechanism_ssl");
        self.protocols.iter().map(plugin).chain(external).collect()
    }

    pub(super) fn conf(&self, ports: &NodePorts) -> String {
        let mut conf = String::new();
        for protocol in &self.protocols {
            conf += &protocol.conf(ports.of(*protocol), self.proxy_protocol);
        }
        if let Some(tls) = &self.tls {
            conf += &tls.conf(ports);
        }
        if self.proxy_protocol {
            conf += "proxy_protocol = true\n";
        }
        conf
    }
}

impl Protocol {
    fn conf(self, port: u16, proxy_protocol: bool) -> String {
        match self {
            Self::Mqtt => format!(
                "mqtt.listeners.tcp.1 = 127.0.0.1:{port}\n\
                 mqtt.allow_anonymous = false\n\
                 mqtt.proxy_protocol = {proxy_protocol}\n"
            ),
            Self::Stomp => format!(
                "stomp.listeners.tcp.1 = 127.0.0.1:{port}\n\
                 stomp.proxy_protocol = {proxy_protocol}\n"
            ),
            Self::Stream => format!(
                "stream.listeners.tcp.1 = 127.0.0.1:{port}\n\
                 stream.advertised_host = 127.0.0.1\n\
                 stream.advertised_port = {port}\n"
            ),
        }
    }
}
