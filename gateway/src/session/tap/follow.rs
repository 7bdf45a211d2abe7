//! Follows the frames of one direction, in what was walked already.

use amqp_codec::frame::{ENVELOPE, HEADER, kind};
use amqp_codec::text;

use super::MOST_OF_FRAME;

/// What stands before a frame's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: u8,
    pub(super) channel: u16,
    /// Octets of its payload.
    pub(super) size: u32,
}

/// Where one direction stands.
#[derive(Debug, Default)]
pub(super) struct Follower {
    /// Octets of the current frame still to come, its end octet included.
    rest: usize,
    /// A frame of which more is wanted than has come.
    part: Option<Part>,
}

#[derive(Debug)]
struct Part {
    head: Head,
    wanted: usize,
    payload: Vec<u8>,
}

impl Follower {
    /// Shows the frames in `bytes`, which the walker has passed: they end at a frame's end, or inside a payload. They begin
    /// where the walker stood, with `rest` octets of a frame still to come. If that is not where this one stands, nothing is
    /// known of that frame, and it begins with the next.
    pub(super) fn follow(
        &mut self,
        rest: u32,
        bytes: &[u8],
        bodies: usize,
        mut show: impl FnMut(Head, &[u8]),
    ) {
        if self.rest != rest as usize {
            *self = Self { rest: rest as usize, part: None };
        }
        let mut left = self.finish(bytes, &mut show);
        while let Some(head) = head(left) {
            let wanted = wanted(head, &left[HEADER..], bodies);
            let payload = &left[HEADER..];
            if let Some(payload) = payload.get(..wanted) {
                show(head, payload);
            } else {
                self.part = Some(Part { head, wanted, payload: payload.to_vec() });
            }
            let whole = head.size as usize + ENVELOPE;
            self.rest = whole.saturating_sub(left.len());
            left = left.get(whole..).unwrap_or_default();
        }
    }

    /// Goes on with the frame that has begun; returns what is behind it.
    fn finish<'b>(&mut self, bytes: &'b [u8], show: &mut impl FnMut(Head, &[u8])) -> &'b [u8] {
        let (of_frame, behind) = bytes.split_at(self.rest.min(bytes.len()));
        self.rest -= of_frame.len();
        if let Some(mut part) = self.part.take() {
            let missing = part.wanted - part.payload.len();
            part.payload.extend_from_slice(&of_frame[..missing.min(of_frame.len())]);
            if part.payload.len() == part.wanted {
                show(part.head, &part.payload);
            } else if self.rest > 0 {
                self.part = Some(part);
            }
        }
        behind
    }
}

fn head(bytes: &[u8]) -> Option<Head> {
    let head = bytes.first_chunk::<HEADER>()?;
    Some(Head {
        kind: head[0],
        channel: u16::from_be_bytes([head[1], head[2]]),
        size: u32::from_be_bytes([head[3], head[4], head[5], head[6]]),
    })
}

/// How much of a payload is kept. A secret's method, and one whose id is not there to be looked at, is kept as its id.
fn wanted(head: Head, payload: &[u8], bodies: usize) -> usize {
    let most = match head.kind {
        kind::METHOD => match payload.first_chunk::<4>() {
            Some(id) if !text::is_secret(u32::from_be_bytes(*id)) => MOST_OF_FRAME,
            _ => 4,
        },
        kind::HEADER => MOST_OF_FRAME,
        kind::BODY => bodies,
        _ => 0,
    };
    most.min(head.size as usize)
}

#[cfg(test)]
mod tests {
    use amqp_codec::frame::walker::{Observer, Stop, Walker};

    use super::*;

    struct Deaf;

    impl Observer for Deaf {
        fn method(&mut self, _: u32, _: u16, _: &[u8]) {}
        fn content_header(&mut self, _: u16) {}
        fn content_body(&mut self, _: u16) {}
        fn heartbeat(&mut self) {}
    }

    fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
        let size = payload.len() as u32;
        let head = [[kind].as_slice(), &channel.to_be_bytes(), &size.to_be_bytes()].concat();
        [head.as_slice(), payload, &[0xce]].concat()
    }

    /// A stream as it is read in pieces of `cut`; tapped from the read `from` on.
    fn read_in_pieces(stream: &[u8], cut: usize, from: usize) -> Vec<(Head, Vec<u8>)> {
        let (mut walker, mut follower) = (Walker::new(1 << 20), Follower::default());
        let (mut held, mut seen) = (Vec::new(), Vec::new());
        for (number, piece) in stream.chunks(cut).enumerate() {
            let bytes = [held.as_slice(), piece].concat();
            let (rest, mut at) = (walker.rest(), 0);
            loop {
                let walked = walker.walk(&bytes[at..], &mut Deaf);
                at += walked.len;
                match walked.stop {
                    Stop::End => break,
                    Stop::Connection { size, .. } => walker.enter(size as u32),
                    Stop::Bad(error) => panic!("{error}"),
                }
            }
            if number >= from {
                follower.follow(rest, &bytes[..at], 10, |head, payload| {
                    seen.push((head, payload.to_vec()));
                });
            }
            held = bytes[at..].to_vec();
        }
        assert!(held.is_empty());
        seen
    }

    fn stream() -> (Vec<u8>, Vec<(Head, Vec<u8>)>) {
        let publish = [[0, 60, 0, 40].as_slice(), &[7; 900]].concat();
        let update = [[0, 10, 0, 70].as_slice(), b"\0\0\0\x07hunter2\x01r"].concat();
        let frames: [(u8, u16, &[u8], usize); 7] = [
            (1, 1, &publish, 904),
            (2, 1, &[9; 300], 300),
            (3, 1, &[5; 2000], 10),
            (1, 0, &update, 4),
            (8, 0, &[], 0),
            (1, 2, &[0, 60, 0, 80, 1], 5),
            (3, 2, &[6; 3], 3),
        ];
        let stream =
            frames.iter().flat_map(|(kind, channel, payload, _)| frame(*kind, *channel, payload));
        let seen = frames.iter().map(|&(kind, channel, payload, kept)| {
            let size = payload.len() as u32;
            (Head { kind, channel, size }, payload[..kept].to_vec())
        });
        (stream.collect(), seen.collect())
    }

    #[test]
    fn a_stream_is_seen_alike_however_it_is_cut() {
        let (stream, expected) = stream();
        for cut in (1..1300).chain([stream.len()]) {
            assert_eq!(read_in_pieces(&stream, cut, 0), expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_tap_that_begins_in_a_frame_begins_with_the_next() {
        let (stream, expected) = stream();
        for (cut, from) in (1..1300).flat_map(|cut| [(cut, 1), (cut, 2), (cut, 5)]) {
            let seen = read_in_pieces(&stream, cut, from);
            let missed = expected.len() - seen.len();
            assert_eq!(seen, expected[missed..], "cut at {cut}, from {from}");
        }
    }

    #[test]
    fn a_secret_is_not_copied() {
        let (stream, _) = stream();
        for cut in 1..1300 {
            let seen = read_in_pieces(&stream, cut, 0);
            let told = |payload: &[u8]| payload.windows(7).any(|part| part == b"hunter2");
            assert!(!seen.iter().any(|(_, payload)| told(payload)), "cut at {cut}");
        }
    }
}
