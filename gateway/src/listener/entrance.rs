//! What a client passes before its first byte of AMQP: a PROXY header, and TLS.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout_at;

use crate::config::model::Protocol;
use crate::stream::arrival::Arrival;
use crate::stream::{HandshakeError, Stream};
use crate::telemetry::access::Phase;
use crate::tls::server::Termination;

/// What the clients of a listener pass.
#[derive(Debug)]
pub struct Entrance {
    /// What they speak behind it.
    pub protocol: Protocol,
    /// TLS that the gateway ends, if any.
    pub tls: Option<Arc<Termination>>,
}

/// Why a client was turned away.
#[derive(Debug)]
pub struct Refused {
    /// How far it had come.
    pub phase: Phase,
    /// A label: kebab-case, from a fixed set.
    pub reason: &'static str,
    /// Cause and cure.
    pub detail: String,
}

impl Refused {
    fn new(phase: Phase, reason: &'static str, detail: impl ToString) -> Self {
        Self { phase, reason, detail: detail.to_string() }
    }
}

impl Entrance {
    /// Does AMQP come at once?
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.tls.is_none()
    }

    /// Leads a client through, within `timeout` of its accept. What is found out of it goes to `arrival`.
    ///
    /// # Errors
    /// Why it was turned away.
    pub async fn admit(
        &self,
        tcp: TcpStream,
        arrival: &mut Arrival,
        timeout: Duration,
    ) -> Result<Stream, Refused> {
        let deadline = arrival.accepted + timeout;
        match &self.tls {
            None => Ok(tcp.into()),
            Some(tls) => {
                let handshake = secure(tls, tcp, arrival);
                timeout_at(deadline.into(), handshake).await.unwrap_or_else(|_| {
                    let detail = format!("no TLS connection after {timeout:?}");
                    Err(Refused::new(Phase::Tls, "handshake-timeout", detail))
                })
            }
        }
    }
}

async fn secure(
    tls: &Termination,
    tcp: TcpStream,
    arrival: &mut Arrival,
) -> Result<Stream, Refused> {
    let said = std::mem::take(&mut arrival.said);
    let stream = match Stream::accept(tcp, tls.config(), said).await {
        Ok(stream) => stream,
        Err(HandshakeError::Io(error)) => {
            return Err(Refused::new(Phase::Tls, "client-gone", error));
        }
        Err(HandshakeError::Tls(error)) => {
            let (reason, detail) = crate::tls::failure::reason(&error);
            return Err(Refused::new(Phase::Tls, reason, detail));
        }
    };
    arrival.tls = stream.tls().cloned().map(Box::new);
    Ok(stream)
}
