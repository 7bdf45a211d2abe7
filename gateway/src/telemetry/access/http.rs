//! The record of a request to an HTTP listener.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::{AccessLog, Fields, JsonFields, Ordering, TextFields};
use crate::config::model::{LogFormat, LogLevel};
use crate::telemetry::log;
use crate::telemetry::sink::Style;

/// What is known of a request at the end of its answer; what is `None` is left out of the line.
#[derive(Debug, Clone)]
pub struct HttpRecord<'a> {
    /// When the answer ended.
    pub time: SystemTime,
    /// Where the client arrived.
    pub listener: &'a str,
    /// Where it came from.
    pub client: SocketAddr,
    /// The proxy that announced it.
    pub proxy: Option<SocketAddr>,
    /// Was it https?
    pub tls: bool,
    /// The request's method; `None` for a connection that ended without a request.
    pub method: Option<&'a [u8]>,
    /// The path, without the query, which may hold secrets.
    pub path: Option<&'a [u8]>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Bytes of the request's body, or those that a WebSocket's client sent.
    pub bytes_from_client: u64,
    /// Bytes of the answer's body, or those sent to a WebSocket's client.
    pub bytes_to_client: u64,
    /// From the request's head to the last byte of the answer.
    pub duration: Duration,
    /// The cluster that the listener leads to.
    pub cluster: Option<&'a str>,
    /// The last node tried or used.
    pub node: Option<&'a str>,
    /// Why it did not come to a good end, as a kebab-case label.
    pub reason: Option<&'a str>,
    /// The same in words.
    pub detail: Option<&'a [u8]>,
}

impl AccessLog {
    /// Writes one record, at level info whatever `log.level` says. Never waits.
    pub fn write_http(&self, record: &HttpRecord<'_>) {
        if !self.on.load(Ordering::Relaxed) {
            return;
        }
        let mut line = Vec::with_capacity(512);
        record.format(self.sink.style(), &mut line);
        self.sink.push(LogLevel::Info, &line);
    }
}

impl HttpRecord<'_> {
    /// Appends the record as one line without its newline.
    pub fn format(&self, style: Style, out: &mut Vec<u8>) {
        log::stamp(style, self.time, LogLevel::Info, out);
        match style.format {
            LogFormat::Text => {
                out.extend_from_slice(b"http");
                self.fields(&mut TextFields(out));
            }
            LogFormat::Json => {
                out.extend_from_slice(b"\"http\"");
                self.fields(&mut JsonFields(out));
                out.push(b'}');
            }
        }
    }

    /// The order of the fields, the same in both formats.
    fn fields(&self, to: &mut impl Fields) {
        to.value("listener", self.listener.as_bytes());
        to.own("client", self.client);
        if let Some(proxy) = self.proxy {
            to.own("proxy", proxy);
        }
        to.own("scheme", if self.tls { "https" } else { "http" });
        to.optional("method", self.method);
        to.optional("path", self.path);
        if let Some(status) = self.status {
            to.number("status", status.into());
        }
        to.optional("cluster", self.cluster.map(str::as_bytes));
        to.optional("node", self.node.map(str::as_bytes));
        to.milliseconds("duration_ms", self.duration);
        to.number("bytes_from_client", self.bytes_from_client);
        to.number("bytes_to_client", self.bytes_to_client);
        to.optional("reason", self.reason.map(str::as_bytes));
        to.optional("detail", self.detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: Style = Style { format: LogFormat::Text, stamp: true, colour: false };
    const JSON: Style = Style { format: LogFormat::Json, stamp: true, colour: false };

    fn record() -> HttpRecord<'static> {
        HttpRecord {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_792_000_000_042),
            listener: "management",
            client: ([127, 0, 0, 1], 40000).into(),
            proxy: None,
            tls: true,
            method: Some(b"GET"),
            path: Some(b"/api/queues"),
            status: Some(200),
            bytes_from_client: 0,
            bytes_to_client: 12_345,
            duration: Duration::from_micros(8500),
            cluster: Some("main"),
            node: Some("rabbit1"),
            reason: None,
            detail: None,
        }
    }

    fn line(record: &HttpRecord<'_>, style: Style) -> String {
        let mut out = Vec::new();
        record.format(style, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_request_is_one_line() {
        let expected = "2026-10-14T17:46:40.042Z INFO  http listener=management client=127.0.0.1:40000 scheme=https \
             method=GET path=/api/queues status=200 cluster=main node=rabbit1 duration_ms=8.500 bytes_from_client=0 \
             bytes_to_client=12345";
        assert_eq!(line(&record(), TEXT), expected);
    }

    #[test]
    fn the_same_as_json_with_why_it_failed() {
        let failed = HttpRecord { status: None, reason: Some("client-gone"), ..record() };
        let json: serde_json::Value = serde_json::from_str(&line(&failed, JSON)).expect("JSON");
        assert_eq!((&json["message"], &json["reason"]), (&"http".into(), &"client-gone".into()));
        assert!(json["status"].is_null() && json["path"] == "/api/queues");
    }

    #[test]
    fn no_path_forges_a_field() {
        let forged = HttpRecord { path: Some(b"/ status=200\nINFO session"), ..record() };
        assert!(line(&forged, TEXT).contains("path=\"/ status=200\\nINFO session\" status=200"));
    }
}
