//! Both ends of TLS over a TCP connection, and one end against rustls with buffers of its own.

use std::time::Duration;

use engine::Engine;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::RootCertStore;
use rustls::client::UnbufferedClientConnection;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::UnbufferedServerConnection;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::*;

struct Pair {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Pair {
    fn new(versions: &[&'static rustls::SupportedProtocolVersion]) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("a pair");
        server.ticketer = aws_lc_rs::Ticketer::new().expect("a ticketer");
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).expect("a root");
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { server: Arc::new(server), client: Arc::new(client) }
    }

    fn of_both_versions() -> [Self; 2] {
        [Self::new(&[&rustls::version::TLS12]), Self::new(&[&rustls::version::TLS13])]
    }

    /// The client's end and the server's.
    async fn connect(&self) -> (Stream, Stream) {
        let (near, far) = tcp().await;
        let (client, server) = tokio::join!(
            Stream::connect(near, self.client.clone(), name()),
            Stream::accept(far, self.server.clone(), Vec::new()),
        );
        (client.expect("a client"), server.expect("a server"))
    }
}

async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let near = TcpStream::connect(listener.local_addr().expect("an address"));
    let (near, far) = tokio::join!(near, listener.accept());
    (near.expect("a connection"), far.expect("a connection").0)
}

fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

/// Bytes that tell where they stand.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

async fn exchange(from: &mut Stream, to: &mut Stream, size: usize) {
    let sent = bytes(size);
    let mut got = vec![0; size];
    let (sending, reading) = tokio::join!(from.send(&sent), to.read_exact(&mut got));
    sending.expect("sent");
    reading.expect("read");
    assert!(sent == got, "{size} bytes came otherwise than they went");
}

#[tokio::test]
async fn what_one_end_sends_the_other_reads_whatever_its_size() {
    for pair in Pair::of_both_versions() {
        let (mut client, mut server) = pair.connect().await;
        for size in [1, 100, 16_384, 16_385, 300_000, 3_000_000] {
            exchange(&mut client, &mut server, size).await;
            exchange(&mut server, &mut client, size).await;
        }
    }
}

#[tokio::test]
async fn a_reader_with_little_room_misses_nothing() {
    let (mut client, mut server) = Pair::new(&[&rustls::version::TLS13]).connect().await;
    let sent = bytes(200_000);
    let reading = async {
        let (mut got, mut room) = (Vec::new(), [0; 77]);
        while got.len() < sent.len() {
            let count = server.read(&mut room).await.expect("read");
            assert!(count > 0, "ended after {}", got.len());
            got.extend_from_slice(&room[..count]);
        }
        got
    };
    let (sending, got) = tokio::join!(client.send(&sent), reading);
    sending.expect("sent");
    assert!(got == sent);
}

#[tokio::test]
async fn a_peer_that_reads_nothing_holds_the_writer_back_and_loses_nothing() {
    let (mut client, mut server) = Pair::new(&[&rustls::version::TLS13]).connect().await;
    let block = bytes(1 << 20);
    let mut taken = 0;
    // Until neither the system nor the stream takes any more.
    let full = std::future::poll_fn(|cx| {
        loop {
            match Pin::new(&mut client).poll_write(cx, &block[taken % block.len()..]) {
                Poll::Ready(count) => taken += count.expect("written"),
                Poll::Pending => return Poll::Ready(()),
            }
            assert!(taken < 64 << 20, "nothing holds the writer back");
        }
    });
    tokio::time::timeout(Duration::from_secs(30), full).await.expect("held back");
    assert!(client.has_unsent());
    let mut got = vec![0; taken];
    let (flushed, read) = tokio::join!(client.flush(), server.read_exact(&mut got));
    flushed.expect("flushed");
    read.expect("read");
    assert!(!client.has_unsent());
    assert!(got.chunks(block.len()).all(|part| part == &block[..part.len()]));
}

