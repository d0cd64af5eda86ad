//! JSON objects that travel as they were written.

use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{Error, ErrorKind};

/// The longest object, in bytes.
pub const MAX_OBJECT_BYTES: usize = 64 * 1024;

/// A JSON object on one line, of at most [`MAX_OBJECT_BYTES`]. Numbers keep
/// their digits and keys their order.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonObject(String);

impl JsonObject {
    /// Writes a value, which must be a struct or a map.
    ///
    /// # Errors
    ///
    /// `encoding` if it cannot be written as JSON; `invalid-argument` if it is
    /// no object or too long.
    pub fn new<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        let text = serde_json::to_string(value)
            .map_err(|error| Error::new(ErrorKind::Encoding, format!("a JSON object: {error}")))?;
        Self::parse(&text)
    }

    /// Reads a text.
    ///
    /// # Errors
    ///
    /// `invalid-argument` if it is not one JSON object or too long.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_OBJECT_BYTES {
            return Err(Error::invalid(format!(
                "a JSON object has {} bytes, at most {MAX_OBJECT_BYTES} (64 KiB) are allowed",
                text.len()
            )));
        }
        let read: &RawValue = serde_json::from_str(text)
            .map_err(|error| Error::invalid(format!("this is not a JSON object: {error}")))?;
        if !read.get().starts_with('{') {
            return Err(Error::invalid("this is JSON and not an object; write it within { and }"));
        }
        // Within strings JSON has no line ends: those found are mere space.
        let line = read.get().replace(['\n', '\r'], " ");
        Ok(Self(line))
    }

    /// The object as JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_keeps_its_digits_and_is_on_one_line() {
        let object = JsonObject::parse(" {\"n\":\r\n 1.50e400, \"t\": \"a\\nb\"}\n").unwrap();
        assert_eq!(object.as_str(), "{\"n\":   1.50e400, \"t\": \"a\\nb\"}");
    }

    #[test]
    fn what_is_no_object_or_too_long_is_refused() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_OBJECT_BYTES));
        for text in ["", "[]", "1", "null", "{", "{} {}", "{\"a\":}", long.as_str()] {
            let error = JsonObject::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        }
        assert!(JsonObject::new(&5).is_err());
        assert_eq!(JsonObject::new(&serde_json::json!({"a": 1})).unwrap().as_str(), "{\"a\":1}");
    }
}
