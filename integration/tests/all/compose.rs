//! docker-compose.yml and what belongs to it, without a container engine: the files by the checkers of their languages,
//! the containers as programs in namespaces of their own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration::compose::{Container, Project, read, read_own, repository};
use integration::http;
use integration::namespace::alone;
use integration::{target, wait};
use tokio::process::Command;

const DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn the_compose_file_keeps_the_schema_and_a_wrong_key_in_it_is_found() {
    read_own().unwrap();
    let text = fs::read_to_string(repository().join("docker-compose.yml")).unwrap();
    let broken = tempfile::NamedTempFile::new().unwrap();
    fs::write(broken.path(), text.replace("cap_add:", "cap_ad:")).unwrap();
    let error = format!("{:#}", read(broken.path()).unwrap_err());
    assert!(error.contains("services.gateway1: 'cap_ad' does not match"), "{error}");
}

#[tokio::test]
async fn the_linter_has_nothing_to_say_about_the_dockerfiles() {
    let hadolint = target::interop().unwrap().join("venv/bin/hadolint");
    for name in ["Dockerfile", "client.Dockerfile"] {
        let said = tool(&hadolint, &[&docker(name)]).await.unwrap();
        assert_eq!(said, "", "{name}");
    }
}

#[tokio::test]
async fn prometheus_takes_its_configuration() {
    let said = tool(
        Path::new("promtool"),
        &[Path::new("check"), Path::new("config"), &docker("prometheus.yml")],
    )
    .await;
    assert!(said.unwrap().contains("SUCCESS"));
}

#[tokio::test]
async fn the_gateways_configurations_are_valid_and_differ_only_where_they_have_to() {
    let gateway = target::gateway().unwrap();
    let [one, two] = ["gateway1.toml", "gateway2.toml"].map(docker);
    for file in [&one, &two] {
        let said =
            tool(&gateway, &[Path::new("check"), Path::new("--config"), file]).await.unwrap();
        assert!(said.contains("valid"), "{said}");
    }
    let [one, two] =
        [one, two].map(|file| flat(&fs::read_to_string(file).unwrap().parse().unwrap()));
    let keys: Vec<&String> =
        one.keys().chain(two.keys()).filter(|key| one.get(*key) != two.get(*key)).collect();
    let differ: std::collections::BTreeSet<&String> = keys.into_iter().collect();
    assert_eq!(differ.into_iter().collect::<Vec<_>>(), ["gateway.name"]);
}

/// All values of a document by their dotted paths.
fn flat(table: &toml::Table) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => {
                all.extend(
                    flat(inner).into_iter().map(|(below, value)| (format!("{key}.{below}"), value)),
                );
            }
            value => drop(all.insert(key.clone(), value.to_string())),
        }
    }
    all
}

fn docker(name: &str) -> PathBuf {
    repository().join("integration/docker").join(name)
}

async fn tool(program: &Path, arguments: &[&Path]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().await;
    let output =
        output.with_context(|| format!("{}: `integration/install.sh test`", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", program.display());
    Ok(said)
}

#[test]
fn the_whole_of_it_comes_up_and_the_client_is_served() {
    alone(async || {
        let project = Project::new().unwrap();
        let _brokers = brokers(&project).await.unwrap();
        let mut gateway = project.start("gateway1").await.unwrap();
        project.wait_healthy(&mut gateway).await.unwrap();
        let address = project.service("gateway1").unwrap().address();
        let url = format!("amqp://app:secret@{address}:5672/%2F");
        let client = project.start_with("client", &[("AMQP_URL", &url)]).await.unwrap();
        told(&client, "confirms", |line| number(line, "confirmed") > 50).await.unwrap();
        eprintln!("{}", client.log_tail());
        eprintln!("{}", gateway.status().unwrap());
    });
}

async fn brokers(project: &Project) -> Result<Vec<Container>> {
    let mut nodes = Vec::new();
    for name in ["rabbit1", "rabbit2", "rabbit3"] {
        nodes.push(project.start(name).await?);
    }
    for node in &mut nodes {
        project.wait_healthy(node).await?;
    }
    let address = project.service("rabbit1")?.address();
    let url = format!("http://app:secret@{address}:15672/api/nodes?columns=name,running");
    wait::until("three nodes in one cluster", DEADLINE, async || {
        let nodes = http::get_json(&url).await.unwrap_or_default();
        let nodes = nodes.as_array().map(Vec::as_slice).unwrap_or_default();
        nodes.iter().filter(|node| node["running"] == true).count() == 3
    })
    .await?;
    Ok(nodes)
}

/// Waits for a new line of the client that is as wanted.
async fn told(client: &Container, what: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
    let before = client.log().lines().count();
    let mut found = None;
    let waited = wait::until(what, DEADLINE, async || {
        found = client.log().lines().skip(before).find(|line| wanted(line)).map(str::to_owned);
        found.is_some()
    });
    waited.await.with_context(|| client.log_tail())?;
    found.context("no line")
}

/// The number after this word in a line of the client; -1 where there is none.
fn number(line: &str, word: &str) -> i64 {
    let mut words = line.split_ascii_whitespace().skip_while(|next| *next != word);
    words.nth(1).and_then(|number| number.parse().ok()).unwrap_or(-1)
}
