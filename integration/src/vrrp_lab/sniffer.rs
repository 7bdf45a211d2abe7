//! Records the frames that tell of virtual routers.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::socket::LinkAddr;
use socket2::{Domain, Protocol, Socket, Type};

use super::worker::{Stop, Wait, Worker};
use super::{Frame, socket, wait};

/// All Ethernet protocols, in the order of the wire.
const EVERYTHING: i32 = 0x0003_u16.to_be() as i32;
/// The mark of frames on their way out.
const OUTGOING: u8 = 4;
/// Frames that are kept; a test sees thousands at most.
const MOST: usize = 200_000;

/// Records frames until dropped; see [`super::Lab::sniff`].
#[derive(Debug)]
pub struct Sniffer {
    frames: Arc<Mutex<Vec<Frame>>>,
    _worker: Worker,
}

impl Sniffer {
    /// At the ports of the bridge, in whose namespace the calling thread is.
    pub(super) fn at_ports() -> Result<Self> {
        let interfaces = nix::net::if_::if_nameindex().context("cannot list the bridge's ports")?;
        let named = interfaces.iter().filter_map(|interface| {
            let name = interface.name().to_str().ok()?.strip_prefix("p-")?;
            Some((interface.index() as usize, name.to_owned()))
        });
        Self::start(named.collect())
    }

    /// At eth0 of the calling thread's namespace.
    pub(super) fn incoming(namespace: &str) -> Result<Self> {
        let index = nix::net::if_::if_nametoindex("eth0").context("no eth0")?;
        Self::start(BTreeMap::from([(index as usize, namespace.to_owned())]))
    }

    fn start(places: BTreeMap<usize, String>) -> Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(EVERYTHING)));
        let socket = socket.context("no packet socket")?;
        socket.set_nonblocking(true)?;
        // More than the system's limit is not an error.
        socket.set_recv_buffer_size(4 << 20)?;
        socket::note_times(&socket)?;
        let frames = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&frames);
        let worker = Worker::start("sniffer", move |stop| record(&socket, &places, &notes, &stop))?;
        Ok(Self { frames, _worker: worker })
    }

    /// What was seen so far, in order.
    #[must_use]
    pub fn frames(&self) -> Vec<Frame> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was seen between two moments.
    #[must_use]
    pub fn between(&self, [from, to]: [Instant; 2]) -> Vec<Frame> {
        let mut frames = self.frames();
        frames.retain(|frame| frame.at >= from && frame.at <= to);
        frames
    }

    /// Waits for a frame that `wanted` likes, seen since `from`.
    pub fn wait_for(
        &self,
        from: Instant,
        deadline: Duration,
        wanted: impl Fn(&Frame) -> bool,
    ) -> Option<Frame> {
        let find = || self.frames().into_iter().find(|frame| frame.at >= from && wanted(frame));
        wait(deadline, || find().is_some());
        find()
    }
}

fn record(
    socket: &Socket,
    places: &BTreeMap<usize, String>,
    frames: &Mutex<Vec<Frame>>,
    stop: &Stop,
) {
    let mut buffer = vec![0; 2048];
    while stop.wait(socket.as_fd(), None) != Wait::Stopped {
        while let Ok(received) = socket::receive::<LinkAddr>(socket, &mut buffer) {
            let Some(from) = received.from.filter(|from| from.pkttype() != OUTGOING) else {
                continue;
            };
            let Some(place) = places.get(&from.ifindex()) else { continue };
            let bytes = &buffer[..received.length.min(buffer.len())];
            let Some(frame) = Frame::read(received.at, place, bytes) else { continue };
            let mut frames = frames.lock().unwrap_or_else(PoisonError::into_inner);
            if frames.len() < MOST {
                frames.push(frame);
            }
        }
    }
}
