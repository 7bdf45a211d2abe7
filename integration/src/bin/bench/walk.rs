//! Walks a stream of frames cheaply: bodies are skipped and counted, never copied.

use crate::wire::{
    BODY, CONTENT_HEADER, DELIVER, FRAME_END, FRAME_HEADER, FRAME_MAX, HEARTBEAT, METHOD, Method,
    PUBLISH,
};
use anyhow::{Result, bail, ensure};

/// What a walk meets.
pub(crate) enum Event<'a> {
    /// A method frame; also the one that starts a message.
    Method(Method, &'a [u8]),
    /// A message whose last octet has arrived, with the size of its body.
    Message(u64),
}

/// Where in the stream of one direction of one connection we are.
#[derive(Default)]
pub(crate) struct Walker {
    /// A frame (or, for a body, its header) that has not arrived wholly.
    partial: Vec<u8>,
    /// Octets of the current body frame still to come, its end octet included.
    skip: usize,
    content: Content,
}

#[derive(Default)]
enum Content {
    #[default]
    None,
    /// A publish or deliver came; its content header must follow.
    Begun,
    Body {
        size: u64,
        left: u64,
    },
}

impl Walker {
    /// Walks on over `data`, telling `on` what is met.
    ///
    /// # Errors
    /// When the frames are malformed, or when `on` fails.
    pub(crate) fn feed<F>(&mut self, mut data: &[u8], on: &mut F) -> Result<()>
    where
        F: FnMut(Event<'_>) -> Result<()>,
    {
        while !data.is_empty() {
            if self.skip > 0 {
                data = self.skip_body(data, on)?;
            } else if self.partial.is_empty() {
                let Some(need) = needed(data)? else {
                    self.partial.extend_from_slice(data);
                    return Ok(());
                };
                self.frame(&data[..need], on)?;
                data = &data[need..];
            } else {
                data = self.complete(data, on)?;
            }
        }
        Ok(())
    }

    /// Adds to the partial frame what it lacks and walks it once it is whole.
    fn complete<'a, F>(&mut self, data: &'a [u8], on: &mut F) -> Result<&'a [u8]>
    where
        F: FnMut(Event<'_>) -> Result<()>,
    {
        let want = wanted(&self.partial)?;
        let (more, rest) = data.split_at(data.len().min(want - self.partial.len()));
        self.partial.extend_from_slice(more);
        if needed(&self.partial)?.is_some() {
            let whole = std::mem::take(&mut self.partial);
            self.frame(&whole, on)?;
        }
        Ok(rest)
    }

    fn skip_body<'a, F>(&mut self, data: &'a [u8], on: &mut F) -> Result<&'a [u8]>
    where
        F: FnMut(Event<'_>) -> Result<()>,
    {
        let (body, rest) = data.split_at(self.skip.min(data.len()));
        self.skip -= body.len();
        if self.skip == 0 {
            ensure!(body.last() == Some(&FRAME_END), "a body frame without its end octet");
            if let Content::Body { size, left: 0 } = self.content {
                self.content = Content::None;
                on(Event::Message(size))?;
            }
        }
        Ok(rest)
    }

    fn frame<F>(&mut self, frame: &[u8], on: &mut F) -> Result<()>
    where
        F: FnMut(Event<'_>) -> Result<()>,
    {
        if frame[0] == BODY {
            return self.body(payload_size(frame));
        }
        ensure!(frame.last() == Some(&FRAME_END), "a frame without its end octet");
        let payload = &frame[FRAME_HEADER..frame.len() - 1];
        match (frame[0], &self.content) {
            (METHOD, Content::None) if payload.len() >= 4 => {
                let id = (be16(payload), be16(&payload[2..]));
                if id == PUBLISH || id == DELIVER {
                    self.content = Content::Begun;
                }
                on(Event::Method(id, &payload[4..]))
            }
            (CONTENT_HEADER, Content::Begun) if payload.len() >= 12 => {
                let mut octets = [0; 8];
                octets.copy_from_slice(&payload[4..12]);
                let size = u64::from_be_bytes(octets);
                self.content = Content::Body { size, left: size };
                Ok(())
            }
            (HEARTBEAT, _) => Ok(()),
            (kind, _) => bail!("a frame of type {kind} where none may come"),
        }
    }

    fn body(&mut self, payload: usize) -> Result<()> {
        let Content::Body { left, .. } = &mut self.content else {
            bail!("a body frame without a content header");
        };
        ensure!(payload as u64 <= *left, "more body than the content header promised");
        *left -= payload as u64;
        self.skip = payload + 1;
        Ok(())
    }
}

/// Octets of the frame at the front to look at as one piece (only the header of a body frame),
/// or none while they have not arrived.
fn needed(data: &[u8]) -> Result<Option<usize>> {
    let want = wanted(data)?;
    Ok((data.len() >= FRAME_HEADER && data.len() >= want).then_some(want))
}

fn wanted(data: &[u8]) -> Result<usize> {
    if data.len() < FRAME_HEADER || data[0] == BODY {
        return Ok(FRAME_HEADER);
    }
    let size = payload_size(data);
    ensure!(size <= FRAME_MAX, "a frame of {size} octets, frame_max is {FRAME_MAX}");
    Ok(FRAME_HEADER + size + 1)
}

fn payload_size(frame: &[u8]) -> usize {
    (usize::from(be16(&frame[3..])) << 16) | usize::from(be16(&frame[5..]))
}

fn be16(data: &[u8]) -> u16 {
    u16::from_be_bytes([data[0], data[1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    fn walk(data: &[u8], piece: usize) -> Result<(usize, u64)> {
        let (mut walker, mut methods, mut octets) = (Walker::default(), 0, 0);
        for part in data.chunks(piece) {
            walker.feed(part, &mut |event| {
                match event {
                    Event::Method(..) => methods += 1,
                    Event::Message(size) => octets += size,
                }
                Ok(())
            })?;
        }
        Ok((methods, octets))
    }

    #[test]
    fn any_split_of_the_bytes_counts_the_same_messages() {
        let mut data = wire::published(300_000);
        data.extend(wire::published(16).repeat(3));
        data.extend(wire::method(1, wire::CANCEL, wire::Args::default().shortstr("x").octet(0)));
        for piece in [1, 2, 3, 5, 7, 8, 13, 69, 70, 71, 4096, data.len()] {
            assert_eq!(walk(&data, piece).expect("well formed"), (5, 300_048), "piece {piece}");
        }
    }

    #[test]
    fn a_damaged_end_octet_is_an_error() {
        let mut data = wire::published(16);
        *data.last_mut().expect("not empty") = 0;
        assert!(walk(&data, 9).is_err());
    }
}
