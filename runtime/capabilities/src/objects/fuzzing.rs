//! The parser, for a fuzz target.

use super::key::{Key, list_prefix};

/// What the server gets for the key of a guest, and as the source of a copy; none if
/// it is refused.
#[must_use]
pub fn object_key(prefix: &str, bucket: &str, text: &str) -> Option<(String, String)> {
    let key = Key::parse(prefix, "key", text).ok()?;
    Some((key.whole().to_owned(), key.as_source(bucket)))
}

/// What the server gets for the prefix of a listing; none if it is refused.
#[must_use]
pub fn object_listing(prefix: &str, text: &str) -> Option<String> {
    list_prefix(prefix, text).ok()
}
