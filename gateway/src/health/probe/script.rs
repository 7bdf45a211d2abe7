//! A command of the operator's: it ends with 0 if the node is well.

use std::process::ExitStatus;

use tokio::process::Command;

use super::Wrong;
use crate::cluster::node::Node;
use crate::config::model::Script;
use crate::program::{self, Ended, Leftovers};

/// Runs the script, which is told what node to check. Dropping the future ends the script and all it has started.
///
/// # Errors
/// If it cannot be started, or ends with anything but 0: the first line it printed.
pub async fn check(script: &Script, node: &Node) -> Result<Option<String>, Wrong> {
    run(script, environment(node)).await
}

/// Runs the script with these variables besides the gateway's own. Dropping the future ends it and all it has started.
///
/// # Errors
/// As [`check`].
pub async fn run(
    script: &Script,
    environment: impl IntoIterator<Item = (&'static str, String)>,
) -> Result<Option<String>, Wrong> {
    let Some((name, arguments)) = script.command.split_first() else {
        return Err(Wrong::misconfigured("script", "script: the command is empty"));
    };
    let mut command = Command::new(name);
    command.args(arguments).envs(environment);
    let Ended { status, stdout, stderr } =
        program::run(command, Leftovers::End).await.map_err(|error| {
            Wrong::misconfigured("script", format!("{name} cannot be started: {error}"))
        })?;
    judge(status, first_line(if stderr.is_empty() { &stdout } else { &stderr }))
}

fn judge(status: ExitStatus, line: String) -> Result<Option<String>, Wrong> {
    match status.success() {
        true => Ok((!line.is_empty()).then_some(line)),
        false if line.is_empty() => Err(Wrong::failed("script", format!("ended with {status}"))),
        false => Err(Wrong::failed("script", line)),
    }
}

fn environment(node: &Node) -> [(&'static str, String); 5] {
    let management = node.management().map(|url| url.to_string());
    [
        ("NODE_NAME", node.name.to_string()),
        ("NODE_ADDRESS", node.address.ip().to_string()),
        ("NODE_PORT", node.address.port().to_string()),
        ("NODE_MANAGEMENT", management.unwrap_or_default()),
        ("CLUSTER_NAME", node.cluster.to_string()),
    ]
}

/// The texts have no blanks around them: their first line is not empty, unless they are.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::cluster::report::Outcome;
    use crate::config::model::samples;

    fn node() -> Node {
        Node::sample("main", &samples::node("r1", 5672))
    }

    fn shell(text: &str) -> Script {
        let command = ["/bin/sh", "-c", text].map(str::to_owned).to_vec();
        Script { command, timeout: Duration::from_secs(20) }
    }

    async fn ran(text: &str) -> Result<Option<String>, Wrong> {
        check(&shell(text), &node()).await
    }

    #[tokio::test]
    async fn the_exit_status_decides_and_the_first_line_tells_why() {
        assert_eq!(ran("exit 0").await, Ok(None));
        assert_eq!(ran("echo fine; echo more").await, Ok(Some("fine".to_owned())));
        let wrong = ran("echo out; echo '' >&2; echo no quorum >&2; exit 2").await;
        assert_eq!(wrong, Err(Wrong::failed("script", "no quorum")));
        let wrong = ran("exit 3").await.expect_err("it ended with 3");
        assert!(wrong.text.contains('3'), "{}", wrong.text);
    }

    #[tokio::test]
    async fn it_is_told_which_node_to_check() {
        let told = ran("echo $CLUSTER_NAME $NODE_NAME $NODE_ADDRESS $NODE_PORT").await;
        assert_eq!(told, Ok(Some("main r1 127.0.0.1 5672".to_owned())));
    }

    #[tokio::test]
    async fn a_script_that_prints_much_does_not_get_stuck() {
        let printed = ran("head -c 1000000 /dev/zero | tr '\\0' x; exit 1").await;
        let wrong = printed.expect_err("it ended with 1");
        assert!(wrong.text.len() < 1000, "{}", wrong.text.len());
    }

    #[tokio::test]
    async fn what_it_leaves_running_is_ended_and_not_waited_for() {
        let begun = Instant::now();
        assert_eq!(ran("sleep 600 & echo $!").await.map(|line| line.is_some()), Ok(true));
        assert!(begun.elapsed() < Duration::from_secs(60));
    }

    #[tokio::test]
    async fn at_its_time_limit_it_is_ended_with_all_it_has_started() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("pid");
        let script = shell(&format!("sleep 600 & echo $! > {}; wait", file.display()));
        let node = node();
        let mut running = Box::pin(check(&script, &node));
        let started = async {
            while std::fs::read_to_string(&file).map_or(0, |text| text.len()) < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            _ = &mut running => panic!("it waits for its child"),
            () = started => drop(running),
        }
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
    async fn one_that_cannot_be_started_says_nothing_about_the_node() {
        let command = vec!["/nonexistent/check".to_owned()];
        let script = Script { command, timeout: Duration::from_secs(1) };
        let wrong = check(&script, &node()).await.expect_err("there is no such file");
        assert_eq!(wrong.outcome, Outcome::Misconfigured);
        assert!(wrong.text.contains("/nonexistent/check"), "{}", wrong.text);
    }
}
