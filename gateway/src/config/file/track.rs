//! What `[vrrp.NAME.track]` may be written as: a switch or a weight, a name or several with theirs.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::json;
use toml::Spanned;

use crate::config::at::At;

/// Named things that are tracked: a name, a table with name and weight, or a list of either.
#[derive(Debug)]
pub struct Tracks(pub Vec<Tracked>);

/// One of them.
#[derive(Debug)]
pub enum Tracked {
    /// Its name alone.
    Name(At<String>),
    /// With what it costs.
    Weighted(Weighted),
}

/// A tracked thing with what it costs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weighted {
    /// Its name.
    #[schemars(required, example = &"eth1")]
    pub name: Option<At<String>>,
    /// What is taken off the priority while it fails. Default: the addresses are given up.
    #[schemars(range(min = 1, max = 254), example = 40)]
    pub weight: Option<At<u32>>,
}

impl<'de> Deserialize<'de> for Tracks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut tracks = Vec::new();
        gather(Spanned::<Written>::deserialize(deserializer)?, &mut tracks);
        Ok(Self(tracks))
    }
}

/// The shape check let no list inside a list pass.
fn gather(written: Spanned<Written>, into: &mut Vec<Tracked>) {
    let span = written.span();
    match written.into_inner() {
        Written::Name(name) => into.push(Tracked::Name(At::new(span, name))),
        Written::Weighted(weighted) => into.push(Tracked::Weighted(weighted)),
        Written::List(items) => items.into_iter().for_each(|item| gather(item, into)),
    }
}

enum Written {
    Name(String),
    Weighted(Weighted),
    List(Vec<Spanned<Written>>),
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WrittenVisitor)
    }
}

struct WrittenVisitor;

impl<'de> Visitor<'de> for WrittenVisitor {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name, a table with name and weight, or a list of these")
    }

    fn visit_str<E>(self, name: &str) -> Result<Written, E> {
        Ok(Written::Name(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Written, A::Error> {
        Weighted::deserialize(MapAccessDeserializer::new(map)).map(Written::Weighted)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Written, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Written::List(list))
    }
}

/// The table's, which a name or a list may stand in for.
impl JsonSchema for Tracks {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Tracks".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut item = generator.subschema_for::<Weighted>();
        item.insert("type".to_owned(), json!(["string", "object"]));
        let mut schema = item.clone();
        schema.insert("type".to_owned(), json!(["string", "object", "array"]));
        schema.insert("items".to_owned(), item.to_value());
        schema.insert("minItems".to_owned(), json!(1));
        schema
    }
}

/// Is something tracked, and what does it cost?
#[derive(Debug)]
pub struct Switch {
    /// Where it is written.
    pub span: Range<usize>,
    /// `false` = not tracked.
    pub on: bool,
    /// What is taken off the priority; without it the addresses are given up.
    pub weight: Option<At<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cost {
    weight: Option<At<u32>>,
}

enum OnOrCost {
    On(bool),
    Cost(Cost),
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Spanned::<OnOrCost>::deserialize(deserializer)?;
        let span = written.span();
        Ok(match written.into_inner() {
            OnOrCost::On(on) => Self { span, on, weight: None },
            OnOrCost::Cost(Cost { weight }) => Self { span, on: true, weight },
        })
    }
}

impl<'de> Deserialize<'de> for OnOrCost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnOrCostVisitor)
    }
}

struct OnOrCostVisitor;

impl<'de> Visitor<'de> for OnOrCostVisitor {
    type Value = OnOrCost;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false or a table with weight")
    }

    fn visit_bool<E>(self, on: bool) -> Result<OnOrCost, E> {
        Ok(OnOrCost::On(on))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OnOrCost, A::Error> {
        Cost::deserialize(MapAccessDeserializer::new(map)).map(OnOrCost::Cost)
    }
}

impl JsonSchema for Switch {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Switch".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["boolean", "object"],
            "properties": {
                "weight": {
                    "description": "What is taken off the priority while it fails. Default: the addresses are given up.",
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 254,
                    "examples": [100],
                },
            },
            "additionalProperties": false,
        })
    }
}
