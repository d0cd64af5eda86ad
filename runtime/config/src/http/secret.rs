//! Secrets of requests: what the guest writes in their place, and where the
//! host fills them in.

use std::fmt;

use thiserror::Error;

use crate::Secret;
use crate::decode::{Decoder, Node, Section};

const KEYS: &[&str] = &["header", "query", "body", "value"];
pub(super) const EXAMPLE: &str = r#"secrets = { authorization = "Bearer ${API_KEY}" }"#;
const LONG_EXAMPLE: &str = r#"secrets.key = { query = "api_key", value = "${API_KEY}" }"#;

/// A secret that the host fills in and the guest never sees.
#[derive(Clone)]
pub struct HttpSecret {
    name: SecretName,
    place: SecretPlace,
    value: Secret,
    /// What variables of the environment put into it.
    variables: Vec<Secret>,
}

/// Where a secret is filled in, and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    /// In the values of the header of this name, lower case.
    Header(String),
    /// In the values of the query parameter of this name.
    Query(String),
    /// In the body, which may then have 64 KiB at most.
    Body,
}

/// What a secret is called: 1 to 64 lower-case letters, digits and `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretName(String);

/// Why a secret cannot be. Holds nothing of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HttpSecretError {
    /// The name has other characters.
    #[error("a secret's name has 1 to 64 lower-case letters, digits and `-`")]
    Name,
    /// No header can have this name, or the host writes it.
    #[error(
        "no request may set this header, or its name has others than lower-case letters, digits, `-` and `_`"
    )]
    Header,
    /// The query parameter has a name that is empty or would have to be encoded.
    #[error("a query parameter's name has letters, digits, `-`, `_` and `.`")]
    Query,
    /// So short that it would be found in every response.
    #[error(
        "it has no part of {} or more characters, so it would be found everywhere",
        HttpSecret::MIN_LENGTH
    )]
    TooShort,
    /// More than 8 KiB.
    #[error("it is longer than 8 KiB")]
    TooLong,
    /// A control character, a space at an end, or characters beyond ASCII.
    #[error(
        "it has a control character, a character beyond ASCII, or a space at an end; a line break at the end of a file that it was read from is one too"
    )]
    Characters,
}

impl SecretName {
    /// Takes a name.
    ///
    /// # Errors
    ///
    /// It is empty, too long, or has other characters.
    pub fn new(text: &str) -> Result<Self, HttpSecretError> {
        let lawful = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(lawful) {
            Ok(Self(text.to_owned()))
        } else {
            Err(HttpSecretError::Name)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Headers that frame the request: they are the host's.
const FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl SecretPlace {
    /// A header.
    ///
    /// # Errors
    ///
    /// It is no header, or one that frames the request.
    pub fn header(name: &str) -> Result<Self, HttpSecretError> {
        let lawful =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if name.is_empty() || !name.bytes().all(lawful) || FRAMING.contains(&name) {
            return Err(HttpSecretError::Header);
        }
        Ok(Self::Header(name.to_owned()))
    }

    /// A query parameter.
    ///
    /// # Errors
    ///
    /// Its name would have to be encoded.
    pub fn query(name: &str) -> Result<Self, HttpSecretError> {
        let lawful = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.is_empty() || !name.bytes().all(lawful) {
            return Err(HttpSecretError::Query);
        }
        Ok(Self::Query(name.to_owned()))
    }
}

impl HttpSecret {
    /// The fewest characters of the longest part of a secret, parts being what
    /// spaces separate.
    pub const MIN_LENGTH: usize = 8;

    /// Takes a secret.
    ///
    /// # Errors
    ///
    /// No header could carry the value, or it is too short to be told from other
    /// text.
    pub fn new(
        name: SecretName,
        place: SecretPlace,
        value: impl Into<String>,
    ) -> Result<Self, HttpSecretError> {
        let value = value.into();
        if value.len() > 8 * 1024 {
            return Err(HttpSecretError::TooLong);
        }
        let lawful = |b: u8| b.is_ascii_graphic() || b == b' ';
        if !value.bytes().all(lawful) || value.trim() != value {
            return Err(HttpSecretError::Characters);
        }
        if !value.split(' ').any(|part| part.len() >= Self::MIN_LENGTH) {
            return Err(HttpSecretError::TooShort);
        }
        Ok(Self { name, place, value: Secret::new(value), variables: Vec::new() })
    }

    /// Notes which parts of the value came from variables. Each is a secret by
    /// itself: `key=${FCM_KEY}` hides `FCM_KEY`, whatever stands before it.
    #[must_use]
    pub fn with_variables(mut self, values: impl IntoIterator<Item = String>) -> Self {
        self.variables = values.into_iter().map(Secret::new).collect();
        self
    }

    /// The parts that came from variables.
    pub fn expose_variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(Secret::expose_secret)
    }

    /// What it is called.
    pub fn name(&self) -> &SecretName {
        &self.name
    }

    /// Where it is filled in.
    pub fn place(&self) -> &SecretPlace {
        &self.place
    }

    /// The secret itself. The name is long to be seen in review.
    pub fn expose_secret(&self) -> &str {
        self.value.expose_secret()
    }

    /// What the guest writes where the secret belongs:
    /// `__stheno_secret_NAME__`. No encoding of URLs, forms or JSON changes it.
    pub fn placeholder(&self) -> String {
        format!("__stheno_secret_{}__", self.name.as_str())
    }
}

impl PartialEq for HttpSecret {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.place == other.place
            && self.value.matches(other.value.expose_secret())
    }
}

impl Eq for HttpSecret {}

impl fmt::Debug for HttpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSecret").field("name", &self.name).field("place", &self.place).finish()
    }
}

