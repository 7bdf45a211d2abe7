//! `[listener.NAME]` as the user writes it, with its TLS.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, OneOrMany};
use crate::config::defaults;
use crate::config::model::{ClientAuth, HttpStrategy, ProxyIn, TlsVersion};

/// Where clients arrive.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// IP address and port, or a list of them. [::] is IPv6 only.
    #[schemars(required, example = "0.0.0.0:5672")]
    pub bind: Option<OneOrMany>,
    /// What clients speak here.
    #[schemars(extend("default" = "amqp"))]
    pub protocol: Option<At<Protocol>>,
    /// Cluster of a session that no route matches. Default: it is refused with 530 NOT_ALLOWED.
    #[schemars(example = &"main")]
    pub cluster: Option<At<String>>,
    /// Sessions at once on this listener. Default: only the limit of the gateway.
    #[schemars(range(min = 1, max = 10_000_000), example = 10_000)]
    pub max_connections: Option<At<u32>>,
    /// Are clients announced by a PROXY header (version 1 or 2) from a trusted proxy?
    #[schemars(extend("default" = defaults::OFF))]
    pub proxy_protocol: Option<At<ProxyIn>>,
    /// Networks of the proxies that may send a PROXY header.
    #[schemars(example = ["10.0.0.0/8"])]
    pub trusted_proxies: Option<At<Vec<At<String>>>>,
    /// The port on each node, with protocol = "tcp" or "tls-passthrough" (there 5671 by default).
    #[schemars(range(min = 1, max = 65535), example = 1883)]
    pub node_port: Option<At<u32>>,
    /// How a node is chosen for a request, with protocol = "http".
    #[schemars(extend("default" = "round-robin"))]
    pub balance: Option<At<HttpStrategy>>,
    /// Port of this gateway that browsers are sent to with https, with protocol = "http".
    #[schemars(range(min = 1, max = 65535), example = 15671)]
    pub redirect_to_https: Option<At<u32>>,
    /// TLS with the clients of this listener.
    pub tls: Option<At<ListenerTls>>,
}

/// What clients of a listener speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// AMQP 0-9-1 (and 1.0, passed through).
    Amqp,
    /// HTTP: the management UI and API of the nodes.
    Http,
    /// Anything else that RabbitMQ speaks: MQTT, STOMP, streams.
    Tcp,
    /// TLS that the gateway does not decrypt; routed by its server name.
    TlsPassthrough,
}

/// TLS with the clients of this listener.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerTls {
    /// The first is the default; the others are for clients that ask for one of their names.
    #[schemars(required, length(min = 1))]
    pub certificates: Option<Vec<At<Certificate>>>,
    /// The oldest version of TLS that is spoken.
    #[schemars(extend("default" = "1.2"))]
    pub min_version: Option<TlsVersion>,
    /// Cipher suites, as the IANA registry names them. Default: the library's safe list.
    #[schemars(example = ["TLS_AES_128_GCM_SHA256"])]
    pub cipher_suites: Option<Vec<At<String>>>,
    /// Are clients asked for a certificate?
    #[schemars(extend("default" = "none"))]
    pub client_auth: Option<At<ClientAuth>>,
    /// PEM file with the authorities that sign clients' certificates.
    #[schemars(example = "/etc/amqp-gateway/clients-ca.pem")]
    pub client_ca: Option<At<String>>,
    /// PEM files with certificates that those authorities have revoked.
    #[schemars(example = ["/etc/amqp-gateway/revoked.pem"])]
    pub client_crl: Option<Vec<At<String>>>,
    /// Refuse clients that ask for a name that no certificate bears, or for none.
    #[schemars(extend("default" = defaults::STRICT_SNI))]
    pub strict_sni: Option<bool>,
}

/// A certificate and its key: `chain` and `key`, or both in one `bundle`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// PEM file with the certificate, then those that lead to its authority.
    #[schemars(example = "/etc/amqp-gateway/rabbitmq.crt")]
    pub chain: Option<At<String>>,
    /// PEM file with the private key.
    #[schemars(example = "/etc/amqp-gateway/rabbitmq.key")]
    pub key: Option<At<String>>,
    /// PEM file with both, as HAProxy has it.
    #[schemars(example = "/etc/amqp-gateway/rabbitmq.pem")]
    pub bundle: Option<At<String>>,
}
