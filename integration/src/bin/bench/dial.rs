//! Opening sessions, many at once, as far as a case needs them.

use crate::poll::Poller;
use crate::session::{PATIENCE, Session, close};
use crate::stream::Stream;
use crate::tls::Client;
use crate::wire::{self, Args, Method};
use anyhow::{Context, Result, bail, ensure};
use integration::stop;
use socket2::{Domain, Socket, Type};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The vhost opened in all cases.
const VHOST: &str = "bench";

/// A session to open: where, and how far to go.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) goal: Goal,
    /// How TLS is spoken, if it is.
    pub(crate) tls: Option<Client>,
    /// What is settled in the handshake, in seconds; 0 for sessions that say nothing for long, and shall not be missed.
    pub(crate) heartbeat: u16,
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
            bail!("{} sessions hang, the first one waits for {:?}", waiting.len(), waiting[0]);
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
        let tls = plan.tls.as_ref().map(Client::connection).transpose()?;
        let session = Session::new(Stream::new(socket.into(), tls));
        Ok(Self { session, connecting: true, awaited: wire::START })
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
            // With TLS this waits in the stream for the end of the TLS handshake, which it begins.
            self.session.write_whole(&wire::PROTOCOL_HEADER)?;
            self.connecting = false;
            poller.modify(&self.session.stream, token, false)?;
            return Ok(false);
        }
        let (mut reached, mut reply, awaited) = (false, Vec::new(), &mut self.awaited);
        self.session.read(buffer, |id| {
            ensure!(id == *awaited, "{id:?} came where {awaited:?} was awaited");
            match answer(id, plan) {
                Some((bytes, next)) => {
                    reply.extend(bytes);
                    *awaited = next;
                }
                None => reached = true,
            }
            Ok(())
        })?;
        self.session.write_whole(&reply)?;
        if reached && let Some((client, tls)) = plan.tls.as_ref().zip(self.session.stream.tls()) {
            client.check(tls)?;
        }
        if reached && plan.goal == Goal::Closed {
            self.session.stream.end().context("ending")?;
        }
        Ok(reached)
    }
}

const EINPROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

/// What the client says to `id`, and what it then waits for; none at the goal.
fn answer(id: Method, Plan { goal, heartbeat, .. }: &Plan) -> Option<(Vec<u8>, Method)> {
    let close = || (close(), wire::CLOSE_OK);
    match (id, goal) {
        (wire::START, _) => Some((start_ok(), wire::TUNE)),
        (wire::TUNE, _) => {
            let tune = Args::default().short(2047).long(wire::FRAME_MAX as u32).short(*heartbeat);
            let mut reply = wire::method(0, wire::TUNE_OK, tune);
            let open = Args::default().shortstr(VHOST).shortstr("").octet(0);
            reply.extend(wire::method(0, wire::OPEN, open));
            Some((reply, wire::OPEN_OK))
        }
        (wire::OPEN_OK, Goal::Closed) => Some(close()),
        (wire::OPEN_OK, _) => {
            let open = Args::default().shortstr("");
            Some((wire::method(1, wire::CHANNEL_OPEN, open), wire::CHANNEL_OPEN_OK))
        }
        (wire::CHANNEL_OPEN_OK, Goal::Consumer(queue)) => {
            // no-ack (bit 1): an acknowledgement is not part of these cases.
            let args = Args::default().short(0).shortstr(queue).shortstr("bench").octet(2);
            Some((wire::method(1, wire::CONSUME, args.long(0)), wire::CONSUME_OK))
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
    let args = Args::default().properties(&texts, &capabilities).shortstr("PLAIN");
    wire::method(0, wire::START_OK, args.longstr(b"\0guest\0guest").shortstr("en_US"))
}
