//! Scripted peers: a client or a broker that says exactly what a test tells it to, frame by frame.
//!
//! They check nothing on their own account and may break every rule of the protocol.

pub mod broker;
mod bytes;
mod frame;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

pub use broker::{BrokerTune, Opened, ScriptedBroker};
pub use frame::{Args, Frame, Reader};

/// What an AMQP 0-9-1 client sends first.
pub const HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

/// How long a peer waits for what it expects.
const DEADLINE: Duration = Duration::from_secs(40);

/// One end of a connection.
#[derive(Debug)]
pub struct Peer {
    stream: Either<TcpStream, TlsStream<TcpStream>>,
}

/// What the broker proposed in connection.tune.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tune {
    /// Channels; 0 = no limit.
    pub channel_max: u16,
    /// Bytes; 0 = no limit.
    pub frame_max: u32,
    /// Seconds; 0 = none.
    pub heartbeat: u16,
}

impl Peer {
    /// Connects to a broker or a gateway.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await;
        Self::new(stream.with_context(|| format!("cannot connect to {address}"))?)
    }

    /// Speaks over a connection that is there already.
    ///
    /// # Errors
    /// When the socket is closed.
    pub fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream: Either::Left(stream) })
    }

    /// The address of this end.
    ///
    /// # Errors
    /// When the socket is closed.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.socket().local_addr()?)
    }

    /// Sends bytes as they are; with TLS, inside it.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        let send = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let sent = timeout(DEADLINE, send).await;
        sent.context("the other end does not read")?.context("cannot send")
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send_frame(&mut self, frame: &Frame) -> Result<()> {
        self.send_raw(&frame.encode()).await
    }

    /// Sends a method frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send_method(&mut self, channel: u16, id: (u16, u16), args: Args) -> Result<()> {
        self.send_frame(&Frame::method(channel, id, args)).await
    }

    /// Reads the next frame, heartbeats included.
    ///
    /// # Errors
    /// At the end of the connection, after 15 s, and when the frame has no end octet.
    pub async fn read_frame(&mut self) -> Result<Frame> {
        let head: [u8; 7] = self.read_bytes().await.context("while a frame was expected")?;
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        let mut payload = vec![0; size + 1];
        self.read_into(&mut payload).await.context("in the middle of a frame")?;
        ensure!(payload.pop() == Some(0xCE), "a frame without its end octet: {head:?}");
        Ok(Frame { kind: head[0], channel: u16::from_be_bytes([head[1], head[2]]), payload })
    }

    /// Waits until something comes, or the end of the connection, however long that takes. With
    /// TLS, something can be less than a byte of what the other end says.
    ///
    /// # Errors
    /// When the connection was reset.
    pub async fn readable(&self) -> Result<()> {
        // Not `readable`: that may say so of what has been read already.
        self.socket().peek(&mut [0]).await?;
        Ok(())
    }

    /// Reads exactly this many bytes.
    ///
    /// # Errors
    /// At the end of the connection and after 15 s.
    pub async fn read_bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read_into(&mut bytes).await?;
        Ok(bytes)
    }

    /// Expects these 8 bytes.
    ///
    /// # Errors
    /// When others come.
    pub async fn expect_header(&mut self, header: [u8; 8]) -> Result<()> {
        let got: [u8; 8] = self.read_bytes().await.context("while a header was expected")?;
        ensure!(got == header, "expected the header {header:?}, got {got:?}");
        Ok(())
    }

    /// Expects this method next (heartbeats are passed over); its arguments.
    ///
    /// # Errors
    /// When something else comes: names it, a close with its code and text.
    pub async fn expect_method(&mut self, id: (u16, u16)) -> Result<Reader> {
        loop {
            let frame = self.read_frame().await.with_context(|| format!("expected {id:?}"))?;
            if frame.kind == Frame::HEARTBEAT {
                continue;
            }
            ensure!(frame.id() == Some(id), "expected method {id:?}, got {}", frame.describe());
            return Ok(frame.arguments());
        }
    }

    /// Expects connection.close; its reply code and text. Does not answer.
    ///
    /// # Errors
    /// When something else comes.
    pub async fn expect_close(&mut self) -> Result<(u16, String)> {
        let mut arguments = self.expect_method((10, 50)).await?;
        Ok((arguments.u16()?, arguments.shortstr()?))
    }

    /// Expects the other end to close without another byte; a reset counts. With TLS, a close
    /// without a close_notify does not.
    ///
    /// # Errors
    /// When bytes come, or nothing for 15 s.
    pub async fn expect_eof(&mut self) -> Result<()> {
        let mut byte = [0; 256];
        let read = timeout(DEADLINE, self.stream.read(&mut byte)).await;
        match read.context("the connection stays open")? {
            Ok(0) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
            Ok(count) => bail!("expected the end, got {:?}", &byte[..count]),
            Err(error) => Err(error.into()),
        }
    }

    /// Closes the sending direction only.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn half_close(&mut self) -> Result<()> {
        Ok(self.stream.shutdown().await?)
    }

    /// As a client: header to start-ok with PLAIN; what the broker proposes.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn login(&mut self, user: &str, password: &str) -> Result<Tune> {
        self.login_by("PLAIN", format!("\0{user}\0{password}").as_bytes()).await
    }

    /// As a client: header to start-ok with this SASL mechanism and response.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn login_by(&mut self, mechanism: &str, response: &[u8]) -> Result<Tune> {
        self.send_raw(&HEADER).await?;
        self.expect_method((10, 10)).await?;
        let capabilities = Args::new()
            .boolean("authentication_failure_close", true)
            .boolean("connection.blocked", true);
        let properties =
            Args::new().string("product", "scripted").table("capabilities", capabilities);
        let start_ok =
            Args::new().nested(properties).shortstr(mechanism).longstr(response).shortstr("en_US");
        self.send_method(0, (10, 11), start_ok).await?;
        let mut tune = self.expect_method((10, 30)).await?;
        Ok(Tune { channel_max: tune.u16()?, frame_max: tune.u32()?, heartbeat: tune.u16()? })
    }

    /// As a client: the whole handshake, without heartbeats; what the broker proposed.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn open(&mut self, user: &str, password: &str, vhost: &str) -> Result<Tune> {
        let tune = self.login(user, password).await?;
        let tune_ok = Args::new().u16(tune.channel_max).u32(tune.frame_max).u16(0);
        self.send_method(0, (10, 31), tune_ok).await?;
        self.send_method(0, (10, 40), Args::new().shortstr(vhost).shortstr("").u8(0)).await?;
        self.expect_method((10, 41)).await?;
        Ok(tune)
    }

    /// Opens a channel.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn open_channel(&mut self, channel: u16) -> Result<()> {
        self.send_method(channel, (20, 10), Args::new().shortstr("")).await?;
        self.expect_method((20, 11)).await?;
        Ok(())
    }

    /// As a client: connection.close, close-ok, end.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn close(mut self) -> Result<()> {
        let close = Args::new().u16(200).shortstr("bye").u16(0).u16(0);
        self.send_method(0, (10, 50), close).await?;
        self.expect_method((10, 51)).await?;
        Ok(())
    }

    async fn read_into(&mut self, bytes: &mut [u8]) -> Result<()> {
        let read = timeout(DEADLINE, self.stream.read_exact(bytes)).await;
        read.with_context(|| format!("nothing more for {DEADLINE:?}"))?
            .context("the other end closed")?;
        Ok(())
    }
}
