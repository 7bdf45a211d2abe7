//! Vhosts and users: those there are, and those there were.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::figures;
use super::list::Row;
use super::sums::Tally;
use crate::admin::view::status::Traffic;
use crate::admin::view::traffic::{User, Vhost};
use crate::session::ledger::{Account, MOST_NAMES, OTHER};

/// All vhosts by name; `routed` tells where one leads to.
pub(super) fn vhosts(
    rows: &[Row],
    ended: &HashMap<Arc<str>, Account>,
    routed: impl Fn(&str) -> String,
) -> Vec<Vhost> {
    let all = by_name(rows, ended, |row| (row.vhost(), row.user()));
    let view = |(name, (tally, account)): (&str, (Tally<'_>, Account))| Vhost {
        vhost: name.to_owned(),
        sessions: tally.sum.sessions,
        users: tally.others(),
        nodes: tally.shares(),
        routed: routed(name),
        totals: totals(&tally, &account),
        rates: tally.sum.rates,
        unconfirmed: tally.sum.unconfirmed,
        refused: account.refused,
        delayed_seconds: delayed(&tally, &account),
    };
    all.into_iter().map(view).collect()
}

/// All users by name.
pub(super) fn users(rows: &[Row], ended: &HashMap<Arc<str>, Account>) -> Vec<User> {
    let all = by_name(rows, ended, |row| (row.user(), row.vhost()));
    let view = |(name, (tally, account)): (&str, (Tally<'_>, Account))| User {
        user: name.to_owned(),
        sessions: tally.sum.sessions,
        vhosts: tally.others(),
        nodes: tally.shares(),
        totals: totals(&tally, &account),
        rates: tally.sum.rates,
        unconfirmed: tally.sum.unconfirmed,
        refused: account.refused,
        delayed_seconds: delayed(&tally, &account),
    };
    all.into_iter().map(view).collect()
}

/// Sums by the first name that `names` gives; the second is of who is together with it.
fn by_name<'a>(
    rows: &'a [Row],
    ended: &'a HashMap<Arc<str>, Account>,
    names: impl Fn(&'a Row) -> (Option<&'a str>, Option<&'a str>),
) -> BTreeMap<&'a str, (Tally<'a>, Account)> {
    let mut all: BTreeMap<&str, (Tally<'_>, Account)> =
        ended.iter().map(|(name, account)| (&**name, (Tally::default(), *account))).collect();
    // The list may be older than the accounts: whoever has ended since is in these.
    for row in rows.iter().filter(|row| !row.session.has_ended()) {
        let (Some(name), other) = names(row) else { continue };
        let room = all.len() < MOST_NAMES || all.contains_key(name);
        all.entry(if room { name } else { OTHER }).or_default().0.add(row, other);
    }
    all
}

fn totals(tally: &Tally<'_>, account: &Account) -> Traffic {
    let mut totals = figures::traffic(&account.passed);
    figures::add(&mut totals, &tally.sum.totals);
    totals
}

fn delayed(tally: &Tally<'_>, account: &Account) -> f64 {
    (account.delayed + tally.sum.delayed).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::app::observe::list::List;
    use crate::app::observe::samples::registry;
    use crate::session::ledger::Passed;
    use crate::session::registry::SessionId;

    #[test]
    fn those_there_are_and_those_there_were_are_added_up() {
        let registry = registry(6);
        registry.get(SessionId(3)).expect("it").counters.published.set(10);
        let list = List::make(&registry, None, Instant::now());
        let mut passed = Passed::default();
        passed.messages.published = 5;
        let account = Account { passed, refused: 2, delayed: Duration::from_secs(3) };
        let ended = HashMap::from([("v0".into(), account), ("gone".into(), account)]);
        let vhosts = vhosts(&list.rows, &ended, |name| format!("to {name}"));
        let names: Vec<_> = vhosts.iter().map(|vhost| &*vhost.vhost).collect();
        assert_eq!(names, ["gone", "v0", "v1", "v2"]);
        // Sessions 3 and 6: users u1 and u0, nodes n3 and n2.
        let v0 = &vhosts[1];
        assert_eq!((v0.sessions, &*v0.routed), (2, "to v0"));
        assert_eq!(v0.users, ["u0", "u1"]);
        let at: Vec<_> = v0.nodes.iter().map(|share| (&*share.at, share.sessions)).collect();
        assert_eq!(at, [("main/n2", 1), ("main/n3", 1)]);
        assert_eq!((v0.totals.published, v0.refused, v0.delayed_seconds), (15, 2, 3.0));
        assert_eq!((vhosts[0].sessions, vhosts[0].totals.published), (0, 5));
        let users = users(&list.rows, &HashMap::new());
        assert_eq!(users.len(), 2);
        assert_eq!((users[1].sessions, users[1].totals.published), (3, 10));
        assert_eq!(users[1].vhosts, ["v0", "v1", "v2"]);
    }

    #[test]
    fn one_that_has_ended_since_the_list_was_made_is_not_counted_twice() {
        let registry = registry(6);
        registry.get(SessionId(3)).expect("it").counters.published.set(10);
        let list = List::make(&registry, None, Instant::now());
        registry.remove(SessionId(3));
        let mut passed = Passed::default();
        passed.messages.published = 12;
        let account = Account { passed, ..Account::default() };
        let vhosts =
            vhosts(&list.rows, &HashMap::from([("v0".into(), account)]), |_| String::new());
        assert_eq!((vhosts[0].sessions, vhosts[0].totals.published), (1, 12));
        let users = users(&list.rows, &HashMap::from([("u1".into(), account)]));
        assert_eq!((users[1].sessions, users[1].totals.published), (2, 12));
    }

    #[test]
    fn names_beyond_the_limit_are_counted_together() {
        let list = List::make(&registry(4), None, Instant::now());
        let name = |number: usize| Arc::from(format!("x{number}"));
        let ended = (0..MOST_NAMES).map(|number| (name(number), Account::default())).collect();
        let users = users(&list.rows, &ended);
        assert_eq!(users.len(), MOST_NAMES + 1);
        assert_eq!(users.iter().find(|user| user.user == OTHER).expect("it").sessions, 4);
    }
}
