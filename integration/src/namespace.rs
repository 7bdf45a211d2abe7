//! A network of a test's own, in which a client can come from elsewhere.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::sched::{CloneFlags, unshare};

/// An address of the loopback interface there that is no loopback address: who connects to it comes from it.
pub const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1));

/// Runs a test on a thread in a network namespace of its own, with everything it starts.
///
/// # Panics
/// When the test does, and where such namespaces are not allowed.
pub fn alone<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let thread = std::thread::spawn(move || {
        enter().expect("this test needs a network namespace: run it as root, outside of sandboxes");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(test());
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Only the calling thread, and what it starts from now on, moves to the new namespace, which goes with the last of them.
fn enter() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET).context("unshare(CLONE_NEWNET)")?;
    ip(&["link", "set", "lo", "up"])?;
    ip(&["addr", "add", &format!("{ELSEWHERE}/32"), "dev", "lo"])
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("cannot run ip (iproute2)")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {error}", arguments.join(" "));
    Ok(())
}
