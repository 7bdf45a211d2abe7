//! Who has been moved within the last minute, so that nobody is moved twice. Pure.
//!
//! A moved client comes back as another session. It is known again by where it comes from and what it opens; where
//! several clients have that in common, each move accounts for the first of their sessions that began after it.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Nobody is moved twice within this time.
pub const REST: Duration = Duration::from_secs(60);
/// A client that has not come back for so long is not expected any more.
const RETURN: Duration = Duration::from_secs(30);
/// Most moves that are remembered before nobody else is moved for the sake of balance, until some are forgotten.
const MOST: usize = 100_000;

/// What a client and the session that it comes back as have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client(u64);

/// The moves of the last minute, in one cluster.
#[derive(Debug, Default)]
pub struct Moved {
    hasher: RandomState,
    moves: VecDeque<(Client, Instant)>,
}

/// What is known of the sessions of a cluster, as far as moves go.
#[derive(Debug, Default)]
pub struct Returned {
    by_client: HashMap<Client, Vec<Instant>>,
    /// For each client with moves, from when on its sessions are returned ones, and how many.
    pub coming: usize,
}

impl Moved {
    /// The client of a session.
    #[must_use]
    pub fn client(&self, source: IpAddr, user: Option<&str>, vhost: Option<&str>) -> Client {
        Client(self.hasher.hash_one((source, user, vhost)))
    }

    /// A session of this client is moved now.
    pub fn note(&mut self, client: Client, now: Instant) {
        self.forget(now);
        self.moves.push_back((client, now));
    }

    /// Forgets what is over.
    pub fn forget(&mut self, now: Instant) {
        while self.moves.front().is_some_and(|(_, at)| now.saturating_duration_since(*at) >= REST) {
            self.moves.pop_front();
        }
    }

    /// Are there so many that nobody else should be moved without need?
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.moves.len() >= MOST
    }

    /// Finds out which of a cluster's sessions, given by client and when they were accepted, are returned ones, and how
    /// many clients are still on their way.
    #[must_use]
    pub fn returned(
        &self,
        sessions: impl IntoIterator<Item = (Client, Instant)>,
        now: Instant,
    ) -> Returned {
        let mut moves: HashMap<Client, Vec<Instant>> = HashMap::new();
        for &(client, at) in &self.moves {
            moves.entry(client).or_default().push(at);
        }
        let mut accepted: HashMap<Client, Vec<Instant>> = HashMap::new();
        for (client, at) in sessions {
            if moves.contains_key(&client) {
                accepted.entry(client).or_default().push(at);
            }
        }
        let mut found = Returned::default();
        for (client, moves) in moves {
            let mut accepted = accepted.remove(&client).unwrap_or_default();
            accepted.sort_unstable();
            let mut left = accepted.into_iter();
            let mut of_client = Vec::new();
            for at in moves {
                match left.find(|accepted| *accepted > at) {
                    Some(accepted) => of_client.push(accepted),
                    None if now.saturating_duration_since(at) < RETURN => found.coming += 1,
                    None => {}
                }
            }
            found.by_client.insert(client, of_client);
        }
        found
    }
}

impl Returned {
    /// Was a session of this client, accepted at that time, moved within the last minute?
    #[must_use]
    pub fn has(&self, client: Client, accepted: Instant) -> bool {
        self.by_client.get(&client).is_some_and(|times| times.binary_search(&accepted).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, proptest};

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_moved_client_is_known_again_and_left_alone_for_a_minute() {
        let (mut moved, start) = (Moved::default(), Instant::now());
        let client = moved.client(HERE, Some("app"), Some("orders"));
        let other = moved.client(HERE, Some("app"), Some("audit"));
        moved.note(client, start + seconds(10));
        let back = start + seconds(11);
        let sessions = [(client, start), (client, back), (other, back)];
        let returned = moved.returned(sessions, start + seconds(12));
        assert_eq!(returned.coming, 0);
        assert!(returned.has(client, back));
        assert!(!returned.has(client, start), "an older one of the same client");
        assert!(!returned.has(other, back));
        moved.forget(start + seconds(70));
        assert!(!moved.returned(sessions, start + seconds(70)).has(client, back));
    }

    #[test]
    fn a_client_that_does_not_come_back_is_expected_for_half_a_minute() {
        let (mut moved, start) = (Moved::default(), Instant::now());
        let client = moved.client(HERE, None, None);
        moved.note(client, start);
        moved.note(client, start);
        assert_eq!(moved.returned([], start + seconds(29)).coming, 2);
        assert_eq!(moved.returned([(client, start + seconds(1))], start + seconds(29)).coming, 1);
        assert_eq!(moved.returned([], start + seconds(31)).coming, 0);
    }

    proptest! {
        /// Clients alike are moved at random; each comes back a second later. Whoever was moved may not be taken again.
        #[test]
        fn of_clients_that_look_alike_none_is_moved_twice(
            count in 1usize..20,
            picks in prop::collection::vec(0usize..100, 1..50),
        ) {
            let (mut moved, start) = (Moved::default(), Instant::now());
            let client = moved.client(HERE, Some("app"), None);
            // When each began, and whether it has been moved.
            let mut clients: Vec<(Instant, bool)> = (0..count).map(|_| (start, false)).collect();
            for (second, pick) in picks.into_iter().enumerate() {
                let now = start + seconds(second as u64 + 1);
                let returned = moved.returned(clients.iter().map(|c| (client, c.0)), now);
                let free: Vec<_> = (0..count).filter(|&c| !returned.has(client, clients[c].0)).collect();
                prop_assert!(free.iter().all(|&c| !clients[c].1), "moved twice within a minute");
                let Some(&taken) = free.get(pick.checked_rem(free.len()).unwrap_or(0)) else { break };
                moved.note(client, now);
                clients[taken] = (now + seconds(1) / 2, true);
            }
            prop_assert!(clients.iter().filter(|c| c.1).count() <= count);
        }
    }
}
