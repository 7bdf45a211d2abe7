//! A scripted broker: listens, and hands over each connection to the test.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::{Args, DEADLINE, Frame, HEADER, Peer, Tune};

/// Listens on a port.
#[derive(Debug)]
pub struct ScriptedBroker {
    listener: TcpListener,
    address: SocketAddr,
}

/// What a scripted broker tells a client that opens.
#[derive(Debug, Clone)]
pub struct BrokerTune {
    /// As connection.start lists them.
    pub mechanisms: String,
    /// As connection.tune proposes it.
    pub tune: Tune,
}

impl Default for BrokerTune {
    /// What RabbitMQ 3.10 says by default.
    fn default() -> Self {
        let tune = Tune { channel_max: 2047, frame_max: 131_072, heartbeat: 60 };
        Self { mechanisms: "AMQPLAIN PLAIN".to_owned(), tune }
    }
}

/// What a client said in its handshake, read by [`Peer::serve`].
#[derive(Debug, Clone)]
pub struct Opened {
    /// The SASL mechanism.
    pub mechanism: String,
    /// The SASL response.
    pub response: Vec<u8>,
    /// What tune-ok says.
    pub tune: Tune,
    /// The vhost of connection.open.
    pub vhost: String,
}

impl ScriptedBroker {
    /// Starts listening on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn bind() -> Result<Self> {
        Self::bind_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts listening at an address; port 0 is any free one.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn bind_at(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection.
    ///
    /// # Errors
    /// When none comes within 15 s.
    pub async fn accept(&self) -> Result<Peer> {
        let accepted = timeout(DEADLINE, self.listener.accept()).await;
        Peer::new(accepted.context("nobody connects")??.0)
    }

    /// Serves whoever connects, as long as the runtime lives: opens, sends each message back as a delivery, closes.
    pub async fn serve_all(self) {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else { continue };
            tokio::spawn(async move { Peer::new(stream)?.echo().await });
        }
    }
}

impl Peer {
    /// As a broker: the whole session, which may be idle for long.
    ///
    /// # Errors
    /// When the client leaves without connection.close.
    async fn echo(mut self) -> Result<()> {
        self.serve(&BrokerTune::default()).await?;
        loop {
            self.readable().await?;
            let frame = self.read_frame().await?;
            match (frame.kind, frame.id()) {
                (_, Some((10, 50))) => return self.send_close_ok().await,
                (_, Some((20, 10))) => {
                    let ok = Args::new().longstr(b"");
                    self.send_method(frame.channel, (20, 11), ok).await?;
                }
                (3, _) => {
                    let deliver = Args::new().shortstr("c").u64(1).u8(0).shortstr("").shortstr("");
                    let header = Frame::content_header(frame.channel, frame.payload.len() as u64);
                    let deliver = Frame::method(frame.channel, (60, 60), deliver);
                    let message = [deliver, header, frame].map(|frame| frame.encode()).concat();
                    self.send_raw(&message).await?;
                }
                _ => {}
            }
        }
    }

    /// As a broker: the whole handshake up to open-ok.
    ///
    /// # Errors
    /// When the client says something else.
    pub async fn serve(&mut self, broker: &BrokerTune) -> Result<Opened> {
        self.expect_header(HEADER).await?;
        self.send_start(&broker.mechanisms).await?;
        let mut start_ok = self.expect_method((10, 11)).await?;
        start_ok.longstr()?;
        let (mechanism, response) = (start_ok.shortstr()?, start_ok.longstr()?);
        let Tune { channel_max, frame_max, heartbeat } = broker.tune;
        let tune = Args::new().u16(channel_max).u32(frame_max).u16(heartbeat);
        self.send_method(0, (10, 30), tune).await?;
        let mut ok = self.expect_method((10, 31)).await?;
        let tune = Tune { channel_max: ok.u16()?, frame_max: ok.u32()?, heartbeat: ok.u16()? };
        let vhost = self.expect_method((10, 40)).await?.shortstr()?;
        self.send_method(0, (10, 41), Args::new().shortstr("")).await?;
        Ok(Opened { mechanism, response, tune, vhost })
    }

    /// As a broker: connection.start with RabbitMQ's capabilities.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send_start(&mut self, mechanisms: &str) -> Result<()> {
        let names = ["publisher_confirms", "basic.nack", "consumer_cancel_notify"];
        let more = ["connection.blocked", "authentication_failure_close"];
        let all = names.iter().chain(&more);
        let capabilities = all.fold(Args::new(), |table, name| table.boolean(name, true));
        let properties = Args::new()
            .table("capabilities", capabilities)
            .string("product", "RabbitMQ")
            .string("version", "3.10.8");
        let start = Args::new()
            .u8(0)
            .u8(9)
            .nested(properties)
            .longstr(mechanisms.as_bytes())
            .longstr(b"en_US");
        self.send_method(0, (10, 10), start).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_scripted_client_opens_at_the_scripted_broker() {
        let broker = ScriptedBroker::bind().await.unwrap();
        let mut client = Peer::connect(broker.address()).await.unwrap();
        let mut node = broker.accept().await.unwrap();
        let settings = BrokerTune::default();
        let (tune, opened) =
            tokio::join!(client.open("app", "secret", "orders"), node.serve(&settings));
        let opened = opened.unwrap();
        assert_eq!(tune.unwrap(), settings.tune);
        assert_eq!((opened.mechanism.as_str(), opened.vhost.as_str()), ("PLAIN", "orders"));
        assert_eq!(opened.response, b"\0app\0secret");
        drop(node);
        client.expect_eof().await.unwrap();
    }
}
