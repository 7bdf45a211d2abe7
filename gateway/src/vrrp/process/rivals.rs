//! Whether another host has a shared address as well: one that speaks no VRRP, or none that is understood here.
//!
//! Nobody who is active hears of such a one by VRRP. keepalived even falls silent when it hears another version more often
//! than it speaks itself. So an active router asks by ARP who else has its addresses. IPv4 only.
//!
//! Pure: time comes as an argument.

use std::time::Duration;

/// From the claim of the addresses to the first question: whoever had them before has left by then.
const FIRST: Duration = Duration::from_secs(1);
/// From one question to the next, or up to a second more. An alarm is over after more than two of these.
const PERIOD: Duration = Duration::from_secs(3);
/// Questions that have to be answered in a row: addresses may just be on their way from one gateway to another.
const SIGHTINGS: u32 = 2;

/// When to ask for the addresses of one virtual router, and what to make of the answers.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    next: Option<Duration>,
    asked: bool,
    answered: bool,
    sightings: u32,
}

impl Suspicion {
    /// The addresses are ours from `now` on.
    pub(super) fn claimed(&mut self, now: Duration) {
        *self = Self { next: Some(now + FIRST), ..Self::default() };
    }

    /// The addresses are not ours any more.
    pub(super) fn withdrawn(&mut self) {
        *self = Self::default();
    }

    /// Is it to be asked now?
    pub(super) fn asks(&mut self, now: Duration) -> bool {
        let asks = self.next.is_some_and(|next| next <= now);
        if asks {
            self.next = Some(now + PERIOD);
            self.sightings = if self.answered { self.sightings } else { 0 };
            (self.asked, self.answered) = (true, false);
        }
        asks
    }

    /// Another host says that it has one of the addresses. Is that to be told?
    pub(super) fn hears(&mut self) -> bool {
        if !self.asked {
            // It may have left since it said so.
            return false;
        }
        self.sightings += u32::from(!self.answered);
        self.answered = true;
        self.sightings >= SIGHTINGS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_rival_is_told_of_when_it_has_answered_two_questions_in_a_row() {
        let mut suspicion = Suspicion::default();
        suspicion.claimed(10 * SECOND);
        assert!(!suspicion.hears(), "it has just had it");
        assert!(!suspicion.asks(10 * SECOND) && suspicion.asks(11 * SECOND));
        assert!(!suspicion.asks(13 * SECOND));
        assert!(!suspicion.hears() && !suspicion.hears(), "two answers to one question");
        assert!(suspicion.asks(14 * SECOND) && suspicion.hears());
        assert!(suspicion.asks(17 * SECOND) && suspicion.hears(), "it still does");
        assert!(suspicion.asks(20 * SECOND) && suspicion.asks(23 * SECOND));
        assert!(!suspicion.hears(), "it was away in between");
        suspicion.withdrawn();
        assert!(!suspicion.asks(99 * SECOND));
    }
}
