//! The loop: hears peers, gateway and kernel, lets the machines step, and does what they say.
//!
//! The order of a turn is what keeps a busy or late process out of trouble: what has come is read before any timer is
//! believed, and announcements go out after advertisements.

mod act;
mod ask;
mod beginning;
mod change;
mod listen;
mod place;
mod say;

use std::io;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::time::{ClockId, clock_gettime};

use super::doubles::Doubles;
use super::frames::Frames;
use super::interfaces::Interfaces;
use super::macvlan::Macvlans;
use super::netlink::{Monitor, Netlink};
use super::pipe::Pipe;
use super::sockets::{Buffer, Receiver};
use super::station::Station;
use super::voice::Role;
use super::wait;
use crate::vrrp::machine::group::Routers;
use crate::vrrp::machine::{Action, Event, LEFT, State};
use crate::vrrp::talk::{Level, Setup, Standing, Word};
use beginning::Beginning;

/// How often the gateway is told how everything is, changes apart.
const STATUS: Duration = Duration::from_secs(1);
/// A backup that wakes up later than this does not believe its timer: it listens first. An active one bears three of its
/// intervals, after which a peer may have taken over.
const LATE: Duration = Duration::from_millis(100);
/// A delay of the loop that is none to speak of.
const TRIFLE: Duration = Duration::from_millis(20);

/// How long the addresses of a dead gateway are left on the interface if no peer takes them.
const REFUSING: Duration = Duration::from_millis(40);

/// The VRRP process.
pub(super) struct Driver {
    pipe: Pipe,
    netlink: Netlink,
    monitor: Monitor,
    frames: Frames,
    doubles: Doubles,
    macvlans: Macvlans,
    interfaces: Interfaces,
    receivers: Vec<(Ear, Receiver)>,
    buffer: Buffer,
    stations: Vec<Station>,
    routers: Routers,
    actions: Vec<(usize, Action)>,
    /// Silence of the gateway that is borne, and when it was heard last.
    patience: Duration,
    heard: Duration,
    /// When the loop was to be awake again, at the latest.
    awake: Duration,
    gateway_is_silent: bool,
    gateway_is_gone: bool,
    stopping: bool,
    told: Duration,
    /// Something changed that the gateway is to be told of before the next second.
    news: bool,
    /// Lines that may come again and again, and until when each is not written.
    lines: Vec<say::Line>,
    /// Something failed that may go well later: when that was.
    failed: Option<Duration>,
    /// Why there is no receiver for an ear.
    deaf: Vec<(Ear, String)>,
    orphaned: Vec<usize>,
    resumed: Vec<usize>,
    standings: Vec<Standing>,
    beginning: Beginning,
}

/// What a receiver listens to: the interface and the family.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ear {
    index: u32,
    name: String,
    ipv6: bool,
}

impl Driver {
    /// Opens what is needed in any case.
    ///
    /// # Errors
    /// Without the capabilities it takes; the pipe is given back to tell of it.
    pub(super) fn new(setup: Setup, pipe: Pipe) -> Result<Self, (Pipe, io::Error)> {
        let raw = || Ok((Frames::new()?, Doubles::new()?));
        let opened = (|| Ok((Netlink::new()?, Monitor::new()?, raw().map_err(denied)?)))();
        let (netlink, monitor, (frames, doubles)) = match opened {
            Ok(opened) => opened,
            Err(error) => return Err((pipe, error)),
        };
        let stations: Option<Vec<_>> = setup.routers.into_iter().map(Station::new).collect();
        let Some(stations) = stations else {
            let error = io::Error::other("a virtual router without an address or with VRID 0");
            return Err((pipe, error));
        };
        let routers = stations.iter().map(|s| (s.settings(), s.config.sync_group.clone()));
        let routers = Routers::new(routers.collect());
        let now = now();
        Ok(Self {
            pipe,
            netlink,
            monitor,
            frames,
            doubles,
            macvlans: Macvlans::new(setup.changed),
            interfaces: Interfaces::default(),
            receivers: Vec::new(),
            buffer: Buffer::new(),
            stations,
            routers,
            actions: Vec::new(),
            patience: setup.patience,
            heard: now,
            awake: now,
            gateway_is_silent: false,
            gateway_is_gone: false,
            stopping: false,
            told: now,
            news: true,
            lines: Vec::new(),
            failed: None,
            deaf: Vec::new(),
            orphaned: setup.orphaned,
            resumed: setup.resumed,
            standings: setup.standings,
            beginning: Beginning::default(),
        })
    }

    /// Finds its interfaces, removes what an earlier process left behind, and starts the machines.
    pub(super) fn begin(&mut self, warnings: &[String]) {
        for warning in warnings {
            self.log(Level::Warn, None, warning.clone());
        }
        self.look_around();
        self.remove_stale();
        for id in std::mem::take(&mut self.orphaned) {
            if let Some(index) = self.index_of(id) {
                self.send(index, LEFT, Role::Other);
            }
        }
        let now = now();
        self.start(now);
        self.judge_all(now);
        self.pipe.say(&Word::Ready);
    }

    /// First whoever has its addresses goes on with them. The others know what speaks against it before they take any.
    fn start(&mut self, now: Duration) {
        for id in self.resumed.clone() {
            if let Some(index) = self.index_of(id) {
                self.step(index, Event::Resume, now);
            }
        }
        for (index, standing) in std::mem::take(&mut self.standings).into_iter().enumerate() {
            let Some(station) = self.stations.get_mut(index) else { break };
            station.gateway_penalty = standing.penalty;
            station.gateway_fault = standing.fault;
            if standing.released {
                self.step(index, Event::Release, now);
            }
        }
        self.judge_all(now);
        for index in 0..self.stations.len() {
            // Those that have gone on do not start again.
            self.step(index, Event::Start, now);
        }
    }

