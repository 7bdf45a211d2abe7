//! The VRRP process: one thread, one loop over sockets and time.
//!
//! It is started by the gateway, which speaks with it over the Unix socket that is its standard input. When that closes
//! the gateway is dead: the process says priority 0, takes the addresses off, and ends.

mod alarms;
mod doubles;
mod driver;
mod frames;
mod hear;
mod herald;
mod interfaces;
mod macvlan;
mod netlink;
mod pipe;
mod real_time;
mod rights;
mod rivals;
#[cfg(test)]
mod samples;
mod sockets;
mod source;
mod station;
mod voice;

use std::io;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use driver::Driver;
use pipe::Pipe;

use crate::vrrp::talk::{Order, Setup, Word};

/// How long the gateway may take to say what there is to do.
const SETUP_PATIENCE: Duration = Duration::from_secs(10);

/// Runs until the gateway stops it, or is gone.
#[must_use]
pub fn run() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("amqp-gateway: VRRP process: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> io::Result<()> {
    real_time::ignore_signals();
    let socket = UnixStream::from(rustix::io::dup(rustix::stdio::stdin())?);
    if socket.local_addr().is_err() {
        return Err(io::Error::other("it is started by `amqp-gateway run`, not by hand"));
    }
    let mut pipe = Pipe::new(socket)?;
    let Some(setup) = first_word(&mut pipe)? else { return Ok(()) };
    if let Err(error) = rights::take_up() {
        pipe.say(&Word::Broken(format!("capabilities: {error}")));
        return Err(error);
    }
    let warnings = real_time::take();
    let mut driver = match Driver::new(setup, pipe) {
        Ok(driver) => driver,
        Err((mut pipe, error)) => {
            pipe.say(&Word::Broken(error.to_string()));
            return Err(error);
        }
    };
    driver.begin(&warnings);
    driver.run()
}

/// `None` if the gateway is gone before it has said anything.
fn first_word(pipe: &mut Pipe) -> io::Result<Option<Setup>> {
    let until = Instant::now() + SETUP_PATIENCE;
    loop {
        match pipe.receive() {
            Ok(orders) => match orders.into_iter().next() {
                Some(Order::Start(setup)) => return Ok(Some(setup)),
                Some(other) => {
                    return Err(io::Error::other(format!("expected a setup, not {other:?}")));
                }
                None => {}
            },
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Err(io::Error::other("this command is started by the gateway itself"));
            }
            Err(error) => return Err(error),
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::other("the gateway says nothing"));
        }
        wait(&mut [PollFd::new(&*pipe, PollFlags::IN)], Some(left))?;
    }
}

/// Waits until one of the sockets is ready, or the time is over.
fn wait(sockets: &mut [PollFd<'_>], time: Option<Duration>) -> io::Result<()> {
    let time = time.map(|time| rustix::time::Timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    });
    match poll(sockets, time.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
