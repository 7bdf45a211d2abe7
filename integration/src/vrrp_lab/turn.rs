//! Labs side by side, and one at a time that must not be disturbed, or would disturb all others.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Far longer than any scenario takes, on however busy a machine: who has waited for so long goes on all the same, as a
/// test that hangs should not hang all others.
const LONGEST: Duration = Duration::from_secs(600);

static LABS: Mutex<Labs> = Mutex::new(Labs { shared: 0, exclusive: 0 });
static CHANGED: Condvar = Condvar::new();

#[derive(Debug)]
struct Labs {
    shared: usize,
    /// That are there, or wait until they may.
    exclusive: usize,
}

/// The right to have a lab; over when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    exclusive: bool,
}

impl Turn {
    /// Beside others of this kind.
    pub(super) fn shared() -> Self {
        let labs = LABS.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = CHANGED.wait_timeout_while(labs, LONGEST, |labs| labs.exclusive > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.shared += 1;
        Self { exclusive: false }
    }

    /// With none of the other kind: those that are there end first, and no further one begins.
    pub(super) fn exclusive() -> Self {
        let mut labs = LABS.lock().unwrap_or_else(PoisonError::into_inner);
        labs.exclusive += 1;
        drop(CHANGED.wait_timeout_while(labs, LONGEST, |labs| labs.shared > 0));
        Self { exclusive: true }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut labs = LABS.lock().unwrap_or_else(PoisonError::into_inner);
        *(if self.exclusive { &mut labs.exclusive } else { &mut labs.shared }) -= 1;
        CHANGED.notify_all();
    }
}
