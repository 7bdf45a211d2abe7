//! Hands a request to a node, and to another one if that does not take it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::{Body, Incoming};
use hyper::header::{HeaderValue, UPGRADE};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use tracing::{error, warn};

use super::arrive::Client;
use super::body::{Download, Upload};
use super::exchange::{Exchange, Reason, Unserved};
use super::headers;
use super::link::{self, Link};
use super::nodes::{HttpCluster, HttpNode, Key};
use super::page::Page;
use super::{Shared, tunnel};
use crate::cluster::condition::Verdict;
use crate::config::model::HttpStrategy;
use crate::socket::own_fault;

/// How long a node may take for a connection while there is another one to ask.
const PATIENCE: Duration = Duration::from_secs(1);

/// A request on its way to a node.
pub(super) struct Forward<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) client: &'a Arc<Client>,
    pub(super) cluster: &'a HttpCluster,
    pub(super) strategy: HttpStrategy,
    /// The host that the client asked for.
    pub(super) host: HeaderValue,
}

/// Why there is no answer of a node.
struct Failed {
    reason: Reason,
    /// In words, for the client and the log.
    text: String,
    /// The request, if nothing of it has been sent.
    unsent: Option<Request<Upload>>,
}

impl Forward<'_> {
    /// Answers with what a node answers, or with why none does.
    pub(super) async fn run(
        &self,
        mut request: Request<Incoming>,
        mut exchange: Exchange,
    ) -> Result<Response<Download>, Box<Unserved>> {
        let wanted = headers::upgrade(request.headers())
            .filter(|_| request.version() == Version::HTTP_11)
            .map(|wanted| (wanted, hyper::upgrade::on(&mut request)));
        let (parts, body) = request.into_parts();
        let target = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
        let key = Key { source: self.client.arrival.client.ip(), target: &target };
        // What asks for no more than an answer may be asked twice.
        let safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(&parts.method);
        let repeatable = safe && body.is_end_stream() && wanted.is_none();
        let head = self.head(parts, &target, wanted.as_ref().map(|(wanted, _)| wanted));
        let mut body = Some(Upload::new(body, exchange.meter.clone()));
        let (mut tried, mut last) = (Vec::new(), None);
        while tried.len() <= self.cluster.cluster.model.retry as usize
            && let Some(turn) = self.cluster.choose(self.strategy, &tried, &key, Instant::now())
            && let Some(upload) = body.take()
        {
            let node = turn.node().clone();
            tried.push(node.clone());
            exchange.tries(turn);
            let request = Request::from_parts(head.clone(), upload);
            match self.attempt(&node, &tried, request, repeatable).await {
                Ok((response, link)) => return self.answer(response, link, wanted, exchange),
                Err(failed) => {
                    let again = || repeatable.then(|| Upload::empty(exchange.meter.clone()));
                    body = failed.unsent.map(Request::into_body).or_else(again);
                    last = Some((failed.reason, failed.text));
                }
            }
        }
        Err(self.refusal(last, exchange))
    }

    /// The head of the request to the node.
    fn head(&self, mut parts: Parts, target: &str, upgrade: Option<&HeaderValue>) -> Parts {
        let asker = self.client.asker();
        headers::to_node(&mut parts.headers, &asker, &self.host, &self.shared.via, upgrade);
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = parts.method;
        head.headers = parts.headers;
        head.uri = target.parse().unwrap_or_else(|_| Uri::from_static("/"));
        head.version = Version::HTTP_11;
        head
    }

    /// Over a connection that waits for requests, or over a new one.
    async fn attempt(
        &self,
        node: &Arc<HttpNode>,
        tried: &[Arc<HttpNode>],
        mut request: Request<Upload>,
        repeatable: bool,
    ) -> Result<(Response<Incoming>, Link), Failed> {
        while let Some(mut link) = node.pool.take(Instant::now()) {
            if self.is_stranger_to(&link) {
                return Err(stranger(node, request));
            }
            match ask(node, &mut link, request, repeatable).await {
                Ok(response) => return Ok((response, link)),
                // It was closed while it waited: that says nothing about the node.
                Err(Failed { unsent: Some(unsent), .. }) => request = unsent,
                Err(failed) => return Err(failed),
            }
        }
        let longest = self.cluster.cluster.model.connect_timeout;
        let patience = match self.cluster.has_another(tried, Instant::now()) {
            true => longest.min(PATIENCE),
            false => longest,
        };
        let mut link = match link::connect(&self.cluster.cluster, node, patience).await {
            Ok(link) => link,
            Err(error) => return Err(not_connected(node, &error, request)),
        };
        if self.is_stranger_to(&link) {
            return Err(stranger(node, request));
        }
        let answered = ask(node, &mut link, request, repeatable).await;
        if let Err(Failed { reason: Reason::NodeLost, text, .. }) = &answered {
            node.failed(Instant::now());
            let (cluster, name) = (&node.node.cluster, &node.node.name);
            warn!(%cluster, node = %name, url = %node.url, %text, "node does not answer a request");
        }
        answered.map(|response| (response, link))
    }

    /// Would the node take the client for one of its own host, and let users in that it keeps from all others? RabbitMQ
    /// judges by its own end of the connection, and logins come in more ways than the header of a request.
    fn is_stranger_to(&self, link: &Link) -> bool {
        let elsewhere = !self.client.arrival.client.ip().to_canonical().is_loopback();
        link.looks_local && elsewhere && !self.cluster.cluster.model.loopback_users.is_empty()
    }

    fn answer(
        &self,
        mut response: Response<Incoming>,
        link: Link,
        wanted: Option<(HeaderValue, OnUpgrade)>,
        mut exchange: Exchange,
    ) -> Result<Response<Download>, Box<Unserved>> {
        let status = response.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            exchange.answers(status);
            headers::to_client(response.headers_mut(), None);
            return Ok(response.map(|body| Download::of_node(body, link, exchange)));
        }
        let Some((_, client)) = wanted else {
            let text = "the node changes to another protocol, and was not asked to".to_owned();
            return Err(self.refusal(Some((Reason::NodeLost, text)), exchange));
        };
        exchange.answers(status);
        let upgrade = response.headers().get(UPGRADE).cloned();
        headers::to_client(response.headers_mut(), upgrade.as_ref());
        let node = hyper::upgrade::on(&mut response);
        self.shared.connections.spawn(tunnel::run(
            self.shared.clone(),
            client,
            node,
            link,
            exchange,
        ));
        Ok(response.map(|_| Download::none()))
    }

    /// What the client is told if no node answers.
    fn refusal(&self, last: Option<(Reason, String)>, mut exchange: Exchange) -> Box<Unserved> {
        let name = &self.cluster.cluster.name;
        let nobody = || (Reason::NoNode, "no node with a management address is known".to_owned());
        let (reason, text) = last.unwrap_or_else(nobody);
        let (status, what) = match reason {
            Reason::ConnectTimeout | Reason::NodeSilent => {
                (StatusCode::GATEWAY_TIMEOUT, "does not answer")
            }
            Reason::NodeLost => (StatusCode::BAD_GATEWAY, "broke off"),
            Reason::AccessRefused => (StatusCode::FORBIDDEN, "is not for clients of other hosts"),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "cannot be reached"),
        };
        let page = Page::new(status, format!("RabbitMQ cluster {name} {what}: {text}."));
        exchange.failed_with(reason, text);
        exchange.unserved(reason, page)
    }
}

