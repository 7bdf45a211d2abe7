//! Where virtual routers see how the gateway is: whether it accepts clients, and which nodes it has for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::time::interval;

use crate::app::listeners::Listening;
use crate::session::Shared;
use crate::vrrp::track::Sources;

/// Of a gateway with these listeners, and with a worker on each of these runtimes.
pub(super) fn sources(shared: Arc<Shared>, listening: Listening, workers: &[Handle]) -> Sources {
    let pulses: Vec<_> = workers.iter().map(pulse).collect();
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

fn pulse(worker: &Handle) -> Pulse {
    let pulse = Arc::new(Mutex::new(Instant::now()));
    let beaten = pulse.clone();
    worker.spawn(async move {
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
