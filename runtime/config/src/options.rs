//! `options`: TOML as the JSON object that a provider's `start` takes.

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use crate::decode::{Decoder, Node};

const EXAMPLE: &str = r#"options = { ttl = "30s" }"#;

/// The options as JSON. What each key means is the provider's business; here
/// it counts only that JSON can say it. Every key's place is kept, so that a
/// provider's refusal can point at the line.
pub(crate) fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Map<String, Value> {
    match node.value {
        DeValue::Table(table) => object(decoder, node, table),
        _ => {
            decoder.wrong_type(node, "a table", EXAMPLE);
            Map::new()
        }
    }
}

fn object(decoder: &mut Decoder<'_>, node: &Node<'_>, table: &DeTable<'_>) -> Map<String, Value> {
    let mut object = Map::new();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let node = Node {
            value: value.get_ref(),
            span: value.span(),
            place: node.place.clone().key(name),
        };
        if let Some(value) = json(decoder, &node) {
            object.insert(name.to_owned(), value);
        }
    }
    object
}

fn json(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Value> {
    decoder.spans.insert(node.place.clone(), node.span.clone());
    match node.value {
        DeValue::String(raw) => decoder.fill(node, raw).map(|text| Value::String(text.value)),
        DeValue::Boolean(boolean) => Some(Value::Bool(*boolean)),
        // TOML's date-times are RFC 3339 by definition.
        DeValue::Datetime(datetime) => Some(Value::String(datetime.to_string())),
        DeValue::Table(table) => Some(Value::Object(object(decoder, node, table))),
        DeValue::Array(_) => {
            let nodes = decoder.array(node, EXAMPLE)?;
            Some(Value::Array(nodes.iter().filter_map(|node| json(decoder, node)).collect()))
        }
        DeValue::Integer(integer) => {
            let number =
                i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(Number::from);
            let number = number.or_else(|| {
                u64::from_str_radix(integer.as_str(), integer.radix()).ok().map(Number::from)
            });
            if number.is_none() {
                decoder.fault(
                    node,
                    "this number does not fit in 64 bits",
                    "write a smaller number, or a string if the provider takes one",
                );
            }
            number.map(Value::Number)
        }
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(Number::from_f64);
            if number.is_none() {
                decoder.fault(
                    node,
                    "this number is not finite, and JSON has no such number",
                    "write a finite number, or leave the key out",
                );
            }
            number.map(Value::Number)
        }
    }
}
