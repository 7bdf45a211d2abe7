//! Both ends of TLS over a TCP connection, and one end against rustls with buffers of its own.

use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
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
    // The tickets of the handshake, then an alert: a record of its own.
    drop(server);
    let mut said = Vec::new();
    tcp.read_to_end(&mut said).await.expect("read");
    assert!(said.len() > 5);
}
