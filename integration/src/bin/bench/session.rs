//! The client's end of a session: opening many at once, reading, closing.

use crate::poll::Poller;
use crate::stop;
use crate::walk::{Event, Walker};
use crate::wire::{self, Args, Method};
use anyhow::{Context, Result, bail, ensure};
use socket2::{Domain, Socket, Type};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Without any progress for this long a run has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// The vhost opened in all cases.
const VHOST: &str = "bench";

/// A session to open: where, and how far to go.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) goal: Goal,
}

/// Where opening ends.
#[derive(Clone, PartialEq)]
pub(crate) enum Goal {
    /// With close-ok: open and close is all there is.
    Closed,
    /// With an open channel.
    Channel,
    /// With a consumer of this queue on a channel.
    Consumer(String),
}

/// An open session and what passed over it.
pub(crate) struct Session {
    pub(crate) stream: TcpStream,
    walker: Walker,
    /// Whole messages received.
    pub(crate) received: u64,
    /// Octets of publishes written.
    pub(crate) written: u64,
}

/// Opens sessions, `at_once` at a time, while `another` says so; each that reached its goal goes
/// to `done`.
///
/// # Errors
/// When a session is refused, broken, or nothing moves for ten seconds.
pub(crate) fn open_while(
    plan: &Plan,
    at_once: usize,
    mut another: impl FnMut() -> Result<bool>,
    mut done: impl FnMut(Session) -> Result<()>,
) -> Result<()> {
    let mut poller = Poller::new()?;
    let mut dials: HashMap<usize, Dial> = HashMap::new();
    let (mut next, mut more, mut moved) = (0, true, Instant::now());
    let mut buffer = vec![0; 64 * 1024];
    loop {
        while more && dials.len() < at_once {
            more = another()?;
            if more {
                let dial = Dial::start(plan)?;
                poller.add(&dial.session.stream, next, true)?;
                dials.insert(next, dial);
                next += 1;
            }
        }
        if dials.is_empty() {
            return Ok(());
        }
        stop::check()?;
        for ready in poller.wait(Some(Duration::from_millis(100)))? {
            moved = Instant::now();
            let Some(dial) = dials.get_mut(&ready.token) else {
                continue;
            };
            if dial.turn(ready.token, &poller, plan, &mut buffer)?
                && let Some(dial) = dials.remove(&ready.token)
            {
                poller.remove(&dial.session.stream)?;
                done(dial.session)?;
            }
        }
        if moved.elapsed() > PATIENCE {
            let waiting: Vec<_> = dials.values().map(|dial| dial.awaited).collect();
            bail!(
                "{} sessions hang, the first one waits for {:?}",
                waiting.len(),
                waiting[0]
            );
        }
    }
}

/// Opens `count` sessions and hands them back.
///
/// # Errors
/// As `open_while`.
pub(crate) fn open_all(plan: &Plan, count: usize) -> Result<Vec<Session>> {
    let (mut begun, mut sessions) = (0, Vec::with_capacity(count));
    let another = || {
        begun += 1;
        Ok(begun <= count)
    };
    open_while(plan, 32, another, |session| {
        sessions.push(session);
        Ok(())
    })?;
    Ok(sessions)
}

/// A session on its way to its goal.
struct Dial {
    session: Session,
    connecting: bool,
    /// The method that comes next.
    awaited: Method,
}

impl Dial {
    fn start(plan: &Plan) -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&plan.address.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(EINPROGRESS) => {}
            Err(error) => return Err(error).context("connecting"),
        }
        let session = Session {
            stream: socket.into(),
            walker: Walker::default(),
            received: 0,
            written: 0,
        };
        Ok(Self {
            session,
            connecting: true,
            awaited: wire::START,
        })
    }

    /// Goes on; true at the goal.
    fn turn(
        &mut self,
        token: usize,
        poller: &Poller,
        plan: &Plan,
        buffer: &mut [u8],
    ) -> Result<bool> {
        if self.connecting {
            if let Some(error) = self.session.stream.take_error()? {
                return Err(error).context("connecting");
            }
            self.session.write_whole(&wire::PROTOCOL_HEADER)?;
            self.connecting = false;
            poller.modify(&self.session.stream, token, false)?;
            return Ok(false);
        }
        let (mut reached, mut reply, awaited) = (false, Vec::new(), &mut self.awaited);
        self.session.read(buffer, |id| {
            ensure!(id == *awaited, "{id:?} came where {awaited:?} was awaited");
            match answer(id, &plan.goal) {
                Some((bytes, next)) => {
                    reply.extend(bytes);
                    *awaited = next;
                }
                None => reached = true,
            }
            Ok(())
        })?;
        self.session.write_whole(&reply)?;
        Ok(reached)
    }
}

const EINPROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

