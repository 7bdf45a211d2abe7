//! The documents of the project say what the code does.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::read;
use crate::config::schema::{schema, schema_text};

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every key of the schema, below names that the user chooses, too.
fn keys(schema: &Value) -> Vec<String> {
    let own = schema["properties"].as_object().into_iter().flatten();
    let mut found: Vec<String> = Vec::new();
    for (key, value) in own {
        found.push(key.clone());
        found.extend(keys(value));
    }
    found.extend(["additionalProperties", "items"].iter().flat_map(|below| {
        let below = &schema[below];
        if below.is_object() { keys(below) } else { Vec::new() }
    }));
    found
}

fn visit(schema: &Value, path: &str, check: &mut impl FnMut(&str, &Value)) {
    check(path, schema);
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        visit(value, &format!("{path}.{key}"), check);
    }
    for below in ["additionalProperties", "items"] {
        if schema[below].is_object() {
            visit(&schema[below], &format!("{path}.*"), check);
        }
    }
}

#[test]
fn the_example_is_valid_and_gives_no_warning() {
    let (model, warnings) = read(&document("gateway.example.toml")).expect("a valid example");
    assert_eq!(warnings, []);
    assert_eq!((model.listeners.len(), model.routes.len(), model.clusters.len()), (7, 6, 2));
    assert_eq!((model.virtual_routers.len(), model.email.is_some()), (3, true));
}

#[test]
fn the_example_shows_every_key() {
    let example = document("gateway.example.toml");
    let keys = keys(&schema());
    assert!(keys.len() > 40, "{keys:?}");
    for key in keys {
        let shown = example.lines().any(|line| {
            let line = line.strip_prefix("# ").unwrap_or(line);
            let assigned = |text: &str| text.trim().trim_start_matches(['{', ' ']) == key;
            let section = line.starts_with('[')
                && line.trim_matches(['[', ']']).split('.').any(|step| step == key);
            section || line.split(['=', ',', '{']).any(assigned)
        });
        assert!(shown, "docs/gateway.example.toml does not show {key:?}");
    }
}

#[test]
fn the_manual_explains_every_key() {
    let manual = document("configuration.md");
    for key in keys(&schema()) {
        let named = manual.contains(&format!("`{key}`"))
            || manual.contains(&format!("`[{key}"))
            || manual.contains(&format!("`[[{key}"))
            || manual.contains(&format!("{key} = "));
        assert!(named, "docs/configuration.md does not explain {key:?}");
    }
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    assert!(
        document("gateway.schema.json") == schema_text(),
        "docs/gateway.schema.json is out of date: write it anew with\n    \
         cargo run -p amqp-gateway -- schema > docs/gateway.schema.json"
    );
}

#[test]
fn the_schema_bounds_every_number_and_describes_every_key() {
    visit(&schema(), "", &mut |path, schema| {
        if schema["type"] == "integer" {
            let (min, max) = (schema["minimum"].as_u64(), schema["maximum"].as_u64());
            assert!(min.is_some() && max.is_some_and(|max| max <= u64::from(u32::MAX)), "{path}");
        }
        if !path.ends_with('*') {
            assert!(schema["description"].is_string(), "{path} has no description");
        }
    });
}

#[test]
fn the_schema_uses_only_words_that_the_shape_check_understands() {
    let known = [
        "$schema",
        "title",
        "description",
        "default",
        "examples",
        "format",
        "type",
        "properties",
        "additionalProperties",
        "required",
        "minProperties",
        "items",
        "minItems",
        // Of a word in place of a table: checked where the word is read.
        "pattern",
        "minimum",
        "maximum",
        "enum",
        "oneOf",
    ];
    visit(&schema(), "", &mut |path, schema| {
        for word in schema.as_object().expect("an object").keys() {
            assert!(known.contains(&word.as_str()), "{path}: {word}");
        }
    });
}
