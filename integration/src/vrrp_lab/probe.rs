//! A client of the shared address: a datagram every few milliseconds, and who answered it when.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::echo::PORT;
use super::worker::{Stop, Wait, Worker};
use super::{CLIENT, Lab, socket, wait};

/// One datagram and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// When it was sent.
    pub at: Instant,
    /// When the answer came, and which gateway gave it.
    pub answer: Option<(Instant, String)>,
}

/// A client in the namespace `cl`; it ends when dropped.
#[derive(Debug)]
pub struct Probe {
    trace: Arc<Mutex<Trace>>,
    _worker: Worker,
}

/// All that a probe sent, in order.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Every datagram.
    pub sent: Vec<Sent>,
}

impl Probe {
    /// Time from one datagram to the next, and so the resolution of all that a probe tells.
    pub const INTERVAL: Duration = Duration::from_millis(5);

    /// Begins to ask the [`super::Echo`] at `address`.
    ///
    /// # Errors
    /// When the system refuses the socket.
    pub fn start(lab: &Lab, address: IpAddr) -> Result<Self> {
        // Never connected: an ICMP error must not stop it.
        let any: IpAddr = if address.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let socket =
            lab.inside(CLIENT, || UdpSocket::bind((any, 0)))?.context("no socket for the probe")?;
        socket.set_nonblocking(true)?;
        socket::note_times(&socket)?;
        let trace = Arc::new(Mutex::new(Trace::default()));
        let notes = Arc::clone(&trace);
        let to = SocketAddr::from((address, PORT));
        let worker = Worker::start("probe", move |stop| run(&socket, to, &notes, &stop))?;
        Ok(Self { trace, _worker: worker })
    }

    /// What it has seen so far. Answers to the last datagrams may still be under way.
    #[must_use]
    pub fn trace(&self) -> Trace {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The trace as soon as it lasts until `moment` and a little longer, so that the answers of that time are in it.
    #[must_use]
    pub fn trace_until(&self, moment: Instant) -> Trace {
        std::thread::sleep(
            (moment + 10 * Self::INTERVAL).saturating_duration_since(Instant::now()),
        );
        self.trace()
    }

    /// Waits until `gateway` answers what is sent from now on.
    ///
    /// # Errors
    /// When it does not before `deadline`.
    pub fn wait_for(&self, gateway: &str, deadline: Duration) -> Result<()> {
        let now = Instant::now();
        if !wait(deadline, || self.trace().answers(now).any(|(_, who)| who == gateway)) {
            bail!("{gateway} does not answer at the shared address after {deadline:?}");
        }
        Ok(())
    }
}

impl Trace {
    /// The longest span without an answer among what was sent in the window: from the first datagram that was lost to
    /// the next that was not, or to the window's end. Zero when none was lost.
    #[must_use]
    pub fn outage(&self, [from, to]: [Instant; 2]) -> Duration {
        let (mut longest, mut lost_since) = (Duration::ZERO, None);
        for sent in self.window([from, to]) {
            match (&sent.answer, lost_since) {
                (None, None) => lost_since = Some(sent.at),
                (Some(_), Some(since)) => {
                    longest = longest.max(sent.at - since);
                    lost_since = None;
                }
                _ => {}
            }
        }
        lost_since.map_or(longest, |since| longest.max(to.saturating_duration_since(since)))
    }

    /// How many datagrams of the window got no answer.
    #[must_use]
    pub fn lost(&self, window: [Instant; 2]) -> usize {
        self.window(window).filter(|sent| sent.answer.is_none()).count()
    }

    /// How long after `event` the first answer came to something sent after it by another gateway than `before`.
    #[must_use]
    pub fn take(&self, event: Instant, before: &str) -> Option<Duration> {
        self.answers(event).find(|(_, who)| *who != before).map(|(at, _)| at - event)
    }

    /// The gateway that answered last.
    #[must_use]
    pub fn last(&self) -> Option<&str> {
        self.sent.iter().rev().find_map(|sent| sent.answer.as_ref()).map(|(_, who)| who.as_str())
    }

    /// The answers to what was sent since `from`: when, by whom.
    pub fn answers(&self, from: Instant) -> impl Iterator<Item = (Instant, &str)> {
        let later = self.sent.partition_point(|sent| sent.at < from);
        let answers = self.sent[later..].iter().filter_map(|sent| sent.answer.as_ref());
        answers.map(|(at, who)| (*at, who.as_str()))
    }

    fn window(&self, [from, to]: [Instant; 2]) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(move |sent| sent.at >= from && sent.at <= to)
    }
}

fn run(socket: &UdpSocket, to: SocketAddr, trace: &Mutex<Trace>, stop: &Stop) {
    let mut due = Instant::now();
    loop {
        let now = Instant::now();
        if now >= due {
            send(socket, to, now, trace);
            // Late by more than a step: go on from here, without a burst.
            due = (due + Probe::INTERVAL).max(now);
        }
        match stop.wait(socket.as_fd(), Some(due.saturating_duration_since(Instant::now()))) {
            Wait::Stopped => return,
            Wait::Readable => receive(socket, trace),
            Wait::TimedOut => {}
        }
    }
}

fn send(socket: &UdpSocket, to: SocketAddr, at: Instant, trace: &Mutex<Trace>) {
    let mut trace = trace.lock().unwrap_or_else(PoisonError::into_inner);
    let number = trace.sent.len() as u64;
    trace.sent.push(Sent { at, answer: None });
    // Nobody to be reached: no answer will come, which is what counts.
    let _ = socket.send_to(&number.to_be_bytes(), to);
}

fn receive(socket: &UdpSocket, trace: &Mutex<Trace>) {
    let mut buffer = [0; 64];
    while let Ok(received) = socket::receive::<()>(socket, &mut buffer) {
        let Some((number, who)) = buffer[..received.length].split_first_chunk::<8>() else {
            continue;
        };
        let mut trace = trace.lock().unwrap_or_else(PoisonError::into_inner);
        let number = usize::try_from(u64::from_be_bytes(*number)).unwrap_or(usize::MAX);
        if let Some(sent) = trace.sent.get_mut(number) {
            sent.answer
                .get_or_insert_with(|| (received.at, String::from_utf8_lossy(who).into_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_lasts_from_the_first_lost_datagram_to_the_next_answered_one() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let sent = |at, who: Option<&str>| Sent {
            at: ms(at),
            answer: who.map(|who| (ms(at + 1), who.to_owned())),
        };
        let trace = Trace {
            sent: vec![
                sent(0, Some("gw1")),
                sent(5, None),
                sent(10, Some("gw1")),
                sent(15, None),
                sent(20, None),
                sent(25, Some("gw2")),
                sent(30, None),
            ],
        };
        assert_eq!(trace.outage([ms(0), ms(25)]), Duration::from_millis(10));
        assert_eq!(trace.outage([ms(0), ms(50)]), Duration::from_millis(20), "lost to the end");
        assert_eq!(trace.outage([ms(0), ms(4)]), Duration::ZERO);
        assert_eq!(trace.lost([ms(0), ms(25)]), 3);
        assert_eq!(trace.take(ms(5), "gw1"), Some(Duration::from_millis(21)));
        assert_eq!(trace.last(), Some("gw2"));
    }
}
