//! The access record: one line a session, at its end. `docs/access-log.md` explains each field.

mod http;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use super::escape;
use super::log;
use super::sink::{SinkHandle, Style};
use crate::config::model::{LogFormat, LogLevel};
use crate::stream::facts::TlsFacts;
pub use http::HttpRecord;

/// What is known of a session at its end; what is `None` is left out of the line.
///
/// Text that a peer supplied is bytes as received: it is escaped and cut when it is written.
#[derive(Debug, Clone)]
pub struct AccessRecord<'a> {
    /// When the session ended.
    pub time: SystemTime,
    /// Shown as 16 hexadecimal digits.
    pub session: u64,
    /// Where the client arrived.
    pub listener: &'a str,
    /// Where it came from.
    pub client: SocketAddr,
    /// The proxy that announced it.
    pub proxy: Option<SocketAddr>,
    /// The server name that it asked for.
    pub sni: Option<&'a str>,
    /// What its TLS handshake came to.
    pub tls: Option<&'a TlsFacts>,
    /// What it spoke.
    pub protocol: Protocol,
    /// User name of PLAIN or AMQPLAIN.
    pub user: Option<&'a [u8]>,
    /// The vhost that the client opened.
    pub vhost: Option<&'a [u8]>,
    /// `product` of the client properties.
    pub product: Option<&'a [u8]>,
    /// `version` of the client properties.
    pub version: Option<&'a [u8]>,
    /// `platform` of the client properties.
    pub platform: Option<&'a [u8]>,
    /// `connection_name` of the client properties.
    pub connection_name: Option<&'a [u8]>,
    /// The cluster the route led to.
    pub cluster: Option<&'a str>,
    /// The last node tried or used.
    pub node: Option<&'a str>,
    /// From accept to the client's open (or as far as the gateway played the broker).
    pub handshake_client: Option<Duration>,
    /// From connecting to the node to its open-ok.
    pub handshake_upstream: Option<Duration>,
    /// From accept to the end.
    pub duration: Duration,
    /// Bytes read from the client.
    pub bytes_from_client: u64,
    /// Bytes read from the node.
    pub bytes_from_node: u64,
    /// Message counts; `None` for a session that never relayed 0-9-1 frames.
    pub messages: Option<Messages>,
    /// Most channels open at once.
    pub channels_peak: Option<u16>,
    /// Who ended the session.
    pub who: Who,
    /// How far the session had come.
    pub phase: Phase,
    /// Kebab-case label, the same as in the metrics: `client-closed`, `node-lost`, ...
    pub reason: &'a str,
    /// Reply code of the connection.close that was sent or passed on.
    pub reply_code: Option<u16>,
    /// Its text.
    pub reply_text: Option<&'a [u8]>,
}

/// Messages of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Messages {
    pub published: u64,
    pub delivered: u64,
    pub acknowledged: u64,
    pub confirmed: u64,
    pub returned: u64,
}

impl Messages {
    /// And these.
    pub fn add(&mut self, more: &Self) {
        self.published += more.published;
        self.delivered += more.delivered;
        self.acknowledged += more.acknowledged;
        self.confirmed += more.confirmed;
        self.returned += more.returned;
    }
}

/// What a client spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// AMQP 0-9-1
    Amqp091,
    /// AMQP 1.0
    Amqp10,
    /// Any bytes, at a `tcp` listener.
    Tcp,
    /// TLS that only the node can read.
    TlsPassthrough,
    /// Neither, or the session ended before it was known.
    Unknown,
}

impl Protocol {
    /// As shown in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amqp091 => "amqp-0-9-1",
            Self::Amqp10 => "amqp-1.0",
            Self::Tcp => "tcp",
            Self::TlsPassthrough => "tls-passthrough",
            Self::Unknown => "unknown",
        }
    }
}

/// Who ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Who {
    Client,
    Node,
    Gateway,
    Operator,
}

impl Who {
    /// As shown in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Node => "node",
            Self::Gateway => "gateway",
            Self::Operator => "operator",
        }
    }
}

/// How far a session had come when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before its first byte, and in its PROXY header.
    Accept,
    /// In its TLS handshake.
    Tls,
    /// While the gateway played the broker.
    Handshake,
    /// When its cluster was looked for.
    Route,
    /// While a node was connected to, up to open-ok.
    Connect,
    /// After open-ok.
    Relay,
    /// After open-ok, while the session was being drained.
    Drain,
}

impl Phase {
    /// As shown in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Tls => "tls",
            Self::Handshake => "handshake",
            Self::Route => "route",
            Self::Connect => "connect",
            Self::Relay => "relay",
            Self::Drain => "drain",
        }
    }
}

/// Writes access records into the sink.
#[derive(Debug, Clone)]
pub struct AccessLog {
    sink: SinkHandle,
    on: Arc<AtomicBool>,
}

impl AccessLog {
    /// Writes to `sink` in its style.
    #[must_use]
    pub fn new(sink: SinkHandle) -> Self {
        Self { sink, on: Arc::new(AtomicBool::new(true)) }
    }

