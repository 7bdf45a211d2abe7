//! How long a connection may be at what it does. Pure: the time is an argument.

use std::time::{Duration, Instant};

/// How long a connection may wait, and for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// From its first byte to the end of a request's head; for the first one, from accept.
    pub(super) head: Duration,
    /// From one request to the first byte of the next.
    pub(super) idle: Duration,
}

/// What a connection is doing.
///
/// ```text
/// Silent --> First --> Serving <--> Idle
///                         ^           |
///                         +--- Head <-+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// It is new, and has sent nothing.
    Silent(Instant),
    /// It is new, and has begun to send its first head.
    First(Instant),
    /// Its request is answered, and nothing of another is there.
    Idle(Instant),
    /// It has begun to send another.
    Head(Instant),
    /// Its request is being answered: that may take any time.
    Serving,
}

/// What a connection is doing, and until when it may.
#[derive(Debug)]
pub(super) struct Pulse {
    doing: Doing,
    limits: Limits,
}

/// What a connection has taken too long for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// It has sent a part of a head.
    Head,
    /// It has never sent anything.
    Silent,
    /// It has sent nothing since its last answer.
    Idle,
}

impl Pulse {
    /// Of a connection that was accepted at `accepted`.
    pub(super) fn new(limits: Limits, accepted: Instant) -> Self {
        Self { doing: Doing::Silent(accepted), limits }
    }

    /// Bytes have arrived.
    pub(super) fn heard(&mut self, now: Instant) {
        match self.doing {
            Doing::Silent(since) => self.doing = Doing::First(since),
            Doing::Idle(_) => self.doing = Doing::Head(now),
            Doing::First(_) | Doing::Head(_) | Doing::Serving => {}
        }
    }

    /// The head of a request is there.
    pub(super) fn begun(&mut self) {
        self.doing = Doing::Serving;
    }

    /// The last byte of the answer is on its way.
    pub(super) fn answered(&mut self, now: Instant) {
        self.doing = Doing::Idle(now);
    }

    /// Until when it may go on with what it does; `None` = for ever.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.doing {
            Doing::Silent(since) | Doing::First(since) | Doing::Head(since) => {
                Some(since + self.limits.head)
            }
            Doing::Idle(since) => Some(since + self.limits.idle),
            Doing::Serving => None,
        }
    }

    /// Has it taken too long, at `now`?
    pub(super) fn overdue(&self, now: Instant) -> Option<Overdue> {
        self.deadline().filter(|deadline| now >= *deadline)?;
        match self.doing {
            Doing::Silent(_) => Some(Overdue::Silent),
            Doing::First(_) | Doing::Head(_) => Some(Overdue::Head),
            Doing::Idle(_) => Some(Overdue::Idle),
            Doing::Serving => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { head: Duration::from_secs(10), idle: Duration::from_secs(60) };

    #[test]
    fn a_head_has_its_time_from_accept_then_from_its_first_byte_however_the_bytes_come() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut pulse = Pulse::new(LIMITS, start);
        assert_eq!(pulse.overdue(after(10)), Some(Overdue::Silent));
        pulse.heard(after(9));
        assert_eq!(pulse.overdue(after(9)), None);
        assert_eq!(pulse.overdue(after(10)), Some(Overdue::Head));
        pulse.begun();
        pulse.heard(after(3000));
        assert_eq!(pulse.overdue(after(3600)), None, "a request takes what it takes");
        pulse.answered(after(3600));
        assert_eq!(pulse.overdue(after(3659)), None);
        assert_eq!(pulse.overdue(after(3660)), Some(Overdue::Idle));
        pulse.heard(after(3650));
        pulse.heard(after(3655));
        assert_eq!(pulse.overdue(after(3659)), None);
        assert_eq!(pulse.overdue(after(3660)), Some(Overdue::Head));
    }
}
