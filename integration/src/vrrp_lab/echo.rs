//! The service at the shared address: answers each datagram with its gateway's name.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

use super::Lab;
use super::worker::{Stop, Wait, Worker};

/// The service's port.
pub(super) const PORT: u16 = 7007;

/// The service on one gateway; it ends when dropped, as if it was killed: its port is closed at once.
#[derive(Debug)]
pub struct Echo {
    _worker: Worker,
}

impl Echo {
    /// Starts it on a gateway, whether that holds the address or not.
    ///
    /// # Errors
    /// When the system refuses the socket.
    pub fn start(lab: &Lab, gateway: &str, address: IpAddr) -> Result<Self> {
        let socket = lab.inside(gateway, || bind(address))??;
        let name = gateway.as_bytes().to_vec();
        let worker = Worker::start("echo", move |stop| answer(&socket, &name, &stop))?;
        Ok(Self { _worker: worker })
    }
}

fn bind(address: IpAddr) -> Result<UdpSocket> {
    let socket =
        Socket::new(Domain::for_address((address, PORT).into()), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv4() {
        socket.set_freebind_v4(true)?
    } else {
        socket.set_freebind_v6(true)?
    }
    socket
        .bind(&SocketAddr::from((address, PORT)).into())
        .context("cannot bind the echo service")?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn answer(socket: &UdpSocket, name: &[u8], stop: &Stop) {
    let mut buffer = [0; 64];
    while stop.wait(socket.as_fd(), None) != Wait::Stopped {
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            let answer = [&buffer[..length], name].concat();
            // An answer that finds no way is a lost one.
            let _ = socket.send_to(&answer, client);
        }
    }
}
