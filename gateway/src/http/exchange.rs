//! A request and its answer, from the head of the one to the last byte of the other, and the record of both.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use hyper::{Method, StatusCode};

use super::Shared;
use super::arrive::{Client, Speaks};
use super::body::Meter;
use super::link::Link;
use super::nodes::Turn;
use super::page::Page;
use crate::telemetry::access::HttpRecord;

/// Why a request, or a connection, did not come to a good end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reason {
    ClientGone,
    ClientStalled,
    BadRequest,
    HeadTimeout,
    NoCluster,
    NoNode,
    ConnectTimeout,
    NodeSilent,
    NodeLost,
    AccessRefused,
    Loop,
    NotTls,
    Cut,
    AddressLost,
    /// Turned away at the entrance, in that one's words.
    Refused(&'static str),
}

impl Reason {
    /// All of them but those of the entrance.
    pub const ALL: [Self; 14] = [
        Self::ClientGone,
        Self::ClientStalled,
        Self::BadRequest,
        Self::HeadTimeout,
        Self::NoCluster,
        Self::NoNode,
        Self::ConnectTimeout,
        Self::NodeSilent,
        Self::NodeLost,
        Self::AccessRefused,
        Self::Loop,
        Self::NotTls,
        Self::Cut,
        Self::AddressLost,
    ];

    /// Its word in the access record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientGone => "client-gone",
            Self::ClientStalled => "client-stalled",
            Self::BadRequest => "bad-request",
            Self::HeadTimeout => "head-timeout",
            Self::NoCluster => "no-cluster",
            Self::NoNode => "no-node",
            Self::ConnectTimeout => "connect-timeout",
            Self::NodeSilent => "node-silent",
            Self::NodeLost => "node-lost",
            Self::AccessRefused => "access-refused",
            Self::Loop => "loop",
            Self::NotTls => "not-tls",
            Self::Cut => "cut",
            Self::AddressLost => "address-lost",
            Self::Refused(reason) => reason,
        }
    }
}

/// A request and its answer. When it is dropped, it is recorded: wherever that was, it had an end.
#[derive(Debug)]
pub(super) struct Exchange {
    shared: Arc<Shared>,
    client: Arc<Client>,
    begun: Instant,
    /// `None` if there was no request.
    request: Option<(Method, String)>,
    pub(super) meter: Arc<Meter>,
    status: Option<StatusCode>,
    /// Bytes of the answer's body.
    sent: u64,
    /// The last node tried, or the one that answers.
    turn: Option<Turn>,
    done: bool,
    reason: Option<Reason>,
    detail: Option<String>,
}

/// An exchange that the gateway itself has to answer.
#[derive(Debug)]
pub(super) struct Unserved {
    pub(super) page: Page,
    pub(super) exchange: Exchange,
}

impl Exchange {
    /// A request has arrived.
    pub(super) fn new(
        shared: &Arc<Shared>,
        client: &Arc<Client>,
        method: Method,
        path: &str,
    ) -> Self {
        let request = Some((method, path.to_owned()));
        Self::since(Instant::now(), shared, client, request)
    }

    /// A connection ended without a request, for this reason.
    pub(super) fn ended(
        shared: &Arc<Shared>,
        client: &Arc<Client>,
        reason: Reason,
        detail: String,
    ) {
        Self::since(client.arrival.accepted, shared, client, None).failed_with(reason, detail);
    }

    fn since(
        begun: Instant,
        shared: &Arc<Shared>,
        client: &Arc<Client>,
        request: Option<(Method, String)>,
    ) -> Self {
        Self {
            shared: shared.clone(),
            client: client.clone(),
            begun,
            request,
            meter: Arc::new(Meter::new(client.stall.clone())),
            status: None,
            sent: 0,
            turn: None,
            done: false,
            reason: None,
            detail: None,
        }
    }

    /// Who asked.
    pub(super) fn client(&self) -> Arc<Client> {
        self.client.clone()
    }

