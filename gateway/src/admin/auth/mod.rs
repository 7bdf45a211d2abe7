//! Who may do what at the admin address: users, tokens, logins and roles.

mod accounts;
mod attempts;
mod audit;
mod credentials;
mod guard;
mod logins;
mod page;
pub(crate) mod passwords;
mod roles;
pub(crate) mod secret;
mod who;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;

pub use accounts::Accounts;
use accounts::{Token, User};
use attempts::Attempts;
pub(super) use attempts::network;
pub(super) use credentials::COOKIE_NAME;
pub(super) use guard::{Gate, Refused, denied, guard};
use logins::{Login, Logins, Now};
use passwords::{Busy, Passwords, Sent};
pub(super) use who::Who;

use super::view::login::{ActiveLogin, AdminToken, AdminUser, AdminUsers, Role};
use crate::telemetry::events::{Actor, EventLog, Kind, Severity, What};

/// How often logins are looked through for those whose time is over.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// Everything that is known of who may do what; share it as `Arc<Auth>`.
#[derive(Debug)]
pub struct Auth {
    accounts: ArcSwap<Accounts>,
    passwords: Passwords,
    /// Makes what only this process can have made.
    key: [u8; 32],
    state: Mutex<State>,
    events: Arc<EventLog>,
}

#[derive(Debug, Default)]
struct State {
    logins: Logins,
    attempts: Attempts,
    /// When users logged in, and tokens were used, last.
    last_logins: HashMap<Arc<str>, Instant>,
    last_uses: HashMap<Arc<str>, Instant>,
}

/// A login that has just begun.
pub(super) struct Begun {
    pub(super) token: String,
    pub(super) csrf_token: String,
    pub(super) role: Role,
    pub(super) expires_at: SystemTime,
}

/// Why somebody may not log in.
#[derive(Debug)]
pub(super) enum Denied {
    /// Name or password is wrong: nobody is told which.
    Wrong,
    /// They have to wait first.
    Wait(Duration),
    /// Others are at it.
    Busy,
    /// The system gives no random bits.
    System(getrandom::Error),
}

impl Auth {
    /// For these users and tokens. What happens goes to `events`.
    ///
    /// # Errors
    /// When the system gives no random bits.
    pub fn new(accounts: Accounts, events: Arc<EventLog>) -> io::Result<Self> {
        let key = || secret::key().map_err(|error| io::Error::other(error.to_string()));
        Ok(Self {
            accounts: ArcSwap::from_pointee(accounts),
            passwords: Passwords::new(key()?),
            key: key()?,
            state: Mutex::default(),
            events,
        })
    }

    /// From now on these users and tokens count. Logins of users who are gone, or have another password or role now, end.
    pub fn replace(&self, accounts: Accounts) {
        let mut state = self.lock();
        let accounts = Arc::new(accounts.after(&self.accounts.load()));
        self.accounts.store(accounts);
        let accounts = self.accounts.load();
        state.logins.retain(|login| !login.user.ended.is_cancelled());
        state.last_logins.retain(|name, _| accounts.user(name).is_some());
        state.last_uses.retain(|name, _| accounts.tokens.iter().any(|token| token.name == *name));
    }

