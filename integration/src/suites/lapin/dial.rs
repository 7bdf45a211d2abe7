//! lapin's connections: made here, so that they may use TLS as a test says.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::Stream;
use lapin::AsyncTcpStream;
use lapin::uri::AMQPUri;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};
use tokio_util::either::Either;

use crate::tls::Connector;

type Connected = Compat<Either<TcpStream, TlsStream<TcpStream>>>;
type OurRuntime = Runtime<RuntimeParts<Tokio, OurReactor>>;

/// What `Connection::connector` asks for.
pub(super) fn new(
    address: SocketAddr,
    tls: Option<Connector>,
) -> (
    OurRuntime,
    impl AsyncFn(AMQPUri, OurRuntime) -> lapin::Result<AsyncTcpStream<Connected>>
    + Send
    + Sync
    + 'static,
) {
    let tokio = Tokio::current();
    let runtime = Runtime::new(RuntimeParts::new(tokio.clone(), OurReactor(tokio)));
    let dial = async move |_: AMQPUri, _: OurRuntime| {
        let stream = match &tls {
            None => {
                let stream = TcpStream::connect(address).await?;
                // As lapin does by itself: else each handshake waits for delayed acknowledgements.
                stream.set_nodelay(true)?;
                Either::Left(stream)
            }
            Some(tls) => Either::Right(tls.connect(address).await?),
        };
        Ok(AsyncTcpStream::Plain(stream.compat()))
    };
    (runtime, dial)
}

/// The reactor of tokio, but for connections: they are made above.
#[derive(Debug, Clone)]
pub(super) struct OurReactor(Tokio);

impl Reactor for OurReactor {
    type TcpStream = Connected;
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
    ) -> impl Future<Output = io::Result<Connected>> + Send + 'static {
        std::future::ready(Err(io::ErrorKind::Unsupported.into()))
    }
}
