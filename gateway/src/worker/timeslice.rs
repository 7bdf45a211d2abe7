//! How a worker shares its core with other busy threads: in short turns. And how a thread that must not wait gets ahead
//! of all of them.
//!
//! On a machine that does more than this gateway, a thread that always finds work is only taken off its core at the
//! kernel's tick (4 ms at 250 Hz), and whoever waits there waits as long: often a session on the other worker. So a
//! worker asks for short time slices, and has the kernel take stock whenever it has no event left.

#![expect(
    unsafe_code,
    reason = "the C library of Debian 12 has no function for either system call"
)]

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The time slice that a worker asks for. The kernel's own is some 1.4 ms on two cores, and longer on more.
const SLICE: Duration = Duration::from_micros(500);

/// Asks for time slices of half a millisecond for the calling thread. Its share of the core stays the same.
///
/// A kernel before 6.12 accepts this and does nothing; a thread with another policy than the usual one (`chrt`) is
/// left as it is.
///
/// # Errors
/// If the kernel, or the container's filter of system calls, refuses.
pub(super) fn shorten() -> io::Result<()> {
    let mut attributes = attributes()?;
    if attributes.sched_policy == libc::SCHED_OTHER as u32 {
        attributes.sched_runtime = SLICE.as_nanos() as u64;
        set_attributes(&attributes)?;
    }
    Ok(())
}

/// Has the calling thread run before all threads of the usual policy, and of real-time priorities below `priority`
/// (1 to 99, SCHED_FIFO): it must sleep most of the time. What it starts inherits that.
///
/// # Errors
/// If the kernel refuses: it takes CAP_SYS_NICE, or a limit of real-time priorities (RLIMIT_RTPRIO) of at least `priority`.
pub fn real_time(priority: u8) -> io::Result<()> {
    set_attributes(&libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_FIFO as u32,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: u32::from(priority),
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    })
}

/// How often a thread has its account settled at most: the system call is not free, the look at the time nearly is.
const SETTLE: Duration = Duration::from_micros(100);

/// Has the kernel account for what the calling thread has run so far. It then gives the core to whoever waits for it,
/// if the time slice is used up, and not at the next tick only.
pub(super) fn settle() {
    thread_local! {
        static SETTLED: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    let now = Instant::now();
    if SETTLED.get().is_some_and(|last| now.duration_since(last) < SETTLE) {
        return;
    }
    SETTLED.set(Some(now));
    // A clock of what the thread has used cannot be read without bringing the account up to date.
    let _ = clock_gettime(ClockId::ThreadCPUTime);
}

/// See sched_getattr(2).
fn attributes() -> io::Result<libc::sched_attr> {
    let size = size_of::<libc::sched_attr>();
    let mut attributes = libc::sched_attr {
        size: size as u32,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel writes at most `size` octets, which `attributes` has.
    let result = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) };
    if result == 0 { Ok(attributes) } else { Err(io::Error::last_os_error()) }
}

/// See sched_setattr(2).
fn set_attributes(attributes: &libc::sched_attr) -> io::Result<()> {
    // SAFETY: the kernel reads as many octets as `attributes.size` says, which is its own size.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const *attributes, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_thread_keeps_its_policy_and_niceness_and_is_given_the_slice_it_asked_for() {
        let thread = std::thread::spawn(|| {
            let before = attributes().unwrap();
            shorten().unwrap();
            (before, attributes().unwrap())
        });
        let (before, after) = thread.join().unwrap();
        assert_eq!(after.sched_policy, before.sched_policy);
        assert_eq!(after.sched_nice, before.sched_nice);
        // A kernel before 6.12 shows 0.
        let slice = Duration::from_nanos(after.sched_runtime);
        assert!([Duration::ZERO, SLICE].contains(&slice), "{slice:?}");
    }

    #[test]
    fn a_thread_is_real_time_or_is_told_that_it_may_not() {
        let thread = std::thread::spawn(|| (real_time(1), attributes().unwrap()));
        let (result, after) = thread.join().unwrap();
        let now = (after.sched_policy, after.sched_priority);
        match result {
            Ok(()) => assert_eq!(now, (libc::SCHED_FIFO as u32, 1)),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
        }
    }
}
