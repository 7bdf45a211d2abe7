//! The places where a batch of log lines can be written to.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::escape;
use crate::config::model::{LogLevel, LogOutput};

/// The name under which syslog and the journal file our lines.
const IDENTIFIER: &str = "amqp-gateway";
/// The journal's native protocol.
const JOURNAL_SOCKET: &str = "/run/systemd/journal/socket";
/// Syslog facility local0, shifted to its place in PRI (RFC 5424 section 6.2.1).
const LOCAL0: u8 = 16 << 3;
/// Longest line in a datagram: UDP carries at most 65,507 bytes with our header.
const MAX_DATAGRAM_LINE: usize = 60_000;

/// Why log lines cannot go where the configuration wants them.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SinkError {
    #[error(
        "log.file {}: {source}; the directory must exist and this user must be able to write there",
        path.display()
    )]
    File { path: PathBuf, source: io::Error },
    #[error("log.syslog {address}: no UDP socket towards it: {source}")]
    Syslog { address: SocketAddr, source: io::Error },
    #[error(
        "log.output \"journald\": no journal at {}: {source}; is systemd-journald running?",
        path.display()
    )]
    Journal { path: PathBuf, source: io::Error },
    #[error("the log thread cannot be started: {0}")]
    Thread(io::Error),
}

/// Lines in the order in which they were pushed, each ended by a newline.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// All lines, one after the other.
    pub(crate) bytes: Vec<u8>,
    /// For each line its length with the newline, and its level.
    pub(crate) lines: Vec<(usize, LogLevel)>,
}

impl Batch {
    pub(crate) fn push(&mut self, level: LogLevel, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
        self.lines.push((line.len() + 1, level));
    }

    pub(crate) fn push_front(&mut self, level: LogLevel, mut line: Vec<u8>) {
        line.push(b'\n');
        self.lines.insert(0, (line.len(), level));
        self.bytes.splice(0..0, line);
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.lines.clear();
        // A burst must not keep its memory for ever.
        self.bytes.shrink_to(64 * 1024);
        self.lines.shrink_to(1024);
    }

    fn each(&self) -> impl Iterator<Item = (LogLevel, &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.lines.iter().map(move |(length, level)| {
            let (line, after) = rest.split_at(*length);
            rest = after;
            (*level, &line[..length - 1])
        })
    }
}

/// An opened destination.
pub(crate) enum Output {
    /// One write a batch.
    Stream(Box<dyn Write + Send>),
    /// One UDP datagram a line.
    Syslog(Syslog),
    /// One datagram a line on the journal's socket.
    Journal(Journal),
}

impl Output {
    pub(crate) fn open(output: &LogOutput) -> Result<Self, SinkError> {
        match output {
            LogOutput::Stdout => Ok(Self::stdout()),
            LogOutput::File(path) => open_file(path).map(|file| Self::Stream(Box::new(file))),
            LogOutput::Syslog(address) => Syslog::connect(*address).map(Self::Syslog),
            LogOutput::Journald => Journal::at(Path::new(JOURNAL_SOCKET)).map(Self::Journal),
        }
    }

    pub(crate) fn stdout() -> Self {
        Self::Stream(Box::new(io::stdout()))
    }

    /// Whether a line must name its time and level itself, because its reader does not add them.
    pub(crate) fn wants_stamps(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// Writes all lines; returns how many were lost.
    pub(crate) fn write(&mut self, batch: &Batch) -> u64 {
        match self {
            Self::Stream(stream) => {
                let written = stream.write_all(&batch.bytes).and_then(|()| stream.flush());
                if written.is_ok() { 0 } else { batch.lines.len() as u64 }
            }
            Self::Syslog(syslog) => count_lost(batch, |level, line| syslog.send(level, line)),
            Self::Journal(journal) => count_lost(batch, |level, line| journal.send(level, line)),
        }
    }
}

fn open_file(path: &Path) -> Result<File, SinkError> {
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map_err(|source| SinkError::File { path: path.to_owned(), source })
}

fn count_lost(batch: &Batch, mut send: impl FnMut(LogLevel, &[u8]) -> io::Result<()>) -> u64 {
    batch.each().filter(|(level, line)| send(*level, line).is_err()).count() as u64
}

/// RFC 5424 messages over UDP (RFC 5426).
pub(crate) struct Syslog {
    socket: UdpSocket,
    host: String,
    datagram: Vec<u8>,
}

impl Syslog {
    fn connect(address: SocketAddr) -> Result<Self, SinkError> {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let connect = || {
            let socket = UdpSocket::bind(any)?;
            socket.connect(address)?;
            Ok(socket)
        };
        let socket = connect().map_err(|source| SinkError::Syslog { address, source })?;
        Ok(Self { socket, host: host_name(), datagram: Vec::new() })
    }

    fn send(&mut self, level: LogLevel, line: &[u8]) -> io::Result<()> {
        let out = &mut self.datagram;
        out.clear();
        escape::push_display(out, format_args!("<{}>1 ", LOCAL0 + severity(level)));
        escape::push_time(out, SystemTime::now());
        let (host, process) = (&self.host, std::process::id());
        escape::push_display(out, format_args!(" {host} {IDENTIFIER} {process} - - "));
        out.extend_from_slice(&line[..line.len().min(MAX_DATAGRAM_LINE)]);
        match self.socket.send(out) {
            // The ICMP answer to an earlier datagram; this one has not been sent yet.
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => self.socket.send(out),
            sent => sent,
        }
        .map(drop)
    }
}

/// The journal's native protocol: `FIELD=value` lines in one datagram.
pub(crate) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    datagram: Vec<u8>,
}

impl Journal {
    pub(crate) fn at(path: &Path) -> Result<Self, SinkError> {
        let fail = |source| SinkError::Journal { path: path.to_owned(), source };
        let socket = UnixDatagram::unbound().map_err(fail)?;
        // Only a probe: datagrams name the path each time, so a restarted journal is found again.
        UnixDatagram::unbound().and_then(|probe| probe.connect(path)).map_err(fail)?;
        Ok(Self { socket, path: path.to_owned(), datagram: Vec::new() })
    }

    fn send(&mut self, level: LogLevel, line: &[u8]) -> io::Result<()> {
        let out = &mut self.datagram;
        out.clear();
        let severity = severity(level);
        escape::push_display(
            out,
            format_args!("PRIORITY={severity}\nSYSLOG_IDENTIFIER={IDENTIFIER}\nMESSAGE="),
        );
        // Lines hold no newline (see `escape`), so the simple form of a field is enough.
        out.extend_from_slice(&line[..line.len().min(MAX_DATAGRAM_LINE)]);
        out.push(b'\n');
        self.socket.send_to(out, &self.path).map(drop)
    }
}

/// RFC 5424 section 6.2.1.
fn severity(level: LogLevel) -> u8 {
    match level {
        LogLevel::Error => 3,
        LogLevel::Warn => 4,
        LogLevel::Info => 6,
        LogLevel::Debug | LogLevel::Trace => 7,
    }
}

/// RFC 5424 HOSTNAME: visible ASCII, or `-` where nothing is known.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(char::is_ascii_graphic).take(255).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

#[cfg(test)]
mod tests;
