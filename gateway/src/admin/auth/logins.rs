//! Who is logged in. Kept in memory alone, and never more than so many.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;

use super::accounts::User;
use super::secret::Digest;

/// Logins at once; one more ends the one that was not used for the longest time.
pub(super) const MOST: usize = 1000;
/// The same of one user.
pub(super) const MOST_OF_USER: usize = 50;
/// A login that is not used for so long ends.
pub(super) const IDLE: Duration = Duration::from_secs(60 * 60);
/// A login ends after that, whatever it is used for.
pub(super) const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// A moment, by the clock that only goes forward and by the one that people read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) at: Instant,
    pub(super) wall: SystemTime,
}

impl Now {
    /// The present one.
    pub(super) fn get() -> Self {
        Self { at: Instant::now(), wall: SystemTime::now() }
    }

    /// What people's clock showed, or will show, at another moment.
    pub(super) fn wall_at(self, at: Instant) -> SystemTime {
        match at.checked_duration_since(self.at) {
            Some(ahead) => self.wall + ahead,
            None => self.wall - self.at.saturating_duration_since(at),
        }
    }
}

/// A login that works.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub(super) id: u64,
    pub(super) user: Arc<User>,
    pub(super) from: IpAddr,
    pub(super) since: Instant,
    pub(super) last_used: Instant,
    /// Cancelled when it ends.
    pub(super) ended: CancellationToken,
}

impl Login {
    /// When it ends at the latest.
    pub(super) fn expires(&self) -> Instant {
        self.since + LIFETIME
    }

    fn is_over(&self, now: Instant) -> bool {
        now >= self.expires() || now.saturating_duration_since(self.last_used) >= IDLE
    }
}

/// All logins, by the digest of their tokens.
#[derive(Debug, Default)]
pub(super) struct Logins {
    logins: HashMap<Digest, Login>,
    last_id: u64,
}

impl Logins {
    /// A new one.
    pub(super) fn begin(
        &mut self,
        token: Digest,
        user: Arc<User>,
        from: IpAddr,
        now: Instant,
    ) -> Login {
        self.sweep(now);
        let of_user = |login: &Login| login.user.name == user.name;
        if self.logins.values().filter(|login| of_user(login)).count() >= MOST_OF_USER {
            self.end_least_used(of_user);
        }
        if self.logins.len() >= MOST {
            self.end_least_used(|_| true);
        }
        self.last_id += 1;
        let ended = CancellationToken::new();
        let login = Login { id: self.last_id, user, from, since: now, last_used: now, ended };
        self.logins.insert(token, login.clone());
        login
    }

    /// The login with this token, if it works still. It is used by that.
    pub(super) fn of(&mut self, token: &Digest, now: Instant) -> Option<Login> {
        let login = self.logins.get_mut(token)?;
        if login.is_over(now) {
            login.ended.cancel();
            self.logins.remove(token);
            return None;
        }
        login.last_used = now;
        Some(login.clone())
    }

    /// Ends one; whose it was.
    pub(super) fn end(&mut self, id: u64) -> Option<Login> {
        let token = *self.logins.iter().find(|(_, login)| login.id == id)?.0;
        let login = self.logins.remove(&token)?;
        login.ended.cancel();
        Some(login)
    }

    /// Ends those of whom `stays` does not hold.
    pub(super) fn retain(&mut self, stays: impl Fn(&Login) -> bool) {
        self.logins.retain(|_, login| {
            let stays = stays(login);
            if !stays {
                login.ended.cancel();
            }
            stays
        });
    }

    /// Ends those whose time is over.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.retain(|login| !login.is_over(now));
    }

    /// Those that work, the latest last.
    pub(super) fn all(&mut self, now: Instant) -> Vec<Login> {
        self.sweep(now);
        let mut all: Vec<Login> = self.logins.values().cloned().collect();
        all.sort_by_key(|login| login.id);
        all
    }

    fn end_least_used(&mut self, among: impl Fn(&Login) -> bool) {
        let among = self.logins.values().filter(|login| among(login));
        if let Some(id) = among.min_by_key(|login| (login.last_used, login.id)).map(|l| l.id) {
            self.end(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::admin::view::login::Role;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn user(name: &str) -> Arc<User> {
        let (name, password_hash) = (name.into(), "".into());
        Arc::new(User { name, password_hash, role: Role::Viewer, ended: CancellationToken::new() })
    }

    fn token(number: usize) -> Digest {
        let mut token = [0; 32];
        token[..8].copy_from_slice(&number.to_be_bytes());
        token
    }

    #[test]
    fn a_login_that_is_not_used_ends_and_one_that_is_used_ends_later() {
        let (mut logins, begun) = (Logins::default(), Instant::now());
        let login = logins.begin(token(1), user("ops"), HERE, begun);
        let mut now = begun;
        while now + IDLE < begun + LIFETIME {
            now += IDLE - Duration::from_secs(1);
            assert!(logins.of(&token(1), now).is_some());
        }
        assert!(logins.of(&token(1), begun + LIFETIME).is_none() && login.ended.is_cancelled());
        logins.begin(token(2), user("ops"), HERE, begun);
        assert!(logins.of(&token(2), begun + IDLE).is_none());
        assert!(logins.of(&token(2), begun).is_none(), "it does not come back");
    }

    #[test]
    fn what_nobody_asks_for_ends_in_time_as_well() {
        let (mut logins, begun) = (Logins::default(), Instant::now());
        let login = logins.begin(token(1), user("ops"), HERE, begun);
        logins.sweep(begun + IDLE);
        assert!(login.ended.is_cancelled() && logins.all(begun).is_empty());
    }

    #[test]
    fn there_are_never_more_than_so_many_and_nobody_ends_those_of_others() {
        let (mut logins, now) = (Logins::default(), Instant::now());
        logins.begin(token(0), user("jane"), HERE, now);
        for number in 1..=MOST_OF_USER + 10 {
            let at = now + Duration::from_secs(number as u64);
            logins.begin(token(number), user("ops"), HERE, at);
        }
        let later = now + Duration::from_secs(100);
        assert_eq!(logins.all(later).len(), MOST_OF_USER + 1);
        assert!(logins.of(&token(0), later).is_some() && logins.of(&token(10), later).is_none());
        assert!(logins.of(&token(11), later).is_some());
        for number in 100..MOST + 200 {
            logins.begin(token(number), user(&format!("user{number}")), HERE, later);
        }
        assert_eq!(logins.all(later).len(), MOST);
    }

    #[test]
    fn ids_are_not_given_twice() {
        let (mut logins, now) = (Logins::default(), Instant::now());
        let first = logins.begin(token(1), user("ops"), HERE, now);
        assert_eq!(logins.end(first.id).map(|login| login.id), Some(first.id));
        assert!(first.ended.is_cancelled() && logins.end(first.id).is_none());
        assert_ne!(logins.begin(token(1), user("ops"), HERE, now).id, first.id);
    }

    #[test]
    fn people_read_their_own_clock() {
        let now = Now { at: Instant::now(), wall: SystemTime::UNIX_EPOCH + LIFETIME };
        assert_eq!(now.wall_at(now.at + IDLE), now.wall + IDLE);
        assert_eq!(now.wall_at(now.at), now.wall);
    }
}
