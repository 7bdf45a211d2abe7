//! The ClientHello: which host a client asks for, and whether it speaks TLS at all.

use amqp_codec::preface::client_hello::{self, HelloError, Progress};
use tokio::net::TcpStream;

use super::{Refused, more};
use crate::stream::arrival::Arrival;
use crate::telemetry::access::Phase;

/// Reads it where the node ends TLS: what cannot be read cannot be routed.
pub(super) async fn of_passthrough(
    tcp: &mut TcpStream,
    arrival: &mut Arrival,
) -> Result<(), Refused> {
    match hello(tcp, arrival).await? {
        Ok(()) => Ok(()),
        Err(error) => Err(refused(error)),
    }
}

/// Reads it where the gateway ends TLS: rustls has the last word on it, and answers in an alert.
pub(super) async fn of_termination(
    tcp: &mut TcpStream,
    arrival: &mut Arrival,
) -> Result<(), Refused> {
    match hello(tcp, arrival).await? {
        Err(error @ (HelloError::NotTls(_) | HelloError::TooLarge)) => Err(refused(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn refused(error: HelloError) -> Refused {
    match error {
        HelloError::NotTls(_) => {
            let detail = format!("{error}: this listener speaks TLS");
            Refused::new(Phase::Tls, "not-tls", detail)
        }
        _ => Refused::new(Phase::Tls, "tls-bad-hello", error),
    }
}

async fn hello(
    tcp: &mut TcpStream,
    arrival: &mut Arrival,
) -> Result<Result<(), HelloError>, Refused> {
    loop {
        match client_hello::read(&arrival.said) {
            Ok(Progress::Hello(hello)) => {
                if let Some(name) = hello.server_name {
                    arrival.sni = Some(name.into_boxed_str());
                }
                return Ok(Ok(()));
            }
            Ok(Progress::More) => {}
            Err(error) => return Ok(Err(error)),
        }
        match more(tcp, arrival).await {
            Ok(true) => {}
            Ok(false) => return Err(Refused::gone(Phase::Tls, arrival, "it closed")),
            Err(error) => return Err(Refused::gone(Phase::Tls, arrival, error)),
        }
    }
}
