//! Clients that a node would take for somebody else, for what it sees is the gateway's connection.
//!
//! RabbitMQ lets `guest` in over loopback addresses alone, and judges by its own end of the connection. For a gateway on its
//! own host that is a loopback address, whoever the client is; a PROXY header changes nothing (measured with 3.10; the sources
//! of 4.x judge in the same way). And where the gateway shows a certificate of its own, EXTERNAL is
//! the login of whom that certificate names. So the gateway judges in the node's place.

use std::net::IpAddr;
use std::task::{Context, Poll};

use amqp_codec::handshake::server::MAX_WAITING;
use amqp_codec::login_guard::{LocalOnly, LoginGuard};
use amqp_codec::sasl_init::{self, SaslInit};

use super::close;
use super::end::{End, Phase, Who};
use super::io::poll_take;
use super::registry::Session;
use crate::cluster::Cluster;
use crate::stream::Stream;

/// Which logins of a client have to be kept from a node.
pub(super) fn login_guard(node: &Stream, client: IpAddr, cluster: &Cluster) -> LoginGuard {
    let shows_certificate = cluster.model.tls.as_ref().is_some_and(|tls| tls.certificate.is_some());
    LoginGuard { local_only: local_only(node, client, cluster), shows_certificate }
}

/// Who has to be kept from a node, if it sees a loopback address and the client is elsewhere.
pub(super) fn local_only(node: &Stream, client: IpAddr, cluster: &Cluster) -> Option<LocalOnly> {
    let users = &cluster.model.loopback_users;
    let loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
    let seen_local = node.tcp().peer_addr().map_or(true, |seen| loopback(seen.ip()));
    (!users.is_empty() && seen_local && !loopback(client)).then(|| LocalOnly::new(users.clone()))
}

/// A client of AMQP 1.0 whose login is not known yet.
pub(super) struct Unknown<'a> {
    pub(super) session: &'a Session,
    pub(super) client: &'a mut Stream,
    pub(super) node: &'a mut Stream,
    /// What it has said, its header first. All but the header is kept from the node.
    pub(super) said: &'a mut Vec<u8>,
}

/// What a wait came to.
enum Heard {
    Client,
    Node(Vec<u8>),
    Ended(End),
}

impl Unknown<'_> {
    /// Passes on what the node says, `first` before all else, until the client has said who it is, then tells the node, too.
    ///
    /// # Errors
    /// The end of a session that is refused, or that a peer has left.
    pub(super) async fn admit(&mut self, guard: &LoginGuard, first: &[u8]) -> Result<(), End> {
        self.tell_client(first).await?;
        loop {
            let login = sasl_init::read(self.said.get(sasl_init::HEADER.len()..).unwrap_or(&[]));
            let objection = match login {
                SaslInit::More => None,
                SaslInit::Unreadable => Some("the login cannot be read".to_owned()),
                SaslInit::Login { mechanism, user } => {
                    match guard.objection(&mechanism, user.as_deref()) {
                        None => return self.tell_node().await,
                        objection => objection,
                    }
                }
            };
            if let Some(cause) = objection {
                return Err(self.refuse(&sasl_init::REFUSED, cause).await);
            }
            match std::future::poll_fn(|cx| self.poll_heard(cx)).await {
                Heard::Client => {}
                Heard::Node(bytes) => self.tell_client(&bytes).await?,
                Heard::Ended(end) => return Err(end),
            }
        }
    }

    /// Says no, in bytes that AMQP 1.0 understands.
    pub(super) async fn refuse(&mut self, answer: &[u8], cause: String) -> End {
        let _ = self.client.send(answer).await;
        close::patiently(self.session, close::shut(self.client)).await;
        End::new(Who::Gateway, Phase::Connect, "access-refused").with_detail(cause)
    }

    async fn tell_client(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.session.counters.bytes_from_node.add(bytes.len() as u64);
        let written = self.client.send(bytes).await;
        written.map_err(|_| End::new(Who::Client, Phase::Connect, "client-gone"))
    }

    async fn tell_node(&mut self) -> Result<(), End> {
        let rest = self.said.get(sasl_init::HEADER.len()..).unwrap_or(&[]);
        let written = self.node.send(rest).await;
        written.map_err(|_| End::new(Who::Node, Phase::Connect, "node-lost"))
    }

    fn poll_heard(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        let mut bytes = Vec::new();
        match poll_take(self.node, cx, MAX_WAITING, |read| bytes.extend_from_slice(read)) {
            Poll::Ready(true) => return Poll::Ready(Heard::Node(bytes)),
            Poll::Ready(false) => {
                return Poll::Ready(Heard::Ended(End::new(Who::Node, Phase::Connect, "node-lost")));
            }
            Poll::Pending => {}
        }
        let before = self.said.len();
        match super::opaque::poll_client(self.session, self.client, self.said, cx) {
            Poll::Ready(end) => Poll::Ready(Heard::Ended(end)),
            Poll::Pending if self.said.len() > before => Poll::Ready(Heard::Client),
            Poll::Pending => Poll::Pending,
        }
    }
}
