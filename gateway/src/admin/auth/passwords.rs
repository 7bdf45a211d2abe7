//! Looks at passwords: slowly, as it has to be, and never many at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::attempts::network;
use super::secret::{self, Digest};

/// Looks at once: each has a core and some memory for itself.
const AT_ONCE: usize = 2;
/// Those who may wait for one.
const WAITING: usize = 16;
/// How long.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a good password needs no second look, for those who send it with every request.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);
/// Good passwords that are remembered.
const MOST_REMEMBERED: usize = 256;
/// Longest password that is looked at, in bytes.
pub(super) const LONGEST: usize = 1024;

/// What looks at passwords.
#[derive(Debug)]
pub(super) struct Passwords {
    key: [u8; 32],
    looking: Arc<Semaphore>,
    waiting: Semaphore,
    good: Mutex<HashMap<Digest, Instant>>,
}

/// Name and password, as somebody has sent them.
pub(super) struct Sent<'s> {
    pub(super) name: &'s str,
    pub(super) password: &'s str,
    pub(super) from: IpAddr,
}

/// A turn to look at a password.
#[derive(Debug)]
pub(super) struct Turn(OwnedSemaphorePermit);

/// Too many want to log in at the same time.
#[derive(Debug)]
pub(super) struct Busy;

impl Passwords {
    pub(super) fn new(key: [u8; 32]) -> Self {
        let (looking, waiting) = (Arc::new(Semaphore::new(AT_ONCE)), Semaphore::new(WAITING));
        Self { key, looking, waiting, good: Mutex::default() }
    }

    /// Was it a good one a moment ago, from the same address? Elsewhere it tells nobody that a guess is right.
    pub(super) fn remembers(&self, login: &Sent<'_>, hash: &str, now: Instant) -> bool {
        let kept = self.kept(login, hash);
        let good = self.lock();
        good.get(&kept).is_some_and(|at| now.saturating_duration_since(*at) < REMEMBERED_FOR)
    }

    /// Waits for a turn to look at one.
    pub(super) async fn turn(&self) -> Result<Turn, Busy> {
        let _place = self.waiting.try_acquire().map_err(|_| Busy)?;
        let turn = timeout(PATIENCE, self.looking.clone().acquire_owned()).await;
        Ok(Turn(turn.map_err(|_| Busy)?.map_err(|_| Busy)?))
    }

    /// Keeps in mind that it is good.
    pub(super) fn remember(&self, login: &Sent<'_>, hash: &str, now: Instant) {
        let kept = self.kept(login, hash);
        let mut good = self.lock();
        if good.len() >= MOST_REMEMBERED {
            good.retain(|_, at| now.saturating_duration_since(*at) < REMEMBERED_FOR);
        }
        if good.len() < MOST_REMEMBERED {
            good.insert(kept, now);
        }
    }

    fn kept(&self, login: &Sent<'_>, hash: &str) -> Digest {
        let from = network(login.from).to_string();
        secret::keyed(&self.key, &["password", &from, login.name, login.password, hash])
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Instant>> {
        self.good.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Is it the one of `hash`? It is not if there is none, and to see that takes as long as it would with `like`.
    pub(super) async fn look(
        self,
        password: &str,
        hash: Option<Arc<str>>,
        like: Arc<str>,
    ) -> Result<bool, Busy> {
        let password = password.to_owned();
        let look = move || {
            // It lasts as long as the look, whether or not anybody still wants to know.
            let Self(_turn) = self;
            let Ok(parsed) = PasswordHash::new(hash.as_deref().unwrap_or(&like)) else {
                return false;
            };
            let right = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
            right && hash.is_some() && password.len() <= LONGEST
        };
        tokio::task::spawn_blocking(look).await.map_err(|_| Busy)
    }
}

/// The hash of a password for the configuration, with a salt of its own.
///
/// # Errors
/// When the system gives no random bits.
pub(crate) fn hash(password: &str) -> Result<String, String> {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT);
    let hash = argon2.hash_password(password.as_bytes()).map_err(|error| error.to_string())?;
    Ok(hash.to_string())
}

/// The hash of no password that costs as much to look at as the dearest of `hashes`.
pub(super) fn decoy<'h>(hashes: impl Iterator<Item = &'h str>) -> Arc<str> {
    let parsed = hashes.filter_map(|hash| PasswordHash::new(hash).ok());
    let cost = |hash: &PasswordHash| {
        let params = Params::try_from(hash).unwrap_or_default();
        u64::from(params.m_cost()) * u64::from(params.t_cost())
    };
    let dearest = parsed.max_by_key(cost);
    let (salt, output) = (Salt::new(&[0x5a; 16]).ok(), Output::new(&[0xa5; 32]).ok());
    let like = dearest.map(|hash| PasswordHash { salt, hash: output, ..hash });
    match like {
        Some(like) => like.to_string().into(),
        None => "".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap(password: &str) -> Arc<str> {
        let params = Params::new(64, 1, 1, None).expect("parameters");
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password(password.as_bytes()).expect("a hash").to_string().into()
    }

    #[test]
    fn a_hash_has_the_recommended_parameters_and_a_salt_of_its_own() {
        let (one, other) = (hash("s3cret").expect("a hash"), hash("s3cret").expect("a hash"));
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, other);
        let parsed = PasswordHash::new(&one).expect("a hash");
        assert!(Argon2::default().verify_password(b"s3cret", &parsed).is_ok());
        assert!(Argon2::default().verify_password(b"S3cret", &parsed).is_err());
    }

    #[tokio::test]
    async fn only_the_right_password_is_right_and_nobody_has_one() {
        let (passwords, hash) = (Passwords::new([1; 32]), cheap("s3cret"));
        let decoy = decoy([&*hash].into_iter());
        assert!(decoy.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{decoy}");
        let check = async |password: &str, hash: Option<&Arc<str>>| {
            let turn = passwords.turn().await.expect("a turn");
            turn.look(password, hash.cloned(), decoy.clone()).await.expect("a look")
        };
        assert!(check("s3cret", Some(&hash)).await);
        assert!(!check("s3cret ", Some(&hash)).await && !check("s3cret", None).await);
        let long = "x".repeat(LONGEST + 1);
        assert!(!check(&long, Some(&cheap(&long))).await);
    }

    #[tokio::test]
    async fn only_so_many_wait() {
        let passwords = Passwords::new([1; 32]);
        let _all = passwords.waiting.acquire_many(WAITING as u32).await.expect("places");
        assert!(passwords.turn().await.is_err());
    }

    #[test]
    fn a_good_password_is_remembered_for_a_while_and_only_with_its_hash_and_address() {
        let (passwords, now) = (Passwords::new([1; 32]), Instant::now());
        let sent = |password: &'static str, from: &str| Sent {
            name: "ops",
            password,
            from: from.parse().expect("an address"),
        };
        let good = sent("s3cret", "10.0.0.1");
        passwords.remember(&good, "hash", now);
        assert!(passwords.remembers(&good, "hash", now));
        assert!(passwords.remembers(&sent("s3cret", "::ffff:10.0.0.1"), "hash", now));
        assert!(!passwords.remembers(&sent("s3cret", "10.0.0.2"), "hash", now));
        assert!(!passwords.remembers(&good, "hash", now + REMEMBERED_FOR));
        assert!(!passwords.remembers(&good, "other", now));
        assert!(!passwords.remembers(&sent("s3cre", "10.0.0.1"), "thash", now));
        for number in 0..MOST_REMEMBERED + 10 {
            passwords.remember(&good, &number.to_string(), now);
        }
        assert_eq!(passwords.lock().len(), MOST_REMEMBERED);
    }
}
