//! Strangers at a port with TLS, many at once, none of whom ever comes to AMQP. Whoever is turned away is replaced.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::peer::HEADER;

/// Between two octets of a stranger who drips, and before one who was turned away is replaced.
const PAUSE: Duration = Duration::from_secs(1);

/// What a stranger does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// Chance behind the header of a TLS record.
    Garbage,
    /// Nothing.
    Silent,
    /// A ClientHello, an octet a second.
    Dripping,
    /// The first half of a ClientHello.
    HalfHello,
    /// A ClientHello, and nothing to the answer.
    Mute,
    /// The protocol header of AMQP.
    PlainAmqp,
    /// A request of HTTP.
    Http,
}

impl Stranger {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Garbage,
        Self::Silent,
        Self::Dripping,
        Self::HalfHello,
        Self::Mute,
        Self::PlainAmqp,
        Self::Http,
    ];

    /// Says what it says, and stays until it is thrown out.
    async fn visit(self, stream: TcpStream, hello: &[u8]) -> Result<()> {
        let (mut reading, mut writing) = stream.into_split();
        let said: &[u8] = match self {
            Self::Garbage => &garbage(),
            Self::Silent => &[],
            Self::Dripping => hello,
            Self::HalfHello => &hello[..hello.len() / 2],
            Self::Mute => hello,
            Self::PlainAmqp => &HEADER,
            Self::Http => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        };
        let speak = async {
            if self == Self::Dripping {
                for byte in said {
                    writing.write_all(&[*byte]).await?;
                    sleep(PAUSE).await;
                }
            } else {
                writing.write_all(said).await?;
            }
            std::future::pending::<Result<()>>().await
        };
        let mut answer = Vec::new();
        let listen = async {
            reading.read_to_end(&mut answer).await?;
            anyhow::Ok(())
        };
        tokio::select! {
            spoken = speak => spoken,
            heard = listen => heard,
        }
    }
}

fn garbage() -> Vec<u8> {
    let chance = std::iter::repeat_with(|| fastrand::u8(..)).take(512);
    [22, 3, 1, 2, 0].into_iter().chain(chance).collect()
}

/// Strangers at work.
#[derive(Debug)]
pub struct Storm {
    seen: Arc<Seen>,
    stop: CancellationToken,
    strangers: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Seen {
    here: AtomicUsize,
    came: Mutex<Vec<(SocketAddr, Stranger)>>,
    kept_out: AtomicUsize,
}

impl Storm {
    /// Sends `count` strangers to `address`, of all kinds alike. `hello` is a ClientHello.
    #[must_use]
    pub fn start(address: SocketAddr, count: usize, hello: &[u8]) -> Self {
        let (seen, stop) = (Arc::new(Seen::default()), CancellationToken::new());
        let (hello, mut strangers) = (Arc::<[u8]>::from(hello), JoinSet::new());
        for stranger in Stranger::ALL.into_iter().cycle().take(count) {
            let (seen, stop, hello) = (seen.clone(), stop.clone(), hello.clone());
            strangers
                .spawn(async move { come_again(address, stranger, &hello, &seen, &stop).await });
        }
        Self { seen, stop, strangers }
    }

    /// How many have come in and are there now.
    #[must_use]
    pub fn here(&self) -> usize {
        self.seen.here.load(Ordering::Relaxed)
    }

    /// How often one has come so far.
    #[must_use]
    pub fn visits(&self) -> usize {
        lock(&self.seen.came).len()
    }

    /// Ends it: all that have come, and how many could not.
    pub async fn stop(mut self) -> (Vec<(SocketAddr, Stranger)>, usize) {
        self.stop.cancel();
        while self.strangers.join_next().await.is_some() {}
        let came = std::mem::take(&mut *lock(&self.seen.came));
        (came, self.seen.kept_out.load(Ordering::Relaxed))
    }
}

/// Whoever has begun to connect is counted, even if the end comes in between.
async fn come_again(
    address: SocketAddr,
    stranger: Stranger,
    hello: &[u8],
    seen: &Seen,
    stop: &CancellationToken,
) {
    while !stop.is_cancelled() {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                if let Ok(own) = stream.local_addr() {
                    lock(&seen.came).push((own, stranger));
                }
                seen.here.fetch_add(1, Ordering::Relaxed);
                // However it ends.
                let _ = stop.run_until_cancelled(stranger.visit(stream, hello)).await;
                seen.here.fetch_sub(1, Ordering::Relaxed);
            }
            Err(_) => {
                seen.kept_out.fetch_add(1, Ordering::Relaxed);
            }
        }
        stop.run_until_cancelled(sleep(PAUSE)).await;
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