/// What the client says to `id`, and what it then waits for; none at the goal.
fn answer(id: Method, goal: &Goal) -> Option<(Vec<u8>, Method)> {
    let close = || (close(), wire::CLOSE_OK);
    match (id, goal) {
        (wire::START, _) => Some((start_ok(), wire::TUNE)),
        (wire::TUNE, _) => {
            let tune = Args::default()
                .short(2047)
                .long(wire::FRAME_MAX as u32)
                .short(60);
            let mut reply = wire::method(0, wire::TUNE_OK, tune);
            let open = Args::default().shortstr(VHOST).shortstr("").octet(0);
            reply.extend(wire::method(0, wire::OPEN, open));
            Some((reply, wire::OPEN_OK))
        }
        (wire::OPEN_OK, Goal::Closed) => Some(close()),
        (wire::OPEN_OK, _) => {
            let open = Args::default().shortstr("");
            Some((
                wire::method(1, wire::CHANNEL_OPEN, open),
                wire::CHANNEL_OPEN_OK,
            ))
        }
        (wire::CHANNEL_OPEN_OK, Goal::Consumer(queue)) => {
            // no-ack (bit 1): an acknowledgement is not part of these cases.
            let args = Args::default()
                .short(0)
                .shortstr(queue)
                .shortstr("bench")
                .octet(2);
            Some((
                wire::method(1, wire::CONSUME, args.long(0)),
                wire::CONSUME_OK,
            ))
        }
        _ => None,
    }
}

fn start_ok() -> Vec<u8> {
    let texts = [
        ("product", "amqp-gateway bench"),
        ("platform", "Rust"),
        ("version", env!("CARGO_PKG_VERSION")),
        ("connection_name", "bench"),
    ];
    let capabilities = [
        "publisher_confirms",
        "consumer_cancel_notify",
        "basic.nack",
        "connection.blocked",
        "authentication_failure_close",
    ];
    let args = Args::default()
        .properties(&texts, &capabilities)
        .shortstr("PLAIN");
    wire::method(
        0,
        wire::START_OK,
        args.longstr(b"\0guest\0guest").shortstr("en_US"),
    )
}

fn close() -> Vec<u8> {
    wire::method(
        0,
        wire::CLOSE,
        Args::default()
            .short(200)
            .shortstr("done")
            .short(0)
            .short(0),
    )
}

impl Session {
    /// Reads once, counts messages and hands other methods to `on`; the octets read.
    ///
    /// # Errors
    /// At the end of the stream, on malformed frames, on a close from the other side.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        mut on: impl FnMut(Method) -> Result<()>,
    ) -> Result<usize> {
        let count = match self.stream.read(buffer) {
            Ok(0) => bail!("the other side ended the connection"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error).context("reading"),
        };
        let received = &mut self.received;
        self.walker
            .feed(&buffer[..count], &mut |event| match event {
                Event::Message(_) => {
                    *received += 1;
                    Ok(())
                }
                Event::Method(wire::DELIVER, _) => Ok(()),
                Event::Method(wire::CLOSE | wire::CHANNEL_CLOSE, args) => bail!("{}", reason(args)),
                Event::Method(id, _) => on(id),
            })?;
        Ok(count)
    }

    /// Writes once, as much as there is room for; the octets written.
    pub(crate) fn write(&mut self, data: &[u8]) -> Result<usize> {
        match self.stream.write(data) {
            Ok(count) => Ok(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error).context("writing"),
        }
    }

    /// Writes something small that must fit.
    pub(crate) fn write_whole(&mut self, data: &[u8]) -> Result<()> {
        if !data.is_empty() {
            let count = self.write(data)?;
            ensure!(
                count == data.len(),
                "no room to write {} octets",
                data.len()
            );
        }
        Ok(())
    }

    /// Ends a session properly: the rest of the message begun, a consumer's cancel, then close
    /// and close-ok. Messages that still come are counted. The totals are in the session.
    ///
    /// # Errors
    /// When any of it fails or takes longer than ten seconds.
    pub(crate) fn finish(&mut self, rest: &[u8], consuming: bool) -> Result<()> {
        self.stream.set_nonblocking(false)?;
        self.stream.set_read_timeout(Some(PATIENCE))?;
        self.stream.set_write_timeout(Some(PATIENCE))?;
        self.stream
            .write_all(rest)
            .context("writing the rest of a message")?;
        self.written += rest.len() as u64;
        if consuming {
            let cancel = Args::default().shortstr("bench").octet(0);
            self.stream
                .write_all(&wire::method(1, wire::CANCEL, cancel))?;
            self.await_method(wire::CANCEL_OK)?;
        }
        self.stream.write_all(&close())?;
        self.await_method(wire::CLOSE_OK)
    }

    fn await_method(&mut self, awaited: Method) -> Result<()> {
        let (mut came, mut buffer) = (false, vec![0; 64 * 1024]);
        while !came {
            let count = self.read(&mut buffer, |id| {
                ensure!(id == awaited, "{id:?} came where {awaited:?} was awaited");
                came = true;
                Ok(())
            })?;
            ensure!(count > 0, "{awaited:?} did not come within {PATIENCE:?}");
        }
        Ok(())
    }
}

/// Reply code and text of a close.
fn reason(args: &[u8]) -> String {
    let code = args
        .get(..2)
        .map_or(0, |code| u16::from_be_bytes([code[0], code[1]]));
    let text = args.get(3..3 + args.get(2).map_or(0, |length| usize::from(*length)));
    format!(
        "closed by the other side: {code} {}",
        String::from_utf8_lossy(text.unwrap_or(b""))
    )
}
