//! Virtual routers in their place: what they need of the gateway, and what becomes of it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use tracing::{Dispatch, info, warn};

use super::Gateway;
use crate::config::model::Model;
use crate::session::Shared;
use crate::session::registry::{Order, Registry};
use crate::stream::shared::SharedAddresses;
use crate::vrrp::notify;
use crate::vrrp::track::{Sources, Tracker};
use crate::vrrp::warden::{Close, Closer, Thread, Warden};
use crate::worker::Worker;

/// All addresses of virtual routers.
pub(super) fn addresses(model: &Model) -> SharedAddresses {
    let routers = model.virtual_routers.iter();
    SharedAddresses::new(routers.flat_map(|router| router.addresses.iter().map(|a| a.address)))
}

/// Closes whatever is connected to an address that leaves.
fn closer(shared: Arc<Shared>, addresses: Arc<SharedAddresses>) -> Closer {
    Box::new(move |lost: &[IpAddr], how| close(&shared.registry, &addresses, lost, how))
}

/// How many connections are left.
fn close(registry: &Registry, addresses: &SharedAddresses, lost: &[IpAddr], how: Close) -> usize {
    let order = match how {
        Close::Tell => Order::AddressLost,
        Close::Cut => Order::Cut,
        Close::Over => {
            addresses.welcome(lost);
            return 0;
        }
    };
    addresses.lose(lost);
    let left = addresses.live(lost);
    if left > 0 {
        registry.each(|session| {
            if session.arrival.shared_address().is_some_and(|address| lost.contains(&address)) {
                session.order(order);
            }
        });
    }
    left
}

/// Starts the VRRP process, if there is a thread for virtual routers. The gateway serves already.
///
/// # Errors
/// Why it cannot work.
pub(super) async fn start(
    gateway: &Gateway,
    thread: Option<Thread>,
    log: &Dispatch,
) -> Result<Option<Warden>, String> {
    let Some(thread) = thread else { return Ok(None) };
    let closer = closer(gateway.shared.clone(), gateway.addresses.clone());
    let mut tracker = Tracker::new(gateway.board.routers(), sources(gateway));
    let news = gateway.health.subscribe();
    let burdens = tracker.burdens(Instant::now());
    let warden = Warden::start(thread, gateway.board.clone(), burdens, closer, log);
    let mut warden = warden.map_err(|error| format!("cannot start: {error}"))?;
    gateway.tasks.spawn(warden.live());
    match warden.ready().await {
        Ok(()) => {
            // Once a gateway.
            let _ = gateway.hand.set(warden.hand());
            let hand = warden.hand();
            gateway.tasks.spawn(tracker.run(move |router, burden| hand.bear(router, burden), news));
            Ok(Some(warden))
        }
        Err(text) => {
            warden.end();
            Err(text)
        }
    }
}

/// Whoever tells commands, web servers and people of what happens.
pub(super) struct Telling {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Begins to tell.
pub(super) fn tell(gateway: &Gateway, model: &Model) -> Telling {
    let stop = CancellationToken::new();
    let (name, health) = (gateway.shared.name.clone(), gateway.health.subscribe());
    let run = notify::run(name, &gateway.board, model.email.clone(), health, stop.clone());
    Telling { task: tokio::spawn(run), stop }
}

impl Telling {
    /// What happens from now on is not told any more.
    pub(super) fn end(&self) {
        self.stop.cancel();
    }

