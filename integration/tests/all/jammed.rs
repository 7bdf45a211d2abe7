//! A node that hangs takes connections until its accept queue is full, and from then on not even that.

use std::net::SocketAddr;
use std::time::Duration;

use integration::peer::ScriptedBroker;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use crate::front::{SOON, Setup, local};

/// Longer than a connection over loopback takes, but for one whose first packet is dropped: that is sent anew after 1 s.
const DROPPED: Duration = Duration::from_millis(800);

/// Nobody accepts here, and the queue is full.
struct Jammed {
    address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Jammed {
    async fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(local(0)).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let (mut queue, mut dropped) = (Vec::new(), 0);
        // One alone may have been late by a pause of the machine.
        while dropped < 2 {
            match timeout(DROPPED, TcpStream::connect(address)).await {
                Ok(connected) => {
                    queue.push(connected.unwrap());
                    dropped = 0;
                }
                Err(_) => dropped += 1,
            }
            assert!(queue.len() < 10, "a queue of one is never full");
        }
        Self { address, _listener: listener, _queue: queue }
    }
}

#[tokio::test]
async fn a_node_whose_accept_queue_is_full_costs_a_client_about_a_second_and_no_error() {
    let jammed = Jammed::new().await;
    let broker = ScriptedBroker::bind().await.unwrap();
    for setup in [Setup::at_accept(), Setup::at_open()] {
        // Whoever waited for as long as a lonely node may take would be dropped in its handshake.
        let setup = setup.cluster("balance = \"first\"\nconnect_timeout = \"1m\"");
        let front = setup.start(&[jammed.address, broker.address()]).await;
        let begin = Instant::now();
        let first = front.open(&broker).await;
        let took = begin.elapsed();
        assert!((Duration::from_millis(900)..Duration::from_secs(9)).contains(&took), "{took:?}");
        let failure = front.gateway.wait_for_log("node does not answer", SOON).await.unwrap();
        assert!(failure.contains(r#""reason":"connect-timeout""#), "{failure}");
        // The node is left out now: the next one does not wait for it. On a busy machine that time may be over at once,
        // but it is twice as long after each further failure.
        let failures = async || {
            let name = "amqp_gateway_node_connect_failures_total";
            front.gateway.metric(name, &["node=\"n1\""]).await.unwrap()
        };
        let mut sessions = vec![first];
        let mut passed_over = false;
        while !passed_over && sessions.len() < 6 {
            let before = failures().await;
            sessions.push(front.open(&broker).await);
            passed_over = failures().await == before;
        }
        assert!(passed_over, "{}", front.gateway.log());
    }
}
