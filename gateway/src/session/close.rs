//! Ends a session in a way both sides understand.
//!
//! The client is told connection.close at a frame boundary, and what it had sent before it answered still reaches the
//! node. Then the node is told, too. All of it within [`PATIENCE`]; whoever does not answer is cut.

use std::future::Future;
use std::time::Duration;

use amqp_codec::frame::method::id;
use amqp_codec::frame::walker::{Observer, Stop as WalkStop};
use amqp_codec::frame::{FrameError, method::MethodId};
use amqp_codec::handshake::server::MAX_PAYLOAD;
use amqp_codec::reply::{CloseReason, ReplyCode};
use amqp_codec::wire;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::end::{End, Phase, Who};
use super::io::poll_discard;
use super::registry::{Order, Session};
use super::relay::{Flow, Relay, Stop};
use crate::stream::Stream;

/// How long the peers may take over a close.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What clients of an address are told that moves to another gateway.
pub(super) const MOVED: &str = "the address has moved to another gateway, please reconnect";

/// What clients of a listener are told that is not there any more.
pub(super) fn removed(session: &Session) -> String {
    format!("listener {} has been removed", session.arrival.listener)
}

/// What the client of a session is told that an operator closes.
pub(super) const CLOSED: &str = "closed by an operator";

/// The end of a session that has nothing left to do: the close handshake has passed through, and the client has gone.
pub(super) fn settled(relay: &Relay, stop: &Stop) -> Option<End> {
    let answered = relay.watch.closing.as_ref().is_some_and(|closing| closing.answered);
    (answered && matches!(stop, Stop::ClientGone)).then(|| end_of(relay, stop, ""))
}

/// Ends a session that stopped relaying.
pub(super) async fn finish(relay: &mut Relay, stop: Stop, gateway: &str) -> End {
    let mut end = end_of(relay, &stop, gateway);
    let session = relay.watch.session.clone();
    let passed_on = relay.watch.closing.is_some();
    match stop {
        Stop::Order(Order::Cut | Order::ClientSilent) => {}
        Stop::ClientGone => patiently(&session, leave_node(relay)).await,
        Stop::NodeGone if relay.watch.closing.is_some() || !relay.watch.framed() => {
            patiently(&session, shut(&mut relay.client)).await;
        }
        // AMQP 1.0 passes as opaque bytes: there is no telling where a close could stand.
        _ if !relay.watch.framed() => {}
        Stop::NodeGone | Stop::BadNode(_) | Stop::Order(Order::NodeSilent | Order::NodeDown) => {
            patiently(&session, close_client(relay, end.close.as_ref())).await;
        }
        Stop::BadClient(_) => {
            patiently(&session, close_bad_client(relay, end.close.as_ref())).await;
        }
        Stop::Order(Order::AddressLost) => {
            patiently(&session, close_moved(relay, end.close.as_ref())).await;
        }
        Stop::Order(
            Order::Drain
            | Order::Idle
            | Order::NodeDraining
            | Order::NodeMaintenance
            | Order::Rebalance
            | Order::NodeRemoved
            | Order::RouteChanged
            | Order::ListenerRemoved
            | Order::OperatorClose,
        ) => {
            patiently(&session, close_both(relay, end.close.as_ref())).await;
        }
    }
    if !relay.told && !passed_on {
        end.close = None;
    }
    end
}

/// Waits for `work`, but not beyond the patience, nor when the session is told to cut.
pub(super) async fn patiently(session: &Session, work: impl Future<Output = ()>) {
    let cut = std::future::poll_fn(|cx| match session.poll_order(cx.waker()) {
        Some(Order::Cut) => std::task::Poll::Ready(()),
        _ => std::task::Poll::Pending,
    });
    tokio::select! {
        () = work => {}
        () = cut => {}
        () = tokio::time::sleep(PATIENCE) => {}
    }
}