    /// Are records written from now on?
    pub fn switch(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// Writes one record, at level info whatever `log.level` says. Never waits.
    pub fn write(&self, record: &AccessRecord<'_>) {
        if !self.on.load(Ordering::Relaxed) {
            return;
        }
        let mut line = Vec::with_capacity(1024);
        record.format(self.sink.style(), &mut line);
        self.sink.push(LogLevel::Info, &line);
    }
}

impl AccessRecord<'_> {
    /// Appends the record as one line without its newline.
    pub fn format(&self, style: Style, out: &mut Vec<u8>) {
        log::stamp(style, self.time, LogLevel::Info, out);
        match style.format {
            LogFormat::Text => {
                out.extend_from_slice(b"session");
                self.fields(&mut TextFields(out));
            }
            LogFormat::Json => {
                out.extend_from_slice(b"\"session\"");
                self.fields(&mut JsonFields(out));
                out.push(b'}');
            }
        }
    }

    /// The order of the fields, the same in both formats.
    fn fields(&self, to: &mut impl Fields) {
        to.own("session", format_args!("{:016x}", self.session));
        to.value("listener", self.listener.as_bytes());
        to.own("client", self.client);
        if let Some(proxy) = self.proxy {
            to.own("proxy", proxy);
        }
        to.optional("sni", self.sni.map(str::as_bytes));
        self.tls(to);
        to.own("protocol", self.protocol.as_str());
        to.optional("user", self.user);
        to.optional("vhost", self.vhost);
        to.optional("product", self.product);
        to.optional("version", self.version);
        to.optional("platform", self.platform);
        to.optional("connection_name", self.connection_name);
        to.optional("cluster", self.cluster.map(str::as_bytes));
        to.optional("node", self.node.map(str::as_bytes));
        self.figures(to);
        to.own("who", self.who.as_str());
        to.own("phase", self.phase.as_str());
        to.value("reason", self.reason.as_bytes());
        if let Some(code) = self.reply_code {
            to.number("reply_code", code.into());
        }
        to.optional("reply_text", self.reply_text);
    }

    fn tls(&self, to: &mut impl Fields) {
        let Some(tls) = self.tls else { return };
        to.own("tls", tls.version);
        to.own("tls_cipher", tls.cipher);
        if let Some(certificate) = &tls.certificate {
            to.value("certificate", certificate.subject.as_bytes());
            let sans = certificate.sans.join(", ");
            to.optional("certificate_san", (!sans.is_empty()).then_some(sans.as_bytes()));
        }
    }

    fn figures(&self, to: &mut impl Fields) {
        if let Some(handshake) = self.handshake_client {
            to.milliseconds("handshake_client_ms", handshake);
        }
        if let Some(handshake) = self.handshake_upstream {
            to.milliseconds("handshake_upstream_ms", handshake);
        }
        to.milliseconds("duration_ms", self.duration);
        to.number("bytes_from_client", self.bytes_from_client);
        to.number("bytes_from_node", self.bytes_from_node);
        if let Some(messages) = self.messages {
            to.number("published", messages.published);
            to.number("delivered", messages.delivered);
            to.number("acknowledged", messages.acknowledged);
            to.number("confirmed", messages.confirmed);
            to.number("returned", messages.returned);
        }
        if let Some(peak) = self.channels_peak {
            to.number("channels_peak", peak.into());
        }
    }
}

/// One of the two formats.
trait Fields {
    /// Appends the separator and the name; the value follows.
    fn name(&mut self, name: &str) -> &mut Vec<u8>;
    /// A value of any origin.
    fn value(&mut self, name: &str, value: &[u8]);
    /// A value that needs no escapes.
    fn own(&mut self, name: &str, value: impl std::fmt::Display);

    fn optional(&mut self, name: &str, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.value(name, value);
        }
    }

    fn number(&mut self, name: &str, value: u64) {
        escape::push_display(self.name(name), value);
    }

    fn milliseconds(&mut self, name: &str, value: Duration) {
        let (whole, part) = (value.as_millis(), value.subsec_micros() % 1000);
        escape::push_display(self.name(name), format_args!("{whole}.{part:03}"));
    }
}

struct TextFields<'a>(&'a mut Vec<u8>);

impl Fields for TextFields<'_> {
    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        self.0.push(b' ');
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b'=');
        self.0
    }

    fn value(&mut self, name: &str, value: &[u8]) {
        escape::push_text_value(self.name(name), value);
    }

    fn own(&mut self, name: &str, value: impl std::fmt::Display) {
        escape::push_display(self.name(name), value);
    }
}

struct JsonFields<'a>(&'a mut Vec<u8>);

impl Fields for JsonFields<'_> {
    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        self.0
    }

    fn value(&mut self, name: &str, value: &[u8]) {
        escape::push_json_string(self.name(name), value);
    }

    fn own(&mut self, name: &str, value: impl std::fmt::Display) {
        escape::push_display(self.name(name), format_args!("\"{value}\""));
    }
}

#[cfg(test)]
mod tests;
