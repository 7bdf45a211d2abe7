//! A client that has arrived: what is known of it before its first byte of AMQP.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use amqp_codec::preface::proxy_header;

use super::facts::TlsFacts;
use super::shared::Here;
use crate::config::model::{ListenerName, Protocol};

/// A client that has arrived.
#[derive(Debug)]
pub struct Arrival {
    /// Where.
    pub listener: ListenerName,
    /// What is spoken there.
    pub protocol: Protocol,
    /// When it was accepted.
    pub accepted: Instant,
    /// Its address; that which the PROXY header says, if there was one.
    pub client: SocketAddr,
    /// The proxy that announced it.
    pub proxy: Option<SocketAddr>,
    /// What that proxy says of TLS with the client: for nodes to be told, and nothing to go by.
    pub proxy_tls: Option<Box<proxy_header::TlsFacts>>,
    /// Where it connected to, if nodes want to be told.
    pub local: Option<SocketAddr>,
    /// The address of this machine that its connection was made to, if other gateways share it.
    pub here: Option<Here>,
    /// The server name that it asked for in its TLS handshake (RFC 6066), whoever ends that.
    pub sni: Option<Box<str>>,
    /// What its TLS handshake with the gateway came to, if there was one.
    pub tls: Option<Box<TlsFacts>>,
    /// What it has said already beyond that.
    pub said: Vec<u8>,
}

impl Arrival {
    /// A client that was accepted now, of which only its address is known.
    #[must_use]
    pub fn new(listener: ListenerName, client: SocketAddr) -> Self {
        Self {
            listener,
            protocol: Protocol::Amqp,
            accepted: Instant::now(),
            client,
            proxy: None,
            proxy_tls: None,
            local: None,
            here: None,
            sni: None,
            tls: None,
            said: Vec::new(),
        }
    }

    /// The address of this machine that its connection holds, if other gateways share it.
    #[must_use]
    pub fn shared_address(&self) -> Option<IpAddr> {
        self.here.as_ref()?.address()
    }

    /// Its connection is closed; the session may go on for a while.
    pub fn left(&self) {
        self.here.iter().for_each(Here::leave);
    }

    /// Has its address moved to another gateway?
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.here.as_ref().is_some_and(|here| here.lost().is_cancelled())
    }

    /// Its address moves to another gateway. Waits for ever if it is not shared.
    pub async fn lost(&self) {
        match &self.here {
            Some(here) => here.lost().cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// The common name of its certificate.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.tls.as_ref()?.certificate.as_ref()?.common_name.as_deref()
    }
}
