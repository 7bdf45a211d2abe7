//! The webhook: what happens to one virtual router is posted as JSON, in order.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use super::attempt::{Failure, attempt, causes};
use super::event::Event;
use crate::tls;

/// For each attempt, from looking the name up to the answer.
const LIMIT: Duration = Duration::from_secs(5);
/// Between attempts.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];
const UNREACHED: &str = "see that something answers there, and that nothing between drops it";

/// Posts to one URL.
pub(super) struct Poster {
    key: String,
    /// Scheme and authority: the path may hold a secret, and is never shown.
    shown: String,
    host: String,
    port: u16,
    authority: String,
    path: String,
    tls: Option<Arc<ClientConfig>>,
    pauses: [Duration; 2],
}

impl Poster {
    /// # Errors
    /// If the URL is none, or the system trusts no authority for https: a sentence.
    pub(super) fn new(key: &str, url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("the URL is not valid: {error}"))?;
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let https = uri.scheme_str() == Some("https");
        let tls = https.then(tls::client::of_web).transpose()?;
        let authority = uri.authority().map(|a| a.as_str().to_owned()).unwrap_or_default();
        Ok(Self {
            key: key.to_owned(),
            shown: format!("{}://{authority}", if https { "https" } else { "http" }),
            port: uri.port_u16().unwrap_or(if https { 443 } else { 80 }),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            host,
            authority,
            tls,
            pauses: PAUSES,
        })
    }

    /// Posts what comes; `stop` ends the pauses between attempts.
    pub(super) async fn run(
        self,
        gateway: Arc<str>,
        mut queue: mpsc::Receiver<Event>,
        stop: CancellationToken,
    ) {
        let (key, url) = (&self.key, &self.shown);
        while let Some(event) = queue.recv().await {
            let Some(body) = event.json(&gateway) else { continue };
            let body = body.to_string();
            match attempt(&self.pauses, &stop, || self.post(&body)).await {
                Ok(()) => debug!(url, "{key}: posted"),
                Err(Failure { cause, cure, .. }) => {
                    warn!(
                        url,
                        cause,
                        event = event.subject(),
                        "{key}: it could not be posted: {cure}"
                    );
                }
            }
        }
    }

    async fn post(&self, body: &str) -> Result<(), Failure> {
        let late = |_| Failure {
            cause: format!("no answer within {} s", LIMIT.as_secs()),
            cure: UNREACHED,
            passing: true,
        };
        timeout(LIMIT, self.exchange(body)).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
    }

    async fn exchange(&self, body: &str) -> Result<(), Failure> {
        let failed = |what: &str, error: &dyn Error| Failure {
            cause: format!("{what}: {}", causes(error)),
            cure: UNREACHED,
            passing: true,
        };
        let stream = TcpStream::connect((&*self.host, self.port)).await;
        let stream = stream.map_err(|error| failed("connect", &error))?;
        let status = match &self.tls {
            None => self.ask(stream, body).await,
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone());
                let name = name.map_err(|error| failed("the host", &error))?;
                let handshake = TlsConnector::from(tls.clone()).connect(name, stream).await;
                let stream = handshake.map_err(|error| Failure {
                    cause: format!("TLS: {}", causes(&error)),
                    cure: "give it a certificate for this name, of an authority that this system trusts",
                    passing: true,
                })?;
                self.ask(stream, body).await
            }
        };
        judge(status.map_err(|error| failed("the answer", &error))?)
    }

    async fn ask<S>(&self, stream: S, body: &str) -> Result<StatusCode, hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Its errors reach whoever waits for the answer.
        let _connection = AbortOnDropHandle::new(tokio::spawn(async {
            let _ = connection.await;
        }));
        let mut request = Request::new(Full::new(Bytes::from(body.to_owned())));
        *request.method_mut() = hyper::Method::POST;
        // Both were part of a URL before.
        *request.uri_mut() = self.path.parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(HOST, self.authority.parse().unwrap_or_else(|_| value("")));
        headers.insert(CONTENT_TYPE, value("application/json"));
        headers.insert(USER_AGENT, value(concat!("amqp-gateway/", env!("CARGO_PKG_VERSION"))));
        Ok(sender.send_request(request).await?.status())
    }
}

fn value(text: &'static str) -> hyper::header::HeaderValue {
    hyper::header::HeaderValue::from_static(text)
}

/// What the status of the answer means.
fn judge(status: StatusCode) -> Result<(), Failure> {
    let cure = match status {
        _ if status.is_success() => return Ok(()),
        _ if status.is_redirection() => "write the URL that it redirects to",
        _ if status.is_client_error() => "see that the URL is right, and who may post there",
        _ => "see its own log",
    };
    let passing = status.is_server_error()
        || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    Err(Failure { cause: format!("the answer was {status}"), cure, passing })
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
