//! S-17: connections to an address that moves: busy ones, silent ones, and those that would see it come back.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use integration::vrrp_lab::{self as lab, *};

use crate::vrrp_member::*;

/// Within this time of the loss all connections are closed.
const CLOSED: Duration = Duration::from_millis(100);
const EACH: usize = 20;

struct Stage {
    lab: Lab,
    node: SocketAddr,
}

impl Stage {
    fn new() -> Result<Option<Self>> {
        let Some(lab) = or_skip("S-17", || Lab::with_broker(3)) else { return Ok(None) };
        let node = SocketAddr::from((lab::address(BROKER)?, 7000));
        let listener = lab.inside(BROKER, || TcpListener::bind(node))??;
        // It ends with the program: nobody connects to it when the lab is gone.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                std::thread::spawn(move || echo(client));
            }
        });
        Ok(Some(Self { lab, node }))
    }

    fn start(&self, gateway: &str, priority: u8) -> Result<Gateway> {
        let listener = "protocol = \"tcp\"\nnode_port = 7000\n";
        let config = with_listener(&Settings::new(priority), listener, &self.node.to_string());
        Gateway::start(&self.lab, gateway, &config)
    }

    /// A connection to the shared address, whose first word has been answered.
    fn client(&self, busy: bool) -> Result<Client> {
        let mut stream =
            self.lab.inside(CLIENT, || TcpStream::connect_timeout(&(VIP, 5672).into(), LONG))??;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LONG))?;
        stream.write_all(b"hello")?;
        stream.read_exact(&mut [0; 5])?;
        stream.set_read_timeout(None)?;
        Client::new(stream, busy)
    }

    /// Half of them busy, half of them silent.
    fn clients(&self) -> Result<Vec<Client>> {
        (0..2 * EACH).map(|number| self.client(number % 2 == 0)).collect()
    }

    /// Open connections of the shared address that a gateway's kernel has.
    fn open(&self, gateway: &str) -> Result<usize> {
        let text =
            self.lab.inside(gateway, || std::fs::read_to_string("/proc/thread-self/net/tcp"))??;
        // 10.77.0.100:5672, and ESTABLISHED.
        let is_open = |line: &&str| line.contains(": 64004D0A:1628 ") && line.contains(" 01 ");
        Ok(text.lines().filter(is_open).count())
    }

    /// Waits until all clients have seen the end and the gateway's kernel has none of them.
    fn all_closed(&self, gateway: &str, clients: &[Client], log: &Gateway) -> Result<Duration> {
        let all = || clients.iter().all(|client| client.ended().is_some());
        let gone = || self.open(gateway).is_ok_and(|open| open == 0);
        let from = Instant::now();
        anyhow::ensure!(
            lab::wait(LONG, || all() && gone()),
            "{} of {} ended, {} open:\n{}",
            clients.iter().filter(|client| client.ended().is_some()).count(),
            clients.len(),
            self.open(gateway)?,
            log.log()
        );
        Ok(from.elapsed())
    }
}

fn echo(mut client: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        if client.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
}

/// How a connection ended: when, and with RST or with FIN.
type End = Option<(Instant, Option<ErrorKind>)>;

struct Client {
    stream: TcpStream,
    end: Arc<Mutex<End>>,
    threads: Vec<JoinHandle<()>>,
}

