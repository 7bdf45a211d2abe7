use std::fs::OpenOptions;
use std::process::Command;
use std::time::SystemTime;

use super::*;
use crate::config::model::samples;
use crate::session::registry::Registry;
use crate::session::{Ended, Shared};
use crate::snapshot::Snapshot;

fn desk(path: &Path) -> Desk {
    let model = samples::model(Vec::new());
    let shared = Arc::new(Shared {
        name: "gw".into(),
        snapshot: ArcSwap::from_pointee(Snapshot::new(&model, &Tls::default(), 1)),
        registry: Registry::default(),
        taps: Default::default(),
        ended: Ended::default(),
        metrics: Arc::default(),
        access: None,
        events: Arc::default(),
    });
    let revisions = Revisions::new("[log]".into(), SystemTime::now());
    let in_force = InForce { text: "[log]".into(), written: model.clone(), model };
    let known = Known { revisions, in_force: Arc::new(in_force) };
    Desk::new(path, known, (Arc::new(Keeper::new(shared)), Arc::default())).0
}

/// A pipe that nobody writes to stands for a file on a disk that hangs.
#[tokio::test]
async fn questions_about_a_file_that_does_not_answer_are_answered_all_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("gateway.toml");
    let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo");
    assert!(made.success());
    let desk = desk(&path);
    for _ in 0..2 {
        let checked = desk.check().await;
        assert!(!checked.valid && checked.problems[0].message.contains("was not read within"));
    }
    let diff = desk.diff().await;
    assert!(!diff.valid && diff.problems[0].message.contains("was not read within"));
    let config = desk.config().await;
    assert!(config.file_differs, "nobody knows");
    assert_eq!(config.text, "[log]", "what is in force is known without the file");
    // The threads that wait for the pipe end with this.
    drop(OpenOptions::new().read(true).write(true).open(&path).expect("the pipe"));
}
