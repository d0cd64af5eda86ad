//! What may be stored: the limits of the contract, checked once, here.

use std::time::Duration;

use stheno_contracts::cache::Entry;

use super::MAX_ITEMS;
use crate::Error;

/// The longest key, tag or pattern, in bytes.
pub const MAX_KEY_BYTES: usize = 1_024;
/// The largest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 8 * 1024 * 1024;
/// The most tags of one entry.
pub const MAX_TAGS: usize = 64;

/// An entry to be stored with [`Cache::set_many`](super::Cache::set_many).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// 1 to [`MAX_KEY_BYTES`] bytes, any characters.
    pub key: String,
    /// At most [`MAX_VALUE_BYTES`].
    pub value: Vec<u8>,
    /// None takes the provider's default; zero removes the entry.
    pub ttl: Option<Duration>,
    /// At most [`MAX_TAGS`], each like a key.
    pub tags: Vec<String>,
}

impl NewEntry {
    /// An entry with the provider's default time to live and no tags.
    pub fn new(key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into(), value: value.into(), ttl: None, tags: Vec::new() }
    }

    /// How long the entry lives.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The names by which it can be found and cleared.
    #[must_use]
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags = tags.into_iter().map(Into::into).collect();
        self
    }

    /// The entry as the contract has it.
    pub(super) fn checked(self) -> Result<Entry, Error> {
        text("key", &self.key)?;
        if self.value.len() > MAX_VALUE_BYTES {
            return Err(Error::invalid(format!(
                "value has {} bytes, at most {MAX_VALUE_BYTES} (8 MiB) are allowed",
                self.value.len()
            )));
        }
        if self.tags.len() > MAX_TAGS {
            return Err(Error::invalid(format!(
                "tags has {} items, at most {MAX_TAGS} are allowed",
                self.tags.len()
            )));
        }
        for tag in &self.tags {
            text("tag", tag)?;
        }
        Ok(Entry {
            key: self.key,
            value: self.value,
            ttl_ms: self.ttl.map(ceil_millis),
            tags: self.tags,
        })
    }
}

/// Whole milliseconds, rounded up: what lives at all lives for one.
fn ceil_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn text(argument: &str, text: &str) -> Result<(), Error> {
    match text.len() {
        0 => Err(Error::invalid(format!("{argument} is empty"))),
        1..=MAX_KEY_BYTES => Ok(()),
        bytes => Err(Error::invalid(format!(
            "{argument} has {bytes} bytes, at most {MAX_KEY_BYTES} are allowed"
        ))),
    }
}

pub(super) fn key(key: &str) -> Result<String, Error> {
    text("key", key).map(|()| key.to_owned())
}

pub(super) fn tag(tag: &str) -> Result<String, Error> {
    text("tag", tag).map(|()| tag.to_owned())
}

pub(super) fn pattern(pattern: &str) -> Result<String, Error> {
    text("pattern", pattern).map(|()| pattern.to_owned())
}

pub(super) fn at_most(argument: &str, items: usize) -> Result<(), Error> {
    if items > MAX_ITEMS {
        return Err(Error::invalid(format!(
            "{argument} has {items} items, at most {MAX_ITEMS} in one call are allowed"
        )));
    }
    Ok(())
}

pub(super) fn list<T: AsRef<str>>(
    argument: &str,
    items: impl IntoIterator<Item = T>,
    check: fn(&str) -> Result<String, Error>,
) -> Result<Vec<String>, Error> {
    let items =
        items.into_iter().map(|item| check(item.as_ref())).collect::<Result<Vec<_>, _>>()?;
    at_most(argument, items.len())?;
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_inclusive_and_the_message_names_the_argument() {
        assert!(key(&"k".repeat(MAX_KEY_BYTES)).is_ok());
        for (result, argument) in [
            (key(""), "key"),
            (key(&"k".repeat(MAX_KEY_BYTES + 1)), "key"),
            (tag(""), "tag"),
            (pattern(""), "pattern"),
        ] {
            assert!(result.unwrap_err().message().starts_with(argument));
        }
        let entry = NewEntry::new("k", vec![0; MAX_VALUE_BYTES]);
        assert!(entry.clone().checked().is_ok());
        assert!(NewEntry { value: vec![0; MAX_VALUE_BYTES + 1], ..entry }.checked().is_err());
        assert!(NewEntry::new("k", "").tags(vec!["t"; MAX_TAGS]).checked().is_ok());
        assert!(NewEntry::new("k", "").tags(vec!["t"; MAX_TAGS + 1]).checked().is_err());
    }

    #[test]
    fn a_time_to_live_below_a_millisecond_is_not_none() {
        let entry = NewEntry::new("k", "").ttl(Duration::from_nanos(1)).checked().unwrap();
        assert_eq!(entry.ttl_ms, Some(1));
        let entry = NewEntry::new("k", "").ttl(Duration::ZERO).checked().unwrap();
        assert_eq!(entry.ttl_ms, Some(0));
        let entry = NewEntry::new("k", "").ttl(Duration::MAX).checked().unwrap();
        assert_eq!(entry.ttl_ms, Some(u64::MAX));
    }
}
