//! Text that must not be shown.

use std::fmt;

use subtle::ConstantTimeEq;
use thiserror::Error;

/// Text that neither `Debug` nor an error shows; there is no `Display`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. The name is long to be seen in review.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }

    /// Whether `other` is the same text, in a time that depends on the
    /// lengths alone.
    pub fn matches(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// The bearer token that callers of the HTTP API must show.
///
/// At least [`Token::MIN_LENGTH`] characters, all of them visible ASCII: what
/// an `Authorization` header can carry unchanged.
#[derive(Clone, Debug)]
pub struct Token(Secret);

impl Token {
    /// The fewest characters of a token.
    pub const MIN_LENGTH: usize = 16;

    /// Takes a text as a token.
    ///
    /// # Errors
    ///
    /// It is too short, or holds what a header cannot carry.
    pub fn new(text: impl Into<String>) -> Result<Self, TokenError> {
        let text = text.into();
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::NotVisibleAscii);
        }
        if text.len() < Self::MIN_LENGTH {
            return Err(TokenError::TooShort);
        }
        Ok(Self(Secret::new(text)))
    }

    /// Whether a caller's text is this token, in a time that tells nothing of
    /// how much of it was right.
    pub fn matches(&self, shown: &str) -> bool {
        self.0.matches(shown)
    }

    /// The token itself, for a client that must send it.
    pub fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

/// What links to files are signed with: at least [`LinkSecret::MIN_LENGTH`]
/// bytes of any text.
#[derive(Clone, Debug)]
pub struct LinkSecret(Secret);

/// A text is too short to sign links with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a secret for links has at least {} bytes", LinkSecret::MIN_LENGTH)]
pub struct LinkSecretError;

impl LinkSecret {
    /// The fewest bytes: as many as HMAC-SHA-256 makes use of.
    pub const MIN_LENGTH: usize = 32;

    /// Takes a text as a secret.
    ///
    /// # Errors
    ///
    /// It is too short.
    pub fn new(text: impl Into<String>) -> Result<Self, LinkSecretError> {
        let text = text.into();
        if text.len() < Self::MIN_LENGTH {
            return Err(LinkSecretError);
        }
        Ok(Self(Secret::new(text)))
    }

    /// The secret itself, for what signs.
    pub fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Why a text cannot be a token. Holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Fewer than [`Token::MIN_LENGTH`] characters.
    #[error("a token has at least {} characters", Token::MIN_LENGTH)]
    TooShort,
    /// A space, a control character or a letter beyond ASCII.
    #[error("a token has visible ASCII characters only, and no spaces")]
    NotVisibleAscii,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_itself_to_nobody() {
        let token = Token::new("0123456789abcdef").unwrap();
        assert_eq!(format!("{token:?}"), "Token([secret])");
        assert!(!format!("{token:#?}").contains("0123"));
    }

    #[test]
    fn only_the_whole_token_matches() {
        let token = Token::new("0123456789abcdef").unwrap();
        assert!(token.matches("0123456789abcdef"));
        for other in ["", "0123456789abcdeF", "0123456789abcde", "0123456789abcdef0"] {
            assert!(!token.matches(other), "{other}");
        }
    }

    #[test]
    fn a_token_is_long_enough_and_fits_a_header() {
        assert_eq!(Token::new("0123456789abcde").unwrap_err(), TokenError::TooShort);
        for text in ["0123456789 abcdef", "0123456789abcdef\n", "0123456789abcdefü"] {
            assert_eq!(Token::new(text).unwrap_err(), TokenError::NotVisibleAscii, "{text:?}");
        }
    }
}
