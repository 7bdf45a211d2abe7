//! What a client passes before its first byte of AMQP: a PROXY header, and TLS.

mod hello;
mod proxy;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ipnet::IpNet;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use crate::config::model::{self, Protocol, ProxyIn};
use crate::stream::arrival::Arrival;
use crate::stream::{HandshakeError, Stream};
use crate::telemetry::access::Phase;
use crate::tls;
use crate::tls::server::Termination;

/// Octets of one read: a PROXY header fits, and nearly every ClientHello.
const READ: usize = 2 * 1024;

/// What the clients of a listener pass.
#[derive(Debug)]
pub struct Entrance {
    /// What they speak behind it.
    pub protocol: Protocol,
    /// Does a PROXY header come first?
    pub proxy_protocol: ProxyIn,
    /// Who may send one.
    pub trusted_proxies: Vec<IpNet>,
    /// TLS that the gateway ends, if any.
    pub tls: Option<Arc<Termination>>,
    /// Do nodes want to be told where clients have connected to?
    pub notes_local: bool,
}

/// Why a client was turned away.
#[derive(Debug)]
pub struct Refused {
    /// How far it had come.
    pub phase: Phase,
    /// A label: kebab-case, from a fixed set.
    pub reason: &'static str,
    /// Cause and cure, if that is worth a line in the log.
    pub detail: Option<String>,
}

impl Refused {
    fn new(phase: Phase, reason: &'static str, detail: impl ToString) -> Self {
        Self { phase, reason, detail: Some(detail.to_string()) }
    }

    /// It has gone. Checks of balancers do so without a word, all day long: they are not worth a line in the log.
    fn gone(phase: Phase, arrival: &Arrival, how: impl ToString) -> Self {
        let detail = (!arrival.said.is_empty()).then(|| how.to_string());
        Self { phase, reason: "client-gone", detail }
    }
}

impl Entrance {
    /// The entrance of a listener, with its TLS.
    #[must_use]
    pub fn new(
        listener: &model::Listener,
        tls: Option<Arc<Termination>>,
        notes_local: bool,
    ) -> Self {
        Self {
            protocol: listener.protocol.clone(),
            proxy_protocol: listener.proxy_protocol,
            trusted_proxies: listener.trusted_proxies.clone(),
            tls,
            notes_local,
        }
    }

    /// Do sessions begin at once?
    #[must_use]
    pub fn is_open(&self) -> bool {
        let sealed = matches!(self.protocol, Protocol::TlsPassthrough { .. });
        self.tls.is_none() && !sealed && self.proxy_protocol == ProxyIn::Off
    }

    /// Leads a client through, within `timeout` of its accept. What is found out of it goes to `arrival`.
    ///
    /// # Errors
    /// Why it was turned away.
    pub async fn admit(
        &self,
        mut tcp: TcpStream,
        arrival: &mut Arrival,
        timeout: Duration,
    ) -> Result<Stream, Refused> {
        if self.proxy_protocol != ProxyIn::Off {
            self.introduce(&mut tcp, arrival, timeout).await?;
        }
        let deadline = arrival.accepted + timeout;
        let secured = self.secure(tcp, arrival);
        timeout_at(deadline.into(), secured).await.unwrap_or_else(|_| {
            let detail = format!("no TLS handshake within {timeout:?}");
            Err(Refused::new(Phase::Tls, "tls-timeout", detail))
        })
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }

    async fn secure(&self, mut tcp: TcpStream, arrival: &mut Arrival) -> Result<Stream, Refused> {
        let Some(termination) = &self.tls else {
            if matches!(self.protocol, Protocol::TlsPassthrough { .. }) {
                hello::of_passthrough(&mut tcp, arrival).await?;
            }
            return Ok(tcp.into());
        };
        hello::of_termination(&mut tcp, arrival).await?;
        let said = std::mem::take(&mut arrival.said);
        let stream = match Stream::accept(tcp, termination.config(), said).await {
            Ok(stream) => stream,
            Err(HandshakeError::Io(error)) => {
                return Err(Refused::new(Phase::Tls, "client-gone", error));
            }
            Err(HandshakeError::Tls(error)) => {
                let (reason, detail) = tls::failure::reason(&error);
                return Err(Refused::new(Phase::Tls, reason, detail));
            }
        };
        let leaf = stream.peer_certificates().first();
        let resumed = stream.tls().is_some_and(|facts| facts.resumed);
        if resumed && leaf.is_some_and(|leaf| tls::has_ended(leaf, SystemTime::now())) {
            let detail = "the client resumes a session whose certificate has ended since: renew it";
            return Err(Refused::new(Phase::Tls, "certificate-expired", detail));
        }
        arrival.tls = stream.tls().cloned().map(|mut facts| {
            facts.certificate = leaf.map(|leaf| Box::new(tls::facts_of(leaf)));
            Box::new(facts)
        });
        Ok(stream)
    }
}

/// Reads more of what the client says. False at its end.
async fn more(tcp: &mut TcpStream, arrival: &mut Arrival) -> std::io::Result<bool> {
    arrival.said.reserve(READ);
    Ok(tcp.read_buf(&mut arrival.said).await? > 0)
}
