//! What may be stored and asked for: the limits of the contract, checked once,
//! here. Which names it can hold, a provider says.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use stheno_contracts::files as contract;

use crate::Error;

const MAX_NAME_BYTES: usize = 1_024;
const MAX_HEADER_BYTES: usize = 255;
const MAX_METADATA_KEY_BYTES: usize = 128;
const MAX_METADATA_VALUE_BYTES: usize = 1_024;
/// The most pairs of metadata of one file.
pub const MAX_FILE_METADATA: usize = 32;
/// The most keys or files in one call.
pub const MAX_FILES_PER_CALL: usize = 1_000;
/// The shortest life of a link.
pub const MIN_FILE_LINK: Duration = Duration::from_secs(1);
/// The longest life of a link.
pub const MAX_FILE_LINK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Who may read a file by its plain URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Anybody.
    Public,
    /// Nobody: it takes a call, or a link that expires.
    #[default]
    Private,
}

impl From<contract::Access> for Access {
    fn from(access: contract::Access) -> Self {
        match access {
            contract::Access::Public => Self::Public,
            contract::Access::Private => Self::Private,
        }
    }
}

/// A part of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// From an offset to the end.
    From(u64),
    /// From an offset for at most so many bytes.
    Span {
        /// The first byte.
        offset: u64,
        /// How many bytes, at least one.
        length: u64,
    },
    /// The last bytes, at most so many.
    Last(u64),
}

impl From<Range> for contract::Range {
    fn from(range: Range) -> Self {
        match range {
            Range::From(offset) => Self::Span(contract::Span { offset, length: None }),
            Range::Span { offset, length } => {
                Self::Span(contract::Span { offset, length: Some(length) })
            }
            Range::Last(bytes) => Self::Last(bytes),
        }
    }
}

/// A file to be stored, private and without a type unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewFile {
    /// The name that its key is made from; `/` parts folders.
    pub name: String,
    /// Its media type; none is `application/octet-stream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Who may read it by its plain URL.
    #[serde(default)]
    pub access: Access,
    /// Its `Cache-Control`; none takes the provider's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// Pairs that travel with it: at most [`MAX_FILE_METADATA`]. A key has 1 to
    /// 128 of `a-z 0-9 - _ .` and comes once, a value at most 1,024 bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<(String, String)>,
}

impl NewFile {
    /// A private file of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            content_type: None,
            access: Access::Private,
            cache_control: None,
            metadata: Vec::new(),
        }
    }

    /// With this media type.
    #[must_use]
    pub fn content_type(self, content_type: impl Into<String>) -> Self {
        Self { content_type: Some(content_type.into()), ..self }
    }

    /// Readable by anybody who knows its URL.
    #[must_use]
    pub fn public(self) -> Self {
        Self { access: Access::Public, ..self }
    }

    /// With this `Cache-Control`.
    #[must_use]
    pub fn cache_control(self, cache_control: impl Into<String>) -> Self {
        Self { cache_control: Some(cache_control.into()), ..self }
    }

    /// With one more pair of metadata.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    pub(super) fn checked(self) -> Result<contract::NewFile, Error> {
        let Self { name, content_type, access, cache_control, metadata } = self;
        name_like("name", &name)?;
        header("content_type", content_type.as_deref())?;
        header("cache_control", cache_control.as_deref())?;
        pairs(&metadata)?;
        let access = match access {
            Access::Public => contract::Access::Public,
            Access::Private => contract::Access::Private,
        };
        Ok(contract::NewFile { name, content_type, access, cache_control, metadata })
    }
}

fn pairs(metadata: &[(String, String)]) -> Result<(), Error> {
    let count = metadata.len();
    if count > MAX_FILE_METADATA {
        return Err(Error::invalid(format!(
            "metadata has {count} pairs, at most {MAX_FILE_METADATA} are allowed"
        )));
    }
    for (at, (key, value)) in metadata.iter().enumerate() {
        let fits =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        if key.is_empty() || key.len() > MAX_METADATA_KEY_BYTES || !key.bytes().all(fits) {
            return Err(Error::invalid(format!(
                "metadata has a key that is not 1 to {MAX_METADATA_KEY_BYTES} of a-z 0-9 - _ ."
            )));
        }
        if metadata.iter().take(at).any(|(other, _)| other == key) {
            return Err(Error::invalid(format!("metadata has the key {key:?} twice")));
        }
        if value.len() > MAX_METADATA_VALUE_BYTES || value.chars().any(char::is_control) {
            return Err(Error::invalid(format!(
                "metadata has a value for {key:?} with a control character or more than \
                 {MAX_METADATA_VALUE_BYTES} bytes"
            )));
        }
    }
    Ok(())
}

