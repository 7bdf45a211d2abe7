//! Holds the parsed text against the JSON schema: unknown keys, wrong types, numbers out of range.
//!
//! What fails is reported and taken out, so that the rest can still be read and checked.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::mem;
use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeTable, DeValue};

use super::diagnostic::Report;
use super::environment::Environment;
use super::keepalived::translation;
use super::later::{self, NOT_AVAILABLE};
use super::mask;
use super::schema::schema;
use super::values::similar;

/// Said of a secret that is more than a variable: what stands between ${ and } may be part of it.
const HALF_SECRET: (&str, &str) = (
    "a ${ in it does not begin the name of a variable that is set",
    "write $${ for the text ${; or the whole as \"${NAME}\"",
);

/// Paths (joined by dots) of what was taken out, so that its absence is not held against the user.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    /// Unknown keys and unusable values.
    mistakes: BTreeSet<String>,
    /// Keys that this build does not have.
    later: BTreeSet<String>,
}

impl Dropped {
    /// Was the value at `path` taken out because it was unusable?
    pub(super) fn contains(&self, path: &str) -> bool {
        self.mistakes.contains(path)
    }

    /// Was an unknown key or unusable value taken out of what stands under `prefix`?
    pub(super) fn mistake_under(&self, prefix: &str) -> bool {
        self.mistakes.iter().any(|path| path.starts_with(prefix))
    }

    /// Was anything taken out of what stands under `prefix`?
    pub(super) fn any_under(&self, prefix: &str) -> bool {
        self.mistake_under(prefix) || self.later.iter().any(|path| path.starts_with(prefix))
    }

    /// Names of the sections under `prefix` that were taken out as a whole.
    pub(super) fn sections<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = &'s str> {
        let names = self.mistakes.iter().filter_map(move |path| path.strip_prefix(prefix));
        names.filter(|name| !name.contains('.'))
    }
}

/// Expands variables, reports what does not fit the schema and takes it out of `root`.
pub(super) fn check(
    root: &mut Spanned<DeTable<'_>>,
    environment: &Environment<'_>,
    report: &mut Report<'_>,
) -> Dropped {
    let mut checker =
        Checker { report, environment, path: Vec::new(), dropped: Dropped::default() };
    checker.table(&schema(), root.get_mut(), &(0..0));
    checker.dropped
}

struct Checker<'c, 'r> {
    report: &'c mut Report<'r>,
    environment: &'c Environment<'c>,
    path: Vec<String>,
    dropped: Dropped,
}

impl Checker<'_, '_> {
    /// `place`: where a missing key is reported.
    fn table(&mut self, schema: &Value, table: &mut DeTable<'_>, place: &Range<usize>) {
        for key in strings(&schema["required"]).filter(|key| !is_written(schema, table, key)) {
            self.missing(&schema["properties"][key], key, place.clone());
        }
        if schema["minProperties"].as_u64() > Some(table.len() as u64) {
            let message = format!("{} is empty", self.path.join("."));
            self.report.error(place.clone(), message, "fill it, or remove it".to_owned());
        }
        for (key, mut value) in mem::take(table) {
            self.path.push(key.get_ref().to_string());
            if self.entry(schema, &key, &mut value) {
                table.insert(key, value);
            } else {
                let later = later::is_later_key(&self.path);
                let kind = if later { &mut self.dropped.later } else { &mut self.dropped.mistakes };
                kind.insert(self.path.join("."));
            }
            self.path.pop();
        }
    }

    /// Keep this entry?
    fn entry(
        &mut self,
        parent: &Value,
        key: &Spanned<Cow<'_, str>>,
        value: &mut Spanned<DeValue<'_>>,
    ) -> bool {
        if later::is_later_key(&self.path) {
            let message = format!("{}: {NOT_AVAILABLE}", self.path.join("."));
            self.report.error(key.span(), message, "remove it".to_owned());
            return false;
        }
        let own = &parent["properties"][key.get_ref().as_ref()];
        let schema = if own.is_null() { &parent["additionalProperties"] } else { own };
        if !schema.is_object() {
            self.unknown_key(parent, key);
            return false;
        }
        self.value(schema, value, key.span())
    }

