//! What a scripted peer does below the level of frames: streams, ends and resets.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::{Args, DEADLINE, Peer, Tune};

impl Peer {
    /// Expects the other end to close in order, without another byte and without a reset.
    ///
    /// # Errors
    /// When bytes come, or a reset, or nothing for 15 s.
    pub async fn expect_fin(&mut self) -> Result<()> {
        let rest = self.read_to_end().await?;
        ensure!(rest.is_empty(), "expected the end, got {} bytes: {rest:?}", rest.len());
        Ok(())
    }

    /// Everything up to an orderly end.
    ///
    /// # Errors
    /// When the end is a reset or does not come within 15 s.
    pub async fn read_to_end(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = timeout(DEADLINE, self.stream.read_to_end(&mut bytes)).await;
        read.with_context(|| format!("no end after {} bytes", bytes.len()))??;
        Ok(bytes)
    }

    /// Everything up to any end; a reset counts as one.
    ///
    /// # Errors
    /// When none comes within 15 s.
    pub async fn read_until_gone(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = timeout(DEADLINE, self.stream.read_to_end(&mut bytes)).await;
        // An error leaves what came before it in the buffer.
        let _ = read.with_context(|| format!("no end after {} bytes", bytes.len()))?;
        Ok(bytes)
    }

    /// Closes the connection with a reset.
    ///
    /// # Errors
    /// When the socket is closed.
    pub fn reset(self) -> Result<()> {
        SockRef::from(self.socket()).set_linger(Some(Duration::ZERO))?;
        Ok(())
    }

    /// As a client: the whole handshake, answering connection.tune with these values.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn open_tuned(&mut self, vhost: &str, answer: Tune) -> Result<Tune> {
        let offered = self.login("app", "secret").await?;
        self.send_open(vhost, answer).await?;
        self.expect_method((10, 41)).await?;
        Ok(offered)
    }

    /// As a client: tune-ok and open; waits for no answer.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send_open(&mut self, vhost: &str, answer: Tune) -> Result<()> {
        let Tune { channel_max, frame_max, heartbeat } = answer;
        let tune_ok = Args::new().u16(channel_max).u32(frame_max).u16(heartbeat);
        self.send_method(0, (10, 31), tune_ok).await?;
        self.send_method(0, (10, 40), Args::new().shortstr(vhost).shortstr("").u8(0)).await
    }

    /// Answers connection.close.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send_close_ok(&mut self) -> Result<()> {
        self.send_method(0, (10, 51), Args::new()).await
    }

    /// Expects connection.close, answers it, expects an orderly end; the reply code and text.
    ///
    /// # Errors
    /// When something else comes.
    pub async fn expect_goodbye(&mut self) -> Result<(u16, String)> {
        let close = self.expect_close().await?;
        self.send_close_ok().await?;
        self.expect_fin().await?;
        Ok(close)
    }
}
