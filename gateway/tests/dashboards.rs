//! The Grafana dashboard and the alerts of Prometheus name metrics and labels that there are, and promtool takes the
//! alerts.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use amqp_gateway::telemetry::names::{ALL, Kind, Metric};

/// Of whoever scrapes, and of Prometheus itself.
const ANYWHERE: [&str; 4] = ["instance", "job", "le", "alertname"];

fn packaging(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging").join(file)
}

/// The words of an expression, what stands in quotes and ranges apart.
fn words(expression: &str) -> Vec<String> {
    let mut bare = String::new();
    for (number, part) in expression.split('"').enumerate() {
        bare.push_str(if number % 2 == 0 { part } else { "''" });
    }
    let mut words = vec![String::new()];
    for letter in bare.chars() {
        if letter.is_ascii_alphanumeric() || letter == '_' || letter == '$' {
            words.last_mut().unwrap().push(letter);
        } else {
            words.push(letter.to_string());
            words.push(String::new());
        }
    }
    words.retain(|word| !word.trim().is_empty());
    words
}

fn is_metric(word: &str) -> bool {
    word.starts_with("amqp_gateway_") || word.starts_with("process_")
}

/// The metric that a word names, with the suffix that its kind takes.
fn metric(word: &str) -> Result<&'static Metric, String> {
    let find = |name: &str| ALL.iter().find(|metric| metric.name == name);
    let suffixes = ["_bucket", "_sum", "_count"];
    match find(word) {
        Some(metric) if metric.kind != Kind::Histogram => return Ok(metric),
        Some(_) => return Err(format!("{word} is a histogram: _bucket, _sum or _count")),
        None => {}
    }
    let of = suffixes.iter().find_map(|suffix| find(word.strip_suffix(suffix)?));
    let histogram = of.filter(|metric| metric.kind == Kind::Histogram);
    histogram.ok_or_else(|| format!("there is no metric {word}"))
}

/// What is wrong with an expression, and with what is shown of its labels.
fn wrong(expression: &str, shown: &[String]) -> Vec<String> {
    let words = words(expression);
    let mut wrong = Vec::new();
    let mut labels: Vec<&str> = ANYWHERE.to_vec();
    for word in words.iter().filter(|word| is_metric(word)) {
        match metric(word) {
            Ok(metric) => labels.extend(metric.labels),
            Err(text) => wrong.push(text),
        }
    }
    let selected = selectors(&words).into_iter().chain(groups(&words)).chain(shown.to_vec());
    for label in selected.filter(|label| !labels.contains(&label.as_str())) {
        wrong.push(format!("none of the metrics has a label {label}: {expression}"));
    }
    wrong
}

/// Labels in braces.
fn selectors(words: &[String]) -> Vec<String> {
    let mut inside = false;
    let mut labels = Vec::new();
    for pair in words.windows(2) {
        match &*pair[0] {
            "{" => inside = true,
            "}" => inside = false,
            word if inside && matches!(&*pair[1], "=" | "!") => labels.push(word.to_owned()),
            _ => {}
        }
    }
    labels.retain(|label| label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
    labels
}

/// Labels behind `by`.
fn groups(words: &[String]) -> Vec<String> {
    let mut labels = Vec::new();
    for at in (0..words.len()).filter(|at| words[*at] == "by") {
        let list = words[at + 1..].iter().take_while(|word| *word != ")");
        labels.extend(list.filter(|word| !"(,".contains(word.as_str())).cloned());
    }
    labels
}

/// What stands between these marks.
fn between(text: &str, begin: &str, end: &str) -> Vec<String> {
    let parts = text.split(begin).skip(1);
    parts.filter_map(|part| Some(part.split_once(end)?.0.trim().to_owned())).collect()
}

#[test]
fn what_is_wrong_with_an_expression_is_found() {
    let wrong = |expression: &str| wrong(expression, &["cluster".to_owned()]);
    assert!(
        wrong("sum by (cluster) (amqp_gateway_node_up{node=\"a\",instance=~\".*\"})").is_empty()
    );
    for (expression, text) in [
        ("amqp_gateway_nodes_up", "no metric amqp_gateway_nodes_up"),
        ("amqp_gateway_node_up{vhost=\"a\"}", "label vhost"),
        ("sum by (vhost) (amqp_gateway_node_up)", "label vhost"),
        ("amqp_gateway_handshake_seconds", "histogram"),
        ("amqp_gateway_node_up_bucket", "no metric amqp_gateway_node_up_bucket"),
        ("amqp_gateway_channels", "label cluster"),
    ] {
        assert!(wrong(expression).iter().any(|said| said.contains(text)), "{expression}");
    }
}

#[test]
fn the_dashboard_names_metrics_and_labels_that_there_are() {
    let text = fs::read_to_string(packaging("grafana/amqp-gateway.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    let targets = dashboard["panels"].as_array().unwrap().iter();
    let targets: Vec<_> = targets
        .flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default())
        .collect();
    assert!(targets.len() > 30, "{}", targets.len());
    for target in &targets {
        let shown = between(target["legendFormat"].as_str().unwrap(), "{{", "}}");
        found.extend(wrong(target["expr"].as_str().unwrap(), &shown));
    }
    let variables: Vec<_> = dashboard["templating"]["list"].as_array().unwrap().clone();
    let names: Vec<_> = variables.iter().map(|of| of["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["datasource", "instance", "cluster", "vhost"]);
    for query in variables.iter().filter_map(|of| of["query"]["query"].as_str()) {
        let [asked] = &between(query, "label_values(", ")")[..] else { panic!("{query}") };
        let (expression, label) = asked.split_once(',').unwrap();
        found.extend(wrong(expression, &[label.trim().to_owned()]));
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn each_alert_names_metrics_that_there_are_and_says_what_to_do() {
    let text = fs::read_to_string(packaging("prometheus/amqp-gateway.rules.yml")).unwrap();
    let alerts: Vec<_> = text.split("- alert: ").skip(1).collect();
    assert!(alerts.len() >= 12, "{}", alerts.len());
    let mut found = Vec::new();
    for alert in alerts {
        let [expression] = &between(alert, "expr: ", "\n")[..] else { panic!("{alert}") };
        let shown = between(alert, "{{ $labels.", " }}");
        found.extend(wrong(expression, &shown));
        for part in ["severity: ", "summary: \"", "description: \""] {
            assert!(alert.contains(part), "{part} in {alert}");
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn promtool_takes_the_alerts_and_they_come_when_they_should() {
    for arguments in
        [["check", "rules", "amqp-gateway.rules.yml"], ["test", "rules", "amqp-gateway.test.yml"]]
    {
        let mut command = Command::new("promtool");
        command.args(arguments).current_dir(packaging("prometheus"));
        let done = match command.output() {
            Ok(done) => done,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                println!("skipped: there is no promtool (Debian: the package prometheus)");
                return;
            }
            Err(error) => panic!("{error}"),
        };
        let said = [done.stdout, done.stderr].map(|s| String::from_utf8_lossy(&s).into_owned());
        assert!(done.status.success(), "{said:?}");
    }
}
