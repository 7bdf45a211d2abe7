//! The Unix socket to the gateway: a JSON text a line, never waited for.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use crate::vrrp::talk::{LONGEST_LINE, Order, Word};

/// What may wait for a gateway that does not read. Beyond it, lines for the log and statuses are left out.
const WAITING: usize = 1 << 20;

/// The gateway.
pub(super) struct Pipe {
    socket: UnixStream,
    read: Vec<u8>,
    unsent: Vec<u8>,
}

impl Pipe {
    /// # Errors
    /// If the socket cannot be made non-blocking.
    pub(super) fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket, read: Vec::new(), unsent: Vec::new() })
    }

    /// Takes what the gateway has said.
    ///
    /// # Errors
    /// `UnexpectedEof` once the gateway is gone; `InvalidData` if it is not the gateway that speaks there.
    pub(super) fn receive(&mut self) -> io::Result<Vec<Order>> {
        let mut chunk = [0; 16 * 1024];
        let mut gone = false;
        loop {
            match self.socket.read(&mut chunk) {
                Ok(0) => {
                    gone = true;
                    break;
                }
                Ok(length) => self.read.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A gateway that was killed with words of ours unread.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    gone = true;
                    break;
                }
                Err(error) => return Err(error),
            }
            if self.read.len() > LONGEST_LINE {
                return Err(io::Error::new(ErrorKind::InvalidData, "a line without an end"));
            }
        }
        let orders = self.lines()?;
        if gone && orders.is_empty() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(orders) }
    }

    fn lines(&mut self) -> io::Result<Vec<Order>> {
        let Some(end) = self.read.iter().rposition(|octet| *octet == b'\n') else {
            return Ok(Vec::new());
        };
        let whole: Vec<u8> = self.read.drain(..=end).collect();
        let lines = whole.split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).map_err(io::Error::from)).collect()
    }

    /// Says something, at once if the gateway takes it.
    pub(super) fn say(&mut self, word: &Word) {
        let droppable = matches!(word, Word::Log { .. } | Word::Status(_) | Word::Beat(_));
        if droppable && self.unsent.len() > WAITING {
            return;
        }
        // Serializing these types cannot fail: they have text keys and no maps.
        if serde_json::to_writer(&mut self.unsent, word).is_ok() {
            self.unsent.push(b'\n');
        }
        self.flush();
    }

    /// Sends what the gateway takes now.
    pub(super) fn flush(&mut self) {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(0) => return,
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Full, or gone, which reading will tell.
                Err(_) => return,
            }
        }
    }

    /// Does something wait until the gateway takes it?
    pub(super) fn is_waiting(&self) -> bool {
        !self.unsent.is_empty()
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_the_gateway_said_before_it_died_is_heard_before_its_death() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut pipe = Pipe::new(ours).unwrap();
        assert!(pipe.receive().unwrap().is_empty());
        theirs.write_all(b"{\"Beat\":7}\n\"Stop\"\n{\"Be").unwrap();
        drop(theirs);
        let orders = pipe.receive().unwrap();
        assert!(matches!(orders[..], [Order::Beat(7), Order::Stop]), "{orders:?}");
        assert_eq!(pipe.receive().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_gateway_that_does_not_read_costs_a_bounded_amount_of_memory() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut pipe = Pipe::new(ours).unwrap();
        for beat in 0..2_000_000 {
            pipe.say(&Word::Beat(beat));
        }
        assert!(pipe.is_waiting() && pipe.unsent.len() < 2 * WAITING);
    }
}
