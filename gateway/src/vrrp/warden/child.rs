//! How a VRRP process is started, killed and buried.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::thread::{CapabilitySet, configure_capability_in_ambient_set};

/// The hidden subcommand.
const SUBCOMMAND: &str = "vrrp-process";

/// Starts VRRP processes. Tests put something else in its place.
pub(super) trait Launcher: Send {
    /// Starts one, and gives the gateway's end of the socket.
    fn launch(&mut self) -> io::Result<(UnixStream, Box<dyn Process>)>;
}

/// A process that was started.
pub(super) trait Process: Send {
    /// Ends it, whatever it does.
    fn kill(&mut self);
    /// How it has ended; `None` while it lives. To be asked until then: a process that ended is not gone before.
    fn ended(&mut self) -> Option<String>;
}

/// Starts this very program. It stays the same one even if its file is replaced meanwhile.
#[derive(Debug)]
pub(super) struct OwnBinary;

impl Launcher for OwnBinary {
    fn launch(&mut self) -> io::Result<(UnixStream, Box<dyn Process>)> {
        let (ours, theirs) = UnixStream::pair()?;
        pass_on_capabilities();
        let mut command = Command::new("/proc/self/exe");
        command.arg0("amqp-gateway").arg(SUBCOMMAND);
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
        let child = command.spawn()?;
        Ok((ours, Box::new(child)))
    }
}

/// Whoever is not root gives its capabilities to a program only if it says so. It is this thread alone that does: the
/// programs that others start get none.
fn pass_on_capabilities() {
    use CapabilitySet as Set;
    for one in [Set::NET_RAW, Set::NET_ADMIN, Set::SYS_NICE, Set::IPC_LOCK] {
        // Fails for those that are not there. What is then missing, the process says itself.
        let _ = configure_capability_in_ambient_set(one, true);
    }
}

impl Process for Child {
    fn kill(&mut self) {
        // Fails where it has ended already.
        let _ = Child::kill(self);
    }

    fn ended(&mut self) -> Option<String> {
        match self.try_wait() {
            Ok(status) => status.map(|status| status.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }
}