/// Reads the table of secrets. What a fault shows is never the value.
pub(super) fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Vec<HttpSecret> {
    let mut secrets = Vec::new();
    for (name, node) in decoder.entries(node, EXAMPLE) {
        secrets.extend(decode_one(decoder, &name, &node));
    }
    secrets
}

fn decode_one(decoder: &mut Decoder<'_>, name: &str, node: &Node<'_>) -> Option<HttpSecret> {
    let refuse = |decoder: &mut Decoder<'_>, node: &Node<'_>, error: HttpSecretError| {
        decoder.fault(
            node,
            format!("this is no secret of a request: {error}"),
            format!("write {EXAMPLE}, or {LONG_EXAMPLE}"),
        );
    };
    let short = matches!(node.value, toml::de::DeValue::String(_));
    let (place, value) = if short {
        (SecretPlace::header(name), decoder.text(node, "a string", EXAMPLE)?)
    } else {
        let section = decoder.section(node, KEYS, LONG_EXAMPLE)?;
        let place = decode_place(decoder, node, &section)?;
        let Some(value) = section.get("value") else {
            decoder.fault(node, "the secret has no `value`", format!("write {LONG_EXAMPLE}"));
            return None;
        };
        (place, decoder.text(&value, "a string", LONG_EXAMPLE)?)
    };
    let variables = decoder.variables(&value);
    let secret = SecretName::new(name)
        .and_then(|name| place.and_then(|place| HttpSecret::new(name, place, value.value)))
        .map(|secret| secret.with_variables(variables));
    secret.map_err(|error| refuse(decoder, node, error)).ok()
}

/// The one place that is written. `None`: a fault was reported.
fn decode_place(
    decoder: &mut Decoder<'_>,
    node: &Node<'_>,
    section: &Section<'_>,
) -> Option<Result<SecretPlace, HttpSecretError>> {
    let (header, query, body) = (section.get("header"), section.get("query"), section.get("body"));
    match (header, query, body) {
        (Some(node), None, None) => {
            let name = decoder.text(&node, "the name of a header", r#"header = "x-api-key""#)?;
            Some(SecretPlace::header(&name.value))
        }
        (None, Some(node), None) => {
            let name = decoder.text(&node, "the name of a parameter", r#"query = "api_key""#)?;
            Some(SecretPlace::query(&name.value))
        }
        (None, None, Some(node)) => match node.value {
            toml::de::DeValue::Boolean(true) => Some(Ok(SecretPlace::Body)),
            _ => {
                decoder.wrong_type(&node, "`true`, or not be there", "body = true");
                None
            }
        },
        _ => {
            decoder.fault(
                node,
                "a secret has one place: `header`, `query` or `body`",
                format!("write {LONG_EXAMPLE}"),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(value: &str) -> Result<HttpSecret, HttpSecretError> {
        let name = SecretName::new("authorization").unwrap();
        HttpSecret::new(name, SecretPlace::header("authorization").unwrap(), value)
    }

    #[test]
    fn a_secret_shows_itself_to_nobody() {
        let shown = format!("{:?}", secret("Bearer hunter2hunter2").unwrap());
        assert!(shown.contains("authorization") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_value_fits_a_header_and_can_be_told_from_other_text() {
        assert!(secret("Bearer 12345678").is_ok());
        assert_eq!(secret("Bearer 1234567").unwrap_err(), HttpSecretError::TooShort);
        assert_eq!(secret("").unwrap_err(), HttpSecretError::TooShort);
        assert_eq!(secret(&"a".repeat(8_193)).unwrap_err(), HttpSecretError::TooLong);
        for text in ["12345678\r\nx: y", "12345678\n", " 12345678", "1234567ü8", "12345678\0"] {
            assert_eq!(secret(text).unwrap_err(), HttpSecretError::Characters, "{text:?}");
        }
    }

    #[test]
    fn what_frames_a_request_is_no_place_for_a_secret() {
        for name in ["host", "content-length", "transfer-encoding", "Authorization", "a b", ""] {
            assert_eq!(SecretPlace::header(name), Err(HttpSecretError::Header), "{name}");
        }
        assert!(SecretPlace::query("api_key").is_ok());
        assert_eq!(SecretPlace::query("a=b"), Err(HttpSecretError::Query));
    }
}
