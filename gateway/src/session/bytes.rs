//! Any bytes, to a port of the nodes: MQTT, STOMP, streams, and TLS that only the node can read.

use std::task::Context;

use super::Shared;
use super::close;
use super::dial::Port;
use super::end::{End, Phase, Who};
use super::local::local_only;
use super::opaque::{poll_client, route};
use super::registry::Session;
use super::search::{Found, Search, unserved};
use crate::cluster::Key;
use crate::cluster::node::Lease;
use crate::stream::Stream;

/// A client of a `tcp` or `tls-passthrough` listener, and what it has said so far.
pub(super) struct Bytes<'a> {
    pub(super) shared: &'a Shared,
    pub(super) session: &'a Session,
    pub(super) client: &'a mut Stream,
    pub(super) said: &'a mut Vec<u8>,
    pub(super) port: Port,
    /// Once the route is decided.
    pub(super) search: Option<Search>,
}

impl Bytes<'_> {
    /// Finds a node that takes the connection. It is told nothing yet.
    ///
    /// # Errors
    /// The end of the session.
    pub(super) async fn run(&mut self) -> Result<(Stream, Lease), End> {
        let Some(cluster) = route(self.shared, self.session) else {
            let end = End::new(Who::Gateway, Phase::Route, "no-route");
            return Err(end.with_detail("give the listener a cluster, or add a route for it"));
        };
        let (session, client, said) = (self.session, &mut *self.client, &mut *self.said);
        let key = Key { source: session.arrival.client.ip(), vhost: None, amqp: false };
        let watch = |cx: &mut Context<'_>| poll_client(session, client, said, cx);
        let search = self.search.insert(Search::of_port(cluster.clone(), self.port));
        let refused = match search.connect((self.shared, session), &key, watch).await? {
            Found::Node(node, lease) => {
                return match local_only(&node, session.arrival.client.ip(), &cluster) {
                    None => Ok((node, lease)),
                    Some(_) => Err(self.refuse_stranger().await),
                };
            }
            Found::Nobody => None,
            Found::NotAdmitted(refused) => Some(refused),
        };
        let (end, cause) = unserved(self.search.as_ref(), refused);
        Err(end.with_detail(cause))
    }

    /// The node would take the client for one of its own host, and its login cannot be read here.
    async fn refuse_stranger(&mut self) -> End {
        close::patiently(self.session, close::shut(self.client)).await;
        End::new(Who::Gateway, Phase::Connect, "access-refused").with_detail(
            "to the node at a loopback address the client would look local, and guest might log in: name the node by \
             another address of its host, or set loopback_users = [] if its broker has none",
        )
    }
}