fn header(argument: &str, text: Option<&str>) -> Result<(), Error> {
    let Some(text) = text else { return Ok(()) };
    let fits = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if text.trim().is_empty() || text.len() > MAX_HEADER_BYTES || !text.bytes().all(fits) {
        return Err(Error::invalid(format!(
            "{argument} must be 1 to {MAX_HEADER_BYTES} visible ASCII characters"
        )));
    }
    Ok(())
}

fn name_like(argument: &str, text: &str) -> Result<(), Error> {
    match text.len() {
        0 => Err(Error::invalid(format!("{argument} is empty"))),
        1..=MAX_NAME_BYTES => Ok(()),
        bytes => Err(Error::invalid(format!(
            "{argument} has {bytes} bytes, at most {MAX_NAME_BYTES} are allowed"
        ))),
    }
}

pub(super) fn key(text: &str) -> Result<String, Error> {
    name_like("key", text).map(|()| text.to_owned())
}

pub(super) fn cursor(text: &str) -> Result<String, Error> {
    name_like("cursor", text).map(|()| text.to_owned())
}

pub(super) fn prefix(text: &str) -> Result<String, Error> {
    if text.is_empty() {
        return Ok(String::new());
    }
    name_like("prefix", text).map(|()| text.to_owned())
}

pub(super) fn at_most(argument: &str, items: usize) -> Result<(), Error> {
    if items > MAX_FILES_PER_CALL {
        return Err(Error::invalid(format!(
            "{argument} has {items} items, at most {MAX_FILES_PER_CALL} in one call are allowed"
        )));
    }
    Ok(())
}

pub(super) fn limit(limit: u32) -> Result<u32, Error> {
    if limit == 0 || limit as usize > MAX_FILES_PER_CALL {
        return Err(Error::invalid(format!("limit is {limit}, must be 1 to {MAX_FILES_PER_CALL}")));
    }
    Ok(limit)
}

/// The life of a link in whole milliseconds.
pub(super) fn expiry(expires: Duration) -> Result<u64, Error> {
    if !(MIN_FILE_LINK..=MAX_FILE_LINK).contains(&expires) {
        return Err(Error::invalid("expires must lie between 1s and 7 days (168h)"));
    }
    Ok(u64::try_from(expires.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_refused_by_name() {
        let file = NewFile::new("a");
        assert!(file.clone().checked().is_ok());
        let mut many = file.clone();
        many.metadata = (0..33).map(|at| (format!("k{at}"), String::new())).collect();
        for (wrong, argument) in [
            (NewFile::new(""), "name"),
            (NewFile::new("n".repeat(1_025)), "name"),
            (file.clone().content_type(""), "content_type"),
            (file.clone().content_type("text/plain\r\nx: y"), "content_type"),
            (file.clone().content_type("t".repeat(256)), "content_type"),
            (file.clone().cache_control("é"), "cache_control"),
            (file.clone().metadata("", "v"), "metadata"),
            (file.clone().metadata("A", "v"), "metadata"),
            (file.clone().metadata("k", "a\nb"), "metadata"),
            (file.clone().metadata("k", "v".repeat(1_025)), "metadata"),
            (file.clone().metadata("k", "1").metadata("k", "2"), "metadata"),
            (many, "metadata"),
        ] {
            let error = wrong.checked().unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument);
            assert!(error.message().starts_with(argument), "{error}");
        }
    }

    #[test]
    fn a_link_lives_from_a_second_to_a_week() {
        assert_eq!(expiry(MIN_FILE_LINK), Ok(1_000));
        assert_eq!(expiry(MAX_FILE_LINK), Ok(604_800_000));
        for wrong in [Duration::ZERO, Duration::from_millis(999), Duration::MAX] {
            assert!(expiry(wrong).is_err(), "{wrong:?}");
        }
    }
}
