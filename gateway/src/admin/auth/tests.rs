//! Logins as a whole.

#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};

use super::*;
use crate::config::model::{self, AdminToken as TokenModel, AdminUser as UserModel};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// A hash that is cheap to look at.
pub(in crate::admin) fn hash(password: &str) -> Arc<str> {
    let params = Params::new(64, 1, 1, None).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password(password.as_bytes()).unwrap().to_string().into()
}

/// The section of the configuration with these users (name, hash, role) and tokens.
pub(in crate::admin) fn section(
    users: &[(&str, &Arc<str>, model::Role)],
    tokens: &[(&str, &str, model::Role)],
) -> model::Admin {
    let user = |(name, hash, role): &(&str, &Arc<str>, model::Role)| UserModel {
        name: (*name).into(),
        password_hash: (*hash).clone(),
        role: *role,
    };
    let token = |(name, token, role): &(&str, &str, model::Role)| TokenModel {
        name: (*name).into(),
        hash: secret::digest(token),
        role: *role,
    };
    model::Admin {
        bind: "127.0.0.1:0".parse().unwrap(),
        certificates: Vec::new(),
        metrics_auth: false,
        users: users.iter().map(user).collect(),
        tokens: tokens.iter().map(token).collect(),
    }
}

fn auth(users: &[(&str, &Arc<str>, model::Role)], tokens: &[(&str, &str, model::Role)]) -> Auth {
    Auth::new(Accounts::of(&section(users, tokens)), Arc::default()).unwrap()
}

fn texts(auth: &Auth) -> Vec<String> {
    auth.events.since(0).iter().map(|event| event.what.text.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn wrong_passwords_have_to_wait_and_a_right_one_is_told_with_them() {
    let hash = hash("s3cret");
    let auth = auth(&[("ops", &hash, model::Role::Operator)], &[]);
    for _ in 0..4 {
        let denied = auth.login("ops", "wrong", THERE).await;
        assert!(matches!(denied, Err(Denied::Wrong)));
    }
    let Err(Denied::Wait(wait)) = auth.login("ops", "s3cret", THERE).await else {
        panic!("it has to wait even with the right one")
    };
    assert!(wait <= Duration::from_secs(1));
    let begun = auth.login("ops", "s3cret", HERE).await.unwrap();
    assert_eq!(begun.role, Role::Operator);
    assert_eq!(
        texts(&auth),
        [["ops gave a wrong password"; 4].as_slice(), &["ops has logged in"]].concat()
    );
    let events = auth.events.since(0);
    let actor = events[0].what.actor.as_ref().unwrap();
    assert_eq!((&*actor.name, actor.by, &*actor.from), ("ops", "password", "10.0.0.1"));
    let users = auth.users(None);
    assert!(users.users[0].locked_until.is_some() && users.users[0].last_login.is_some());
    assert_eq!(users.logins.len(), 1);
}

#[tokio::test]
async fn a_name_that_nobody_has_is_not_told_for_it_may_be_a_password() {
    let hash = hash("s3cret");
    let auth = auth(&[("ops", &hash, model::Role::Viewer)], &[]);
    assert!(matches!(auth.login("s3cret", "ops", HERE).await, Err(Denied::Wrong)));
    assert!(!format!("{:?}", auth.events.since(0)).contains("s3cret"));
}

#[tokio::test]
async fn a_reload_ends_logins_of_users_who_are_gone_or_somebody_else() {
    let (old, new) = (hash("old"), hash("new"));
    use model::Role::{Admin, Viewer};
    let users = [
        ("same", &old, Viewer),
        ("gone", &old, Viewer),
        ("role", &old, Admin),
        ("hash", &old, Viewer),
    ];
    let auth = auth(&users, &[("ci", "agw_1", Viewer), ("cd", "agw_2", Admin)]);
    let mut tokens = Vec::new();
    for (name, ..) in users {
        tokens.push(auth.login(name, "old", HERE).await.unwrap().token);
    }
    let logins: Vec<_> = tokens.iter().map(|token| auth.of_login(token).unwrap()).collect();
    let programs = ["agw_1", "agw_2"].map(|token| auth.of_token(token).unwrap());
    let users = [("same", &old, Viewer), ("role", &old, Viewer), ("hash", &new, Viewer)];
    let section = section(&users, &[("ci", "agw_1", Viewer), ("cd", "agw_2", Viewer)]);
    auth.replace(Accounts::of(&section));
    let work: Vec<_> = tokens.iter().map(|token| auth.of_login(token).is_some()).collect();
    assert_eq!(work, [true, false, false, false]);
    let ended: Vec<_> = logins.iter().map(|login| login.ended.is_cancelled()).collect();
    assert_eq!(ended, [false, true, true, true]);
    assert_eq!(programs.map(|program| program.ended.is_cancelled()), [false, true]);
    // Neither does a password that was good a moment ago open anything now.
    assert!(matches!(auth.verify("hash", "old", HERE, "basic").await, Err(Denied::Wrong)));
    assert!(auth.of_token("agw_2").is_some_and(|token| token.role == Role::Viewer));
    assert!(auth.of_token("agw_3").is_none());
}

#[tokio::test]
async fn a_good_password_needs_no_second_look_for_a_while() {
    let hash = hash("s3cret");
    let auth = auth(&[("ops", &hash, model::Role::Viewer)], &[]);
    assert!(auth.verify("ops", "s3cret", HERE, "basic").await.is_ok());
    let _turns = (auth.passwords.turn().await.unwrap(), auth.passwords.turn().await.unwrap());
    assert!(auth.verify("ops", "s3cret", HERE, "basic").await.is_ok(), "nobody has a turn to look");
}

#[tokio::test]
async fn whoever_has_to_wait_learns_nothing_of_a_password_that_was_good_a_moment_ago() {
    let hash = hash("s3cret");
    let auth = auth(&[("ops", &hash, model::Role::Viewer)], &[]);
    for from in [THERE, HERE] {
        assert!(auth.verify("ops", "s3cret", HERE, "basic").await.is_ok());
        for _ in 0..4 {
            let denied = auth.verify("ops", "wrong", from, "basic").await;
            assert!(matches!(denied, Err(Denied::Wrong)));
        }
        for password in ["s3cret", "wrong"] {
            let denied = auth.verify("ops", password, from, "basic").await;
            assert!(matches!(denied, Err(Denied::Wait(_))), "{password} from {from}");
        }
    }
}

#[tokio::test]
async fn a_user_who_goes_while_the_password_is_looked_at_does_not_come_in() {
    let hash = hash("s3cret");
    let auth = auth(&[("ops", &hash, model::Role::Viewer)], &[]);
    let turns = (auth.passwords.turn().await.unwrap(), auth.passwords.turn().await.unwrap());
    let reload = async {
        auth.replace(Accounts::of(&section(&[("ops", &hash, model::Role::Admin)], &[])));
        drop(turns);
    };
    let (denied, ()) = tokio::join!(auth.verify("ops", "s3cret", HERE, "basic"), reload);
    assert!(matches!(denied, Err(Denied::Wrong)));
    assert!(auth.verify("ops", "s3cret", HERE, "basic").await.is_ok(), "with the new role");
}

#[test]
fn a_csrf_token_belongs_to_its_login_and_its_process() {
    let (one, other) = (auth(&[], &[]), auth(&[], &[]));
    assert_eq!(one.csrf_token("a"), one.csrf_token("a"));
    assert_ne!(one.csrf_token("a"), one.csrf_token("b"));
    assert_ne!(one.csrf_token("a"), other.csrf_token("a"));
}
