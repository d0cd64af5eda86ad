//! The URL by which others know the server.

use thiserror::Error;

/// The beginning of a URL: scheme, host, and a path if a proxy serves Stheno
/// below one. No user, query or fragment, and no closing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

/// Why a text is not a [`PublicUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PublicUrlError {
    /// Another scheme, or none.
    #[error("it does not begin with `https://` or `http://`")]
    Scheme,
    /// Nothing follows the scheme.
    #[error("it has no host")]
    NoHost,
    /// It has a user, a query, a fragment, or what must be encoded in a URL.
    #[error("it has characters that the beginning of a URL cannot have")]
    Characters,
}

impl PublicUrl {
    /// Takes the beginning of a URL; closing slashes are left out.
    ///
    /// # Errors
    ///
    /// It is something else.
    pub fn new(text: &str) -> Result<Self, PublicUrlError> {
        let rest = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let rest = rest.ok_or(PublicUrlError::Scheme)?;
        if rest.is_empty() || rest.starts_with('/') {
            return Err(PublicUrlError::NoHost);
        }
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/%[]".contains(&byte);
        if !rest.bytes().all(fits) {
            return Err(PublicUrlError::Characters);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
