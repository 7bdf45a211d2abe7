//! What the scripted broker says: one session's conversation, and what is counted of it.

use crate::wire::{self, Args, Method};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::rc::Rc;

/// What happened at the broker since it started.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// Sessions that got open-ok.
    pub(crate) opened: u64,
    /// Sessions that ended with close and close-ok.
    pub(crate) closed: u64,
    /// Connections that spoke AMQP and have not gone yet.
    pub(crate) live: u64,
    /// Whole messages received, and octets of their bodies.
    pub(crate) published: u64,
    pub(crate) published_octets: u64,
    /// Whole messages sent.
    pub(crate) delivered: u64,
    /// Connections that broke the protocol or ended without a close.
    pub(crate) errors: u64,
    pub(crate) last_error: String,
}

/// What all connections use.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) counters: Counters,
    /// Deliveries by body size, built once.
    deliveries: HashMap<u64, Rc<Vec<u8>>>,
}

impl Shared {
    fn delivery(&mut self, size: u64) -> Rc<Vec<u8>> {
        let make = || Rc::new(wire::delivered(usize::try_from(size).unwrap_or(0)));
        Rc::clone(self.deliveries.entry(size).or_insert_with(make))
    }

    /// Counts a session that went wrong.
    pub(crate) fn failed(&mut self, error: &anyhow::Error) {
        self.counters.errors += 1;
        self.counters.last_error = format!("{error:#}");
    }
}

/// One session's side of the conversation.
#[derive(Default)]
pub(crate) struct Talk {
    out: Vec<u8>,
    sent: usize,
    flood: Option<Flood>,
    echo: bool,
    /// Whether connection.close has come.
    pub(crate) closed: bool,
}

struct Flood {
    batch: Vec<u8>,
    message: usize,
    at: usize,
    begun: bool,
    stop: bool,
}

impl Talk {
    /// Queues connection.start.
    pub(crate) fn greet(&mut self) {
        self.out.extend(start());
    }

    /// Whether there is something to write.
    pub(crate) fn has_output(&self) -> bool {
        self.flood.is_some() || self.sent < self.out.len()
    }

    /// Answers one method.
    pub(crate) fn method(&mut self, id: Method, args: &[u8], shared: &mut Shared) -> Result<()> {
        let reply = match id {
            wire::START_OK => {
                let tune = Args::default().short(2047).long(wire::FRAME_MAX as u32).short(60);
                wire::method(0, wire::TUNE, tune)
            }
            wire::TUNE_OK | wire::PUBLISH => return Ok(()),
            wire::OPEN => {
                shared.counters.opened += 1;
                wire::method(0, wire::OPEN_OK, Args::default().shortstr(""))
            }
            wire::CHANNEL_OPEN => {
                wire::method(1, wire::CHANNEL_OPEN_OK, Args::default().longstr(b""))
            }
            wire::CONSUME => {
                self.consume(args)?;
                wire::method(1, wire::CONSUME_OK, Args::default().shortstr("bench"))
            }
            wire::CANCEL => {
                self.echo = false;
                if let Some(flood) = &mut self.flood {
                    flood.stop = true;
                }
                wire::method(1, wire::CANCEL_OK, Args::default().shortstr("bench"))
            }
            wire::CLOSE => {
                self.closed = true;
                shared.counters.closed += 1;
                wire::method(0, wire::CLOSE_OK, Args::default())
            }
            (class, method) => bail!("method {class}.{method} is not in the script"),
        };
        self.out.extend(reply);
        Ok(())
    }

    /// Reserved short, then the queue's name says what the consumer gets.
    fn consume(&mut self, args: &[u8]) -> Result<()> {
        let length = usize::from(*args.get(2).context("a short basic.consume")?);
        let queue = args.get(3..3 + length).context("a short basic.consume")?;
        let queue = std::str::from_utf8(queue)?;
        match queue.strip_prefix("flood-") {
            Some(size) => {
                let message = wire::delivered(size.parse().context("flood-SIZE")?);
                let batch = wire::batch(&message);
                let message = message.len();
                self.flood = Some(Flood { batch, message, at: 0, begun: false, stop: false });
            }
            None => self.echo = true,
        }
        Ok(())
    }

    /// Counts a whole message, and echoes it to an echo consumer.
    pub(crate) fn message(&mut self, size: u64, shared: &mut Shared) {
        shared.counters.published += 1;
        shared.counters.published_octets += size;
        if self.echo {
            shared.counters.delivered += 1;
            self.out.extend_from_slice(&shared.delivery(size));
        }
    }

    /// Replies first, then a batch of the flood; a reply in mid-flood waits for the flood's end.
    pub(crate) fn write(&mut self, stream: &mut TcpStream, counters: &mut Counters) -> Result<()> {
        if !self.flood.as_ref().is_some_and(|flood| flood.begun) {
            self.reply(stream)?;
            if self.sent < self.out.len() {
                return Ok(());
            }
        }
        let Some(flood) = &mut self.flood else {
            return Ok(());
        };
        counters.delivered += flood.write(stream)?;
        if flood.over() {
            self.flood = None;
            self.reply(stream)?;
        }
        Ok(())
    }

    fn reply(&mut self, stream: &mut TcpStream) -> Result<()> {
        while self.sent < self.out.len() {
            let Some(count) = write_some(stream, &self.out[self.sent..])? else {
                return Ok(());
            };
            self.sent += count;
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }
}

impl Flood {
    fn over(&self) -> bool {
        self.stop && self.at.is_multiple_of(self.message)
    }

    /// Writes once, after a stop only to the end of the message begun; the messages completed.
    fn write(&mut self, stream: &mut TcpStream) -> Result<u64> {
        self.begun = true;
        let before = self.at / self.message;
        let end = if self.stop { self.at.next_multiple_of(self.message) } else { self.batch.len() };
        if let Some(count) = write_some(stream, &self.batch[self.at..end])? {
            self.at += count;
        }
        let completed = self.at / self.message - before;
        if self.at == self.batch.len() {
            self.at = 0;
        }
        Ok(completed as u64)
    }
}

/// Writes once; none when there is no room.
fn write_some(stream: &mut TcpStream, data: &[u8]) -> Result<Option<usize>> {
    if data.is_empty() {
        return Ok(None);
    }
    match stream.write(data) {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error).context("writing to a session"),
    }
}

/// connection.start with properties of the size and kind that RabbitMQ sends.
fn start() -> Vec<u8> {
    let texts = [
        ("cluster_name", "rabbit@bench"),
        ("copyright", "Copyright (c) the authors of the scripted broker of this benchmark"),
        ("information", "A stand-in for a broker. It keeps no message and knows no user."),
        ("platform", "Erlang/OTP 25.2.3"),
        ("product", "RabbitMQ"),
        ("version", "3.10.8"),
    ];
    let capabilities = [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ];
    let args = Args::default().octet(0).octet(9).properties(&texts, &capabilities);
    wire::method(0, wire::START, args.longstr(b"AMQPLAIN PLAIN").longstr(b"en_US"))
}
