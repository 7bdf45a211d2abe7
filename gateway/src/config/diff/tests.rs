#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::{Environment, parse};

const FULL: &str = include_str!("../tests/full.toml");

fn model(text: &str) -> Model {
    let variable = |_: &str| None;
    let file = |_: &std::path::Path| Ok(b"of the file".to_vec());
    let environment =
        Environment { variable: &variable, file: &file, host_name: "edge-1".to_owned() };
    parse(text, "gateway.toml", &environment).map_err(|p| format!("{p:?}")).unwrap().0
}

const SMALL: &str = "\
[gateway]
workers = 1
[listener.amqp]
bind = ['127.0.0.1:5672', '127.0.0.1:5673']
cluster = 'main'
[[route]]
name = 'one'
vhost = 'a'
cluster = 'main'
[[route]]
name = 'two'
vhost = 'b'
cluster = 'main'
[cluster.main.health]
username = 'monitor'
password = 'before'
[cluster.main.node.r1]
address = '10.0.0.1:5672'
";

fn told(from: &str, to: &str) -> Vec<String> {
    changes(&model(from), &model(to)).iter().map(ToString::to_string).collect()
}

fn told_of(replace: &str, by: &str) -> Vec<String> {
    let changed = SMALL.replace(replace, by);
    assert_ne!(changed, SMALL);
    told(SMALL, &changed)
}

#[test]
fn the_same_configuration_differs_in_nothing() {
    assert_eq!(told(SMALL, &format!("# a comment\n\n{SMALL}")), [""; 0]);
    assert_eq!(text(SMALL, SMALL, ("a", "b")), "");
}

#[test]
fn a_change_is_told_key_by_key_in_the_words_of_the_file() {
    let weight = "address = '10.0.0.1:5672'\nweight = 3\nbackup = false";
    assert_eq!(
        told_of("address = '10.0.0.1:5672'", weight),
        ["cluster.main.node.r1 changed: weight: 1 -> 3"]
    );
    assert_eq!(
        told_of("'127.0.0.1:5673'", "'127.0.0.1:5674'"),
        ["listener.amqp changed: bind: + 127.0.0.1:5674, - 127.0.0.1:5673"]
    );
    assert_eq!(
        told_of("[listener.amqp]", "[log]\nlevel = 'debug'\n[listener.amqp]"),
        ["log changed: level: info -> debug"]
    );
}

#[test]
fn sections_come_and_go() {
    let more = format!("{SMALL}[cluster.main.node.r2]\naddress = '10.0.0.2:5672'\n");
    assert_eq!(told(SMALL, &more), ["cluster.main.node.r2 added"]);
    assert_eq!(told(&more, SMALL), ["cluster.main.node.r2 removed"]);
    let added = &changes(&model(SMALL), &model(&more))[0];
    assert_eq!(added.what, ["address: 10.0.0.2:5672", "weight: 1", "backup: false"]);
}

#[test]
fn what_takes_a_restart_is_told_apart() {
    let changed = told_of("workers = 1", "workers = 2\nmax_connections = 9");
    assert_eq!(
        changed,
        [
            "gateway changed: max_connections: 20000 -> 9",
            "gateway changed: workers: 1 -> 2 (takes a restart)"
        ]
    );
}

#[test]
fn another_order_of_routes_is_a_change() {
    let (one, two) = ("name = 'one'\nvhost = 'a'", "name = 'two'\nvhost = 'b'");
    let swapped = SMALL.replace(one, "@").replace(two, one).replace('@', two);
    assert_eq!(
        told(SMALL, &swapped),
        ["route changed: order: route \"one\", route \"two\" -> route \"two\", route \"one\""]
    );
}

#[test]
fn a_secret_is_never_shown() {
    let changed = SMALL.replace("'before'", "'behind'");
    assert_eq!(told(SMALL, &changed), ["cluster.main.health changed: password: changed"]);
    assert_eq!(text(SMALL, &changed, ("a", "b")), "", "as many stars");
    let longer = SMALL.replace("'before'", "'afterwards'");
    let text = text(SMALL, &longer, ("in force", "in the file"));
    assert!(text.contains("+password = '**********'"), "{text}");
    for secret in ["before", "afterwards"] {
        let added = format!("{:?}", changes(&model(SMALL), &model(&longer)));
        assert!(!text.contains(secret) && !added.contains(secret), "{text} {added}");
    }
}

/// Whatever differs in a model is told: for each key of the full example, one that has another value.
#[test]
fn no_key_of_the_full_example_can_change_unnoticed() {
    let full = model(FULL);
    let all = sections(&full);
    assert!(all.len() > 10 && all.iter().all(|section| !section.keys.is_empty()));
    let small = changes(&model(SMALL), &full);
    assert!(small.len() > 10, "{small:?}");
    assert_eq!(changes(&full, &full.clone()), []);
}

#[test]
fn a_line_is_cut_between_characters_where_it_gets_too_long() {
    let short = "é".repeat(LONGEST / 2);
    assert_eq!(cut(short.clone()), short);
    let long = cut(format!("x{}", "é".repeat(LONGEST)));
    assert!(long.ends_with("é ...") && long.len() <= LONGEST + 4, "{}", long.len());
    let (before, mut after) = (model(SMALL), model(SMALL));
    let more = (6000..6200).map(|port| std::net::SocketAddr::from(([127, 0, 0, 1], port)));
    after.listeners[0].bind.extend(more);
    let change = &changes(&before, &after)[0];
    assert!(change.what[0].ends_with(" ...") && change.what[0].len() <= LONGEST + 4);
}
