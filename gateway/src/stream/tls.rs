//! TLS on a TCP stream, for bulk: a thread's buffers for records in and out, none of a session's own while it is idle.
//!
//! One system call reads many records, and one sends many. What is kept for a session is what it cannot do without: the
//! part of a record that has come, plain text that its reader had no room for, records that its peer has not taken yet.

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::engine::{Engine, Stand, room_for};
use super::facts::TlsFacts;

/// Most octets of records that one call reads, and of plain text that one call sends.
const BULK: usize = 256 * 1024;
/// Most octets of records kept because they are not whole: a handshake message of 64 KiB, and the record it ends in.
const MOST_HELD: usize = 96 * 1024;
/// The longest record (RFC 5246, section 6.2.3).
const LONGEST_RECORD: usize = 5 + 16 * 1024 + 2048;
/// Most octets of records that wait for the next write, to be sent in one call with it: tickets, above all.
const AHEAD: usize = 4 * 1024;
/// Reads that bring no data before other sessions get their turn: records may be empty.
const ROUNDS: usize = 4;

thread_local! {
    /// What was held back, then one read.
    static INCOMING: RefCell<Box<[u8]>> =
        RefCell::new(vec![0; MOST_HELD + BULK].into_boxed_slice());
    /// What waited, then one write.
    static OUTGOING: RefCell<Box<[u8]>> =
        RefCell::new(vec![0; AHEAD + room_for(BULK)].into_boxed_slice());
}

/// A TLS connection whose handshake is over.
#[derive(Debug)]
pub struct Tls {
    pub(super) tcp: TcpStream,
    pub(super) state: State,
}

/// All of a TLS connection but its socket.
#[derive(Debug)]
pub(super) struct State {
    pub(super) engine: Engine,
    pub(super) facts: Box<TlsFacts>,
    /// Records that are not done with.
    pub(super) held: Vec<u8>,
    /// Plain text that the reader had no room for.
    plain: Vec<u8>,
    /// Records that the peer has not taken yet.
    outgoing: Vec<u8>,
    /// How much of `outgoing` it has taken.
    taken: usize,
    /// The peer has said its last word.
    ended: bool,
    /// So have we.
    said_goodbye: bool,
}

impl State {
    /// Right after the handshake, with what came behind it: records that are not whole, and plain text. `outgoing` goes
    /// with the first write.
    pub(super) fn new(
        engine: Engine,
        facts: Box<TlsFacts>,
        (held, plain): (Vec<u8>, Vec<u8>),
        outgoing: Vec<u8>,
        ended: bool,
    ) -> Self {
        Self { engine, facts, held, plain, outgoing, taken: 0, ended, said_goodbye: false }
    }

    /// Are there records that the peer has not taken yet?
    pub(super) fn has_unsent(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Gives plain text that was kept.
    fn give_kept(&mut self, out: &mut ReadBuf<'_>) -> bool {
        if self.plain.is_empty() {
            return false;
        }
        let count = self.plain.len().min(out.remaining());
        out.put_slice(&self.plain[..count]);
        self.plain.drain(..count);
        if self.plain.is_empty() {
            self.plain = Vec::new();
        }
        true
    }

    /// Decrypts what `bytes` begins with, and keeps what is not whole.
    fn decrypt(&mut self, bytes: &mut [u8], out: &mut ReadBuf<'_>) -> io::Result<()> {
        let plain = &mut self.plain;
        let looked = self.engine.look(bytes, &mut self.outgoing, |text| {
            let now = text.len().min(out.remaining());
            out.put_slice(&text[..now]);
            plain.extend_from_slice(&text[now..]);
        });
        let looked = looked.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.ended |= looked.stand == Stand::PeerClosed;
        let rest = &bytes[looked.used..];
        if rest.is_empty() {
            self.held = Vec::new();
        } else {
            self.held.clear();
            self.held.extend_from_slice(rest);
        }
        Ok(())
    }

    /// Encrypts `plain` into `buffer`, behind what waits if that is little. Where in it stands what is to be sent.
    fn encrypt(&mut self, plain: &[u8], buffer: &mut [u8]) -> Result<Range<usize>, rustls::Error> {
        let Self { engine, held, outgoing, taken, .. } = self;
        let (ahead, room) = buffer.split_at_mut(AHEAD);
        let end = AHEAD + engine.encrypt(plain, held, room, outgoing)?;
        let waiting = &outgoing[*taken..];
        if waiting.len() > AHEAD {
            return Ok(AHEAD..end);
        }
        let start = AHEAD - waiting.len();
        ahead[start..].copy_from_slice(waiting);
        *outgoing = Vec::new();
        *taken = 0;
        Ok(start..end)
    }
}

impl Tls {
    /// Sends records that wait.
    pub(super) fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let State { outgoing, taken, .. } = &mut self.state;
        while *taken < outgoing.len() {
            let sent = ready!(Pin::new(&mut self.tcp).poll_write(cx, &outgoing[*taken..]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *taken += sent;
        }
        if !outgoing.is_empty() {
            *outgoing = Vec::new();
            *taken = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once, and decrypts what came. True at the end of the stream.
    fn poll_records(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        INCOMING.with_borrow_mut(|buffer| {
            let held = self.state.held.len();
            if held > MOST_HELD {
                let error = "a TLS message is too long";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
            // What comes fits into `out`, but for one record.
            let most = out.remaining().clamp(LONGEST_RECORD, BULK);
            let mut read = ReadBuf::new(&mut buffer[held..held + most]);
            ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut read))?;
            let filled = held + read.filled().len();
            if filled == held {
                // AMQP says itself where it ends: a peer may leave without close_notify.
                return Poll::Ready(Ok(true));
            }
            buffer[..held].copy_from_slice(&self.state.held);
            Poll::Ready(self.state.decrypt(&mut buffer[..filled], out).map(|()| self.state.ended))
        })
    }
}

impl AsyncRead for Tls {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        if out.remaining() == 0 || self.state.give_kept(out) {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..ROUNDS {
            if self.state.ended {
                return Poll::Ready(Ok(()));
            }
            let unsent = self.state.outgoing.len();
            let ended = self.poll_records(cx, out);
            if self.state.outgoing.len() > unsent {
                // An answer to a change of keys, or an alert; whoever writes next sends what is left of it.
                let _ = self.poll_unsent(cx)?;
            }
            let ended = ready!(ended)?;
            if ended || out.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncWrite for Tls {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.state.outgoing.len() > AHEAD {
            ready!(self.poll_unsent(cx))?;
        }
        let plain = &bytes[..bytes.len().min(BULK)];
        if plain.is_empty() {
            return Poll::Ready(Ok(0));
        }
        OUTGOING.with_borrow_mut(|buffer| {
            let Self { tcp, state } = &mut *self;
            let records = state
                .encrypt(plain, buffer)
                .map_err(|error| io::Error::new(io::ErrorKind::BrokenPipe, error))?;
            let mut records = &buffer[records];
            while state.outgoing.is_empty() && !records.is_empty() {
                match Pin::new(&mut *tcp).poll_write(cx, records)? {
                    Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(sent) => records = &records[sent..],
                    Poll::Pending => break,
                }
            }
            state.outgoing.extend_from_slice(records);
            Poll::Ready(Ok(plain.len()))
        })
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_unsent(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.state.said_goodbye {
            self.state.said_goodbye = true;
            let State { engine, held, outgoing, .. } = &mut self.state;
            engine.goodbye(held, outgoing);
        }
        ready!(self.poll_unsent(cx))?;
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
