//! What the providers that hand mail to a service over HTTP have in common:
//! addresses, attachments, one request, and what its answer means.
//!
//! It is no component of its own. What only one service wants is that
//! provider's.

mod address;
mod answer;
mod url;

use std::fmt;
use std::io::{BufWriter, Write};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use stheno_sdk::http::{Request, Response, secret};
use stheno_sdk::{Error, Result};

pub use address::{Mailbox, mailbox, mailboxes};
pub use answer::{failure, said};
pub use url::Url;

/// The name of the secret in `grants.http` that every service of this kind wants.
const SECRET: &str = "authorization";
/// How much of a request is gathered before it leaves.
const PIECE: usize = 64 * 1024;

/// Bytes as base64, written piece by piece and never held whole.
pub struct Base64<'b>(pub &'b [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

impl fmt::Debug for Base64<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Posts a body as JSON, with the key of the operator.
///
/// # Errors
///
/// What kept the request from being answered; a status is an answer.
pub fn post(url: &str, idempotency_key: Option<&str>, body: &impl Serialize) -> Result<Response> {
    let mut request = Request::post(url)?
        .header("authorization", secret(SECRET))
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .header("user-agent", concat!("stheno/", env!("CARGO_PKG_VERSION")));
    if let Some(key) = idempotency_key {
        request = request.header("idempotency-key", key);
    }
    request.send_with(|writer| {
        let mut writer = BufWriter::with_capacity(PIECE, writer);
        serde_json::to_writer(&mut writer, body)?;
        writer.flush()
    })
}

/// Reads the JSON object of an argument, such as `data`.
///
/// # Errors
///
/// `invalid-argument` that names the argument and what it has that it may not.
pub fn object<T: DeserializeOwned + Default>(argument: &str, json: Option<&str>) -> Result<T> {
    match json {
        None => Ok(T::default()),
        Some(json) => serde_json::from_str(json)
            .map_err(|error| Error::InvalidArgument(format!("`{argument}`: {error}"))),
    }
}

/// A text, unless it is empty.
#[must_use]
pub fn some(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_come_back_out_of_their_base64(bytes in proptest::collection::vec(any::<u8>(), 0..5_000)) {
            use base64::Engine as _;
            let json = serde_json::to_string(&Base64(&bytes)).unwrap();
            let text: String = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(STANDARD.decode(text).unwrap(), bytes);
        }
    }
}
