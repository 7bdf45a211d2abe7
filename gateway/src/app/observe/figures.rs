//! What has passed, and what passes a second.

use std::time::Duration;

use crate::admin::view::status::{Rates, Traffic};
use crate::session::ledger::Passed;

/// As the API tells it.
pub(super) fn traffic(passed: &Passed) -> Traffic {
    let messages = &passed.messages;
    Traffic {
        bytes_from_client: passed.bytes_from_client,
        bytes_from_node: passed.bytes_from_node,
        published: messages.published,
        delivered: messages.delivered,
        acknowledged: messages.acknowledged,
        confirmed: messages.confirmed,
        returned: messages.returned,
    }
}

pub(super) fn add(sum: &mut Traffic, more: &Traffic) {
    *sum = both(sum, more, |a, b| a + b);
}

/// Of each figure the greater one. One session is counted between its end and its account not at all, and no sum may fall
/// for that: it would rise again at once, by all that the session has ever passed.
pub(super) fn greater(a: &Traffic, b: &Traffic) -> Traffic {
    both(a, b, u64::max)
}

/// What has passed a second, if it was `before` so long ago.
pub(super) fn rates(before: &Traffic, now: &Traffic, passed: Duration) -> Rates {
    let more = both(now, before, u64::saturating_sub);
    let seconds = passed.as_secs_f64();
    let rate = |more: u64| if seconds > 0.0 { more as f64 / seconds } else { 0.0 };
    Rates {
        bytes_from_client: rate(more.bytes_from_client),
        bytes_from_node: rate(more.bytes_from_node),
        published: rate(more.published),
        delivered: rate(more.delivered),
        acknowledged: rate(more.acknowledged),
        confirmed: rate(more.confirmed),
        returned: rate(more.returned),
    }
}

pub(super) fn add_rates(sum: &mut Rates, more: &Rates) {
    sum.bytes_from_client += more.bytes_from_client;
    sum.bytes_from_node += more.bytes_from_node;
    sum.published += more.published;
    sum.delivered += more.delivered;
    sum.acknowledged += more.acknowledged;
    sum.confirmed += more.confirmed;
    sum.returned += more.returned;
}

fn both(a: &Traffic, b: &Traffic, of: impl Fn(u64, u64) -> u64) -> Traffic {
    Traffic {
        bytes_from_client: of(a.bytes_from_client, b.bytes_from_client),
        bytes_from_node: of(a.bytes_from_node, b.bytes_from_node),
        published: of(a.published, b.published),
        delivered: of(a.delivered, b.delivered),
        acknowledged: of(a.acknowledged, b.acknowledged),
        confirmed: of(a.confirmed, b.confirmed),
        returned: of(a.returned, b.returned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_differences_by_time_and_never_below_zero() {
        let before = Traffic { published: 10, delivered: 50, ..Traffic::default() };
        let now = Traffic { published: 30, delivered: 40, ..Traffic::default() };
        let rates = rates(&before, &now, Duration::from_secs(4));
        assert_eq!((rates.published, rates.delivered), (5.0, 0.0));
        let most = greater(&before, &now);
        assert_eq!((most.published, most.delivered), (30, 50));
    }
}
