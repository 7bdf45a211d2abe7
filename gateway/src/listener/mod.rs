//! Listeners: bound addresses where clients arrive.

pub mod accept;
pub mod entrance;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};

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

/// A listener, with all its addresses.
#[derive(Debug)]
pub struct Listener {
    /// Its name.
    pub name: ListenerName,
    /// Its own limit.
    pub gate: Arc<Gate>,
    /// Whether its loops accept clients.
    pub accepting: Arc<Accepting>,
    /// What its clients pass before AMQP.
    pub entrance: Arc<Entrance>,
    /// Its sockets: for each address, one for each worker.
    pub sockets: Vec<Vec<TcpListener>>,
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