#[tokio::test]
async fn a_goodbye_ends_the_other_direction_alone() {
    for pair in Pair::of_both_versions() {
        let (mut client, mut server) = pair.connect().await;
        client.send(b"last words").await.expect("sent");
        client.shutdown().await.expect("shut");
        let mut got = Vec::new();
        server.read_to_end(&mut got).await.expect("read");
        assert_eq!(got, b"last words");
        server.send(b"an answer").await.expect("sent");
        server.shutdown().await.expect("shut");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.expect("read");
        assert_eq!(answer, b"an answer");
    }
}

#[tokio::test]
async fn what_comes_right_behind_the_handshake_is_not_lost_on_the_way_to_another_thread() {
    for pair in Pair::of_both_versions() {
        let (near, far) = tcp().await;
        let connecting = async {
            let mut client = Stream::connect(near, pair.client.clone(), name()).await?;
            client.send(b"AMQP\0\0\x09\x01").await?;
            Ok::<_, HandshakeError>(client)
        };
        let accepting = Stream::accept(far, pair.server.clone(), Vec::new());
        let (client, server) = tokio::join!(connecting, accepting);
        let _client = client.expect("a client");
        let mut server =
            server.expect("a server").detach().and_then(Detached::attach).expect("moved");
        let mut got = [0; 8];
        server.read_exact(&mut got).await.expect("read");
        assert_eq!(&got, b"AMQP\0\0\x09\x01");
    }
}

#[tokio::test]
async fn a_second_connection_resumes_the_first() {
    for pair in Pair::of_both_versions() {
        let (mut client, mut server) = pair.connect().await;
        assert!(server.tls().is_some_and(|tls| !tls.resumed));
        // TLS 1.3 hands out its tickets behind the handshake: they are read with the first data.
        exchange(&mut server, &mut client, 10).await;
        let (_client, server) = pair.connect().await;
        assert!(server.tls().is_some_and(|tls| tls.resumed), "{:?}", server.tls());
    }
}

#[tokio::test]
async fn rustls_with_buffers_understands_what_is_said_and_changes_of_keys_are_followed() {
    let pair = Pair::new(&[&rustls::version::TLS13]);
    let (near, far) = tcp().await;
    let connector = tokio_rustls::TlsConnector::from(pair.client.clone());
    let (client, server) = tokio::join!(
        connector.connect(name(), near),
        Stream::accept(far, pair.server.clone(), Vec::new())
    );
    let (mut client, mut server) = (client.expect("a client"), server.expect("a server"));
    for round in 0..3 {
        client.get_mut().1.refresh_traffic_keys().expect("a change of keys");
        let text = bytes(20_000 + round);
        let mut got = vec![0; text.len()];
        let writing = async {
            client.write_all(&text).await?;
            client.flush().await
        };
        let (written, read) = tokio::join!(writing, server.read_exact(&mut got));
        written.expect("written");
        read.expect("read");
        assert!(got == text);
        let mut answer = vec![0; text.len()];
        let (sent, read) = tokio::join!(server.send(&text), client.read_exact(&mut answer));
        sent.expect("sent");
        read.expect("read");
        assert!(answer == text);
    }
}

#[tokio::test]
async fn bytes_that_are_no_records_end_the_connection_with_an_alert() {
    let (client, mut server) = Pair::new(&[&rustls::version::TLS13]).connect().await;
    let Stream::Tls(client) = client else { panic!("TLS") };
    let mut tcp = client.tcp;
    tcp.write_all(&[0x17, 3, 3, 0, 32]).await.expect("sent");
    tcp.write_all(&[7; 32]).await.expect("sent");
    let error = server.read(&mut [0; 16]).await.expect_err("no data");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    // Whoever uses it all the same is told no.
    server.send(b"more").await.expect_err("nothing can be said any more");
    server.shutdown().await.expect("ended");
    drop(server);
    // The tickets of the handshake, then an alert: a record of its own.
    let mut said = Vec::new();
    tcp.read_to_end(&mut said).await.expect("read");
    assert!(said.len() > 5);
}