fn end_of(relay: &Relay, stop: &Stop, gateway: &str) -> End {
    let session = &relay.watch.session;
    let forced = |cause: &str| {
        CloseReason::new(ReplyCode::CONNECTION_FORCED, &format!("gateway {gateway}: {cause}"))
    };
    let node = || match session.facts() {
        Some(facts) => format!("node {} of cluster {}", facts.node.name, facts.node.cluster),
        None => "the node".to_owned(),
    };
    match (stop, &relay.watch.closing) {
        (Stop::ClientGone | Stop::NodeGone, Some(closing)) => {
            let (who, reason) = match closing.by_node {
                true => (Who::Node, "node-closed"),
                false => (Who::Client, "client-closed"),
            };
            End::new(who, Phase::Relay, reason).with_close(closing.reason.clone())
        }
        (Stop::ClientGone, None) => End::new(Who::Client, Phase::Relay, "client-gone"),
        (Stop::NodeGone, None) => End::new(Who::Node, Phase::Relay, "node-lost")
            .with_close(forced(&format!("{} closed the connection", node()))),
        (Stop::BadClient(error), _) => End::bad_frame(Who::Client, *error)
            .with_close(CloseReason::new(ReplyCode::FRAME_ERROR, &error.to_string())),
        (Stop::BadNode(error), _) => End::bad_frame(Who::Node, *error)
            .with_close(forced(&format!("{} sent what is no AMQP frame", node()))),
        (Stop::Order(order), _) => match order {
            Order::Drain => End::new(Who::Gateway, Phase::Drain, "drained")
                .with_close(forced("stopping, please reconnect")),
            Order::ClientSilent => End::new(Who::Client, Phase::Relay, "client-silent"),
            Order::NodeSilent => End::new(Who::Node, Phase::Relay, "node-silent")
                .with_close(forced(&format!("{} is silent", node()))),
            Order::Idle => End::new(Who::Gateway, Phase::Relay, "idle-timeout")
                .with_close(forced("nothing has passed for the configured idle timeout")),
            Order::Cut => End::new(Who::Gateway, Phase::Drain, "cut"),
            Order::NodeDraining => End::new(Who::Gateway, Phase::Drain, "node-draining")
                .with_close(forced(&format!("{} is being drained, please reconnect", node()))),
            Order::NodeMaintenance => End::new(Who::Gateway, Phase::Drain, "node-maintenance")
                .with_close(forced(&format!("{} is in maintenance, please reconnect", node()))),
            Order::Rebalance => End::new(Who::Gateway, Phase::Drain, "rebalanced")
                .with_close(forced(&format!("{} has too many sessions, please reconnect", node()))),
            Order::NodeDown => End::new(Who::Gateway, Phase::Relay, "node-down")
                .with_close(forced(&format!("{} is down", node()))),
            Order::AddressLost => {
                End::new(Who::Gateway, Phase::Drain, "address-lost").with_close(forced(MOVED))
            }
            Order::NodeRemoved => End::new(Who::Gateway, Phase::Drain, "node-removed")
                .with_close(forced(&format!("{} has been removed, please reconnect", node()))),
            Order::RouteChanged => End::new(Who::Gateway, Phase::Drain, "route-changed")
                .with_close(forced(
                    "the route of this vhost or client has changed, please reconnect",
                )),
            Order::ListenerRemoved => End::new(Who::Gateway, Phase::Drain, "listener-removed")
                .with_close(forced(&removed(session))),
            Order::OperatorClose => {
                End::new(Who::Operator, Phase::Relay, "operator-closed").with_close(forced(CLOSED))
            }
        },
    }
}

/// The client says nothing more. The node is told so behind what was sent; what it has still to say reaches the client,
/// which may have shut one direction only.
async fn leave_node(relay: &mut Relay) {
    let waiting = relay.up.take_backlog();
    let _ = relay.node.send(&waiting).await;
    let _ = relay.node.shutdown().await;
    while !relay.down.dead {
        if std::future::poll_fn(|cx| relay.poll_one_down(cx)).await.is_err() {
            let _ = relay.client.shutdown().await;
            return;
        }
    }
    shut(&mut relay.node).await;
}

/// Says goodbye and waits for the peer to go: closing at once, with bytes unread, would reset the connection and might
/// take away what the peer has not read yet.
pub(super) async fn shut(stream: &mut Stream) {
    let _ = stream.shutdown().await;
    let _ = std::future::poll_fn(|cx| poll_discard(stream, cx)).await;
}

/// The node is gone: tells the client, and waits for its answer.
async fn close_client(relay: &mut Relay, reason: Option<&CloseReason>) {
    // A frame of which a part is out already cannot be made whole any more: the client is cut.
    if !relay.down.walker.at_boundary() || !say_close(relay, reason).await {
        return;
    }
    let Relay { client, up, .. } = relay;
    let answer = until_close_ok(client, None::<&mut Stream>, up).await;
    acknowledge(client, answer).await;
}

/// Waits until a client that was told connection.close before open-ok has answered. `rest` = what it had said already.
pub(super) async fn answer_to_close(client: &mut Stream, rest: Vec<u8>) {
    let mut up = Flow::new(MAX_PAYLOAD);
    up.held = rest;
    let answer = until_close_ok(client, None::<&mut Stream>, &mut up).await;
    acknowledge(client, answer).await;
}

/// The client broke the protocol: whatever it says next, nothing of it can be read.
async fn close_bad_client(relay: &mut Relay, reason: Option<&CloseReason>) {
    let told = finish_frame(relay).await && say_close(relay, reason).await;
    if relay.up.walker.at_boundary() {
        let waiting = relay.up.take_backlog();
        let goodbye = reason.map(wire::close).unwrap_or_default();
        let _ = relay.node.send(&[waiting, goodbye].concat()).await;
    }
    if told {
        shut(&mut relay.client).await;
    }
}

