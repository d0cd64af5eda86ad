//! How a guest describes an object, parsed: every part of it becomes a header.

use std::collections::BTreeSet;

use aws_sdk_s3::types::ObjectCannedAcl;
use stheno_contracts::Error;
use stheno_contracts::objects::{Access, Description};

/// The longest of the values that are headers of their own, and of the keys of
/// metadata.
const VALUE_BYTES: usize = 255;
const NAME_BYTES: usize = 128;
/// Keys and values of metadata together: what S3 takes.
const METADATA_BYTES: usize = 2_048;

/// A description that can be sent as it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Described {
    pub(super) content_type: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) acl: Option<ObjectCannedAcl>,
}

impl Described {
    /// `public` says whether the grant lets anybody read; `label` whose it is.
    pub(super) fn parse(
        description: Description,
        public: bool,
        label: &str,
    ) -> Result<Self, Error> {
        let acl = match description.access {
            None => None,
            Some(Access::Private) => Some(ObjectCannedAcl::Private),
            Some(Access::Public) => {
                may_be_public(public, label)?;
                Some(ObjectCannedAcl::PublicRead)
            }
        };
        let Description { content_type, cache_control, content_disposition, metadata, .. } =
            description;
        Ok(Self {
            content_type: header("content-type", content_type)?,
            cache_control: header("cache-control", cache_control)?,
            content_disposition: header("content-disposition", content_disposition)?,
            metadata: pairs(metadata)?,
            acl,
        })
    }
}

/// Puts a description into a request. The builders of the SDK have the same setters, and
/// no trait in common.
macro_rules! with_description {
    ($request:expr, $described:expr) => {{
        let described: $crate::objects::describe::Described = $described;
        $request
            .set_content_type(described.content_type)
            .set_cache_control(described.cache_control)
            .set_content_disposition(described.content_disposition)
            .set_metadata(Some(described.metadata.into_iter().collect()))
            .set_acl(described.acl)
    }};
}
pub(super) use with_description;

/// Whether the grant lets anybody read some of the objects.
pub(super) fn may_be_public(public: bool, label: &str) -> Result<(), Error> {
    if public {
        return Ok(());
    }
    Err(Error::Denied(format!(
        "access is public, and no object may be; if the provider may make some that anybody can \
         read, add this to grants.objects.{label}: public = true"
    )))
}

fn is_shown(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte == b' '
}

fn has_open_ends(value: &str) -> bool {
    value.starts_with(' ') || value.ends_with(' ')
}

fn header(argument: &str, value: Option<String>) -> Result<Option<String>, Error> {
    let Some(value) = value else { return Ok(None) };
    let fits = (1..=VALUE_BYTES).contains(&value.len())
        && value.bytes().all(is_shown)
        && !has_open_ends(&value);
    if fits {
        return Ok(Some(value));
    }
    Err(Error::InvalidArgument(format!(
        "{argument} must have 1 to {VALUE_BYTES} visible ASCII characters and spaces, and no space at its ends"
    )))
}

fn pairs(metadata: Vec<(String, String)>) -> Result<Vec<(String, String)>, Error> {
    let wrong = |text: String| Err(Error::InvalidArgument(text));
    let bytes: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > METADATA_BYTES {
        return wrong(format!("metadata has {bytes} bytes, at most {METADATA_BYTES}"));
    }
    let mut keys = BTreeSet::new();
    for (key, value) in &metadata {
        let lawful =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        if !(1..=NAME_BYTES).contains(&key.len()) || !key.bytes().all(lawful) {
            return wrong(format!(
                "metadata key {key:?} must have 1 to {NAME_BYTES} characters of a-z 0-9 - _ ."
            ));
        }
        if !keys.insert(key) {
            return wrong(format!("metadata has the key {key:?} twice"));
        }
        if !value.bytes().all(is_shown) || has_open_ends(value) {
            return wrong(format!(
                "metadata {key:?} must have visible ASCII characters and spaces, and no space at its ends"
            ));
        }
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain() -> Description {
        Description {
            content_type: None,
            cache_control: None,
            content_disposition: None,
            metadata: Vec::new(),
            access: None,
        }
    }

    fn parse(description: Description) -> Result<Described, Error> {
        Described::parse(description, false, "default")
    }

    #[test]
    fn nothing_that_ends_a_header_gets_into_one() {
        for bad in [
            "",
            " a",
            "a ",
            "a\r\nx-amz-acl: public-read",
            "a\n",
            "a\0",
            "ü",
            "a\t",
            &"a".repeat(256),
        ] {
            for description in [
                Description { content_type: Some(bad.into()), ..plain() },
                Description { cache_control: Some(bad.into()), ..plain() },
                Description { content_disposition: Some(bad.into()), ..plain() },
            ] {
                assert_eq!(parse(description).unwrap_err().kind(), "invalid-argument", "{bad:?}");
            }
        }
        for (key, value) in [
            ("", "v"),
            ("A", "v"),
            ("a b", "v"),
            ("a:b", "v"),
            ("a\r\nb", "v"),
            ("k", "a\r\nb"),
            ("k", "ü"),
            ("k", " v"),
            ("k", "\u{7f}"),
            (&"k".repeat(129), "v"),
            ("k", &"v".repeat(2_048)),
        ] {
            let metadata = vec![(key.to_owned(), value.to_owned())];
            let error = parse(Description { metadata, ..plain() }).unwrap_err();
            assert_eq!(error.kind(), "invalid-argument", "{key:?} {value:?}");
        }
        let twice = vec![("k".to_owned(), "1".to_owned()), ("k".to_owned(), "2".to_owned())];
        assert!(parse(Description { metadata: twice, ..plain() }).is_err());
    }

    #[test]
    fn what_anybody_can_read_needs_a_word_in_the_grant() {
        let public = Description { access: Some(Access::Public), ..plain() };
        let error = parse(public.clone()).unwrap_err();
        assert_eq!(error.kind(), "denied");
        assert!(error.message().contains("grants.objects.default: public = true"), "{error:?}");
        let described = Described::parse(public, true, "default").unwrap();
        assert_eq!(described.acl, Some(ObjectCannedAcl::PublicRead));
    }

    proptest! {
        #[test]
        fn what_is_taken_is_a_header_value(text in "[ -~\r\n\tü\0]{0,20}") {
            let description = Description {
                content_type: Some(text.clone()),
                metadata: vec![("k".to_owned(), text.clone())],
                ..plain()
            };
            if parse(description).is_ok() {
                let value = http::HeaderValue::from_str(&text).unwrap();
                prop_assert_eq!(value.to_str().unwrap(), text.trim());
            }
        }
    }
}
