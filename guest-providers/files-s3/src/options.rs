//! What an operator may set.

use serde::{Deserialize, Deserializer, de::Error as _};
use stheno_sdk::objects::Access;

use crate::label::encoded;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// What every key begins with: nothing, or folders with a closing slash.
    #[serde(deserialize_with = "filing::options::prefix")]
    pub(crate) prefix: String,
    /// The `Cache-Control` of public files that come without one.
    #[serde(deserialize_with = "filing::options::cache_control")]
    pub(crate) cache_control: String,
    pub(crate) acl: Acl,
    pub(crate) disposition: Disposition,
    pub(crate) links: Links,
    url: Option<Base>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            cache_control: filing::options::CACHE_CONTROL.to_owned(),
            acl: Acl::None,
            disposition: Disposition::Attachment,
            links: Links::Presigned,
            url: None,
        }
    }
}

impl Options {
    /// Where anybody can read a public file, if the operator says where.
    pub(crate) fn url(&self, key: &str) -> Option<String> {
        self.url.as_ref().map(|Base(base)| format!("{base}/{}", encoded(key, true)))
    }
}

/// What the server is told of who may read an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Acl {
    /// Nothing: the policy of the bucket decides.
    None,
    /// That anybody may read a public file, and nobody a private one.
    ByAccess,
    /// That nobody may, whatever the file.
    Private,
}

impl Acl {
    pub(crate) fn of(self, public: bool) -> Option<Access> {
        match self {
            Self::None => None,
            Self::ByAccess if public => Some(Access::Public),
            Self::ByAccess | Self::Private => Some(Access::Private),
        }
    }
}

/// What a browser is to do with a file that the server gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Disposition {
    /// To save it.
    Attachment,
    /// To show it if it can.
    Inline,
}

/// Where links lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Links {
    /// To the server, past the host.
    Presigned,
    /// To the host.
    Hosted,
}

/// A URL that keys can be put behind, without its closing slash.
#[derive(Debug)]
struct Base(String);

impl<'de> Deserialize<'de> for Base {
    fn deserialize<D: Deserializer<'de>>(decoder: D) -> Result<Self, D::Error> {
        let text = String::deserialize(decoder)?;
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let fits = |byte: u8| byte.is_ascii_graphic() && !b"?#\"<>\\".contains(&byte);
        if host.is_empty() || host.contains('@') || text.len() > 1_024 || !text.bytes().all(fits) {
            return Err(D::Error::custom(
                "must be where the prefix of the grant can be read, such as \
                 \"https://cdn.example.com/files\"",
            ));
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, String> {
        stheno_sdk::options::parse(text).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn nothing_written_asks_for_nothing_that_a_bucket_may_refuse() {
        let options = parse("{}").unwrap();
        assert_eq!((options.acl, options.links), (Acl::None, Links::Presigned));
        assert_eq!((options.acl.of(true), options.acl.of(false)), (None, None));
        assert_eq!(options.disposition, Disposition::Attachment);
        assert_eq!(options.prefix, "");
        assert_eq!(options.url("a"), None);
    }

    #[test]
    fn no_option_makes_a_private_file_public() {
        for acl in [Acl::None, Acl::ByAccess, Acl::Private] {
            assert_ne!(acl.of(false), Some(Access::Public));
        }
        assert_eq!(Acl::ByAccess.of(true), Some(Access::Public));
        assert_eq!(Acl::Private.of(true), Some(Access::Private));
    }

    #[test]
    fn a_url_encodes_each_step_of_a_key_and_keeps_the_slashes() {
        for base in ["https://cdn.example.com/f", "https://cdn.example.com/f/"] {
            let options = parse(&format!(r#"{{"url":"{base}"}}"#)).unwrap();
            let url = options.url("a b/c&d?e#f%+ü.txt").unwrap();
            assert_eq!(url, "https://cdn.example.com/f/a%20b/c%26d%3Fe%23f%25%2B%C3%BC.txt");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (text, named) in [
            (r#"{"bucket":"a"}"#, "bucket"),
            (r#"{"prefix":"../a"}"#, "prefix"),
            (r#"{"cache_control":""}"#, "cache_control"),
            (r#"{"acl":"public-read"}"#, "acl"),
            (r#"{"disposition":"form-data"}"#, "disposition"),
            (r#"{"links":"none"}"#, "links"),
            (r#"{"url":"cdn.example.com"}"#, "url"),
            (r#"{"url":"https://"}"#, "url"),
            (r#"{"url":"ftp://cdn.example.com"}"#, "url"),
            (r#"{"url":"https://a:b@cdn.example.com"}"#, "url"),
            (r#"{"url":"https://cdn.example.com/?a"}"#, "url"),
            (r#"{"url":"https://cdn.example.com/a b"}"#, "url"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
