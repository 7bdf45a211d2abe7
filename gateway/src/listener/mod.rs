//! Listeners: bound addresses where clients arrive.

pub mod accept;
pub mod entrance;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use socket2::{Domain, Protocol, Socket, Type};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::model::ListenerName;
use crate::gate::Gate;
use crate::socket::{free_bind, keep_alive};
use accept::Accepting;
use entrance::Entrance;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 4096;

/// Binds an address `count` times, once for each worker: the kernel spreads the clients over the sockets, and a
/// session begins on the thread that accepts it. With `elsewhere` it need not be on this machine now.
///
/// # Errors
/// If the address is taken, not ours, or privileged.
pub fn bind(address: SocketAddr, count: usize, elsewhere: bool) -> io::Result<Vec<TcpListener>> {
    // Sockets that share a port would share it with another process of ours, too, and silently. One that does not share
    // finds out whether somebody is there.
    let alone = socket(address, elsewhere)?;
    alone.bind(&address.into())?;
    let address = alone.local_addr()?.as_socket().unwrap_or(address);
    drop(alone);
    (0..count).map(|_| listen(address, elsewhere)).collect()
}

fn listen(address: SocketAddr, elsewhere: bool) -> io::Result<TcpListener> {
    let socket = socket(address, elsewhere)?;
    socket.set_reuse_port(true)?;
    // Accepted sockets inherit these, so that no call is spent on each: no delay (two small writes of a handshake cost
    // 44 ms with Nagle's algorithm) and keepalive for clients without heartbeats.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keep_alive())?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr, elsewhere: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if elsewhere {
        free_bind(&socket, address)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// What the accept loops of a listener have in common.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Its name.
    pub name: ListenerName,
    /// Its own limit.
    pub gate: Arc<Gate>,
    /// Whether its loops accept clients.
    pub accepting: Arc<Accepting>,
    /// What its clients pass before AMQP. A reload replaces it; for the next client it counts.
    pub entrance: Arc<ArcSwap<Entrance>>,
    /// It is gone, or the gateway stops: accept no more. Cut those who are still on their way in.
    pub stop: CancellationToken,
}

/// An address that is listened on.
#[derive(Debug)]
pub struct Place {
    /// As configured.
    pub configured: SocketAddr,
    /// One socket for each worker.
    pub sockets: Vec<TcpListener>,
    /// Accept no more here.
    pub stop: CancellationToken,
    /// The sockets go on in other loops.
    pub handed_over: Arc<AtomicBool>,
    /// Those that accept here.
    pub loops: TaskTracker,
}

impl Place {
    /// What is bound at `configured`, for a listener that ends with `stop`.
    #[must_use]
    pub fn new(
        configured: SocketAddr,
        sockets: Vec<TcpListener>,
        stop: &CancellationToken,
    ) -> Self {
        let (stop, loops) = (stop.child_token(), TaskTracker::new());
        Self { configured, sockets, stop, handed_over: Arc::default(), loops }
    }

    /// Where it really is: for port 0 the system has chosen one.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let bound = self.sockets.first().and_then(|socket| socket.local_addr().ok());
        bound.unwrap_or(self.configured)
    }

    /// The same place, with its sockets once more, for loops to accept on.
    ///
    /// # Errors
    /// If there are too many files open.
    pub fn share(&self) -> io::Result<Self> {
        let Self { configured, stop, handed_over, loops, .. } = self;
        Ok(Self {
            configured: *configured,
            sockets: self.same_sockets()?,
            stop: stop.clone(),
            handed_over: handed_over.clone(),
            loops: loops.clone(),
        })
    }

    /// The same sockets for other loops, at least `count`, of a listener that ends with `stop`. Those that accept on them
    /// now go on until [`Place::hand_over`]. With `elsewhere` as [`bind`].
    ///
    /// # Errors
    /// If there are too many files open, or those that are missing cannot be bound.
    pub fn again(
        &self,
        count: usize,
        elsewhere: bool,
        stop: &CancellationToken,
    ) -> io::Result<Self> {
        let mut sockets = self.same_sockets()?;
        for _ in sockets.len()..count {
            sockets.push(listen(self.address(), elsewhere)?);
        }
        Ok(Self::new(self.configured, sockets, stop))
    }

    fn same_sockets(&self) -> io::Result<Vec<TcpListener>> {
        self.sockets.iter().map(TcpListener::try_clone).collect()
    }

    /// Ends its loops, which serve those who wait in its queue. Nobody else can connect then.
    #[must_use]
    pub fn end(self) -> TaskTracker {
        // First: the socket is gone when the last one who has it lets go.
        drop(self.sockets);
        self.stop.cancel();
        self.loops.close();
        self.loops
    }

    /// Ends its loops, but not its sockets: others accept on them.
    #[must_use]
    pub fn hand_over(self) -> TaskTracker {
        self.handed_over.store(true, Ordering::Release);
        self.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_another_gateway_listens_on_is_not_shared_with_it() {
        let first = bind(([127, 0, 0, 1], 0).into(), 2, false).expect("a free port");
        let address = first[0].local_addr().expect("an address");
        assert_eq!(first[1].local_addr().expect("an address"), address);
        let second = bind(address, 2, false).expect_err("taken");
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn loops_that_take_more_sockets_than_those_before_get_one_each_at_the_same_address() {
        let (stop, any) = (CancellationToken::new(), ([127, 0, 0, 1], 0).into());
        let one = Place::new(any, bind(any, 1, false).expect("a free port"), &stop);
        for (count, sockets) in [(3, 3), (1, 1)] {
            let again = one.again(count, false, &stop).expect("sockets");
            assert_eq!(again.sockets.len(), sockets);
            for socket in &again.sockets {
                assert_eq!(socket.local_addr().expect("an address"), one.address());
            }
        }
    }

    #[test]
    fn an_address_that_is_elsewhere_is_bound_only_if_that_is_wanted() {
        // For documentation (RFC 5737 and 3849): on no machine.
        for address in ["192.0.2.1:0", "[2001:db8::1]:0"] {
            let address = address.parse().expect("an address");
            let error = bind(address, 1, false).expect_err("it is not here");
            assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
            assert!(bind(address, 2, true).is_ok(), "{address}");
        }
    }
}
