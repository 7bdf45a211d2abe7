//! docker-compose.yml and what belongs to it, without a container engine: the files by the checkers of their languages,
//! the containers as programs in namespaces of their own.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use integration::compose::{Container, Project, read, read_own, repository};
use integration::http;
use integration::namespace::alone;
use integration::{target, vrrp_lab, wait};
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
    assert_eq!(
        differ.into_iter().collect::<Vec<_>>(),
        ["gateway.name", "vrrp.edge.peers", "vrrp.edge.priority"]
    );
}

#[test]
fn what_the_files_say_of_each_other_is_so() {
    let compose = read_own().unwrap();
    let pool = &compose.networks["edge"].ipam.config[0];
    let services = &compose.services;
    for (name, service) in services {
        assert!(pool.holds(service.address()) && !pool.gives_out(service.address()), "{name}");
    }
    for (name, peer) in [("gateway1", "gateway2"), ("gateway2", "gateway1")] {
        let config =
            flat(&fs::read_to_string(docker(&format!("{name}.toml"))).unwrap().parse().unwrap());
        assert_eq!(config["vrrp.edge.peers"], format!("[\"{}\"]", services[peer].address()));
        let shared = config["vrrp.edge.addresses"].trim_matches(['[', ']', '"']);
        let shared: Ipv4Addr = shared.split('/').next().unwrap().parse().unwrap();
        assert!(pool.holds(shared) && !pool.gives_out(shared), "{shared}");
        assert!(
            services.values().all(|service| service.address() != shared) && pool.gateway != shared
        );
        assert!(services["client"].environment["AMQP_URL"].contains(&format!("@{shared}:5672/")));
        let grace = humantime::parse_duration(services[name].stop_grace_period.as_deref().unwrap());
        let drain = humantime::parse_duration(config["gateway.drain_timeout"].trim_matches('"'));
        assert!(grace.unwrap() > drain.unwrap(), "an engine kills {name} while it drains");
    }
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
fn a_container_without_the_capabilities_runs_a_gateway_without_vrrp() {
    const NAME: &str = "compose, no capabilities";
    const CONFIG: &str = "[gateway]\nname = \"bare\"\n\
        [listener.amqp]\nbind = \"0.0.0.0:5672\"\ncluster = \"main\"\n\
        [cluster.main.health]\nchecks = []\n[cluster.main.node.only]\naddress = \"127.0.0.1:9\"\n";
    if !vrrp_lab::possible(NAME) {
        return;
    }
    alone(async || {
        let project = Project::new().unwrap();
        let mut gateway = project.start_bare("gateway1", CONFIG).await.unwrap();
        let mut ended = false;
        let ready = wait::until("a gateway to be ready", DEADLINE, async || {
            ended = gateway.has_ended().unwrap_or(true);
            ended || gateway.log().lines().any(|line| line.ends_with("INFO  ready"))
        });
        ready.await.with_context(|| gateway.log_tail()).unwrap();
        assert!(!ended, "{}", gateway.log_tail());
        let status = gateway.status().unwrap();
        for set in ["CapBnd", "CapPrm"] {
            assert!(status.contains(&format!("\n{set}:\t0000000000000000\n")), "{status}");
        }
        assert!(gateway.stop(DEADLINE).await.unwrap().success());
    });
}

#[test]
fn a_client_is_confirmed_again_after_the_loss_of_either_gateway_and_loses_nothing() {
    if vrrp_lab::possible("compose") {
        alone(async || survive().await.unwrap());
    }
}

async fn survive() -> Result<()> {
    let project = Project::new()?;
    let _brokers = brokers(&project).await?;
    let mut one = project.start("gateway1").await?;
    let mut two = project.start("gateway2").await?;
    project.wait_healthy(&mut one).await?;
    project.wait_healthy(&mut two).await?;
    let status = one.status()?;
    assert!(status.contains("\nUid:\t10001\t10001\t10001\t10001\n"), "{status}");
    assert!(
        status.contains("\nCapBnd:\t0000000000003000\n"),
        "NET_ADMIN and NET_RAW alone: {status}"
    );
    let client = project.start("client").await?;
    told(&client, "confirms by gateway1", "gateway1").await.with_context(|| both(&one, &two))?;
    let _prometheus = scraped(&project).await?;

    let before = client.log().lines().count();
    one.kill().await?;
    told(&client, "confirms by gateway2", "gateway2").await.with_context(|| two.log_tail())?;
    figure("kill -9 of gateway1's container", &client, before);

    let before = client.log().lines().count();
    let one = project.start("gateway1").await?;
    told(&client, "confirms by gateway1 again", "gateway1")
        .await
        .with_context(|| both(&one, &two))?;
    figure("return of gateway1", &client, before);

    let before = client.log().lines().count();
    let grace = humantime::parse_duration(
        project.service("gateway1")?.stop_grace_period.as_deref().unwrap(),
    )?;
    let begun = Instant::now();
    let ended = one.stop(grace).await?;
    assert!(ended.success(), "{ended}");
    let took = begun.elapsed().as_secs_f64();
    vrrp_lab::figure("compose", &format!("stop gateway1: ended after {took:.2} s"));
    told(&client, "confirms by gateway2", "gateway2").await.with_context(|| two.log_tail())?;
    figure("docker compose stop gateway1", &client, before);

    newer(&client, "nothing confirmed is missing", |line| number(line, "open") == 0).await?;
    Ok(())
}

fn both(one: &Container, two: &Container) -> String {
    format!("{}\n{}", one.log_tail(), two.log_tail())
}

/// Prints the longest wait for a confirm in the lines of the client from this one on.
fn figure(what: &str, client: &Container, from: usize) {
    let waited = |line: &str| word(line, "waited")?.trim_end_matches('s').parse::<f64>().ok();
    let longest = client.log().lines().skip(from).filter_map(waited).fold(0.0, f64::max);
    let text = format!("{what}: {longest:.2} s without a confirm (criterion: 1 s)");
    vrrp_lab::figure("compose", &text);
}

/// Prometheus, once it has scraped everything that it is told to.
async fn scraped(project: &Project) -> Result<Container> {
    let prometheus = project.start("prometheus").await?;
    let url = format!("http://{}:9090/api/v1/targets", project.service("prometheus")?.address());
    let mut targets = serde_json::Value::Null;
    let up = wait::until("Prometheus to reach all five targets", DEADLINE, async || {
        targets = http::get_json(&url).await.unwrap_or_default()["data"]["activeTargets"].take();
        let targets = targets.as_array().map(Vec::as_slice).unwrap_or_default();
        targets.iter().filter(|target| target["health"] == "up").count() == 5
    });
    up.await.with_context(|| format!("{targets}\n{}", prometheus.log_tail()))?;
    Ok(prometheus)
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

/// Waits until the client is confirmed by this gateway, and has been for a second.
async fn told(client: &Container, what: &str, gateway: &str) -> Result<()> {
    let there = |line: &str| word(line, "gateway") == Some(gateway);
    let first = newer(client, what, there).await?;
    let more = number(&first, "confirmed") + 10;
    newer(client, what, |line| there(line) && number(line, "confirmed") > more).await.map(drop)
}

/// Waits for a new line of the client that is as wanted.
async fn newer(client: &Container, what: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
    let before = client.log().lines().count();
    let mut found = None;
    let waited = wait::until(what, DEADLINE, async || {
        found = client.log().lines().skip(before).find(|line| wanted(line)).map(str::to_owned);
        found.is_some()
    });
    waited.await.with_context(|| client.log_tail())?;
    found.context("no line")
}

/// What follows this word in a line of the client.
fn word<'l>(line: &'l str, before: &str) -> Option<&'l str> {
    line.split_ascii_whitespace().skip_while(|next| *next != before).nth(1)
}

fn number(line: &str, before: &str) -> i64 {
    word(line, before).and_then(|number| number.parse().ok()).unwrap_or(-1)
}
