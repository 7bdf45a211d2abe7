//! Certificates in use.

use std::time::{Duration, SystemTime};

use crate::admin::view::traffic::Certificate;
use crate::app::operator::time;
use crate::tls::InUse;

const DAY: u64 = 24 * 3600;

/// As the API shows them: those that end first come first.
pub(super) fn all(mut certificates: Vec<InUse>, now: SystemTime) -> Vec<Certificate> {
    certificates.sort_by(|a, b| {
        (a.leaf.not_after, a.used_by, &a.of).cmp(&(b.leaf.not_after, b.used_by, &b.of))
    });
    certificates.iter().map(|certificate| view(certificate, now)).collect()
}

/// Whole days until `end`; negative when it is over.
pub(super) fn days_left(end: SystemTime, now: SystemTime) -> i64 {
    let days = |left: Duration| i64::try_from(left.as_secs() / DAY).unwrap_or(i64::MAX);
    match end.duration_since(now) {
        Ok(left) => days(left),
        Err(over) => -days(over.duration()) - 1,
    }
}

fn view(certificate: &InUse, now: SystemTime) -> Certificate {
    let InUse { used_by, of, leaf, refused } = certificate;
    let seen = &leaf.seen;
    Certificate {
        used_by: (*used_by).to_owned(),
        of: of.to_string(),
        name: leaf.name.to_string(),
        sans: seen.sans.clone(),
        issuer: seen.issuer.clone(),
        serial: seen.serial.clone(),
        key_type: seen.key_type.clone(),
        fingerprint: seen.fingerprint.clone(),
        not_before: time(leaf.not_before),
        not_after: time(leaf.not_after),
        days_left: days_left(leaf.not_after, now),
        file: seen.file.display().to_string(),
        loaded_at: time(seen.loaded_at),
        refused: refused.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_and_negative_once_it_is_over() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100 * DAY);
        let in_hours = |hours: i64| match u64::try_from(hours) {
            Ok(hours) => days_left(now + Duration::from_secs(hours * 3600), now),
            Err(_) => days_left(now - Duration::from_secs(hours.unsigned_abs() * 3600), now),
        };
        assert_eq!([in_hours(0), in_hours(23), in_hours(24), in_hours(49)], [0, 0, 1, 2]);
        assert_eq!([in_hours(-1), in_hours(-25)], [-1, -2]);
    }
}