    /// Keep this value? `place` is that of its key.
    fn value(
        &mut self,
        schema: &Value,
        value: &mut Spanned<DeValue<'_>>,
        place: Range<usize>,
    ) -> bool {
        let span = value.span();
        let found = json_type(value.get_ref());
        if !strings_or_one(&schema["type"]).any(|allowed| allowed == found) && !is_choice(schema) {
            self.wrong_type(schema, value.get_ref(), place, span);
            return false;
        }
        match value.get_mut() {
            DeValue::String(text) => self.text(schema, text, span),
            DeValue::Integer(number) => self.integer(schema, number, span),
            DeValue::Table(table) => {
                self.table(schema, table, &place);
                true
            }
            DeValue::Array(items) => self.list(schema, items, span),
            DeValue::Boolean(_) if !is_choice(schema) => true,
            _ => {
                self.wrong_choice(schema, "this value", span);
                false
            }
        }
    }

    fn list(&mut self, schema: &Value, items: &mut DeArray<'_>, span: Range<usize>) -> bool {
        if schema["minItems"].as_u64() > Some(items.len() as u64) {
            let message = format!("{} is an empty list", self.path.join("."));
            self.report.error(span, message, "fill it, or remove the key".to_owned());
            return false;
        }
        for (index, mut item) in mem::replace(items, DeArray::new()).into_iter().enumerate() {
            self.path.push((index + 1).to_string());
            let place = item.span();
            if self.value(&schema["items"], &mut item, place) {
                items.push(item);
            }
            self.path.pop();
        }
        true
    }

    fn text(&mut self, schema: &Value, text: &mut Cow<'_, str>, span: Range<usize>) -> bool {
        match self.environment.expand(text) {
            Ok(expanded) if expanded == *text => {}
            Ok(expanded) => *text = Cow::Owned(expanded),
            Err(fault) => {
                let whole = text.starts_with("${") && text.find('}') == Some(text.len() - 1);
                let (fault, advice) = match mask::is_secret(&self.path) && !whole {
                    true => (HALF_SECRET.0, HALF_SECRET.1.to_owned()),
                    false => (&*fault.message, fault.advice),
                };
                let message = format!("{}: {fault}", self.path.join("."));
                self.report.error(span, message, advice);
                return false;
            }
        }
        if is_choice(schema) && !choices(schema).any(|choice| choice == text) {
            self.wrong_choice(schema, &format!("{text:?}"), span);
            return false;
        }
        true
    }

    fn integer(&mut self, schema: &Value, number: &DeInteger<'_>, span: Range<usize>) -> bool {
        if is_choice(schema) {
            self.wrong_choice(schema, &number.to_string(), span);
            return false;
        }
        let (min, max) = (schema["minimum"].as_i64(), schema["maximum"].as_i64());
        let value = i64::from_str_radix(number.as_str(), number.radix()).ok();
        if value.is_some_and(|v| min.is_none_or(|min| v >= min) && max.is_none_or(|max| v <= max)) {
            return true;
        }
        let message = format!("{} = {number} is out of range", self.path.join("."));
        let (min, max) = (min.unwrap_or(0), max.unwrap_or(i64::MAX));
        self.report.error(span, message, format!("write a number from {min} to {max}"));
        false
    }

    fn missing(&mut self, schema: &Value, key: &str, place: Range<usize>) {
        let path = [self.path.as_slice(), &[key.to_owned()]].concat().join(".");
        let advice = match example(schema) {
            Some(example) => format!("add {key} = {example}"),
            None => format!("add a section [{path}.NAME]"),
        };
        let message = match self.path.as_slice() {
            [] => format!("there is no {key}"),
            path => format!("{} has no {key}", path.join(".")),
        };
        self.report.error(place, message, advice);
    }

