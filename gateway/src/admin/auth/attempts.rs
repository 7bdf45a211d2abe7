//! How fast passwords may be guessed.
//!
//! Failures count for a user from an address, for an address, and for a user. The first two make whoever comes from that
//! address wait, longer each time. The third makes attempts slow, wherever they come from: it may not keep anybody out,
//! or a stranger could lock out whom they like.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Failures of a user from an address after which the next attempt has to wait.
const FREE: u32 = 4;
/// The same of an address: others may sit behind it.
const FREE_OF_ADDRESS: u32 = 10;
/// Failures of a user from anywhere after which attempts are slow.
const FREE_OF_USER: u32 = 20;
/// After the first failure too many; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);
/// How slow attempts are when many have failed.
const SLOW: Duration = Duration::from_secs(2);
/// After that long without a failure all is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);
/// So long it is remembered that somebody has logged in from an address.
const KNOWN_FOR: Duration = Duration::from_secs(12 * 60 * 60);
/// Users and addresses that are remembered.
const MOST: usize = 4096;
/// Longest name that is remembered; longer ones are taken together.
const NAME_BYTES: usize = 64;

/// Attempts that have failed lately.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    pairs: Table<(String, IpAddr)>,
    addresses: Table<IpAddr>,
    users: Table<String>,
    known: Table<(String, IpAddr)>,
}

impl Attempts {
    /// How long the next attempt has to wait, if it has to.
    pub(super) fn wait(&self, user: &str, from: IpAddr, now: Instant) -> Option<Duration> {
        let (user, from) = (name(user), network(from));
        let pair = self.pairs.until(&(user, from));
        let until = pair.max(self.addresses.until(&from))?;
        until.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// How long the next attempt is held up before it is looked at.
    pub(super) fn slowed(&self, user: &str, from: IpAddr, now: Instant) -> Duration {
        let (user, from) = (name(user), network(from));
        let many = self.users.failures(&user, now) >= FREE_OF_USER;
        let known = self.known.lately(&(user, from), now, KNOWN_FOR);
        if many && !known { SLOW } else { Duration::ZERO }
    }

    /// It was wrong.
    pub(super) fn failed(&mut self, user: &str, from: IpAddr, now: Instant) {
        let (user, from) = (name(user), network(from));
        self.users.failed(user.clone(), now, u32::MAX);
        self.addresses.failed(from, now, FREE_OF_ADDRESS);
        self.pairs.failed((user, from), now, FREE);
    }

    /// It was right. The address is not forgiven: its other guesses were wrong.
    pub(super) fn succeeded(&mut self, user: &str, from: IpAddr, now: Instant) {
        let pair = (name(user), network(from));
        self.pairs.forget(&pair);
        self.users.forget(&pair.0);
        self.known.failed(pair, now, u32::MAX);
    }

    /// Failures of a user lately, and until when somebody has to wait with theirs.
    pub(super) fn of(&self, user: &str, now: Instant) -> (u32, Option<Instant>) {
        let user = name(user);
        let pairs = self.pairs.0.iter().filter(|((of, _), _)| *of == user);
        let until = pairs.filter_map(|(_, entry)| entry.until).filter(|until| *until > now).max();
        (self.users.failures(&user, now), until)
    }
}

fn name(user: &str) -> String {
    if user.len() > NAME_BYTES { String::new() } else { user.to_owned() }
}

/// With IPv6 everybody has as many addresses as they like, in one network.
pub(in crate::admin) fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

/// What failed lately, by who or what.
#[derive(Debug)]
struct Table<K>(HashMap<K, Entry>);

#[derive(Debug)]
struct Entry {
    failures: u32,
    last: Instant,
    until: Option<Instant>,
}

impl Entry {
    fn is_forgotten(&self, now: Instant) -> bool {
        let from = self.until.unwrap_or(self.last);
        now.saturating_duration_since(from) >= FORGOTTEN_AFTER
    }
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq + Clone> Table<K> {
    fn until(&self, key: &K) -> Option<Instant> {
        self.0.get(key)?.until
    }

    fn failures(&self, key: &K, now: Instant) -> u32 {
        let entry = self.0.get(key).filter(|entry| !entry.is_forgotten(now));
        entry.map_or(0, |entry| entry.failures)
    }

    fn lately(&self, key: &K, now: Instant, within: Duration) -> bool {
        self.0.get(key).is_some_and(|entry| now.saturating_duration_since(entry.last) < within)
    }

    fn failed(&mut self, key: K, now: Instant, free: u32) {
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            self.make_room(now);
        }
        let entry = self.0.entry(key);
        let entry = entry.or_insert(Entry { failures: 0, last: now, until: None });
        if entry.is_forgotten(now) {
            (entry.failures, entry.until) = (0, None);
        }
        (entry.failures, entry.last) = (entry.failures.saturating_add(1), now);
        if let Some(too_many) = entry.failures.checked_sub(free) {
            let factor = 2_u32.saturating_pow(too_many);
            entry.until = Some(now + FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT));
        }
    }

