//! Commands that look at a running gateway, and act on it.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use integration::certificates::Authority;
use integration::command::{self, Done};
use integration::peer::{Peer, ScriptedBroker};
use integration::{target, wait};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::front::{Front, SOON, Setup};

async fn run(front: &Front, arguments: &[&str]) -> Done {
    command::run(&front.gateway, arguments).await.unwrap()
}

/// As a node: told connection.close, it answers and goes.
async fn until_told(mut node: Peer) {
    while node.read_frame().await.unwrap().id() != Some((10, 50)) {}
    node.send_close_ok().await.unwrap();
}

#[tokio::test]
async fn sessions_are_listed_told_in_full_and_closed_with_320_by_their_number() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    let (mut client, node) = front.open(&broker).await;
    let (_other, _other_node) = front.open(&broker).await;
    let listed = async || {
        let list = run(&front, &["sessions", "--vhost", "orders", "--user", "app"]).await;
        list.out.matches(" open ").count() == 2
    };
    wait::until("two sessions in the list", SOON, listed).await.unwrap();
    let none = run(&front, &["sessions", "--vhost", "billing"]).await;
    assert_eq!((none.code, none.out.lines().count()), (Some(0), 1), "{none:?}");
    let all = run(&front, &["sessions", "--all", "--sort", "id", "--descending", "--json"]).await;
    let all: Value = serde_json::from_str(&all.out).unwrap();
    assert_eq!((&all["sessions"][0]["id"], &all["sessions"][1]["id"]), (&2.into(), &1.into()));
    let few = run(&front, &["sessions", "--limit", "1"]).await;
    assert!(few.out.ends_with("1 of 2 sessions; --all lists all of them\n"), "{}", few.out);
    let one = run(&front, &["sessions", "1"]).await;
    let source = client.local_addr().unwrap().to_string();
    assert!(one.out.contains(&source) && one.out.contains("main/n1"), "{}", one.out);
    let status = run(&front, &["status"]).await;
    assert!(status.out.starts_with("gw: ready\n"), "{}", status.out);
    assert!(status.out.contains("sessions      2 of at most"), "{}", status.out);
    let clusters = run(&front, &["clusters", "--json"]).await;
    let clusters: Value = serde_json::from_str(&clusters.out).unwrap();
    assert_eq!(clusters["clusters"][0]["cluster"], "main");

    let closed = run(&front, &["close", "1"]).await;
    assert_eq!((closed.code, &*closed.out), (Some(0), "session 1: told to close, with 320\n"));
    let (code, text) = client.expect_close().await.unwrap();
    assert_eq!(code, 320, "{text}");
    client.send_close_ok().await.unwrap();
    until_told(node).await;
    let end = front.ends(1).await.remove(0);
    assert!(end.ends_with(" 320"), "{end}");
    // Its record comes before it is gone.
    let gone = async || run(&front, &["sessions", "1"]).await.code == Some(1);
    wait::until("the session to be gone", SOON, gone).await.unwrap();
    let again = run(&front, &["close", "1"]).await;
    assert_eq!((again.code, &*again.error), (Some(1), "There is no session 1.\n"));
    let events = run(&front, &["events", "--kind", "operator"]).await;
    assert!(events.out.contains("local"), "the audit has it: {events:?}");
}

#[tokio::test]
async fn operators_commands_print_json_for_programs() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    for (arguments, key, expected) in [
        (&["disable", "main/n1"][..], "admin_state", Value::from("disabled")),
        (&["enable", "main/n1"], "admin_state", "enabled".into()),
        (&["drain", "main/n1"], "sessions", 0.into()),
        (&["rebalance", "main"], "planned", 0.into()),
        (&["status"], "gateway", "gw".into()),
    ] {
        let done = run(&front, &[arguments, &["--json"]].concat()).await;
        assert_eq!(done.code, Some(0), "{arguments:?}: {done:?}");
        let answer: Value = serde_json::from_str(&done.out).unwrap();
        assert_eq!(answer[key], expected, "{arguments:?}: {answer}");
    }
}

