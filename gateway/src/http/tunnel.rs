//! A connection that has been turned into something else, such as a WebSocket: bytes both ways, until both sides have ended.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};

use super::Shared;
use super::exchange::{Exchange, Reason};
use super::link::Link;

/// Read at once, in bytes, in either direction.
const BUFFER: usize = 16 * 1024;

/// Relays from when both sides have been turned until both have ended. One that ends alone is told to the other.
pub(super) async fn run(
    shared: Arc<Shared>,
    client: OnUpgrade,
    node: OnUpgrade,
    link: Link,
    mut exchange: Exchange,
) {
    let client_of = exchange.client();
    let relaying = async {
        let Ok(node) = node.await else { return exchange.failed(Reason::NodeLost) };
        let Ok(client) = client.await else { return exchange.failed(Reason::ClientGone) };
        let (client_reads, client_writes) = split(TokioIo::new(client));
        let (node_reads, node_writes) = split(TokioIo::new(node));
        let meter = exchange.meter.clone();
        let up = pass(client_reads, node_writes, |bytes| {
            meter.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        });
        let down = pass(node_reads, client_writes, |bytes| exchange.sent(bytes));
        // Whoever breaks off ends it for both: a WebSocket is closed like that as often as not.
        let _ = tokio::try_join!(up, down);
        if !exchange.has_stalled() {
            exchange.done();
        }
    };
    tokio::select! {
        () = relaying => {}
        () = shared.cut.cancelled() => {}
        () = client_of.arrival.lost() => {}
    }
    drop(link);
}

/// Passes bytes on until their source ends, and tells so.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut passed: impl FnMut(usize),
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
        passed(length);
    }
}
