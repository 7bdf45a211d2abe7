//! The AMQP 0-9-1 frames that both ends of the benchmark send, built once and sent many times.

/// Largest frame both sides agree on, octets including header and end octet.
pub(crate) const FRAME_MAX: usize = 131_072;
/// The protocol header a client starts with.
pub(crate) const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";
/// Last octet of each frame.
pub(crate) const FRAME_END: u8 = 0xCE;
/// Octets in front of a frame's payload: type, channel, size.
pub(crate) const FRAME_HEADER: usize = 7;
/// Frame type of a method.
pub(crate) const METHOD: u8 = 1;
/// Frame type of a content header.
pub(crate) const CONTENT_HEADER: u8 = 2;
/// Frame type of a piece of a message's body.
pub(crate) const BODY: u8 = 3;
/// Frame type of a heartbeat.
pub(crate) const HEARTBEAT: u8 = 8;
/// Octets that a flooding sender hands to the kernel at once (whole messages, at least one).
const BATCH: usize = 64 * 1024;

/// Class and method of a method frame.
pub(crate) type Method = (u16, u16);
pub(crate) const START: Method = (10, 10);
pub(crate) const START_OK: Method = (10, 11);
pub(crate) const TUNE: Method = (10, 30);
pub(crate) const TUNE_OK: Method = (10, 31);
pub(crate) const OPEN: Method = (10, 40);
pub(crate) const OPEN_OK: Method = (10, 41);
pub(crate) const CLOSE: Method = (10, 50);
pub(crate) const CLOSE_OK: Method = (10, 51);
pub(crate) const CHANNEL_OPEN: Method = (20, 10);
pub(crate) const CHANNEL_OPEN_OK: Method = (20, 11);
pub(crate) const CHANNEL_CLOSE: Method = (20, 40);
pub(crate) const CONSUME: Method = (60, 20);
pub(crate) const CONSUME_OK: Method = (60, 21);
pub(crate) const CANCEL: Method = (60, 30);
pub(crate) const CANCEL_OK: Method = (60, 31);
pub(crate) const PUBLISH: Method = (60, 40);
pub(crate) const DELIVER: Method = (60, 60);

/// Arguments of a method, written field by field.
#[derive(Default)]
pub(crate) struct Args(pub(crate) Vec<u8>);

impl Args {
    pub(crate) fn octet(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(crate) fn short(mut self, value: u16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn long(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn longlong(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A string of at most 255 octets.
    pub(crate) fn shortstr(mut self, value: &str) -> Self {
        self.0.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
        self.0.extend(value.as_bytes());
        self
    }

    pub(crate) fn longstr(mut self, value: &[u8]) -> Self {
        self = self.long(length(value));
        self.0.extend(value);
        self
    }

    /// A table of text values, with a nested table of true flags under `capabilities`.
    pub(crate) fn properties(self, texts: &[(&str, &str)], capabilities: &[&str]) -> Self {
        let mut flags = Args::default();
        for name in capabilities {
            flags = flags.shortstr(name).octet(b't').octet(1);
        }
        let mut table = Args::default().shortstr("capabilities").octet(b'F').longstr(&flags.0);
        for (name, text) in texts {
            table = table.shortstr(name).octet(b'S').longstr(text.as_bytes());
        }
        self.longstr(&table.0)
    }
}

/// One method frame.
pub(crate) fn method(channel: u16, id: Method, args: Args) -> Vec<u8> {
    let payload = Args::default().short(id.0).short(id.1);
    let mut payload = payload.0;
    payload.extend(args.0);
    frame(METHOD, channel, &payload)
}

/// A whole `basic.publish` on channel 1 with a body of `size` octets.
pub(crate) fn published(size: usize) -> Vec<u8> {
    let args = Args::default().short(0).shortstr("").shortstr("publish").octet(0);
    content(method(1, PUBLISH, args), size)
}

/// A whole `basic.deliver` on channel 1 with a body of `size` octets.
pub(crate) fn delivered(size: usize) -> Vec<u8> {
    let args = Args::default().shortstr("bench").longlong(1).octet(0).shortstr("");
    content(method(1, DELIVER, args.shortstr("publish")), size)
}

/// As many copies of `message` as fit a 64 KiB write, at least one.
pub(crate) fn batch(message: &[u8]) -> Vec<u8> {
    message.repeat((BATCH / message.len()).max(1))
}

fn content(mut out: Vec<u8>, size: usize) -> Vec<u8> {
    let header = Args::default().short(60).short(0).longlong(size as u64).short(0);
    out.extend(frame(CONTENT_HEADER, 1, &header.0));
    let body = vec![b'x'; size];
    for piece in body.chunks(FRAME_MAX - FRAME_HEADER - 1) {
        out.extend(frame(BODY, 1, piece));
    }
    out
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let head = Args::default().octet(kind).short(channel).longstr(payload);
    head.octet(FRAME_END).0
}

fn length(value: &[u8]) -> u32 {
    u32::try_from(value.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_16_octets_takes_70_on_the_wire() {
        assert_eq!(published(16).len(), 70);
    }

    #[test]
    fn a_body_is_cut_so_that_no_frame_exceeds_frame_max() {
        let message = published(FRAME_MAX);
        let rest = FRAME_MAX - (FRAME_MAX - 8);
        assert_eq!(message.len(), published(16).len() - 24 + FRAME_MAX + rest + 8);
    }
}
