//! The gateway's end of the socket to the VRRP process: whole lines out and in, and nothing is waited for.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use crate::vrrp::talk::{LONGEST_LINE, Order, Word};

/// Bytes that wait for a process that does not read: the longest order, and many short ones.
const MOST_UNSENT: usize = LONGEST_LINE + 1024 * 1024;

/// A connection to a VRRP process.
#[derive(Debug)]
pub(super) struct Wire {
    socket: UnixStream,
    unsent: Vec<u8>,
    /// The line that is not all there yet.
    unread: Vec<u8>,
}

impl Wire {
    pub(super) fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket, unsent: Vec::new(), unread: Vec::new() })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Does something wait until the process reads?
    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Sends an order, or as much of it as there is room for.
    ///
    /// # Errors
    /// If the process has not read for so long that no more is kept for it.
    pub(super) fn say(&mut self, order: &Order) -> io::Result<()> {
        serde_json::to_writer(&mut self.unsent, order)?;
        self.unsent.push(b'\n');
        if self.unsent.len() > MOST_UNSENT {
            return Err(io::Error::other("it does not read its orders"));
        }
        self.flush();
        Ok(())
    }

    /// Sends what waits, as far as there is room.
    pub(super) fn flush(&mut self) {
        let mut sent = 0;
        while sent < self.unsent.len() {
            match self.socket.write(&self.unsent[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Its end is seen when it is read, behind its last words.
                Err(_) => sent = self.unsent.len(),
            }
        }
        self.unsent.drain(..sent);
    }

    /// Puts all words that are there behind `words`. `false` = there will be no more.
    ///
    /// # Errors
    /// If it says what is no word.
    pub(super) fn hear(&mut self, words: &mut Vec<Word>) -> io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => self.take(&buffer[..count], words)?,
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return Ok(true),
                    _ => return Ok(false),
                },
            }
        }
    }

    fn take(&mut self, mut bytes: &[u8], words: &mut Vec<Word>) -> io::Result<()> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.unread.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            words.push(serde_json::from_slice(&self.unread)?);
            self.unread.clear();
        }
        self.unread.extend_from_slice(bytes);
        match self.unread.len() > LONGEST_LINE {
            true => Err(io::Error::other("its line has no end")),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::BufRead;

    use super::*;

    #[test]
    fn words_are_heard_whole_however_they_come_and_the_last_before_the_end() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut wire = Wire::new(ours).unwrap();
        let mut words = Vec::new();
        theirs.write_all(b"\"Ready\"\n{\"Beat\"").unwrap();
        assert!(wire.hear(&mut words).unwrap());
        assert!(matches!(words[..], [Word::Ready]));
        theirs.write_all(b":7}\n\"Stopped\"\n").unwrap();
        drop(theirs);
        assert!(!wire.hear(&mut words).unwrap());
        assert!(matches!(words[..], [Word::Ready, Word::Beat(7), Word::Stopped]));
    }

    #[test]
    fn what_is_no_word_or_has_no_end_is_an_error() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"\"Hello\"\n").unwrap();
        assert!(Wire::new(ours).unwrap().hear(&mut Vec::new()).is_err());
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut wire = Wire::new(ours).unwrap();
        assert!(wire.take(&vec![b'x'; LONGEST_LINE], &mut Vec::new()).is_ok());
        assert!(wire.take(b"x", &mut Vec::new()).is_err());
    }

    #[test]
    fn a_process_that_does_not_read_blocks_nobody_and_gets_all_in_order_later() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut wire = Wire::new(ours).unwrap();
        let mut said = 0;
        while !wire.has_unsent() {
            wire.say(&Order::Beat(said)).unwrap();
            said += 1;
        }
        let mut lines = io::BufReader::new(theirs).lines();
        for expected in 0..said {
            wire.flush();
            let line = lines.next().unwrap().unwrap();
            let order: Order = serde_json::from_str(&line).unwrap();
            assert!(matches!(order, Order::Beat(count) if count == expected), "{order:?}");
        }
    }
}
