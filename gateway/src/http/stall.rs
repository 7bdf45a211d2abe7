//! Ends connections of clients that no longer move: they take nothing of what is there for them, or send nothing of what
//! they have begun. The limit is one without progress: however long a body takes, it may.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;

/// How long a client that is waited for may make no progress.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// Whether a connection's client has stalled.
#[derive(Debug, Clone)]
pub(super) struct Stall {
    limit: Duration,
    over: CancellationToken,
}

impl Stall {
    /// It has not, and it has if it makes no progress for `limit`.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, over: CancellationToken::new() }
    }

    /// Watches one of its directions.
    pub(super) fn patience(&self) -> Patience {
        Patience { stall: self.clone(), waits: false, alarm: None }
    }

    /// Has it stalled, in whichever direction?
    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Waits until it has.
    pub(super) async fn over(&self) {
        self.over.cancelled().await;
    }
}

/// Watches one direction of a connection.
#[derive(Debug)]
pub(super) struct Patience {
    stall: Stall,
    waits: bool,
    /// Made when it is needed first.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// Minds what came of an attempt to make progress: `true` if there has been none for too long. Otherwise, and if there
    /// was none, `cx` is woken when the time is over.
    pub(super) fn is_over<T>(&mut self, cx: &mut Context<'_>, attempt: &Poll<T>) -> bool {
        if attempt.is_ready() {
            self.waits = false;
            return false;
        }
        let limit = self.stall.limit;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !self.waits {
            self.waits = true;
            alarm.as_mut().reset(Instant::now() + limit);
        }
        let over = alarm.as_mut().poll(cx).is_ready();
        if over {
            self.stall.over.cancel();
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWrite, duplex};

    use super::*;

    /// Writes until it stalls.
    async fn write(mut to: impl AsyncWrite + Unpin, mut patience: Patience) {
        poll_fn(|cx| {
            loop {
                let written = Pin::new(&mut to).poll_write(cx, b"much");
                if patience.is_over(cx, &written) {
                    return Poll::Ready(());
                }
                if written.is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_byte_now_and_then_has_not_stalled_and_who_takes_none_has() {
        let (near, mut far) = duplex(16);
        let stall = Stall::new(LIMIT);
        let mut writing = tokio::spawn(write(near, stall.patience()));
        for _ in 0..100 {
            let waited = tokio::time::timeout(LIMIT.mul_f32(0.9), &mut writing).await;
            assert!(waited.is_err() && !stall.is_over());
            assert_ne!(far.read_u8().await.expect("a byte"), 0);
        }
        let since = Instant::now();
        writing.await.expect("an end");
        assert!(stall.is_over() && since.elapsed() >= LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_to_wait_for_is_no_stall() {
        let stall = Stall::new(LIMIT);
        let mut patience = stall.patience();
        let mut attempt = async |attempt: Poll<()>| {
            poll_fn(|cx| Poll::Ready(patience.is_over(cx, &attempt))).await
        };
        assert!(!attempt(Poll::Pending).await);
        assert!(!attempt(Poll::Ready(())).await);
        sleep(LIMIT * 100).await;
        assert!(!stall.is_over());
        assert!(!attempt(Poll::Pending).await, "the time counts from when it waits again");
        sleep(LIMIT).await;
        assert!(attempt(Poll::Pending).await && stall.is_over());
    }
}
