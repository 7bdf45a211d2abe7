//! What a process needs that must never be late: a turn before all others, and its memory in memory.

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::signal::{SigSet, Signal};

use crate::worker::timeslice;

/// Above what else may want a turn, below the kernel's own threads (50).
const PRIORITY: u8 = 40;
/// MCL_ONFAULT of mlockall(2): pages are locked once they are used. Without it all that is reserved would be filled.
const ON_FAULT: i32 = 4;

/// Takes both where that is allowed. Returns what was refused, with the cure.
pub(super) fn take() -> Vec<String> {
    let mut refused = Vec::new();
    if let Err(error) = timeslice::real_time(PRIORITY) {
        refused.push(format!(
            "no real-time priority for VRRP ({error}): on a busy machine advertisements may be late \
             and the addresses move; allow it with CAP_SYS_NICE (systemd: AmbientCapabilities=) or \
             LimitRTPRIO=40"
        ));
    }
    if let Err(error) = lock_memory() {
        refused.push(format!(
            "memory of VRRP is not locked ({error}): when the machine swaps, advertisements may be \
             late; allow it with CAP_IPC_LOCK (systemd: AmbientCapabilities=) or LimitMEMLOCK=infinity"
        ));
    }
    refused
}

fn lock_memory() -> Result<(), String> {
    let all = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE;
    let all = all | MlockAllFlags::from_bits_retain(ON_FAULT);
    // With a limit in force the lock may succeed and every later allocation fail.
    let unlimited =
        getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(soft, _)| soft == RLIM_INFINITY);
    let privileged = rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(rustix::thread::CapabilitySet::IPC_LOCK));
    if !unlimited && !privileged {
        return Err("the limit on locked memory is too low".to_owned());
    }
    mlockall(all).map_err(|error| error.to_string())
}

/// Signals that go to all processes of a service are for the gateway, which tells this one when it is time.
pub(super) fn ignore_signals() {
    let mut signals = SigSet::empty();
    for signal in
        [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGPIPE]
    {
        signals.add(signal);
    }
    // Blocked: they stay pending for ever.
    let _ = signals.thread_block();
}
