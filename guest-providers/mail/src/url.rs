//! Where a service is.

use std::fmt;

use serde::Deserialize;
use serde::de::Error as _;

/// The beginning of a service's URLs, such as `https://api.example.com`: no
/// closing slash, no query.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// A URL of this project's own tables.
    #[must_use]
    pub fn known(url: &'static str) -> Self {
        Self(url.to_owned())
    }

    fn read(text: &str) -> Option<Self> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
        let lawful = |c: char| c.is_ascii_graphic() && !"?#@\\".contains(c);
        (!rest.is_empty() && !rest.starts_with('/') && rest.chars().all(lawful))
            .then(|| Self(text.to_owned()))
    }

    /// The URL of something below it; `path` begins with a slash.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| {
            D::Error::custom("write the beginning of a URL, such as \"https://api.example.com\"")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn a_url_has_a_scheme_and_a_host_and_no_query() {
        for (text, at) in [
            ("https://a.b", "https://a.b/x"),
            ("http://127.0.0.1:80/", "http://127.0.0.1:80/x"),
            ("https://a.b/c", "https://a.b/c/x"),
        ] {
            assert_eq!(Url::read(text).unwrap().at("/x"), at);
        }
        for none in [
            "",
            "a.b",
            "ftp://a",
            "https://",
            "https:///",
            "https://a?b",
            "https://u@a",
            "https://a b",
        ] {
            assert_eq!(Url::read(none), None, "{none}");
        }
    }
}