/// Closes both sides in order: client first.
async fn close_both(relay: &mut Relay, reason: Option<&CloseReason>) {
    if !finish_frame(relay).await || !say_close(relay, reason).await {
        return;
    }
    let waiting = relay.up.take_backlog();
    let Relay { client, node, up, .. } = relay;
    let (mut node_read, mut node_write) = tokio::io::split(&mut *node);
    if send(&mut node_write, &waiting).await.is_err() {
        return;
    }
    let answer = tokio::select! {
        answer = until_close_ok(client, Some(&mut node_write), up) => answer,
        () = discard_forever(&mut node_read) => None,
    };
    acknowledge(client, answer).await;
    if answer.is_some() && up.walker.at_boundary() {
        let goodbye = reason.map(wire::close).unwrap_or_default();
        let _ = node.send(&goodbye).await;
        shut(node).await;
    }
}

/// The client's address leaves: it is closed first, and in milliseconds. The node may take its time.
async fn close_moved(relay: &mut Relay, reason: Option<&CloseReason>) {
    let session = relay.watch.session.clone();
    if finish_frame(relay).await && say_close(relay, reason).await {
        let waiting = relay.up.take_backlog();
        let Relay { client, node, up, .. } = relay;
        let sent = send(node, &waiting).await.is_ok();
        let (mut node_read, mut node_write) = tokio::io::split(&mut *node);
        let answer = tokio::select! {
            answer = until_close_ok(client, sent.then_some(&mut node_write), up) => answer,
            () = discard_forever(&mut node_read) => None,
        };
        acknowledge(client, answer).await;
        let _ = client.shutdown().await;
    }
    session.arrival.left();
    if relay.up.walker.at_boundary() {
        let goodbye = reason.map(wire::close).unwrap_or_default();
        let _ = relay.node.send(&goodbye).await;
        shut(&mut relay.node).await;
    }
}

/// Passes on the rest of the frame that is on its way to the client.
async fn finish_frame(relay: &mut Relay) -> bool {
    while !relay.down.dead && !relay.down.walker.at_boundary() {
        relay.down.read_to_boundary();
        if std::future::poll_fn(|cx| relay.poll_one_down(cx)).await.is_err() {
            return false;
        }
    }
    !relay.down.dead
}

/// Tells the client connection.close, behind what it is still owed.
async fn say_close(relay: &mut Relay, reason: Option<&CloseReason>) -> bool {
    let mut bytes = relay.down.take_backlog();
    bytes.extend(reason.map(wire::close).unwrap_or_default());
    relay.told = relay.client.send(&bytes).await.is_ok();
    relay.told
}

/// Answers a close of the client's own that crossed ours.
async fn acknowledge(client: &mut Stream, answer: Option<MethodId>) {
    if answer == Some(id::CONNECTION_CLOSE) {
        let _ = client.send(&wire::CLOSE_OK).await;
    }
}

/// Reads the client up to its close-ok (or its own close), passing on what stands before it, and tells which it was.
/// `None` if the stream ends or makes no sense before.
async fn until_close_ok(
    client: &mut Stream,
    mut node: Option<&mut (impl AsyncWrite + Unpin)>,
    up: &mut Flow,
) -> Option<MethodId> {
    let mut buffer = vec![0; 16 * 1024];
    let mut bytes = std::mem::take(&mut up.held);
    loop {
        let Ok((forward, close)) = scan(up, &bytes) else { return None };
        if let Some(writer) = &mut node
            && send(writer, &bytes[..forward]).await.is_err()
        {
            node = None;
        }
        if close.is_some() {
            return close;
        }
        bytes.drain(..forward);
        match client.read(&mut buffer).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
            Ok(_) | Err(_) => return None,
        }
    }
}

async fn send(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    writer.write_all(bytes).await?;
    writer.flush().await
}

/// How many bytes stand before a close or close-ok, and which of them is there?
fn scan(up: &mut Flow, bytes: &[u8]) -> Result<(usize, Option<MethodId>), FrameError> {
    let mut at = 0;
    loop {
        let walked = up.walker.walk(&bytes[at..], &mut Unobserved);
        at += walked.len;
        match walked.stop {
            WalkStop::End => return Ok((at, None)),
            WalkStop::Bad(error) => return Err(error),
            WalkStop::Connection {
                id: id @ (id::CONNECTION_CLOSE | id::CONNECTION_CLOSE_OK),
                ..
            } => return Ok((at, Some(id))),
            WalkStop::Connection { size, .. } => up.walker.enter(size as u32),
        }
    }
}

/// Keeps the node from waiting for us to read.
async fn discard_forever(node: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = vec![0; 16 * 1024];
    while node.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    std::future::pending().await
}

/// What passes during a close is not counted: nobody will see the sums.
struct Unobserved;

impl Observer for Unobserved {
    fn method(&mut self, _id: MethodId, _channel: u16, _arguments: &[u8]) {}
    fn content_header(&mut self, _channel: u16) {}
    fn content_body(&mut self, _channel: u16) {}
    fn heartbeat(&mut self) {}
}
