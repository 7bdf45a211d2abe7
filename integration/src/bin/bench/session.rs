//! The client's end of an open session: reading, writing, closing.

use crate::stream::Stream;
use crate::walk::{Event, Walker};
use crate::wire::{self, Args, Method};
use anyhow::{Context, Result, bail, ensure};
use std::io::ErrorKind;
use std::time::Duration;

/// Without any progress for this long a run has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// An open session and what passed over it.
pub(crate) struct Session {
    pub(crate) stream: Stream,
    walker: Walker,
    /// Whole messages received.
    pub(crate) received: u64,
    /// Octets of publishes written.
    pub(crate) written: u64,
}

/// The client's connection.close.
pub(crate) fn close() -> Vec<u8> {
    wire::method(0, wire::CLOSE, Args::default().short(200).shortstr("done").short(0).short(0))
}

impl Session {
    /// A session over a non-blocking stream, nothing said yet.
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, walker: Walker::default(), received: 0, written: 0 }
    }

    /// Reads once, counts messages and hands other methods to `on`; the octets that came.
    ///
    /// # Errors
    /// At the end of the stream, on malformed frames, on a close from the other side.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        mut on: impl FnMut(Method) -> Result<()>,
    ) -> Result<usize> {
        let (walker, received) = (&mut self.walker, &mut self.received);
        let mut on_event = |event: Event<'_>| match event {
            Event::Message(_) => {
                *received += 1;
                Ok(())
            }
            Event::Method(wire::DELIVER, _) => Ok(()),
            Event::Method(wire::CLOSE | wire::CHANNEL_CLOSE, args) => bail!("{}", reason(args)),
            Event::Method(id, _) => on(id),
        };
        self.stream.read(buffer, |data| walker.feed(data, &mut on_event))
    }

    /// Writes once, as much as there is room for; the octets written.
    pub(crate) fn write(&mut self, data: &[u8]) -> Result<usize> {
        match self.stream.write(data) {
            Ok(count) => Ok(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error).context("writing"),
        }
    }

    /// Writes something small that must fit.
    pub(crate) fn write_whole(&mut self, data: &[u8]) -> Result<()> {
        if !data.is_empty() {
            let count = self.write(data)?;
            let gone = count == data.len() && self.stream.flush()?;
            ensure!(gone, "no room to write {} octets", data.len());
        }
        Ok(())
    }

    /// Ends a session properly: the rest of the message begun, a consumer's cancel, then close
    /// and close-ok. Messages that still come are counted. The totals are in the session.
    ///
    /// # Errors
    /// When any of it fails or takes longer than ten seconds.
    pub(crate) fn finish(&mut self, rest: &[u8], consuming: bool) -> Result<()> {
        self.stream.be_patient(PATIENCE)?;
        self.stream.write_all(rest).context("writing the rest of a message")?;
        self.written += rest.len() as u64;
        if consuming {
            let cancel = Args::default().shortstr("bench").octet(0);
            self.stream.write_all(&wire::method(1, wire::CANCEL, cancel))?;
            self.await_method(wire::CANCEL_OK)?;
        }
        self.stream.write_all(&close())?;
        self.await_method(wire::CLOSE_OK)?;
        self.stream.end().context("ending")
    }

    fn await_method(&mut self, awaited: Method) -> Result<()> {
        let (mut came, mut buffer) = (false, vec![0; 64 * 1024]);
        while !came {
            let count = self.read(&mut buffer, |id| {
                ensure!(id == awaited, "{id:?} came where {awaited:?} was awaited");
                came = true;
                Ok(())
            })?;
            ensure!(count > 0, "{awaited:?} did not come within {PATIENCE:?}");
        }
        Ok(())
    }
}

/// Reply code and text of a close.
fn reason(args: &[u8]) -> String {
    let code = args.get(..2).map_or(0, |code| u16::from_be_bytes([code[0], code[1]]));
    let text = args.get(3..3 + args.get(2).map_or(0, |length| usize::from(*length)));
    format!("closed by the other side: {code} {}", String::from_utf8_lossy(text.unwrap_or(b"")))
}
