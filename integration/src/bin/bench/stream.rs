//! The client's end of a connection, with TLS or without; what is below a session.

use anyhow::{Context, Result, bail};
use rustls::ClientConnection;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Octets of plaintext encrypted at once: four records.
const PIECE: usize = 64 * 1024;

/// A connection, non-blocking until it is made patient.
pub(crate) struct Stream {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Stream {
    /// Over a non-blocking socket. With TLS, its handshake begins with the first write.
    pub(crate) fn new(socket: TcpStream, tls: Option<ClientConnection>) -> Self {
        let tls = tls.map(|mut tls| {
            // What is accepted at once is bounded by `write`.
            tls.set_buffer_limit(None);
            Box::new(tls)
        });
        Self { socket, tls }
    }

    /// What TLS is used, if any.
    pub(crate) fn tls(&self) -> Option<&ClientConnection> {
        self.tls.as_deref()
    }

    /// Why the socket did not connect, if it did not.
    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// Makes reads and writes wait, at most `limit` each.
    pub(crate) fn be_patient(&self, limit: Duration) -> io::Result<()> {
        self.socket.set_nonblocking(false)?;
        self.socket.set_read_timeout(Some(limit))?;
        self.socket.set_write_timeout(Some(limit))
    }

    /// Reads the socket once and hands all plaintext that this gave to `take`; the octets that
    /// came over the network. `buffer` holds them meanwhile.
    ///
    /// # Errors
    /// At the end of the stream, when TLS breaks, or when `take` fails.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<usize> {
        let count = match self.socket.read(buffer) {
            Ok(0) => bail!("the other side ended the connection"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error).context("reading"),
        };
        let Some(tls) = &mut self.tls else {
            take(&buffer[..count])?;
            return Ok(count);
        };
        let mut records = &buffer[..count];
        // It reads nothing more once the other side has said that it ends.
        while !records.is_empty() && tls.read_tls(&mut records)? > 0 {
            tls.process_new_packets().context("TLS")?;
            while let Ok(plain @ [_, ..]) = tls.reader().into_first_chunk() {
                let count = plain.len();
                take(plain)?;
                tls.reader().consume(count);
            }
        }
        self.flush().context("answering within the TLS handshake")?;
        Ok(count)
    }

    /// Writes once, as much as there is room for; the octets accepted. With TLS what is accepted
    /// may not have left yet: see `flush`.
    pub(crate) fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.tls.is_some() && !self.flush()? {
            return Err(ErrorKind::WouldBlock.into());
        }
        let Some(tls) = &mut self.tls else {
            return self.socket.write(data);
        };
        let count = tls.writer().write(&data[..data.len().min(PIECE)])?;
        self.flush()?;
        Ok(count)
    }

    /// Writes all of it; for a patient stream.
    pub(crate) fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
        if self.tls.is_none() {
            return self.socket.write_all(data);
        }
        for piece in data.chunks(PIECE) {
            self.write(piece)?;
        }
        if self.flush()? { Ok(()) } else { Err(ErrorKind::TimedOut.into()) }
    }

    /// Sends what was accepted and encrypted; whether nothing is left.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        while tls.wants_write() {
            match tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Says that nothing more will be sent, where TLS has words for it, as good clients do.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        self.flush().map(|_| ())
    }
}