    fn forget(&mut self, key: &K) {
        self.0.remove(key);
    }

    /// The oldest have to go.
    fn make_room(&mut self, now: Instant) {
        self.0.retain(|_, entry| !entry.is_forgotten(now));
        if self.0.len() >= MOST {
            let oldest = self.0.iter().min_by_key(|(_, entry)| entry.until.unwrap_or(entry.last));
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.0.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn from_the_fourth_failure_each_wait_is_twice_as_long_up_to_five_minutes() {
        let (mut attempts, from) = (Attempts::default(), address("10.0.0.1"));
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..14 {
            attempts.failed("ops", from, now);
            let wait =
                attempts.pairs.until(&("ops".to_owned(), from)).map_or(Duration::ZERO, |u| u - now);
            waits.push(wait.as_secs());
            now += wait;
            assert_eq!(
                attempts
                    .pairs
                    .until(&("ops".to_owned(), from))
                    .map_or(Duration::ZERO, |u| { u.saturating_duration_since(now) }),
                seconds(0)
            );
        }
        assert_eq!(waits, [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(attempts.wait("ops", from, now - seconds(1)), Some(seconds(1)));
        assert_eq!(attempts.wait("ops", from, now), None);
    }

    #[test]
    fn a_right_password_forgives_the_user_but_not_the_address() {
        let (mut attempts, from, now) = (Attempts::default(), address("10.0.0.1"), Instant::now());
        for _ in 0..9 {
            attempts.failed("ops", from, now);
        }
        assert!(attempts.wait("ops", from, now).is_some());
        assert_eq!(attempts.wait("jane", from, now), None);
        attempts.succeeded("ops", from, now);
        assert_eq!((attempts.wait("ops", from, now), attempts.of("ops", now)), (None, (0, None)));
        attempts.failed("jane", from, now);
        assert_eq!(attempts.wait("ops", from, now), Some(seconds(1)), "ten from this address");
    }

    #[test]
    fn nobody_is_kept_out_by_what_others_do_elsewhere() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        attempts.succeeded("ops", address("10.0.0.1"), now);
        for number in 0..200_u8 {
            attempts.failed("ops", IpAddr::from([10, 0, 1, number]), now);
        }
        for from in ["10.0.0.1", "10.0.0.2"] {
            assert_eq!(attempts.wait("ops", address(from), now), None);
        }
        assert_eq!(attempts.slowed("ops", address("10.0.0.2"), now), SLOW);
        assert_eq!(attempts.slowed("ops", address("10.0.0.1"), now), Duration::ZERO, "known");
        assert_eq!(attempts.slowed("jane", address("10.0.0.2"), now), Duration::ZERO);
    }

    #[test]
    fn all_is_forgotten_after_a_while_and_the_tables_have_an_end() {
        let (mut attempts, from, now) = (Attempts::default(), address("10.0.0.1"), Instant::now());
        for _ in 0..5 {
            attempts.failed("ops", from, now);
        }
        let later = now + seconds(2) + FORGOTTEN_AFTER;
        assert_eq!(attempts.of("ops", later).0, 0);
        attempts.failed("ops", from, later);
        assert_eq!(attempts.wait("ops", from, later), None, "it begins anew");
        for number in 0..MOST as u32 + 100 {
            let from = IpAddr::from((0x0b00_0000 + number).to_be_bytes());
            attempts.failed(&number.to_string(), from, later);
        }
        let sizes = [attempts.pairs.0.len(), attempts.users.0.len(), attempts.addresses.0.len()];
        assert_eq!(sizes, [MOST; 3]);
        assert_eq!(attempts.of(&"x".repeat(100), later).0, 0);
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for number in 1..=4 {
            attempts.failed("ops", address(&format!("2001:db8::{number}")), now);
        }
        assert_eq!(attempts.wait("ops", address("2001:db8::99"), now), Some(seconds(1)));
        assert_eq!(attempts.wait("ops", address("2001:db8:0:1::1"), now), None);
        for _ in 1..=4 {
            attempts.failed("jane", address("::ffff:10.0.0.1"), now);
        }
        assert!(attempts.wait("jane", address("10.0.0.1"), now).is_some());
    }
}
