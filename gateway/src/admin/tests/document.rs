//! What the API says of itself.

use std::path::Path;
use std::{env, fs};

use serde_json::Value;

use super::super::api::text;

#[test]
fn docs_openapi_json_is_what_the_gateway_answers() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, text()).unwrap();
    }
    let current = fs::read_to_string(file).unwrap_or_default() == text();
    let how = "UPDATE_DOCS=1 cargo test -p amqp-gateway --lib docs_openapi_json";
    assert!(current, "docs/openapi.json is out of date; write it by: {how}");
}

#[test]
fn every_name_in_the_document_leads_somewhere_and_every_operation_has_its_own() {
    let document: Value = serde_json::from_str(&text()).unwrap();
    let mut names = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            names.push(operation["operationId"].as_str().unwrap());
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let told = answer["description"].as_str().is_some_and(|text| !text.is_empty());
                assert!(told, "{method} {path}: {status} is not described");
            }
        }
    }
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "{names:?}");
    references(&document, &mut |name| {
        let place = name.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{name} leads nowhere");
    });
}

fn references(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(name)) = fields.get("$ref") {
                found(name);
            }
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}