impl Client {
    fn new(stream: TcpStream, busy: bool) -> Result<Self> {
        let end = Arc::new(Mutex::new(None));
        let (mut reader, noted) = (stream.try_clone()?, end.clone());
        let mut threads = vec![std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            let how = loop {
                match reader.read(&mut buffer) {
                    Ok(0) => break None,
                    Ok(_) => {}
                    Err(error) => break Some(error.kind()),
                }
            };
            *noted.lock().unwrap() = Some((Instant::now(), how));
        })];
        if busy {
            let (mut writer, seen) = (stream.try_clone()?, end.clone());
            threads.push(std::thread::spawn(move || {
                while seen.lock().unwrap().is_none() && writer.write_all(&[7; 100]).is_ok() {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }));
        }
        Ok(Self { stream, end, threads })
    }

    fn ended(&self) -> End {
        *self.end.lock().unwrap()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// The last end of all, since the loss.
fn last(clients: &[Client], loss: Instant) -> Duration {
    let ends = clients.iter().filter_map(|client| Some(client.ended()?.0));
    ends.map(|end| end.saturating_duration_since(loss)).max().unwrap_or_default()
}

fn resets(clients: &[Client]) -> usize {
    clients.iter().filter(|client| client.ended().is_some_and(|(_, how)| how.is_some())).count()
}

#[test]
fn s17_a_gateway_that_loses_the_address_closes_all_its_connections_at_once() -> Result<()> {
    let Some(stage) = Stage::new()? else { return Ok(()) };
    let second = stage.start("gw2", 90)?;
    stage.lab.wait_for_holder("gw2", VIP, LONG)?;
    let mut times = Vec::new();
    for _ in 0..runs(3) {
        let clients = stage.clients()?;
        assert_eq!(stage.open("gw2")?, clients.len());
        let event = Instant::now();
        let mut first = stage.start("gw1", 100)?;
        stage.lab.wait_for_holder("gw1", VIP, LONG)?;
        let loss = change(&stage.lab, "gw1", VIP, true, event).unwrap();
        stage.all_closed("gw2", &clients, &second)?;
        times.push(last(&clients, loss));
        figure(
            "S-17",
            &format!("preempted: {} of {} saw RST, the rest FIN", resets(&clients), clients.len()),
        );
        // Whoever connects again is served by the new one.
        stage.client(false)?;
        first.terminate()?;
        stage.lab.wait_for_holder("gw2", VIP, LONG)?;
        assert!(lab::wait(LONG, || first.process().exit_status().is_ok_and(|s| s.is_some())));
    }
    judge("S-17", "preempted: the client's last connection is closed", times, CLOSED);
    Ok(())
}

#[test]
fn s17_a_forged_higher_priority_closes_connections_and_leaves_none_that_hangs() -> Result<()> {
    let Some(stage) = Stage::new()? else { return Ok(()) };
    let gateway = stage.start("gw1", 100)?;
    stage.lab.wait_for_holder("gw1", VIP, LONG)?;
    let stranger = RawSender::new(&stage.lab, "gw3")?;
    let mut times = Vec::new();
    for _ in 0..runs(3) {
        let clients = stage.clients()?;
        let mut message = [0x31, 51, 200, 1, 0, 10, 0, 0, 10, 77, 0, 100];
        let from = lab::address("gw3")?.octets();
        let sum = checksum(&[&from, &[224, 0, 0, 18, 0, 112, 0, 12], &message]);
        message[6..8].copy_from_slice(&sum.to_be_bytes());
        let event = Instant::now();
        stranger.advertise(&message)?;
        stage.all_closed("gw1", &clients, &gateway)?;
        times.push(last(&clients, event));
        stage.lab.wait_for_holder("gw1", VIP, LONG)?;
    }
    judge("S-17", "stood down: the client's last connection is closed", times, CLOSED);
    Ok(())
}

#[test]
fn s17_a_client_that_was_silent_while_the_address_moved_away_and_back_learns_it_when_it_speaks()
-> Result<()> {
    let Some(stage) = Stage::new()? else { return Ok(()) };
    let first = stage.start("gw1", 100)?;
    let _second = stage.start("gw2", 90)?;
    stage.lab.wait_for_holder("gw1", VIP, LONG)?;
    let (mut closed, mut told) = (Vec::new(), Vec::new());
    for _ in 0..runs(2) {
        let mut clients = (0..EACH).map(|_| stage.client(false)).collect::<Result<Vec<_>>>()?;
        let event = Instant::now();
        // Nothing that the gateway says can reach the client.
        stage.lab.cut("gw1")?;
        lab::wait(LONG, || !stage.lab.holds("gw1", VIP));
        let lost = change(&stage.lab, "gw1", VIP, false, event).context("it keeps the address")?;
        let gone = lab::wait(LONG, || stage.open("gw1").is_ok_and(|open| open == 0));
        assert!(gone, "{} open:\n{}", stage.open("gw1")?, first.log());
        closed.push(Instant::now().saturating_duration_since(lost));
        stage.lab.wait_for_holder("gw2", VIP, LONG)?;
        stage.lab.heal("gw1")?;
        stage.lab.wait_for_holder("gw1", VIP, LONG)?;
        let spoke = Instant::now();
        for client in &mut clients {
            // Fails where the end has come already.
            let _ = client.stream.write_all(b"still there?");
        }
        let all = || clients.iter().all(|client| client.ended().is_some());
        assert!(lab::wait(LONG, all), "a client hangs: {}", first.log());
        told.push(last(&clients, spoke));
    }
    judge(
        "S-17",
        "cut: the old gateway's kernel has no connection, seen after the loss",
        closed,
        CLOSED,
    );
    // Its kernel may have to send its word again. AMQP's shortest heartbeat is a second.
    let what = "moved and back: a silent client learns it, after it spoke";
    judge("S-17", what, told, Duration::from_secs(1));
    Ok(())
}

#[test]
fn s17_a_gateway_that_stops_closes_its_connections_once_the_peer_has_the_address() -> Result<()> {
    let Some(stage) = Stage::new()? else { return Ok(()) };
    let _second = stage.start("gw2", 90)?;
    let (mut times, mut early) = (Vec::new(), Vec::new());
    for _ in 0..runs(2) {
        let mut first = stage.start("gw1", 100)?;
        stage.lab.wait_for_holder("gw1", VIP, LONG)?;
        let clients = stage.clients()?;
        let event = Instant::now();
        first.terminate()?;
        stage.lab.wait_for_holder("gw2", VIP, LONG)?;
        let loss = change(&stage.lab, "gw2", VIP, true, event).unwrap();
        stage.all_closed("gw1", &clients, &first)?;
        times.push(last(&clients, loss));
        // The peer advertises first, and takes the address within a millisecond.
        let ends = clients.iter().filter_map(|client| Some(client.ended()?.0));
        early.extend(ends.map(|end| loss.saturating_duration_since(end)).max());
        assert!(lab::wait(LONG, || first.process().exit_status().is_ok_and(|s| s.is_some())));
    }
    judge("S-17", "SIGTERM: the client's last connection is closed", times, CLOSED);
    judge("S-17", "SIGTERM: closed before the peer has the address", early, INTERVAL / 20);
    Ok(())
}