    fn unknown_key(&mut self, parent: &Value, key: &Spanned<Cow<'_, str>>) {
        let place = match self.path.as_slice() {
            [_] => "at the top level".to_owned(),
            [above @ .., _] => format!("in {}", above.join(".")),
            [] => String::new(),
        };
        let known = parent["properties"].as_object();
        let known = || known.into_iter().flat_map(serde_json::Map::keys);
        let advice = match (translation(&self.path), similar(key.get_ref(), known())) {
            (Some(translation), _) => translation.to_owned(),
            (None, Some(similar)) => format!("did you mean {similar:?}?"),
            (None, None) => {
                format!("known here: {}", known().cloned().collect::<Vec<_>>().join(", "))
            }
        };
        self.report.error(key.span(), format!("unknown key {:?} {place}", key.get_ref()), advice);
    }

    fn wrong_choice(&mut self, schema: &Value, found: &str, span: Range<usize>) {
        let path = self.path.join(".");
        let advice = match similar(found.trim_matches('"'), choices(schema)) {
            Some(similar) => format!("did you mean {similar:?}?"),
            None => format!("write {}", any_of(choices(schema))),
        };
        self.report.error(span, format!("{path} cannot be {found}"), advice);
    }

    fn wrong_type(
        &mut self,
        schema: &Value,
        found: &DeValue<'_>,
        place: Range<usize>,
        span: Range<usize>,
    ) {
        let path = self.path.join(".");
        let key = self.path.last().map_or("", String::as_str);
        let expected: Vec<_> = strings_or_one(&schema["type"]).map(in_words).collect();
        let section = schema["type"] == "object" || found.is_table();
        let advice = match (example(schema), found) {
            (None, DeValue::Table(_)) if schema["type"] == "array" => {
                format!("write [[{path}]] with two brackets, once for each entry")
            }
            (None, _) if schema["additionalProperties"].is_object() => {
                format!("write a section [{path}.NAME] for each")
            }
            (None, _) if schema["type"] == "object" => format!("write a section [{path}]"),
            (Some(example), _) => format!("write {key} = {example}"),
            (None, _) => format!("write {}", expected.join(" or ")),
        };
        let found = in_words(json_type(found));
        let message = format!("{path} must be {}, not {found}", expected.join(" or "));
        self.report.error(if section { place } else { span }, message, advice);
    }
}

/// Is the key there, or an unknown one that looks like a misspelling of it?
fn is_written(schema: &Value, table: &DeTable<'_>, key: &str) -> bool {
    let known = |written: &str| schema["properties"].get(written).is_some();
    let mut written = table.keys().map(|written| written.get_ref().as_ref());
    written.any(|written| {
        written == key || (!known(written) && similar(written, [key].into_iter()).is_some())
    })
}

fn json_type(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Datetime(_) => "date",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
    }
}

fn in_words(json_type: &str) -> &str {
    match json_type {
        "string" => "a text in quotes",
        "integer" => "a whole number",
        "number" => "a fraction",
        "boolean" => "true or false",
        "date" => "a date",
        "array" => "a list",
        "object" => "a section",
        other => other,
    }
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn strings_or_one(value: &Value) -> impl Iterator<Item = &str> {
    strings(value).chain(value.as_str())
}

fn is_choice(schema: &Value) -> bool {
    choices(schema).next().is_some()
}

/// The texts allowed by an enumeration, with or without a description of each.
fn choices(schema: &Value) -> impl Iterator<Item = &str> {
    let described = schema["oneOf"].as_array().into_iter().flatten();
    strings(&schema["enum"]).chain(described.filter_map(|choice| choice["const"].as_str()))
}

fn any_of<'s>(choices: impl Iterator<Item = &'s str>) -> String {
    choices.map(|choice| format!("{choice:?}")).collect::<Vec<_>>().join(" or ")
}

/// The default or first example of a value, as TOML.
fn example(schema: &Value) -> Option<&Value> {
    schema.get("default").or_else(|| schema["examples"].get(0))
}
