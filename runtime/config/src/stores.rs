//! `grants.store`: files in which a provider keeps what must survive it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::ByteSize;
use crate::decode::{Decoder, Node, Why};
use crate::path::host_path;

const KEYS: &[&str] = &["path", "max_size"];
const EXAMPLE: &str = r#"store.default = { path = "./data/store.redb", max_size = "1GiB" }"#;

/// The granted stores by their labels.
pub type StoreGrants = BTreeMap<StoreLabel, StoreGrant>;

/// One file, for one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreGrant {
    /// The file. It is made when the provider opens it first.
    pub path: PathBuf,
    /// How large what is in it may become.
    pub max_size: StoreSize,
}

/// What a provider calls a store: 1 to 64 letters, digits, `-` and `_`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreLabel(String);

/// A text is not a [`StoreLabel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a label has 1 to 64 letters, digits, `-` and `_`")]
pub struct StoreLabelError;

impl StoreLabel {
    /// Takes a label.
    ///
    /// # Errors
    ///
    /// It is empty, too long, or has other characters.
    pub fn new(text: &str) -> Result<Self, StoreLabelError> {
        let lawful = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
        if (1..=64).contains(&text.len()) && text.bytes().all(lawful) {
            Ok(Self(text.to_owned()))
        } else {
            Err(StoreLabelError)
        }
    }

    /// The label.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for StoreLabel {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StoreLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// How large a store may become: 1 MiB to 1 TiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreSize(ByteSize);

/// A size is not a [`StoreSize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("`max_size` must lie between 1MiB and 1TiB")]
pub struct StoreSizeError;

impl StoreSize {
    /// Takes a size.
    ///
    /// # Errors
    ///
    /// It is out of range.
    pub fn new(size: ByteSize) -> Result<Self, StoreSizeError> {
        if (ByteSize::mib(1)..=ByteSize::gib(1024)).contains(&size) {
            Ok(Self(size))
        } else {
            Err(StoreSizeError)
        }
    }

    /// The size.
    pub fn get(self) -> ByteSize {
        self.0
    }
}

/// Reads a table of labels: each that is one, with the node of what it stands for and
/// what `read` makes of that. Mistakes are told of all.
pub(crate) fn labelled<'t, T>(
    decoder: &mut Decoder<'_>,
    node: &Node<'t>,
    example: &str,
    read: impl Fn(&mut Decoder<'_>, &Node<'t>) -> Option<T>,
) -> Vec<(StoreLabel, Node<'t>, T)> {
    let mut all = Vec::new();
    for (name, node) in decoder.entries(node, example) {
        let label = StoreLabel::new(&name);
        if let Err(error) = label {
            decoder.fault(
                &node,
                format!("{name:?} is not a label: {error}"),
                format!("write {example}"),
            );
        }
        if let (Some(value), Ok(label)) = (read(decoder, &node), label) {
            all.push((label, node, value));
        }
    }
    all
}

/// Reads the table of labels.
pub(crate) fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> StoreGrants {
    let mut grants = StoreGrants::new();
    for (label, node, grant) in labelled(decoder, node, EXAMPLE, decode_one) {
        if grants.values().any(|other| other.path == grant.path) {
            decoder.fault(
                &node,
                "another store is granted in this file already",
                "give each store a file of its own, or remove one of the two",
            );
            continue;
        }
        grants.insert(label, grant);
    }
    grants
}

fn decode_one(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<StoreGrant> {
    let base = decoder.base;
    let section = decoder.section(node, KEYS, EXAMPLE)?;
    for key in KEYS {
        if section.get(key).is_none() {
            decoder.fault(node, format!("the store has no `{key}`"), format!("write {EXAMPLE}"));
        }
    }
    let path = section.get("path").and_then(|node| {
        decoder.parsed(&node, "a file", r#"path = "./data/store.redb""#, |text| {
            if text.ends_with('/') {
                return Err(Why::reason("it is a folder"));
            }
            host_path(text, base)
        })
    });
    let max_size = section.get("max_size").and_then(|node| {
        decoder.parsed(&node, "a size", r#"max_size = "1GiB""#, |text| {
            let size: ByteSize = text.parse().map_err(|error: crate::UnitError| Why {
                instead: error.instead(),
                ..Why::reason(error)
            })?;
            StoreSize::new(size).map_err(Why::reason)
        })
    });
    Some(StoreGrant { path: path?, max_size: max_size? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_a_plain_word() {
        for good in ["default", "a", "A-1_b"] {
            assert_eq!(StoreLabel::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "../x", "a/b", "ü", "a\0", &"a".repeat(65)] {
            assert_eq!(StoreLabel::new(bad), Err(StoreLabelError), "{bad:?}");
        }
    }

    #[test]
    fn a_size_out_of_range_is_none() {
        assert!(StoreSize::new(ByteSize::mib(1)).is_ok());
        assert!(StoreSize::new(ByteSize::gib(1024)).is_ok());
        assert!(StoreSize::new(ByteSize::kib(1023)).is_err());
        assert!(StoreSize::new(ByteSize::gib(1025)).is_err());
    }
}
