//! What the board hears reaches a command, a web server and a mail server.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::UNIX_EPOCH;

use super::*;
use crate::cluster::Cluster;
use crate::config::model::{EmailTls, samples as model};
use crate::vrrp::samples::{router, transition};
use crate::vrrp::talk::{Alarm, State, Word};

const PATIENCE: Duration = Duration::from_secs(60);

fn word(router: usize, to: State) -> Word {
    let Transition { from, to, priority, reason, .. } = transition(to);
    Word::Transition { router, from, to, priority, reason }
}

fn health() -> (broadcast::Sender<HealthEvent>, broadcast::Receiver<HealthEvent>) {
    broadcast::channel(8)
}

fn board(routers: &[VirtualRouter]) -> Arc<Board> {
    Arc::new(Board::new(routers))
}

/// No mail.
fn nobody() -> watch::Receiver<Option<Email>> {
    watch::Sender::new(None).subscribe()
}

/// Waits for a file to have so many lines; its lines.
async fn lines(file: &std::path::Path, count: usize) -> Vec<String> {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if text.lines().count() >= count && text.ends_with('\n') {
            return text.lines().map(str::to_owned).collect();
        }
        assert!(std::time::Instant::now() < deadline, "{text}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_command_of_each_router_hears_its_transitions_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("told");
    let text = format!("echo \"$@\" >> {}", file.display());
    let command = ["/bin/sh", "-c", &text, "notify"].map(str::to_owned).to_vec();
    let mut told = router("told");
    told.notify.command = Some(command);
    let board = board(&[router("silent"), told]);
    let (stop, (_events, health)) = (CancellationToken::new(), health());
    let running = tokio::spawn(run("gw1".into(), &board, nobody(), health, stop.clone()));
    board.hear(&word(0, State::Active), UNIX_EPOCH);
    for state in [State::Backup, State::Active, State::Fault, State::Initialize] {
        board.hear(&word(1, state), UNIX_EPOCH);
    }
    let expected = ["BACKUP", "MASTER", "FAULT", "STOP"];
    let expected = expected.map(|state| format!("INSTANCE told {state} 150"));
    assert_eq!(lines(&file, 4).await, expected);
    stop.cancel();
    timeout(PATIENCE, running).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn what_was_said_before_the_end_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("told");
    let text = format!("echo $3 >> {}", file.display());
    let mut told = router("told");
    told.notify.command = Some(["/bin/sh", "-c", &text, "notify"].map(str::to_owned).to_vec());
    let board = board(&[told]);
    let (stop, (_events, health)) = (CancellationToken::new(), health());
    let running = run("gw1".into(), &board, nobody(), health, stop.clone());
    board.hear(&word(0, State::Initialize), UNIX_EPOCH);
    stop.cancel();
    timeout(PATIENCE, running).await.expect("it ends");
    assert_eq!(fs::read_to_string(&file).unwrap(), "STOP\n");
}

#[tokio::test]
async fn who_is_told_follows_the_configuration_and_who_leaves_it_is_told_to_the_last() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("told");
    let told = |name: &str| {
        let mut told = router(name);
        let text = format!("echo \"$@\" >> {}", file.display());
        told.notify.command = Some(["/bin/sh", "-c", &text, "notify"].map(str::to_owned).to_vec());
        told
    };
    let board = board(&[router("silent")]);
    let (stop, (_events, health)) = (CancellationToken::new(), health());
    let running = tokio::spawn(run("gw1".into(), &board, nobody(), health, stop.clone()));
    board.hear(&word(0, State::Active), UNIX_EPOCH);
    board.change([(0, Arc::new(router("silent"))), (1, Arc::new(told("loud")))]);
    board.hear(&word(1, State::Active), UNIX_EPOCH);
    board.change([(0, Arc::new(told("silent")))]);
    board.hear(&word(1, State::Initialize), UNIX_EPOCH);
    board.hear(&Word::Gone { router: 1 }, UNIX_EPOCH);
    board.hear(&word(0, State::Backup), UNIX_EPOCH);
    let mut heard = lines(&file, 3).await;
    heard.sort_unstable();
    let expected = ["loud MASTER", "loud STOP", "silent BACKUP"];
    assert_eq!(heard, expected.map(|state| format!("INSTANCE {state} 150")));
    stop.cancel();
    timeout(PATIENCE, running).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn a_full_queue_drops_what_comes_and_never_waits() {
    let (mut queue, mut waiting) = Queue::new("vrrp.a.notify.command".to_owned());
    (0..QUEUE + 7).for_each(|number| queue.push(number));
    assert_eq!(queue.dropped, 7);
    assert_eq!(waiting.recv().await, Some(0));
    queue.push(0);
    assert_eq!(queue.dropped, 0);
}

/// What a mail server that knows only the smallest protocol is told until the client quits.
fn smtp_server() -> (u16, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"220 here\r\n").unwrap();
        let (mut told, mut buffer, mut answered) = (String::new(), [0; 4096], 0);
        let mut in_mail = false;
        loop {
            let length = stream.read(&mut buffer).unwrap_or(0);
            told.push_str(&String::from_utf8_lossy(&buffer[..length]));
            if length == 0 {
                return told;
            }
            while let Some(end) = told[answered..].find("\r\n").map(|end| answered + end + 2) {
                let line = told[answered..end].trim_end().to_owned();
                answered = end;
                let answer = match line.get(..4).unwrap_or(&line) {
                    "." => "250 taken\r\n",
                    _ if in_mail => continue,
                    "DATA" => "354 go on\r\n",
                    "QUIT" => return told,
                    _ => "250 fine\r\n",
                };
                in_mail = line == "DATA";
                stream.write_all(answer.as_bytes()).unwrap();
            }
        }
    };
    (port, std::thread::spawn(serve))
}

