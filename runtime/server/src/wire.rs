//! How values look in JSON: durations, bytes, pairs, and JSON within JSON.

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use stheno_config::{format_duration, parse_duration};
use utoipa::ToSchema;

/// A duration such as `500ms`, `30s`, `10m` or `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, example = "30s")]
pub(crate) struct Span(pub(crate) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(decoder: D) -> Result<Self, D::Error> {
        let text = String::deserialize(decoder)?;
        parse_duration(&text).map(Self).map_err(|error| match error.instead() {
            Some(instead) => D::Error::custom(format!("{error}; write {instead:?}")),
            None => D::Error::custom(error),
        })
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, encoder: S) -> Result<S::Ok, S::Error> {
        encoder.serialize_str(&format_duration(self.0))
    }
}

/// Bytes in base64, with padding.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, content_encoding = "base64", example = "aGVsbG8=")]
pub(crate) struct Base64(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(decoder: D) -> Result<Self, D::Error> {
        let text = String::deserialize(decoder)?;
        BASE64_STANDARD.decode(text).map(Self).map_err(|error| {
            D::Error::custom(format!("this is not base64 (with + and /, padded): {error}"))
        })
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, encoder: S) -> Result<S::Ok, S::Error> {
        encoder.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

/// A body that came as JSON or as base64, whichever of two fields was there.
/// JSON is kept as it was written: numbers keep their digits.
pub(crate) fn body(
    name: &str,
    json: Option<Box<RawValue>>,
    bytes: Option<Base64>,
) -> Result<Vec<u8>, String> {
    match (json, bytes) {
        (Some(json), None) => Ok(Box::<str>::from(json).into_string().into_bytes()),
        (None, Some(Base64(bytes))) => Ok(bytes),
        (Some(_), Some(_)) => Err(format!("give `{name}` or `{name}_base64`, not both")),
        (None, None) => Err(format!("give `{name}` (any JSON) or `{name}_base64`")),
    }
}

/// For a field of any JSON, where `null` is a value like any other.
pub(crate) fn present<'de, D: Deserializer<'de>>(
    decoder: D,
) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(decoder).map(Some)
}

/// The bytes as JSON on one line if that is what they are. Spaces between
/// tokens go, digits and escapes stay.
pub(crate) fn as_json(bytes: &[u8]) -> Option<Box<RawValue>> {
    let json: &RawValue = serde_json::from_slice(bytes).ok()?;
    let mut line = String::with_capacity(json.get().len());
    let (mut quoted, mut escaped) = (false, false);
    for character in json.get().chars() {
        if !quoted && matches!(character, ' ' | '\t' | '\r' | '\n') {
            continue;
        }
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        line.push(character);
    }
    RawValue::from_string(line).ok()
}

/// Pairs of strings as a JSON object, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pairs(pub(crate) Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(decoder: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs: Vec<(String, String)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    if pairs.iter().any(|(known, _)| *known == key) {
                        return Err(A::Error::custom(format!("{key:?} is there twice")));
                    }
                    pairs.push((key, value));
                }
                Ok(Pairs(pairs))
            }
        }
        decoder.deserialize_map(Object)
    }
}

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, encoder: S) -> Result<S::Ok, S::Error> {
        encoder.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// Milliseconds since 1970.
pub(crate) fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_comes_out_on_one_line_with_its_digits_and_escapes() {
        for (bytes, line) in [
            (
                r#"{ "a" : 1.50e400,` "b":[1 , 2]}"#.replace('`', "\r\n"),
                r#"{"a":1.50e400,"b":[1,2]}"#,
            ),
            (r#" "a \" b \\" "#.to_owned(), r#""a \" b \\""#),
            ("123456789012345678901234567890".to_owned(), "123456789012345678901234567890"),
            (" null\n".to_owned(), "null"),
            (r#"{"\\":" \\\" {"}"#.to_owned(), r#"{"\\":" \\\" {"}"#),
        ] {
            assert_eq!(as_json(bytes.as_bytes()).unwrap().get(), line, "{bytes}");
        }
    }

    #[test]
    fn what_is_not_json_is_told_apart() {
        for bytes in [&b""[..], b"hello", b"\xff", b"1 2", b"{\"a\":}", b"\"\xc3\"", b"NaN"] {
            assert!(as_json(bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn pairs_keep_their_order_and_come_once() {
        let pairs: Pairs = serde_json::from_str(r#"{"z":"1","a":"2"}"#).unwrap();
        assert_eq!(serde_json::to_string(&pairs).unwrap(), r#"{"z":"1","a":"2"}"#);
        let twice = serde_json::from_str::<Pairs>(r#"{"a":"1","a":"2"}"#).unwrap_err();
        assert!(twice.to_string().contains("\"a\" is there twice"), "{twice}");
    }
}
