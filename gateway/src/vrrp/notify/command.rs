//! The notify command: run at each transition of one virtual router, in order, with keepalived's arguments.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::program::{self, Ended, Leftovers};
use crate::vrrp::board::Transition;

/// After which a command is ended with all it has started.
const LIMIT: Duration = Duration::from_secs(30);
/// Runs the command for each transition that comes.
pub(super) async fn run(
    command: Vec<String>,
    router: Arc<str>,
    mut queue: mpsc::Receiver<Transition>,
) {
    while let Some(transition) = queue.recv().await {
        let (state, program) = (transition.to.keepalived(), &command[0]);
        match call(&command, &router, &transition, LIMIT).await {
            Ok(printed) => {
                debug!(virtual_router = %router, state, program, printed, "the notify command is done");
            }
            Err(cause) => {
                warn!(
                    virtual_router = %router, state, program, cause,
                    "the notify command failed: run it by hand as the gateway's user, with the arguments INSTANCE {router} {state} {}",
                    transition.priority
                );
            }
        }
    }
}

/// Runs it once: what it printed, or why it failed.
async fn call(
    command: &[String],
    router: &str,
    transition: &Transition,
    limit: Duration,
) -> Result<String, String> {
    let Some((name, arguments)) = command.split_first() else {
        return Err("there is no command".to_owned());
    };
    let mut command = Command::new(name);
    command.args(arguments);
    // A sync group has no notify of its own: its members tell each for itself.
    command.args(["INSTANCE", router, transition.to.keepalived()]);
    command.arg(transition.priority.to_string());
    // What a command leaves running on purpose goes on.
    match timeout(limit, program::run(command, Leftovers::Keep)).await {
        Ok(Ok(Ended { status, stdout, stderr })) => {
            judge(status, [stderr, stdout].join("\n").trim().to_owned())
        }
        Ok(Err(error)) => Err(format!("it cannot be started: {error}")),
        Err(_) => Err(format!("it took longer than {} s and was ended", limit.as_secs())),
    }
}

fn judge(status: ExitStatus, printed: String) -> Result<String, String> {
    match status.success() {
        true => Ok(printed),
        false if printed.is_empty() => Err(format!("it ended with {status}")),
        false => Err(format!("it ended with {status}: {printed}")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Instant;

    use rustix::process::{Pid, Signal};

    use super::*;
    use crate::program::KEPT;
    use crate::vrrp::samples::transition;
    use crate::vrrp::talk::State;

    fn shell(text: &str) -> Vec<String> {
        ["/bin/sh", "-c", text, "own"].map(str::to_owned).to_vec()
    }

    async fn run_once(text: &str) -> Result<String, String> {
        call(&shell(text), "amqp", &transition(State::Active), LIMIT).await
    }

    #[tokio::test]
    async fn it_is_given_the_arguments_of_keepalived_after_its_own() {
        let printed = run_once("echo $0 $1 $2 $3 $4 $#; echo more >&2").await;
        assert_eq!(printed.as_deref(), Ok("more\nown INSTANCE amqp MASTER 150 4"));
        let fault = transition(State::Fault);
        let printed = call(&shell("echo $3"), "amqp", &fault, LIMIT).await;
        assert_eq!(printed.as_deref(), Ok("FAULT"));
    }

    #[tokio::test]
    async fn what_went_wrong_is_told() {
        let cause = run_once("echo no route >&2; exit 3").await.expect_err("it ended with 3");
        assert!(cause.contains('3') && cause.ends_with(": no route"), "{cause}");
        let missing = vec!["/nonexistent/notify".to_owned()];
        let cause = call(&missing, "amqp", &transition(State::Backup), LIMIT).await;
        assert!(cause.is_err_and(|cause| cause.starts_with("it cannot be started: No such file")));
        let printed = run_once("head -c 1000000 /dev/zero | tr '\\0' x").await;
        assert_eq!(printed.map(|text| text.len()), Ok(KEPT));
    }

    #[tokio::test]
    async fn one_that_hangs_is_ended_with_all_it_has_started() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("pid");
        let text = format!("sleep 600 & echo $! > {}; wait", file.display());
        let limit = Duration::from_secs(2);
        let cause = call(&shell(&text), "amqp", &transition(State::Active), limit).await;
        assert_eq!(cause, Err("it took longer than 2 s and was ended".to_owned()));
        let pid = std::fs::read_to_string(&file).expect("it has been written");
        let process = Path::new("/proc").join(pid.trim()).join("cmdline");
        let deadline = Instant::now() + Duration::from_secs(20);
        // A process that has ended and is not waited for has an empty command line.
        while std::fs::read(&process).is_ok_and(|line| !line.is_empty()) {
            assert!(Instant::now() < deadline, "{pid} still runs");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn what_it_leaves_running_is_neither_waited_for_nor_ended() {
        let printed = run_once("sleep 600 >&- 2>&- & echo $!").await.expect("it ended with 0");
        let pid: i32 = printed.parse().expect("the number of the sleeper");
        let sleeper = Pid::from_raw(pid).expect("a process");
        rustix::process::kill_process(sleeper, Signal::KILL).expect("it still runs");
    }
}
