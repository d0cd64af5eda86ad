//! From what the server says to what a guest is told.

use redis::{ServerError, Value};
use stheno_contracts::Error;
use stheno_contracts::redis::Part;

use super::commands::{Replies, Spec};
use crate::one_line;

/// What one command came to.
pub(super) type Answer = Result<Vec<Part>, Error>;

/// A reply without the prefix on its keys, as its parts.
pub(super) fn answer(value: Value, spec: Spec, prefix: &str) -> Answer {
    if let Value::ServerError(error) = value {
        return Err(refusal(&error, prefix));
    }
    let value = stripped(value, spec, prefix)?;
    let mut parts = Vec::with_capacity(size(&value));
    flatten(value, prefix, &mut parts);
    Ok(parts)
}

fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) | Value::Set(items) => 1 + items.len(),
        Value::Map(pairs) => 1 + 2 * pairs.len(),
        _ => 1,
    }
}

fn flatten(value: Value, prefix: &str, parts: &mut Vec<Part>) {
    // A count that does not fit is larger than any reply may be.
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    match value {
        Value::Nil => parts.push(Part::Nil),
        Value::Int(number) => parts.push(Part::Int(number)),
        Value::BulkString(bytes) => parts.push(Part::Bytes(bytes)),
        Value::SimpleString(text) => parts.push(Part::Status(text)),
        Value::Okay => parts.push(Part::Status("OK".into())),
        Value::Double(number) => parts.push(Part::Double(number)),
        Value::Boolean(truth) => parts.push(Part::Boolean(truth)),
        Value::VerbatimString { text, .. } => parts.push(Part::Bytes(text.into_bytes())),
        Value::BigNumber(digits) => parts.push(Part::Bytes(digits)),
        Value::ServerError(error) => parts.push(Part::Failed(refusal(&error, prefix))),
        Value::Attribute { data, .. } => flatten(*data, prefix, parts),
        Value::Array(items) | Value::Set(items) | Value::Push { data: items, .. } => {
            parts.push(Part::Items(count(items.len())));
            items.into_iter().for_each(|item| flatten(item, prefix, parts));
        }
        Value::Map(pairs) => {
            parts.push(Part::Pairs(count(pairs.len())));
            for (key, value) in pairs {
                flatten(key, prefix, parts);
                flatten(value, prefix, parts);
            }
        }
        // The enumeration may grow: a kind that is not known tells nothing.
        _ => parts.push(Part::Nil),
    }
}

/// Takes the prefix off the keys of a reply. One that has none is none of this
/// binding's, and no reply should hold it.
fn stripped(mut value: Value, spec: Spec, prefix: &str) -> Result<Value, Error> {
    let strange =
        || Error::Internal(format!("{}: the reply is not of the shape that is known", spec.name));
    match (spec.replies, &mut value) {
        (Replies::Plain, _) | (Replies::KeyFirst | Replies::ByStream, Value::Nil) => {}
        (Replies::KeyFirst, Value::Array(items)) => {
            strip(items.first_mut(), prefix).ok_or_else(strange)?;
        }
        (Replies::ByStream, Value::Map(streams)) => {
            for (key, _) in streams {
                strip(Some(key), prefix).ok_or_else(strange)?;
            }
        }
        (Replies::ByStream, Value::Array(streams)) => {
            for stream in streams {
                let Value::Array(stream) = stream else { return Err(strange()) };
                strip(stream.first_mut(), prefix).ok_or_else(strange)?;
            }
        }
        (Replies::Scan, Value::Array(parts)) => {
            let Some(Value::Array(keys)) = parts.get_mut(1) else { return Err(strange()) };
            for key in keys {
                strip(Some(key), prefix).ok_or_else(strange)?;
            }
        }
        _ => return Err(strange()),
    }
    Ok(value)
}

fn strip(key: Option<&mut Value>, prefix: &str) -> Option<()> {
    let Some(Value::BulkString(key)) = key else { return None };
    if !key.starts_with(prefix.as_bytes()) {
        return None;
    }
    key.drain(..prefix.len());
    Some(())
}

/// What an error of the server means to a guest.
pub(super) fn refusal(error: &ServerError, prefix: &str) -> Error {
    let (code, details) = (error.code(), error.details().unwrap_or_default());
    let text = one_line(&format!("{code} {details}"));
    // Where a key is named, it is named as the guest knows it.
    let text = text.trim().replace(&format!("'{prefix}"), "'");
    match code {
        "WRONGTYPE" => Error::Conflict(text),
        "NOPERM" | "NOAUTH" | "WRONGPASS" => Error::Denied(format!(
            "the user in the binding's `url` may not do this ({text}); `stheno acl` prints what it needs"
        )),
        "MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN" => Error::Unavailable(format!(
            "the server is part of a Redis Cluster, which is not supported ({text})"
        )),
        "LOADING" | "OOM" | "READONLY" | "BUSY" | "MASTERDOWN" | "MISCONF" | "NOREPLICAS"
        | "TRYAGAIN" | "UNKILLABLE" | "NOSCRIPT" => Error::Unavailable(text),
        _ => Error::InvalidArgument(text),
    }
}

/// Whether the server does not know a script that it was given before.
pub(super) fn lost_script(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.code() == "NOSCRIPT")
}