#[tokio::test]
async fn top_draws_in_a_terminal_and_puts_it_back_on_q() {
    let broker = ScriptedBroker::bind().await.unwrap();
    let front = Setup::at_accept().start(&[broker.address()]).await;
    let (_client, _node) = front.open(&broker).await;
    let blind = run(&front, &["top"]).await;
    assert_eq!(blind.code, Some(1));
    assert!(blind.error.contains("takes a terminal"), "{}", blind.error);

    let gateway = target::gateway().unwrap();
    let top = format!("stty rows 30 cols 200; exec {} top", gateway.display());
    let mut terminal = Command::new("script");
    terminal.args(["-qefc", &top, "/dev/null"]).kill_on_drop(true);
    terminal.env("AMQP_GATEWAY_ADMIN", front.gateway.admin_url("").unwrap()).env("TERM", "xterm");
    terminal.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut terminal = terminal.spawn().unwrap();
    let (mut keys, mut screen) = (terminal.stdin.take().unwrap(), terminal.stdout.take().unwrap());
    let drawn = Arc::new(Mutex::new(Vec::new()));
    let text = || String::from_utf8_lossy(&drawn.lock().unwrap()).into_owned();
    let kept = drawn.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = screen.read(&mut buffer).await {
            kept.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
    });
    let shows = async |what: &str| {
        let waited = wait::until(what, SOON, async || text().contains(what)).await;
        waited.unwrap_or_else(|error| panic!("{error}:\n{:?}", text()));
    };
    shows(" q leave ").await;
    shows("UNCONF").await;
    shows("main/n1").await;
    keys.write_all(b"\t").await.unwrap();
    shows("HEALTH").await;
    keys.write_all(b"q").await.unwrap();
    let status = tokio::time::timeout(SOON, terminal.wait()).await.expect("it leaves").unwrap();
    assert_eq!(status.code(), Some(0));
    shows("\x1b[?1049l").await;
}

async fn hash_of(password: &str) -> String {
    let mut hash = Command::new(target::gateway().unwrap());
    hash.arg("hash-password").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut hash = hash.spawn().unwrap();
    hash.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).await.unwrap();
    let output = hash.wait_with_output().await.unwrap();
    String::from_utf8(output.stdout).unwrap().lines().last().unwrap().to_owned()
}

#[tokio::test]
async fn commands_log_in_over_tls_and_no_error_tells_the_password() {
    let authority = Authority::new("operators").unwrap();
    let certificate = authority.server(&["localhost"]).unwrap().write("admin").unwrap();
    let (ops, looks) = (hash_of("pass/w@rd").await, hash_of("look").await);
    let broker = ScriptedBroker::bind().await.unwrap();
    let setup = Setup::at_accept().more(&format!(
        "[admin.tls]\ncertificates = [{{ chain = {:?}, key = {:?} }}]\n\
         [[admin.user]]\nname = \"ops\"\npassword_hash = \"{ops}\"\nrole = \"operator\"\n\
         [[admin.user]]\nname = \"looks\"\npassword_hash = \"{looks}\"\nrole = \"viewer\"\n",
        certificate.chain, certificate.key
    ));
    let front = setup.start(&[broker.address()]).await;
    let place = front.gateway.admin_url("").unwrap().replace("http://127.0.0.1", "localhost");
    let ca = authority.file().to_str().unwrap();
    let ask = async |login: &str, arguments: &[&str]| {
        let url = format!("https://{login}{place}");
        command::run_with(&[arguments, &["--ca", ca]].concat(), &[("AMQP_GATEWAY_ADMIN", &url)])
            .await
            .unwrap()
    };
    let done = ask("ops:pass%2Fw%40rd@", &["disable", "main/n1"]).await;
    assert_eq!(
        (done.code, &*done.out),
        (Some(0), "main/n1: disabled, 0 sessions on it\n"),
        "{done:?}"
    );
    let looked = ask("looks:look@", &["nodes"]).await;
    assert!(looked.code == Some(0) && looked.out.contains("disabled"), "{looked:?}");
    let viewer = ask("looks:look@", &["enable", "main/n1"]).await;
    assert_eq!(viewer.code, Some(1));
    assert!(viewer.error.contains("log in with --admin"), "{}", viewer.error);
    let nobody = ask("", &["nodes"]).await;
    assert!(nobody.error.contains("a login is needed: log in with --admin"), "{}", nobody.error);
    let wrong = ask("ops:pass%2Fword@", &["nodes"]).await;
    assert!(wrong.error.contains("the login is not accepted"), "{}", wrong.error);
    let url = format!("https://ops:pass%2Fw%40rd@{place}");
    let untrusted = command::run_with(&["nodes", "--admin", &url], &[]).await.unwrap();
    assert_eq!(untrusted.code, Some(1), "its authority is not the system's");
    assert!(untrusted.error.contains("name its authority with --ca"), "{}", untrusted.error);
    let file = front.gateway.dir().join("gateway.toml");
    let by_file = ["nodes", "--ca", ca, "--config", file.to_str().unwrap()];
    let by_file = command::run_with(&by_file, &[]).await.unwrap();
    assert!(by_file.error.starts_with("https://127.0.0.1:"), "{}", by_file.error);
    for said in [&viewer, &nobody, &wrong, &untrusted, &by_file] {
        for password in ["w@rd", "pass/w", "pass%2F", "look@"] {
            assert!(!said.error.contains(password), "{}", said.error);
        }
    }
}
