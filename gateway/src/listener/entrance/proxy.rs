//! The PROXY header of a trusted proxy.

use std::time::Duration;

use amqp_codec::preface::proxy_header::{self, Command, Progress, ProxyHeader};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use super::{Entrance, Refused, more};
use crate::config::model::ProxyIn;
use crate::stream::arrival::Arrival;
use crate::telemetry::access::Phase;

/// For the whole header, from accept. As RabbitMQ has it.
const PATIENCE: Duration = Duration::from_secs(3);

impl Entrance {
    /// Reads the header, if one has to come or may. Whoever is not trusted and sends one all the same is refused by
    /// what he speaks: it is not that of the listener.
    pub(super) async fn introduce(
        &self,
        tcp: &mut TcpStream,
        arrival: &mut Arrival,
        timeout: Duration,
    ) -> Result<(), Refused> {
        let required = self.proxy_protocol == ProxyIn::Required;
        if !self.trusts(arrival.client.ip()) {
            if !required {
                return Ok(());
            }
            let detail = "clients have to come by one of trusted_proxies, and this address is none";
            return Err(Refused::new(Phase::Accept, "proxy-untrusted", detail));
        }
        let patience = PATIENCE.min(timeout);
        let deadline = arrival.accepted + patience;
        match timeout_at(deadline.into(), header(tcp, arrival)).await {
            Ok(header) => match header? {
                Some(header) => {
                    note(arrival, *header);
                    Ok(())
                }
                None if required => {
                    let detail = "no PROXY header comes first: does the proxy send one?";
                    Err(Refused::new(Phase::Accept, "proxy-missing", detail))
                }
                None => Ok(()),
            },
            // Nothing has come: a client that waits for the other side to speak.
            Err(_) if !required && arrival.said.is_empty() => Ok(()),
            Err(_) => {
                let detail = format!("no PROXY header within {patience:?}");
                Err(Refused::new(Phase::Accept, "proxy-timeout", detail))
            }
        }
    }
}

/// The header; `None` if the client's own words come first.
async fn header(
    tcp: &mut TcpStream,
    arrival: &mut Arrival,
) -> Result<Option<Box<ProxyHeader>>, Refused> {
    loop {
        match proxy_header::read(&arrival.said) {
            Ok(Progress::Header(header)) => return Ok(Some(header)),
            Ok(Progress::Absent) => return Ok(None),
            Ok(Progress::More) => {}
            Err(error) => return Err(Refused::new(Phase::Accept, "proxy-bad", error)),
        }
        match more(tcp, arrival).await {
            Ok(true) => {}
            Ok(false) => return Err(Refused::gone(Phase::Accept, arrival, "it closed")),
            Err(error) => return Err(Refused::gone(Phase::Accept, arrival, error)),
        }
    }
}

/// Keeps what the proxy says of the client.
fn note(arrival: &mut Arrival, header: ProxyHeader) {
    arrival.said.drain(..header.len);
    if header.command == Command::Local {
        return;
    }
    if let Some(source) = header.source {
        arrival.proxy = Some(arrival.client);
        arrival.client = source;
        arrival.local = header.destination;
    }
    // Routes ask for names as a ClientHello gives them: in lower case, and without a dot at the end.
    let name = header.authority.map(|name| name.trim_end_matches('.').to_ascii_lowercase());
    arrival.sni = name.map(String::into_boxed_str);
    arrival.proxy_tls = header.tls.map(Box::new);
}