/// Sends a request, and waits for the head of its answer. One that may be repeated does not wait for a node that is found
/// to be down meanwhile.
async fn ask(
    node: &HttpNode,
    link: &mut Link,
    request: Request<Upload>,
    repeatable: bool,
) -> Result<Response<Incoming>, Failed> {
    let given_up = async {
        match repeatable {
            true => went_down(node).await,
            false => std::future::pending().await,
        }
    };
    let name = &node.node.name;
    tokio::select! {
        answered = link.send(request) => answered.map_err(|mut error| {
            let unsent = error.take_message();
            let text = format!("node {name} closed the connection: {}", error.into_error());
            Failed { reason: Reason::NodeLost, text, unsent }
        }),
        () = given_up => Err(Failed {
            reason: Reason::NodeSilent,
            text: format!("node {name} did not answer, and is down"),
            unsent: None,
        }),
    }
}

/// A request that the node must not have.
fn stranger(node: &HttpNode, request: Request<Upload>) -> Failed {
    let (name, url) = (&node.node.name, &node.url);
    let text = format!(
        "to node {name} every client of {url} looks local, and guest might log in; give the node's management \
         another address of its host, or set loopback_users = [] if its broker lets no user in from its own host alone"
    );
    Failed { reason: Reason::AccessRefused, text, unsent: Some(request) }
}

/// Waits until a node is found to be down that was not so far.
async fn went_down(node: &HttpNode) {
    let mut verdict = node.verdict.subscribe();
    while verdict.changed().await.is_ok() {
        if *verdict.borrow() == Verdict::Down {
            return;
        }
    }
    std::future::pending().await
}

/// Notes that there is no connection to a node, which counts against the node only if the fault is not this machine's.
fn not_connected(node: &HttpNode, error: &io::Error, request: Request<Upload>) -> Failed {
    let (cluster, name, url) = (&node.node.cluster, &node.node.name, &node.url);
    match own_fault(error) {
        Some(fault) => {
            if node.node.may_be_complained_of(Instant::now()) {
                error!(
                    %cluster, node = %name, %url, how = %error, cure = fault.cure,
                    "the gateway cannot connect to the node, and the fault is its own"
                );
            }
        }
        None => {
            node.failed(Instant::now());
            warn!(%cluster, node = %name, %url, how = %error, "node does not take a request");
        }
    }
    let timed_out = error.kind() == io::ErrorKind::TimedOut;
    let reason = if timed_out { Reason::ConnectTimeout } else { Reason::NoNode };
    let text = match timed_out {
        true => format!("node {name} takes no connection"),
        false => format!("node {name}: {error}"),
    };
    Failed { reason, text, unsent: Some(request) }
}
