//! The load: one loop a case, run inside a measuring window.

use crate::poll::Poller;
use crate::session::{PATIENCE, Session};
use crate::window::Window;
use crate::wire;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(20);
const READ_BUFFER: usize = 256 * 1024;

/// What the client did, all of the window and what lies around it; and round trip times.
#[derive(Default)]
pub(crate) struct Done {
    /// Whole messages published.
    pub(crate) sent: u64,
    /// Whole messages received.
    pub(crate) received: u64,
    /// Round trips inside the window, nanoseconds.
    pub(crate) round_trips: Vec<u64>,
}

/// Publishes as fast as the sockets take it, in batches of 64 KiB (or one larger message).
pub(crate) fn publish(
    mut sessions: Vec<Session>,
    body: usize,
    window: &mut Window<'_>,
) -> Result<Done> {
    let message = wire::published(body);
    let batch = wire::batch(&message);
    let mut at = vec![0; sessions.len()];
    let (mut poller, mut buffer) = (watch(&sessions, true)?, vec![0; READ_BUFFER]);
    while window.running(0)? {
        for ready in poller.wait(Some(TICK))? {
            let (session, at) = (&mut sessions[ready.token], &mut at[ready.token]);
            if ready.readable {
                session.read(&mut buffer, unexpected)?;
            }
            if ready.writable {
                let count = session.write(&batch[*at..])?;
                session.written += count as u64;
                *at = (*at + count) % batch.len();
            }
        }
    }
    for (session, at) in sessions.iter_mut().zip(at) {
        let end = at.next_multiple_of(message.len());
        session.finish(&batch[at..end], false)?;
    }
    let written: u64 = sessions.iter().map(|session| session.written).sum();
    Ok(Done { sent: written / message.len() as u64, ..Done::default() })
}

/// Consumes what the broker floods.
pub(crate) fn consume(mut sessions: Vec<Session>, window: &mut Window<'_>) -> Result<Done> {
    let (mut poller, mut buffer) = (watch(&sessions, false)?, vec![0; READ_BUFFER]);
    let mut received: u64 = sessions.iter().map(|session| session.received).sum();
    while window.running(received)? {
        for ready in poller.wait(Some(TICK))? {
            let session = &mut sessions[ready.token];
            let before = session.received;
            session.read(&mut buffer, unexpected)?;
            received += session.received - before;
        }
    }
    for session in &mut sessions {
        session.finish(&[], true)?;
    }
    let received = sessions.iter().map(|session| session.received).sum();
    Ok(Done { received, ..Done::default() })
}

/// Publishes `rate` messages a second, each in a write of its own, over the sessions in turn.
pub(crate) fn paced(
    mut sessions: Vec<Session>,
    body: usize,
    rate: u32,
    window: &mut Window<'_>,
) -> Result<Done> {
    let message = wire::published(body);
    let start = Instant::now();
    let mut sent = 0;
    while window.running(sent)? {
        let due = (start.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        while sent < due {
            let turn = (sent % sessions.len() as u64) as usize;
            sessions[turn].write_whole(&message)?;
            sent += 1;
        }
        let next = Duration::from_secs_f64((sent + 1) as f64 / f64::from(rate));
        std::thread::sleep(next.saturating_sub(start.elapsed()));
    }
    for session in &mut sessions {
        session.finish(&[], false)?;
    }
    Ok(Done { sent, ..Done::default() })
}

/// Publishes one message a session, waits for its echo, publishes the next.
pub(crate) fn ping_pong(
    mut sessions: Vec<Session>,
    body: usize,
    window: &mut Window<'_>,
) -> Result<Done> {
    let message = wire::published(body);
    let (mut poller, mut buffer) = (watch(&sessions, false)?, vec![0; READ_BUFFER]);
    let mut done = Done::default();
    let mut since = vec![Instant::now(); sessions.len()];
    for session in &mut sessions {
        session.write_whole(&message)?;
        done.sent += 1;
    }
    while window.running(done.received)? {
        for ready in poller.wait(Some(TICK))? {
            let (session, since) = (&mut sessions[ready.token], &mut since[ready.token]);
            let before = session.received;
            session.read(&mut buffer, unexpected)?;
            if session.received > before {
                let now = Instant::now();
                if window.measuring() {
                    done.round_trips.push((now - *since).as_nanos() as u64);
                }
                done.received += 1;
                *since = now;
                session.write_whole(&message)?;
                done.sent += 1;
            }
        }
    }
    for session in &mut sessions {
        session.finish(&[], true)?;
    }
    done.received = sessions.iter().map(|session| session.received).sum();
    ensure!(done.received == done.sent, "{} sent, {} came back", done.sent, done.received);
    Ok(done)
}

/// Two messages there and back over each session, one after the other.
pub(crate) fn exchange_two(sessions: &mut [Session], body: usize) -> Result<()> {
    let (message, mut buffer) = (wire::published(body), vec![0; READ_BUFFER]);
    for session in sessions {
        session.stream.be_patient(PATIENCE)?;
        for _ in 0..2 {
            let before = session.received;
            session.write_whole(&message)?;
            while session.received == before {
                let count = session.read(&mut buffer, unexpected)?;
                ensure!(count > 0, "an echo did not come within {PATIENCE:?}");
            }
        }
    }
    Ok(())
}

fn watch(sessions: &[Session], write: bool) -> Result<Poller> {
    let poller = Poller::new()?;
    for (token, session) in sessions.iter().enumerate() {
        poller.add(&session.stream, token, write)?;
    }
    Ok(poller)
}

fn unexpected(id: wire::Method) -> Result<()> {
    anyhow::bail!("an unexpected method {id:?}")
}
