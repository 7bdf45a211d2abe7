//! Misconfigurations that stand. Pure: time comes as an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::vrrp::talk::Alarm;

/// An alarm that was not seen again for this long is over; longer with long advertisement intervals.
const OVER: Duration = Duration::from_secs(10);

/// The alarms of one virtual router.
#[derive(Debug)]
pub(super) struct Alarms {
    standing: BTreeMap<Alarm, Duration>,
    over: Duration,
}

impl Alarms {
    /// With advertisements expected each `interval`.
    pub(super) fn new(interval: Duration) -> Self {
        Self { standing: BTreeMap::new(), over: OVER.max(interval * 4) }
    }

    /// Advertisements are expected each `interval` from now on.
    pub(super) fn change(&mut self, interval: Duration) {
        self.over = OVER.max(interval * 4);
    }

    /// All that stand: they are over.
    pub(super) fn clear(&mut self) -> Vec<Alarm> {
        std::mem::take(&mut self.standing).into_keys().collect()
    }

    /// It was seen at `now`. Is it new?
    pub(super) fn raise(&mut self, alarm: Alarm, now: Duration) -> bool {
        self.standing.insert(alarm, now).is_none()
    }

    /// Those that are over at `now`.
    pub(super) fn over(&mut self, now: Duration) -> Vec<Alarm> {
        let over = |seen: Duration| now.saturating_sub(seen) >= self.over;
        let gone: Vec<_> = self
            .standing
            .iter()
            .filter(|(_, seen)| over(**seen))
            .map(|(alarm, _)| *alarm)
            .collect();
        self.standing.retain(|_, seen| !over(*seen));
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_alarm_is_told_once_and_is_over_ten_seconds_after_it_was_last_seen() {
        let mut alarms = Alarms::new(SECOND);
        assert!(alarms.raise(Alarm::OtherVersion, SECOND));
        assert!(!alarms.raise(Alarm::OtherVersion, 5 * SECOND));
        assert!(alarms.over(14 * SECOND).is_empty());
        assert_eq!(alarms.over(15 * SECOND), [Alarm::OtherVersion]);
        assert!(alarms.over(30 * SECOND).is_empty());
        assert!(alarms.raise(Alarm::OtherVersion, 31 * SECOND));
    }
}