    /// Ends logins when their time is over, again and again. What goes on with one, such as a stream, ends then.
    pub(super) async fn keep_swept(&self) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            self.lock().logins.sweep(Instant::now());
        }
    }

    fn accounts(&self) -> Arc<Accounts> {
        self.accounts.load_full()
    }

    /// Does nobody have to log in?
    pub(super) fn is_open(&self) -> bool {
        self.accounts.load().is_empty()
    }

    /// Looks at name and password, and begins a login.
    pub(super) async fn login(
        &self,
        name: &str,
        password: &str,
        from: IpAddr,
    ) -> Result<Begun, Denied> {
        let user = self.verify(name, password, from, "password").await?;
        let token = secret::login_token().map_err(Denied::System)?;
        let now = Instant::now();
        let mut state = self.lock();
        // The configuration may be another one by now.
        if user.ended.is_cancelled() {
            return Err(Denied::Wrong);
        }
        let login = state.logins.begin(secret::digest(&token), user.clone(), from, now);
        state.last_logins.insert(user.name.clone(), now);
        drop(state);
        let text = format!("{} has logged in", user.name);
        let actor = actor(&user.name, "password", from);
        self.tell(What::new(Kind::Login, Severity::Info, &*user.name, text).by(actor));
        let (role, expires_at) = (login.user.role, Now::get().wall_at(login.expires()));
        Ok(Begun { csrf_token: self.csrf_token(&token), token, role, expires_at })
    }

    /// The user with this name and password.
    async fn verify(
        &self,
        name: &str,
        password: &str,
        from: IpAddr,
        by: &'static str,
    ) -> Result<Arc<User>, Denied> {
        let user = self.look(&Sent { name, password, from }, by).await?;
        // The configuration may be another one by now.
        if user.ended.is_cancelled() { Err(Denied::Wrong) } else { Ok(user) }
    }

    async fn look(&self, sent: &Sent<'_>, by: &'static str) -> Result<Arc<User>, Denied> {
        let (name, from) = (sent.name, sent.from);
        let accounts = self.accounts();
        let user = accounts.user(name);
        let remembered = || {
            user.filter(|user| self.passwords.remembers(sent, &user.password_hash, Instant::now()))
        };
        // Before all else: whoever has to wait learns nothing of any password.
        self.may_try(name, from)?;
        if let Some(user) = remembered() {
            return Ok(user.clone());
        }
        let slowed = self.lock().attempts.slowed(name, from, Instant::now());
        if !slowed.is_zero() {
            tokio::time::sleep(slowed).await;
        }
        let hash = user.map(|user| user.password_hash.clone());
        let decoy = passwords::decoy(accounts.users.iter().map(|user| &*user.password_hash));
        let turn = self.passwords.turn().await.map_err(|Busy| Denied::Busy)?;
        // What was true before the wait need not be any more: others may have tried meanwhile.
        self.may_try(name, from)?;
        if let Some(user) = remembered() {
            return Ok(user.clone());
        }
        let right = turn.look(sent.password, hash, decoy).await.map_err(|Busy| Denied::Busy)?;
        let now = Instant::now();
        match user.filter(|_| right) {
            Some(user) => {
                self.passwords.remember(sent, &user.password_hash, now);
                self.lock().attempts.succeeded(name, from, now);
                Ok(user.clone())
            }
            None => {
                self.lock().attempts.failed(name, from, now);
                self.tell_failure(user, from, by);
                Err(Denied::Wrong)
            }
        }
    }

    fn may_try(&self, name: &str, from: IpAddr) -> Result<(), Denied> {
        self.lock()
            .attempts
            .wait(name, from, Instant::now())
            .map_or(Ok(()), |wait| Err(Denied::Wait(wait)))
    }

    /// A name that nobody has may be a password in the wrong field, so it is not told.
    fn tell_failure(&self, user: Option<&Arc<User>>, from: IpAddr, by: &'static str) {
        let (name, text) = match user {
            Some(user) => (&*user.name, format!("{} gave a wrong password", user.name)),
            None => ("unknown", "somebody gave the name of no user".to_owned()),
        };
        let what = What::new(Kind::Login, Severity::Warning, name, text);
        self.tell(what.by(actor(name, by, from)));
    }

    /// The login with this token.
    fn of_login(&self, token: &str) -> Option<Login> {
        self.lock().logins.of(&secret::digest(token), Instant::now())
    }

    /// The program with this token.
    fn of_token(&self, token: &str) -> Option<Arc<Token>> {
        let accounts = self.accounts.load();
        let found = accounts.token(&secret::digest(token))?.clone();
        self.lock().last_uses.insert(found.name.clone(), Instant::now());
        Some(found)
    }

    /// What changes need that come with the cookie of this login.
    fn csrf_token(&self, token: &str) -> String {
        secret::text(&secret::keyed(&self.key, &["csrf", token]))
    }

    /// Ends a login; whose it was.
    pub(super) fn end(&self, id: u64) -> Option<Arc<str>> {
        self.lock().logins.end(id).map(|login| login.user.name.clone())
    }

    /// Who may log in, and who has. `own` = the login that asks.
    pub(super) fn users(&self, own: Option<u64>) -> AdminUsers {
        let (accounts, now) = (self.accounts(), Now::get());
        let mut state = self.lock();
        let logins = state.logins.all(now.at);
        let user = |user: &Arc<User>| {
            let (failures, until) = state.attempts.of(&user.name, now.at);
            AdminUser {
                name: user.name.to_string(),
                role: user.role,
                last_login: state.last_logins.get(&user.name).map(|at| rfc3339(now.wall_at(*at))),
                failures: failures.into(),
                locked_until: until.map(|at| rfc3339(now.wall_at(at))),
            }
        };
        let token = |token: &Arc<Token>| AdminToken {
            name: token.name.to_string(),
            role: token.role,
            last_used: state.last_uses.get(&token.name).map(|at| rfc3339(now.wall_at(*at))),
        };
        AdminUsers {
            users: accounts.users.iter().map(user).collect(),
            tokens: accounts.tokens.iter().map(token).collect(),
            logins: logins.iter().map(|login| active(login, now, own)).collect(),
        }
    }

    fn tell(&self, what: What) {
        audit::log(&what);
        self.events.add(what);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn active(login: &Login, now: Now, own: Option<u64>) -> ActiveLogin {
    let text = |at: Instant| rfc3339(now.wall_at(at));
    ActiveLogin {
        id: login.id,
        name: login.user.name.to_string(),
        role: login.user.role,
        from: login.from.to_string(),
        since: text(login.since),
        expires_at: text(login.expires()),
        last_used: text(login.last_used),
        own: own == Some(login.id),
    }
}

fn actor(name: &str, by: &'static str, from: IpAddr) -> Actor {
    Actor { name: name.to_owned(), by, from: from.to_string() }
}

/// As the API writes it.
pub(super) fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

/// Methods and paths of all changes that roles are given for.
#[cfg(test)]
pub(super) fn listed_changes() -> Vec<(String, String)> {
    roles::TABLE.iter().map(|(method, path, _)| ((*method).into(), (*path).into())).collect()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use tests::{hash, section};
