//! `make demo` ends as it says, and leaves nothing behind even when it is killed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use integration::process::{Process, Signal};
use integration::wait;

/// The demo with a temporary directory of its own, so that what it leaves can be told apart.
fn demo(dir: &Path, environment: &[(&str, &str)]) -> Process {
    let output = std::fs::File::create(dir.join("output")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.env("TMPDIR", dir).envs(environment.iter().copied());
    command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
    Process::spawn(&mut command).unwrap()
}

fn output(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("output")).unwrap()
}

/// Processes with a scratch directory below `dir`, and those directories.
fn leftovers(dir: &Path) -> usize {
    let mark = format!("AMQP_GATEWAY_SCRATCH={}/", dir.display());
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let environments = processes.filter_map(|p| std::fs::read(p.path().join("environ")).ok());
    let marked =
        |environ: &[u8]| environ.split(|b| *b == 0).any(|v| v.starts_with(mark.as_bytes()));
    let processes = environments.filter(|environ| marked(environ)).count();
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().display().to_string());
    processes + names.filter(|name| name != "output" && !name.contains("ports")).count()
}

#[tokio::test]
async fn the_demo_moves_messages_on_both_vhosts_and_ends_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = demo(dir.path(), &[("DEMO_SECONDS", "6")]);
    let status = demo.wait(Duration::from_secs(120)).await.unwrap();
    let output = output(dir.path());
    assert!(status.is_some_and(|status| status.success()), "{status:?}\n{output}");
    for (vhost, cluster) in [("orders", "main"), ("billing", "blue")] {
        let line = output.lines().rev().find(|line| line.trim_start().starts_with(vhost)).unwrap();
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        assert_eq!(words[1], cluster, "{output}");
        let total: u64 = words[words.len() - 2].parse().unwrap();
        assert!(total > 50, "{vhost}: {total} messages in 6 s\n{output}");
    }
    assert_eq!(leftovers(dir.path()), 0, "{output}");
}

#[tokio::test]
async fn nothing_is_left_of_a_demo_that_is_killed_while_it_starts() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = demo(dir.path(), &[]);
    wait::until("a node to be up", Duration::from_secs(60), async || {
        output(dir.path()).contains("is up")
    })
    .await
    .unwrap();
    assert!(leftovers(dir.path()) > 4, "{}", output(dir.path()));
    demo.signal(Signal::KILL).unwrap();
    wait::until("all its processes to be gone", Duration::from_secs(20), async || {
        leftovers(dir.path()) == 0
    })
    .await
    .unwrap();
}