#[tokio::test]
async fn a_client_that_is_refused_reads_why_even_if_it_has_said_more_than_was_read() {
    let pair = Pair::new(&[&rustls::version::TLS13]);
    let (mut near, far) = tcp().await;
    let client = async {
        // A record that is no ClientHello, and far more behind it.
        near.write_all(&[0x16, 3, 1, 0, 4, 20, 0, 0, 0]).await.expect("sent");
        near.write_all(&[7; 40_000]).await.expect("sent");
        let mut said = Vec::new();
        near.read_to_end(&mut said).await.expect("no reset");
        drop(near);
        said
    };
    let accept = Stream::accept(far, pair.server.clone(), Vec::new());
    let (said, server) = tokio::join!(client, accept);
    server.expect_err("no TLS");
    assert_eq!(said, [0x15, 3, 3, 0, 2, 2, 10], "the alert unexpected_message");
}

#[tokio::test]
async fn tickets_of_tls_1_3_go_with_the_first_words() {
    let pair = Pair::new(&[&rustls::version::TLS13]);
    let (mut client, mut server) = pair.connect().await;
    assert!(server.has_unsent());
    let Stream::Tls(socket) = &mut client else { panic!("TLS") };
    let nothing = socket.tcp.try_read(&mut [0; 16]).expect_err("nothing comes before");
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    exchange(&mut server, &mut client, 10).await;
    assert!(!server.has_unsent());
}

/// What a stranger may say in place of a TLS handshake: chance in records, a ClientHello with a bit changed, cut off, and
/// taken apart.
fn nonsense(hello: &[u8], chance: &mut fastrand::Rng) -> Vec<u8> {
    let mut said = hello.to_vec();
    match chance.u8(..4) {
        0 => {
            said = vec![22, 3, chance.u8(..5), 0, 0];
            let count = chance.usize(..300);
            said.extend(std::iter::repeat_with(|| chance.u8(..)).take(count));
            let length = (said.len() - 5) as u16;
            said[3..5].copy_from_slice(&length.to_be_bytes());
            // Often a type of message that there is, and a length that may be true.
            if said.len() > 9 && chance.bool() {
                said[5] = [1, 2, 11, 20, 24][chance.usize(..5)];
                said[6..8].copy_from_slice(&[0, 0]);
            }
        }
        1 => {
            let bit = chance.usize(..said.len() * 8);
            said[bit / 8] ^= 1 << (bit % 8);
        }
        2 => said.truncate(chance.usize(..said.len())),
        _ => {
            let message = said.split_off(5);
            said.clear();
            for part in message.chunks(chance.usize(1..60)) {
                said.extend([22, 3, 1, 0, part.len() as u8]);
                said.extend(part);
            }
        }
    }
    if chance.bool() {
        let more = chance.usize(..said.len() + 1);
        said.extend_from_within(..more);
    }
    said
}

#[test]
fn no_nonsense_in_place_of_a_handshake_panics() {
    for pair in Pair::of_both_versions() {
        let client = UnbufferedClientConnection::new(pair.client.clone(), name()).expect("client");
        let (mut hello, mut client) = (Vec::new(), Engine::Client(Box::new(client)));
        client.look(&mut [], &mut hello, |_| {}).expect("a ClientHello");
        for seed in 0..5_000 {
            let said = nonsense(&hello, &mut fastrand::Rng::with_seed(seed));
            let server = UnbufferedServerConnection::new(pair.server.clone()).expect("a server");
            let (mut server, mut outgoing) = (Engine::Server(Box::new(server)), Vec::new());
            let mut held = Vec::new();
            for part in said.chunks(1 + seed as usize % 400) {
                held.extend_from_slice(part);
                match server.look(&mut held, &mut outgoing, |_| {}) {
                    Ok(looked) => drop(held.drain(..looked.used)),
                    Err(_) => held.clear(),
                }
            }
            server.goodbye(&mut held, &mut outgoing);
        }
    }
}