#[tokio::test]
async fn a_mail_has_transitions_alarms_and_nodes_but_no_node_that_was_never_down() {
    let (port, server) = smtp_server();
    let email = Email {
        smtp: ("127.0.0.1".into(), port),
        from: "gateway@company.com".into(),
        to: vec!["admin@company.com".into()],
        tls: EmailTls::Off,
        login: None,
    };
    let nodes = vec![model::node("r1", 5672), model::node("r2", 5673)];
    let cluster = Cluster::new(&model::cluster("main", nodes));
    let board = board(&[router("amqp")]);
    let (stop, (events, health)) = (CancellationToken::new(), health());
    let running = run(
        "gw1".into(),
        &board,
        watch::Sender::new(Some(email)).subscribe(),
        health,
        stop.clone(),
    );
    board.hear(&word(0, State::Active), UNIX_EPOCH);
    let text = Some("use the same password".to_owned());
    board.hear(&Word::Alarm { router: 0, alarm: Alarm::OtherPassword, text }, UNIX_EPOCH);
    let nodes = cluster.nodes();
    let say = |node: usize, change| {
        assert!(events.send(HealthEvent { node: nodes[node].clone(), change }).is_ok());
    };
    say(0, Change::Up);
    say(1, Change::Down { reason: "tcp: connection refused".into() });
    say(1, Change::Up);
    say(1, Change::Up);
    drop(events);
    let running = tokio::spawn(running);
    let told = tokio::task::spawn_blocking(move || {
        // Gathered for some seconds, and sent without being told to stop.
        server.join().unwrap()
    });
    let told = timeout(PATIENCE, told).await.expect("a mail").unwrap();
    let told = told.replace("=\r\n", "");
    for expected in [
        "MAIL FROM:<gateway@company.com>",
        "RCPT TO:<admin@company.com>",
        "Subject: [gw1] Node main/r2 - UP (and 3 more)",
        "VRRP Instance amqp - Entering MASTER state; from BACKUP, priority 150",
        "VRRP Instance amqp - ALARM other_password; use the same password",
        "Node main/r2 - DOWN; 127.0.0.1:5673: tcp: connection refused",
        "Node main/r2 - UP; 127.0.0.1:5673",
    ] {
        assert!(told.contains(expected), "{expected}\n{told}");
    }
    assert!(!told.contains("main/r1"), "{told}");
    stop.cancel();
    timeout(PATIENCE, running).await.expect("it ends").unwrap();
}
