//! How a stored file is described, in a form that is written down.

use serde::{Deserialize, Serialize};
use stheno_sdk::files::{Access, Info, NewFile};

const PLAIN: &str = "application/octet-stream";

/// What a provider writes down of a file beside its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    name: String,
    content_type: String,
    public: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_control: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    metadata: Vec<(String, String)>,
    /// None if it was described before it was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified_ms: Option<u64>,
    /// Random, so that no other body that its key may ever have had, be it as
    /// long and of the same millisecond, has the same etag.
    mark: u64,
}

impl Record {
    /// What `file` says, with `cache_control` for a public one that says
    /// nothing of it. `mark` is random. `modified_ms` is when it is stored; none
    /// if that is yet to be seen.
    #[must_use]
    pub fn new(file: NewFile, cache_control: &str, modified_ms: Option<u64>, mark: u64) -> Self {
        let public = file.access == Access::Public;
        Self {
            name: file.name,
            content_type: file.content_type.unwrap_or_else(|| PLAIN.to_owned()),
            public,
            cache_control: file.cache_control.or_else(|| public.then(|| cache_control.to_owned())),
            metadata: file.metadata,
            modified_ms,
            mark,
        }
    }

    /// The name that the file was uploaded under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its media type.
    #[must_use]
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// Its `Cache-Control`.
    #[must_use]
    pub fn cache_control(&self) -> Option<&str> {
        self.cache_control.as_deref()
    }

    /// Whether anybody may read it.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.public
    }

    /// The file under `key`, with a body of `size` bytes. Where it was described
    /// before it was stored, `seen` tells what the store knows of it.
    #[must_use]
    pub fn describe(self, key: &str, size: u64, seen: Option<Seen<'_>>) -> Info {
        let mark = self.mark;
        let (modified_ms, etag) = match (self.modified_ms, seen) {
            (Some(modified_ms), _) => (modified_ms, format!("{modified_ms:x}-{mark:x}")),
            (None, None) => (0, format!("0-{mark:x}")),
            (None, Some(Seen { modified_ms, etag })) => {
                let fits = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
                let etag: String = etag.chars().filter(fits).take(64).collect();
                (modified_ms, format!("{modified_ms:x}-{mark:x}-{etag}"))
            }
        };
        Info {
            key: key.to_owned(),
            name: self.name,
            size,
            content_type: self.content_type,
            access: if self.public { Access::Public } else { Access::Private },
            cache_control: self.cache_control,
            metadata: self.metadata,
            modified_ms,
            etag,
            url: None,
        }
    }
}

/// What a store itself knows of a body.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// When it was stored, in milliseconds since 1970.
    pub modified_ms: u64,
    /// What differs between bodies.
    pub etag: &'a str,
}

/// The words that would store a file as it is described.
#[must_use]
pub fn as_new(info: Info) -> NewFile {
    NewFile {
        name: info.name,
        content_type: Some(info.content_type),
        access: info.access,
        cache_control: info.cache_control,
        metadata: info.metadata,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> NewFile {
        NewFile {
            name: "a".to_owned(),
            content_type: None,
            access: Access::Public,
            cache_control: None,
            metadata: Vec::new(),
        }
    }

    #[test]
    fn what_was_not_said_has_its_default() {
        let info = Record::new(file(), "max-age=5", Some(7), 1).describe("k", 3, None);
        assert_eq!(info.content_type, "application/octet-stream");
        assert_eq!(info.cache_control.as_deref(), Some("max-age=5"));
        assert_eq!((info.modified_ms, info.etag.as_str()), (7, "7-1"));
        let private = NewFile { access: Access::Private, ..file() };
        assert_eq!(Record::new(private, "max-age=5", Some(7), 1).cache_control(), None);
    }

    #[test]
    fn of_a_file_that_was_described_before_the_store_tells_the_rest() {
        let record = Record::new(file(), "x", None, 255);
        let seen = Seen { modified_ms: 16, etag: "\"ab-2\"\n" };
        let info = record.clone().describe("k", 3, Some(seen));
        assert_eq!((info.modified_ms, info.etag.as_str()), (16, "10-ff-ab-2"));
        let long = "e".repeat(1_000);
        let info = record.describe("k", 3, Some(Seen { modified_ms: u64::MAX, etag: &long }));
        assert!(info.etag.len() <= 128);
    }

    #[test]
    fn a_record_of_an_earlier_release_is_read() {
        let text = r#"{"name":"a","content_type":"t","public":false,"modified_ms":5,"mark":6}"#;
        let record: Record = serde_json::from_str(text).unwrap();
        assert_eq!(record.describe("k", 0, None).etag, "5-6");
        assert!(!text.contains("metadata"));
    }
}