    /// Runs until the gateway stops it or is gone.
    ///
    /// # Errors
    /// If waiting for sockets is impossible.
    pub(super) fn run(&mut self) -> io::Result<()> {
        loop {
            let now = now();
            self.notice_pause(now);
            if self.monitor.has_changed() || self.is_to_try_again(now) {
                self.look_around();
                self.judge_all(now);
            }
            self.hear_peers(now);
            self.hear_doubles(now);
            if !self.hear_gateway(now) {
                self.give_up();
                return Ok(());
            }
            let mut actions = std::mem::take(&mut self.actions);
            self.routers.tick(now, &mut actions);
            self.act(actions, now);
            self.keep_promises(now);
            self.change_over(now);
            self.announce(now);
            self.tell(now);
            if self.stopping && self.is_over() {
                self.undo();
                self.pipe.say(&Word::Stopped);
                return Ok(());
            }
            self.sleep(now)?;
        }
    }

    /// A process that was stopped, or a machine that was frozen, must not go on as if nothing had been: the peer may
    /// have the addresses by now.
    fn notice_pause(&mut self, now: Duration) {
        // While this process stood still, the gateway may have done so, too: that is no silence.
        let stood = now.saturating_sub(self.awake);
        if stood >= TRIFLE {
            self.heard = (self.heard + stood).min(now);
        }
        let mut paused = Vec::new();
        for (index, (router, station)) in self.routers.iter().zip(&self.stations).enumerate() {
            let interval = station.config.interval;
            let bearable = match router.state() {
                State::Active => interval * 3,
                State::Backup => LATE.max(interval * 2),
                State::Initialize | State::Fault => continue,
            };
            if router.due().is_some_and(|due| now.saturating_sub(due) > bearable) {
                paused.push(index);
            }
        }
        if paused.is_empty() {
            return;
        }
        for index in paused {
            self.log_of(
                index,
                Level::Warn,
                "woke up late: it stood still, or had no processor".into(),
            );
            self.step(index, Event::Paused, now);
        }
    }

    /// Has every router stopped, and are all addresses gone?
    fn is_over(&self) -> bool {
        self.routers.iter().all(|router| router.state() == State::Initialize)
            && self.stations.iter().all(|station| station.parts().is_none())
    }

    /// The gateway is dead: nothing serves here any more.
    ///
    /// The addresses stay until a peer is heard to have them, but not for long. As long as they are here the kernel
    /// refuses whoever connects, and he tries again at once; without an answer he would wait for a second.
    fn give_up(&mut self) {
        self.gateway_is_gone = true;
        let until = now() + REFUSING;
        for index in 0..self.stations.len() {
            self.step(index, Event::Fault(true), now());
            let station = &mut self.stations[index];
            station.leaving = station.leaving.map(|at| at.min(until));
        }
        while self.stations.iter().any(|station| station.leaving.is_some()) {
            let now = now();
            self.hear_peers(now);
            self.keep_promises(now);
            if self.sleep(now).is_err() {
                break;
            }
        }
        self.undo();
    }

    /// Takes off all that this process has put on.
    fn undo(&mut self) {
        for station in &mut self.stations {
            if station.holds || station.leaving.is_some() {
                let _ = station.remove_addresses(&mut self.netlink);
            }
            let _ = station.part(&mut self.netlink, Duration::MAX);
        }
        let _ = self.macvlans.undo(&mut self.netlink);
    }

    fn step(&mut self, index: usize, event: Event, now: Duration) {
        let mut actions = std::mem::take(&mut self.actions);
        self.routers.step(index, event, now, &mut actions);
        self.act(actions, now);
    }

    /// When there is something to do next.
    fn due(&self) -> Duration {
        let stations = self.stations.iter();
        let stations =
            stations.flat_map(|station| station.parts().into_iter().chain(station.herald.due()));
        let again = self.failed.map(|failed| failed + STATUS);
        let due = stations.chain(self.routers.due()).chain(again).min().unwrap_or(Duration::MAX);
        let due = due.min(self.told + STATUS);
        if self.gateway_is_silent { due } else { due.min(self.heard + self.patience) }
    }

    /// Once the gateway is gone, nobody is told anything any more: only the addresses have still to go.
    fn last_due(&self) -> Duration {
        let leaving = self.stations.iter().filter_map(|station| station.leaving);
        leaving.min().unwrap_or_default()
    }

    /// Sleeps until something comes or is due.
    fn sleep(&mut self, before: Duration) -> io::Result<()> {
        let due = if self.gateway_is_gone { self.last_due() } else { self.due() };
        let left = due.saturating_sub(now().max(before));
        self.awake = due.max(before);
        let mut sockets = Vec::with_capacity(2 + self.receivers.len());
        let to_gateway = if self.pipe.is_waiting() { PollFlags::OUT } else { PollFlags::empty() };
        if !self.gateway_is_gone {
            sockets.push(PollFd::new(&self.pipe, PollFlags::IN | to_gateway));
            sockets.push(PollFd::new(&self.monitor, PollFlags::IN));
        }
        sockets.extend(self.receivers.iter().map(|(_, ear)| PollFd::new(ear, PollFlags::IN)));
        wait(&mut sockets, Some(left))?;
        drop(sockets);
        self.pipe.flush();
        Ok(())
    }
}

/// Time since the machine started, suspended or not.
fn now() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.max(0) as u64, now.tv_nsec as u32)
}

fn denied(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error;
    }
    let text = format!(
        "VRRP has no {}: run `setcap cap_net_raw,cap_net_admin=p` (or +ep) on the program, or put AmbientCapabilities= into \
         the systemd unit, or cap_add into the container's",
        super::rights::missing()
    );
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}
