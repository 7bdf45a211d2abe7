//! One buffer a thread for all reads of all its sessions.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use amqp_codec::frame::walker::HOLD;
use tokio::io::{AsyncRead, ReadBuf};

use crate::stream::Stream;

/// Most bytes of one read.
pub(super) const READ_MOST: u32 = 256 * 1024;

thread_local! {
    /// Room for what a relay held back, then for one read.
    static BUFFER: RefCell<Box<[u8]>> =
        RefCell::new(vec![0; HOLD + READ_MOST as usize].into_boxed_slice());
}

/// Lends the thread's buffer. Not to be called while it is lent.
pub(super) fn with_buffer<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    BUFFER.with_borrow_mut(|buffer| work(buffer))
}

/// Reads at most `most` bytes and shows them to `take`. False at the end of the stream, or at an error.
pub(super) fn poll_take(
    source: &mut Stream,
    cx: &mut Context<'_>,
    most: usize,
    take: impl FnOnce(&[u8]),
) -> Poll<bool> {
    with_buffer(|buffer| {
        let most = most.min(buffer.len());
        let mut read = ReadBuf::new(&mut buffer[..most]);
        match ready!(Pin::new(source).poll_read(cx, &mut read)) {
            Ok(()) if !read.filled().is_empty() => {
                take(read.filled());
                Poll::Ready(true)
            }
            Ok(()) | Err(_) => Poll::Ready(false),
        }
    })
}

/// Reads and drops what `source` sends. Ready at its end.
pub(super) fn poll_discard(source: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    with_buffer(|buffer| {
        // Bounded, so that a flood leaves other sessions their turn.
        for _ in 0..4 {
            let mut read = ReadBuf::new(buffer);
            ready!(Pin::new(&mut *source).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}
