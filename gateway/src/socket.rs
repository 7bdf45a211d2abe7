//! What connections of clients and of nodes have in common.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Socket, TcpKeepalive};

/// Probes a silent peer after a minute, every ten seconds, six times.
#[must_use]
pub fn keep_alive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(10))
        .with_retries(6)
}

/// Lets `socket` be bound to `address` even while that is on another machine.
///
/// # Errors
/// The system's.
pub fn free_bind(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(_) => socket.set_freebind_v4(true),
        SocketAddr::V6(_) => socket.set_freebind_v6(true),
    }
}

/// Why this machine cannot connect. It says nothing about whom it would have reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnFault {
    /// A label, from a fixed set.
    pub reason: &'static str,
    /// What would mend it.
    pub cure: &'static str,
}

/// Does an error of connecting lie with this machine rather than with its peer?
#[must_use]
pub fn own_fault(error: &io::Error) -> Option<OwnFault> {
    let (reason, cure) = match Errno::from_io_error(error)? {
        Errno::MFILE | Errno::NFILE => {
            ("fd-limit", "the gateway needs a higher limit of open files (LimitNOFILE)")
        }
        Errno::ADDRNOTAVAIL => (
            "local-ports",
            "this machine has no address and port left towards there: widen net.ipv4.ip_local_port_range, or spread \
             the sessions over more addresses of nodes or more gateways",
        ),
        Errno::NOBUFS | Errno::NOMEM => {
            ("memory", "this machine has no memory left for sockets (net.ipv4.tcp_mem)")
        }
        Errno::ACCESS | Errno::PERM => (
            "forbidden",
            "this machine does not let the gateway: see its firewall and security policy",
        ),
        _ => return None,
    };
    Some(OwnFault { reason, cure })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(errno: Errno) -> Option<&'static str> {
        own_fault(&errno.into()).map(|fault| fault.reason)
    }

    #[test]
    fn what_this_machine_lacks_or_forbids_is_its_own_fault() {
        let table = [
            (Errno::MFILE, "fd-limit"),
            (Errno::NFILE, "fd-limit"),
            (Errno::ADDRNOTAVAIL, "local-ports"),
            (Errno::NOBUFS, "memory"),
            (Errno::NOMEM, "memory"),
            (Errno::ACCESS, "forbidden"),
            (Errno::PERM, "forbidden"),
        ];
        for (errno, expected) in table {
            assert_eq!(reason(errno), Some(expected), "{errno}");
        }
    }

    #[test]
    fn what_the_peer_or_the_way_to_it_does_is_not() {
        let theirs = [
            Errno::CONNREFUSED,
            Errno::CONNRESET,
            Errno::TIMEDOUT,
            Errno::HOSTUNREACH,
            Errno::NETUNREACH,
            Errno::PIPE,
        ];
        assert!(theirs.into_iter().all(|errno| reason(errno).is_none()));
        assert_eq!(own_fault(&io::ErrorKind::TimedOut.into()), None, "no errno");
    }
}
