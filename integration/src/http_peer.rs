//! One end of an HTTP connection, word by word: a client or a server that does just what a test tells it to.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::tls::ClientTls;

const DEADLINE: Duration = Duration::from_secs(60);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A client or a server.
pub struct HttpPeer {
    stream: BufReader<Box<dyn Stream>>,
    address: SocketAddr,
}

impl std::fmt::Debug for HttpPeer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HttpPeer({})", self.address)
    }
}

/// The head of a request or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its first line.
    pub line: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The only header of this name; `None` if there is none, or several.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(other, _)| other == name);
        let only = named.next()?;
        named.next().is_none().then_some(only.1.as_str())
    }

    /// The status of an answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }
}

impl HttpPeer {
    /// A client.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        Self::new(TcpStream::connect(address).await.context("no HTTP connection")?)
    }

    /// A client by https.
    ///
    /// # Errors
    /// When nobody listens there, or there is no TLS.
    pub async fn connect_tls(address: SocketAddr, tls: &ClientTls) -> Result<Self> {
        let stream = tls.connector()?.connect(address).await?;
        Ok(Self { stream: BufReader::new(Box::new(stream)), address })
    }

    /// The server's end of the next connection.
    ///
    /// # Errors
    /// When there is none soon.
    pub async fn accept(listener: &TcpListener) -> Result<Self> {
        let accepted = timeout(DEADLINE, listener.accept()).await;
        let (stream, _) = accepted.context("no connection has come")??;
        Self::new(stream)
    }

    fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        let address = stream.local_addr()?;
        Ok(Self { stream: BufReader::new(Box::new(stream)), address })
    }

    /// Its own address.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Sends text as it is.
    ///
    /// # Errors
    /// When the other end is gone.
    pub async fn send(&mut self, text: &str) -> Result<()> {
        self.send_bytes(text.as_bytes()).await
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the other end is gone.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// Sends an answer with a text and its length.
    ///
    /// # Errors
    /// As [`HttpPeer::send`].
    pub async fn answer(&mut self, status: &str, text: &str) -> Result<()> {
        let length = text.len();
        self.send(&format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{text}")).await
    }

    /// A request for `target`, its answer, and the text of that.
    ///
    /// # Errors
    /// When there is none, or it has no length.
    pub async fn get(&mut self, target: &str) -> Result<(Head, String)> {
        self.send(&format!("GET {target} HTTP/1.1\r\nhost: gateway\r\n\r\n")).await?;
        self.answered().await
    }

    /// An answer with its text.
    ///
    /// # Errors
    /// When there is none, or it has no length.
    pub async fn answered(&mut self) -> Result<(Head, String)> {
        let head = self.head().await?;
        let length = head.header("content-length").context("no length")?.parse()?;
        let text = self.text(length).await?;
        Ok((head, text))
    }

    /// The next head.
    ///
    /// # Errors
    /// When there is none soon, or it is none.
    pub async fn head(&mut self) -> Result<Head> {
        let mut lines = Vec::new();
        loop {
            match self.line().await? {
                line if !line.is_empty() => lines.push(line),
                _ if lines.is_empty() => bail!("an empty line in place of a head"),
                _ => break,
            }
        }
        let mut lines = lines.into_iter();
        let line = lines.next().unwrap_or_default();
        let header = |line: String| {
            let (name, value) = line.split_once(':').context("no header")?;
            Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Ok(Head { line, headers: lines.map(header).collect::<Result<_>>()? })
    }

    /// The next line, without its end.
    ///
    /// # Errors
    /// When there is none soon.
    pub async fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let byte = timeout(DEADLINE, self.stream.read_u8()).await;
            line.push(byte.with_context(|| format!("nothing more after {line:?}"))??);
        }
        line.truncate(line.len() - 2);
        Ok(String::from_utf8(line)?)
    }

    /// So many bytes of text.
    ///
    /// # Errors
    /// When they do not come soon.
    pub async fn text(&mut self, length: usize) -> Result<String> {
        Ok(String::from_utf8(self.bytes(length).await?)?)
    }

    /// So many bytes.
    ///
    /// # Errors
    /// When they do not come soon.
    pub async fn bytes(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let read = timeout(DEADLINE, self.stream.read_exact(&mut bytes)).await;
        read.context("the bytes do not come")??;
        Ok(bytes)
    }

    /// The next chunk of a body.
    ///
    /// # Errors
    /// When it does not come soon.
    pub async fn chunk(&mut self) -> Result<String> {
        let length = usize::from_str_radix(&self.line().await?, 16)?;
        let text = self.text(length).await?;
        ensure!(self.line().await?.is_empty(), "a chunk without an end");
        Ok(text)
    }

    /// Says that it sends no more.
    ///
    /// # Errors
    /// When the other end is gone.
    pub async fn half_close(&mut self) -> Result<()> {
        Ok(self.stream.shutdown().await?)
    }

    /// The other end closes, and says nothing before that.
    ///
    /// # Errors
    /// When it says something, or does not close soon.
    pub async fn expect_end(&mut self) -> Result<()> {
        let mut byte = [0];
        match timeout(DEADLINE, self.stream.read(&mut byte)).await.context("it does not close")? {
            Ok(0) | Err(_) => Ok(()),
            Ok(_) => bail!("{:?} in place of the end", char::from(byte[0])),
        }
    }
}