    /// It is `turn`'s node that is tried now.
    pub(super) fn tries(&mut self, turn: Turn) {
        self.turn = Some(turn);
    }

    /// It is answered with this.
    pub(super) fn answers(&mut self, status: StatusCode) {
        self.status = Some(status);
        if let Some(turn) = self.turn.as_ref().filter(|_| self.reason.is_none()) {
            turn.node().left_out.succeeded();
        }
    }

    /// So many bytes more of the answer's body are on their way.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// Something went wrong. What went wrong first stands.
    pub(super) fn failed(&mut self, reason: Reason) {
        self.reason.get_or_insert(reason);
    }

    /// As [`Exchange::failed`], in words.
    pub(super) fn failed_with(&mut self, reason: Reason, detail: String) {
        self.failed(reason);
        self.detail.get_or_insert(detail);
    }

    /// It is answered with this page instead.
    pub(super) fn unserved(mut self, reason: Reason, page: Page) -> Box<Unserved> {
        self.failed(reason);
        Box::new(Unserved { page, exchange: self })
    }

    /// All of the answer is on its way.
    pub(super) fn done(&mut self) {
        self.done = true;
    }

    /// Is all of the answer on its way?
    pub(super) fn is_done(&self) -> bool {
        self.done && self.reason.is_none()
    }

    /// Has the client stalled?
    pub(super) fn has_stalled(&self) -> bool {
        self.client.stall.is_over()
    }

    /// Keeps the connection to the node for another request, as soon as it is free.
    pub(super) fn keep(&self, mut link: Link) {
        let Some(node) = self.turn.as_ref().map(|turn| turn.node().clone()) else { return };
        self.shared.chores.spawn(async move {
            if link.is_free().await {
                node.pool.put(link, Instant::now());
            }
        });
    }

    fn record(&self) {
        let Some(access) = &self.shared.access else { return };
        let listener = &*self.client.listener;
        let node = self.turn.as_ref().map(|turn| &turn.node().node);
        let way = listener.way.load();
        let cluster = way.cluster.as_ref().map(|cluster| &*cluster.cluster.name.0);
        access.write_http(&HttpRecord {
            time: SystemTime::now(),
            listener: &listener.name.0,
            client: self.client.arrival.client,
            proxy: self.client.arrival.proxy,
            tls: self.client.speaks == Speaks::Https,
            method: self.request.as_ref().map(|(method, _)| method.as_str().as_bytes()),
            path: self.request.as_ref().map(|(_, path)| path.as_bytes()),
            status: self.status.map(|status| status.as_u16()),
            bytes_from_client: self.meter.bytes.load(Ordering::Relaxed),
            bytes_to_client: self.sent,
            duration: self.begun.elapsed(),
            cluster,
            node: node.map(|node| &*node.name),
            reason: self.reason.map(Reason::as_str),
            detail: self.detail.as_deref().map(str::as_bytes),
        });
    }

    fn count(&self) {
        let listener = &*self.client.listener;
        let way = listener.way.load();
        let cluster = way.cluster.as_ref().map_or("", |cluster| &cluster.cluster.name.0);
        let node = self.turn.as_ref().map_or("", |turn| &*turn.node().node.name);
        let class = match self.status.map(|status| status.as_u16() / 100) {
            Some(1) => "1xx",
            Some(2) => "2xx",
            Some(3) => "3xx",
            Some(4) => "4xx",
            Some(5) => "5xx",
            _ => "none",
        };
        let (labels, took) = ([&*listener.name.0, cluster, node, class], self.begun.elapsed());
        self.shared.metrics.http_request(labels, took);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.done && self.reason.is_none() {
            self.reason = Some(match self.shared.cut.is_cancelled() {
                _ if self.has_stalled() => Reason::ClientStalled,
                true => Reason::Cut,
                false if self.client.arrival.is_lost() => Reason::AddressLost,
                false => Reason::ClientGone,
            });
        }
        if self.request.is_some() {
            self.client.pulse().answered(Instant::now());
            self.count();
        }
        self.record();
    }
}
