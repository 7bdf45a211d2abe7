//! Listens in on a monitoring connection's handshake: what a node tells its client library tells the gateway, too.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use amqp_codec::handshake::bridge::Learned;
use amqp_codec::handshake::client::{ClientHandshake, NodeSaid};
use async_rs::Tokio;

use async_rs::traits::Reactor;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::Stream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::NodeStream;
use crate::cluster::node::Node;

/// A connection to a node, whose start and tune are kept for [`Node::learn`].
#[derive(Debug)]
pub struct Tap {
    stream: Compat<NodeStream>,
    listening: Option<Box<Listening>>,
}

#[derive(Debug)]
struct Listening {
    handshake: ClientHandshake,
    learned: Learned,
    node: Arc<Node>,
}

impl Tap {
    /// Listens in on a connection to `node` that has just been made.
    #[must_use]
    pub(super) fn new(stream: NodeStream, node: Arc<Node>) -> Self {
        let (handshake, learned) = (ClientHandshake::default(), Learned::default());
        let listening = Some(Box::new(Listening { handshake, learned, node }));
        Self { stream: stream.compat(), listening }
    }
}

impl Listening {
    /// Hears what the node says. Returns whether there is more to come.
    fn hear(&mut self, bytes: &[u8]) -> bool {
        self.handshake.push(bytes);
        loop {
            match self.handshake.next_said() {
                Ok(Some(NodeSaid::Start(greeting))) => self.learned.greeting = Some(greeting),
                Ok(Some(NodeSaid::Tune { tune, .. })) => {
                    self.learned.tune = Some(tune);
                    self.node.learn(&self.learned);
                    return false;
                }
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let tap = self.get_mut();
        let length = ready!(Pin::new(&mut tap.stream).poll_read(cx, buffer))?;
        if let Some(listening) = &mut tap.listening
            && !listening.hear(&buffer[..length])
        {
            tap.listening = None;
        }
        Poll::Ready(Ok(length))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_close(cx)
    }
}

/// The reactor of tokio, but for connections, which are [`Tap`]s. They are made elsewhere.
#[derive(Debug, Clone)]
pub struct TapReactor(pub Tokio);

impl Reactor for TapReactor {
    type TcpStream = Tap;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, time: Duration) -> Self::Sleep {
        self.0.sleep(time)
    }

    fn interval(&self, time: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(time)
    }

    fn tcp_connect_addr(
        &self,
        _address: SocketAddr,
    ) -> impl Future<Output = io::Result<Tap>> + Send + 'static {
        std::future::ready(Err(io::ErrorKind::Unsupported.into()))
    }
}