    /// What happened before is told, or given up.
    pub(super) async fn done(self) {
        let _ = self.task.await;
    }
}

/// Where it is to be seen how the gateway is.
fn sources(gateway: &Gateway) -> Sources {
    let listening = gateway.listeners.known();
    let pulses: Vec<_> = gateway.workers.all().iter().map(|worker| pulse(worker)).collect();
    let looked = Mutex::new(Instant::now());
    let listeners = move |now: Instant| {
        let last = std::mem::replace(&mut *lock(&looked), now);
        if now.saturating_duration_since(last) > HUNG / 2 {
            // The gateway stood still as a whole: the workers have not had their turn yet.
            pulses.iter().for_each(|pulse| *lock(pulse) = now);
        }
        let wrong = listening.load().iter().find_map(|known| {
            let (name, wrong) = (&known.listener.name, known.listener.accepting.wrong(now)?);
            Some(format!("listener {name} does not accept: {wrong}"))
        });
        let hung = || pulses.iter().position(|pulse| is_hung(pulse, now));
        wrong.or_else(|| hung().map(|number| format!("worker-{number} hangs")))
    };
    let shared = gateway.shared.clone();
    Sources {
        clusters: Box::new(move |name| shared.snapshot.load().clusters.get(name).cloned()),
        listeners: Box::new(listeners),
    }
}

/// When a worker did something last: at least once in so often.
const PULSE: Duration = Duration::from_secs(1);
/// A worker that does nothing for so long hangs, and with it all that it should accept and serve.
const HUNG: Duration = Duration::from_secs(4);

type Pulse = Arc<Mutex<Instant>>;

fn pulse(worker: &Worker) -> Pulse {
    let pulse = Arc::new(Mutex::new(Instant::now()));
    let beaten = pulse.clone();
    worker.runtime().spawn(async move {
        let mut ticks = interval(PULSE);
        loop {
            ticks.tick().await;
            *lock(&beaten) = Instant::now();
        }
    });
    pulse
}

fn is_hung(pulse: &Pulse, now: Instant) -> bool {
    now.saturating_duration_since(*lock(pulse)) > HUNG
}

fn lock(time: &Mutex<Instant>) -> MutexGuard<'_, Instant> {
    time.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands the addresses over while clients are still served. `cut` ends that: was it cut?
pub(super) async fn stop(warden: Warden, cut: impl Future<Output = ()>) -> bool {
    info!("handing the shared addresses over; a second signal gives them up at once");
    let hurried = tokio::select! {
        () = warden.stop() => false,
        () = cut => true,
    };
    if hurried {
        warn!("second signal: giving the shared addresses up");
    }
    warden.end();
    hurried
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::config::model::ListenerName;
    use crate::session::registry::{Session, SessionId};
    use crate::stream::arrival::Arrival;

    const OURS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn session(id: u64, addresses: &SharedAddresses, at: IpAddr) -> Arc<Session> {
        let client = ([127, 0, 0, 1], 4000).into();
        let mut arrival = Arrival::new(ListenerName("amqp".into()), client);
        arrival.here = addresses.arrive(at);
        Arc::new(Session::new(SessionId(id), arrival))
    }

    #[test]
    fn the_sessions_of_a_lost_address_are_told_and_no_others_however_many_there_are() {
        let (registry, addresses) = (Registry::default(), SharedAddresses::new([OURS, OTHER]));
        for id in 0..20_000 {
            let at = if id % 2 == 0 { OURS } else { OTHER };
            registry.insert(session(id, &addresses, at));
        }
        let begun = Instant::now();
        assert_eq!(close(&registry, &addresses, &[OURS], Close::Tell), 10_000);
        println!("10,000 of 20,000 told within {:?} (criterion: 10 ms)", begun.elapsed());
        registry.each(|session| {
            let ours = session.id.0 % 2 == 0;
            let order = session.poll_order(Waker::noop());
            assert_eq!(order, ours.then_some(Order::AddressLost));
        });
        close(&registry, &addresses, &[OURS], Close::Cut);
        let cut = registry.list()[0].poll_order(Waker::noop());
        assert_eq!(cut, Some(Order::Cut));
    }

    #[test]
    fn a_session_that_has_left_its_address_is_not_cut() {
        let (registry, addresses) = (Registry::default(), SharedAddresses::new([OURS]));
        let [first, second] = [1, 2].map(|id| session(id, &addresses, OURS));
        registry.insert(first.clone());
        registry.insert(second);
        first.arrival.left();
        assert_eq!(close(&registry, &addresses, &[OURS], Close::Cut), 1);
        assert_eq!(first.poll_order(Waker::noop()), None);
    }
}
