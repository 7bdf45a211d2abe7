//! A small client for the management API: one connection, kept between requests; nothing it reads is unbounded.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use super::{Wrong, secured};
use crate::cluster::Cluster;
use crate::cluster::node::Node;
use crate::config::model::{Login, ManagementUrl};
use crate::tls::client::Origination;
use crate::tls::failure;

/// Largest answer, in bytes.
const LARGEST: usize = 1024 * 1024;

/// Where a management API answers, and how it proves who it is.
#[derive(Debug, Clone)]
pub struct Site {
    /// Where it answers.
    pub url: ManagementUrl,
    /// For https: what goes for TLS there, and the host that its certificate has to bear.
    pub tls: Option<(Arc<Origination>, Arc<str>)>,
}

impl Site {
    /// That of a node, if it has one.
    #[must_use]
    pub fn of(node: &Node, cluster: &Cluster) -> Option<Self> {
        let url = node.management()?;
        let tls = cluster.https.clone().filter(|_| url.tls);
        Some(Self { url, tls: tls.map(|tls| (tls, node.management_host())) })
    }
}

/// A management API and the connection to it.
pub(super) struct Api {
    site: Site,
    authorization: Option<HeaderValue>,
    link: Option<Link>,
    /// How often it has connected.
    pub(super) connections: u64,
}

struct Link {
    sender: SendRequest<Empty<Bytes>>,
    _connection: AbortOnDropHandle<()>,
}

/// What the API answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// `Null` where it is not JSON.
    pub(super) body: Value,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("url", &self.site.url).finish_non_exhaustive()
    }
}

impl Api {
    /// Not connected yet.
    #[must_use]
    pub(super) fn new(site: Site, login: Option<&Login>) -> Self {
        let authorization = login.and_then(|Login { username, password }| {
            let credentials = STANDARD.encode(format!("{username}:{password}"));
            let mut header = HeaderValue::try_from(format!("Basic {credentials}")).ok()?;
            header.set_sensitive(true);
            Some(header)
        });
        Self { site, authorization, link: None, connections: 0 }
    }

    /// Gets `/api/PATH`. Dropping the future drops the connection.
    ///
    /// # Errors
    /// If there is no answer, or it refuses the login.
    pub(super) async fn get(&mut self, path: &str) -> Result<Answer, Wrong> {
        // A connection that was kept may have been closed meanwhile: that says nothing.
        if let Some(link) = self.link.take().filter(|link| !link.sender.is_closed())
            && let Ok(answer) = self.ask(link, path).await
        {
            return self.judge(path, answer);
        }
        let link = self.connect().await?;
        let answer = self.ask(link, path).await?;
        self.judge(path, answer)
    }

    fn judge(&self, path: &str, answer: Answer) -> Result<Answer, Wrong> {
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let what = "wrong user or password, or a user without the tag monitoring";
                let text = format!("{} /api/{path}: {}: {what}", self.site.url, answer.status);
                Err(Wrong::misconfigured("login", text))
            }
            _ => Ok(answer),
        }
    }

    async fn connect(&mut self) -> Result<Link, Wrong> {
        let Site { url, tls } = &self.site;
        let failed = |error: io::Error| Wrong::io(&format!("connect to {url}"), &error);
        let stream = TcpStream::connect((&*url.host, url.port)).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let tls = tls.as_ref().map(|(tls, host)| (&**tls, &**host));
        // What is wrong with a certificate here is no fault of the node's AMQP.
        let stream = secured(stream, tls).await.map_err(Wrong::of_check)?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| self.broken(&error))?;
        let connection = tokio::spawn(async move {
            // Its errors reach whoever waits for an answer.
            let _ = connection.await;
        });
        self.connections += 1;
        Ok(Link { sender, _connection: AbortOnDropHandle::new(connection) })
    }

    async fn ask(&mut self, mut link: Link, path: &str) -> Result<Answer, Wrong> {
        let request = self.request(path)?;
        let response = link.sender.send_request(request).await.map_err(|e| self.broken(&e))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| {
            Wrong::failed("protocol", format!("{} /api/{path}: {error}", self.site.url))
        })?;
        let body = serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null);
        self.link = Some(link);
        Ok(Answer { status, body })
    }

    fn request(&self, path: &str) -> Result<Request<Empty<Bytes>>, Wrong> {
        let mut request = Request::get(format!("{}/api/{path}", self.site.url.prefix))
            .header(HOST, self.site.url.authority())
            .header(USER_AGENT, concat!("amqp-gateway/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let bad = |error| Wrong::misconfigured("url", format!("{}: {error}", self.site.url));
        request.body(Empty::new()).map_err(bad)
    }

    fn broken(&self, error: &hyper::Error) -> Wrong {
        if let Some(error) = error.source().and_then(<dyn Error>::downcast_ref::<io::Error>)
            && failure::in_io(error).is_some()
        {
            return Wrong::io(&self.site.url.to_string(), error).of_check();
        }
        Wrong::silent("closed", format!("{}: {error}", self.site.url))
    }
}
