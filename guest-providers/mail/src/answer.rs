//! What a status means to the host: whether it may try the next provider.

use serde::Deserialize;
use stheno_sdk::Error;

/// The most characters of a service's own words in an error.
const WORDS: usize = 300;

/// The error for an answer that is no success.
#[must_use]
pub fn failure(service: &str, status: u16, body: &[u8]) -> Error {
    let text = format!("{service} answered {status}: {}", said(body));
    match status {
        401 | 403 | 407 => Error::Denied(text),
        // It asks to wait, or is out of order: the next provider may do better.
        408 | 425 | 429 => Error::Unavailable(text),
        // A server in between gave up waiting; the mail may be on its way.
        504 => Error::Timeout(text),
        500..=599 => Error::Unavailable(text),
        400..=499 => Error::InvalidArgument(text),
        // A redirect, or a success that the service does not document.
        _ => Error::Internal(text),
    }
}

/// What a service said of what is wrong.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Errors { errors: Vec<Named> },
    One(Named),
}

#[derive(Deserialize)]
struct Named {
    message: String,
    #[serde(alias = "field", default)]
    name: Option<String>,
}

/// The service's own words, if it has any.
#[must_use]
pub fn said(body: &[u8]) -> String {
    let named = match serde_json::from_slice(body) {
        Ok(Said::Errors { errors }) => errors,
        Ok(Said::One(one)) => vec![one],
        Err(_) => Vec::new(),
    };
    let one = |named: Named| match named.name {
        Some(name) => format!("{name}: {}", named.message),
        None => named.message,
    };
    let text = named.into_iter().map(one).collect::<Vec<_>>().join("; ");
    match text.char_indices().nth(WORDS) {
        _ if text.is_empty() => "it does not say why".to_owned(),
        Some((end, _)) => format!("{}...", text.split_at(end).0),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_better_elsewhere_is_tried_elsewhere() {
        for status in 100..600 {
            let error = failure("x", status, b"");
            let elsewhere = matches!(error, Error::Unavailable(_) | Error::Timeout(_));
            let expected = matches!(status, 408 | 425 | 429 | 500..600);
            assert_eq!(elsewhere, expected, "{status}: {error:?}");
        }
        for status in [401, 403] {
            assert!(matches!(failure("x", status, b""), Error::Denied(_)), "{status}");
        }
        for status in [400, 404, 413, 422] {
            assert!(matches!(failure("x", status, b""), Error::InvalidArgument(_)), "{status}");
        }
        assert!(matches!(failure("x", 504, b""), Error::Timeout(_)));
    }

    #[test]
    fn a_service_is_quoted_and_cut() {
        let errors = br#"{"errors":[{"message":"bad","field":"from.email"},{"message":"worse","field":null}]}"#;
        assert_eq!(said(errors), "from.email: bad; worse");
        assert_eq!(
            said(br#"{"statusCode":422,"message":"bad","name":"validation_error"}"#),
            "validation_error: bad"
        );
        for nothing in [b"".as_slice(), b"<html>", br#"{"errors":[]}"#, b"\xff"] {
            assert_eq!(said(nothing), "it does not say why");
        }
        let long = format!(r#"{{"message":"{}"}}"#, "é".repeat(1_000));
        assert_eq!(said(long.as_bytes()).chars().count(), WORDS + 3);
    }
}
