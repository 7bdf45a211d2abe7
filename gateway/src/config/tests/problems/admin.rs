//! Who may log in at the admin address.

use super::{SMALLEST, only, problems, says, with};

const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l$mK2NkBvKCOFkQgCL83ZBuwLZtnWWQdKwXb6hH4qKbnM";

fn section(bind: &str, more: &str) -> String {
    format!("{SMALLEST}[admin]\nbind = '{bind}'\n{more}\n")
}

fn user(name: &str, hash: &str, role: &str) -> String {
    format!("[[admin.user]]\nname = '{name}'\npassword_hash = '{hash}'\nrole = '{role}'\n")
}

fn token(name: &str, hash: &str) -> String {
    format!("[[admin.token]]\nname = '{name}'\nhash = 'sha256:{hash}'\nrole = 'viewer'\n")
}

#[test]
fn an_address_that_others_reach_needs_somebody_who_logs_in() {
    for bind in ["0.0.0.0:15680", "10.0.0.1:15680", "[::]:15680", "[::ffff:10.0.0.1]:15680"] {
        let found = only(&section(bind, ""));
        says(
            &found,
            "7:8",
            "error admin.bind is an address that other hosts reach",
            "[[admin.user]]",
        );
    }
    for bind in ["127.0.0.1:15680", "127.0.0.2:15680", "[::1]:15680", "[::ffff:127.0.0.1]:15680"] {
        assert_eq!(problems(&section(bind, "")), []);
        assert_eq!(problems(&section(bind, &user("ops", HASH, "admin"))), []);
    }
    let found = only(&section("0.0.0.0:15680", &user("ops", HASH, "admin")));
    says(
        &found,
        "7:8",
        "warning admin.bind is an address that other hosts reach, and has no TLS",
        "add",
    );
    let tls = "tls.certificates = [{ bundle = 'x.pem' }]\n";
    let all = tls.to_owned() + &user("ops", HASH, "admin") + &token("ci", &"0a".repeat(32));
    assert_eq!(problems(&section("0.0.0.0:15680", &all)), []);
    // One that is misspelt is there all the same.
    let found = only(&section("0.0.0.0:15680", &format!("{tls}[[admin.usr]]\nname = 'ops'")));
    says(&found, "9:9", "unknown key \"usr\"", "did you mean \"user\"?");
}

#[test]
fn users_and_tokens_are_checked_one_by_one_and_their_hashes_never_shown() {
    let local = |more: &str| only(&section("127.0.0.1:15680", more));
    says(&local(&user("a:b", HASH, "viewer")), "9:8", "admin.user.name: this name has a colon", "");
    says(
        &local(&user("ops", HASH, "root")),
        "11:8",
        "cannot be \"root\"",
        "\"viewer\" or \"operator\"",
    );
    let found = local(&user("ops", "hunter2", "viewer"));
    says(
        &found,
        "10:17",
        "admin.user.password_hash: this is not the hash",
        "`amqp-gateway hash-password`",
    );
    assert!(!found.contains("hunter2"), "{found}");
    let cheap = HASH.replace("m=19456,t=2", "m=4096,t=1");
    let found = local(&user("ops", &cheap, "viewer"));
    says(
        &found,
        "10:17",
        "warning admin.user.password_hash: m=4096,t=1 makes it cheap",
        "hash-password",
    );
    let dear = HASH.replace("m=19456", "m=2097152");
    says(
        &local(&user("ops", &dear, "viewer")),
        "10:17",
        "costs too much",
        "m=19456,t=2,p=1 is enough",
    );
    let two = user("ops", HASH, "viewer") + &user("ops", HASH, "admin");
    says(&local(&two), "13:8", "admin.user.name: line 9 has this name already", "remove one");
    let found = local("[[admin.token]]\nname = 'ci'\nhash = 'agw_x'\nrole = 'viewer'");
    says(
        &found,
        "10:8",
        "admin.token.hash: this is not the hash of a token",
        "`amqp-gateway new-token NAME`",
    );
    let two = token("ci", &"0a".repeat(32)) + &token("cd", &"0A".repeat(32));
    says(&local(&two), "14:8", "admin.token.hash: line 10 is the same token already", "");
    let two = token("ci", &"0a".repeat(32)) + &token("ci", &"0b".repeat(32));
    says(&local(&two), "13:8", "admin.token.name: line 9 has this name already", "");
    says(&local("[[admin.token]]\nname = 'ci'\nrole = 'viewer'"), "8:1", "has no hash", "add hash");
}

#[test]
fn metrics_that_nobody_could_log_in_for_are_warned_of() {
    let found = with("[admin]\nbind = '127.0.0.1:15680'\nmetrics_auth = true");
    says(&found, "8:16", "warning admin.metrics_auth has no effect", "[[admin.token]]");
}
