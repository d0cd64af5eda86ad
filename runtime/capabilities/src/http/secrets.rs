//! Fills secrets in where the guest wrote their placeholders.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Uri};
use http_body_util::{BodyExt, Full, Limited};
use percent_encoding::utf8_percent_encode;
use stheno_config::{HttpSecret, SecretPlace};
use wasmtime_wasi_http::{Error, WasiBody};

use super::scan::ENCODED;

/// The largest body that a secret can be filled into, in bytes.
const BODY_BYTES: usize = 64 * 1024;

/// Fills in what belongs into the head of a request.
pub(super) fn fill_head(secrets: &[HttpSecret], parts: &mut Parts) -> Result<(), Error> {
    for secret in secrets {
        let (placeholder, value) = (secret.placeholder(), secret.expose_secret());
        match secret.place() {
            SecretPlace::Header(name) => fill_header(parts, name, &placeholder, value)?,
            SecretPlace::Query(name) => fill_query(parts, name, &placeholder, value)?,
            SecretPlace::Body => {}
        }
    }
    Ok(())
}

/// What comes back is searched for secrets, so it must come as it is.
pub(super) fn ask_for_plain_text(parts: &mut Parts) {
    parts.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

fn fill_header(parts: &mut Parts, name: &str, placeholder: &str, value: &str) -> Result<(), Error> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::ConfigurationError)?;
    let http::header::Entry::Occupied(mut entry) = parts.headers.entry(name) else {
        return Ok(());
    };
    for header in entry.iter_mut() {
        let Ok(text) = header.to_str() else { continue };
        if text.contains(placeholder) {
            let filled = text.replace(placeholder, value);
            *header = HeaderValue::try_from(filled).map_err(|_| Error::ConfigurationError)?;
            header.set_sensitive(true);
        }
    }
    Ok(())
}

fn fill_query(parts: &mut Parts, name: &str, placeholder: &str, value: &str) -> Result<(), Error> {
    let Some(query) = parts.uri.query().filter(|query| query.contains(placeholder)) else {
        return Ok(());
    };
    let value = utf8_percent_encode(value, ENCODED).to_string();
    let fill = |pair: &'_ str| match pair.split_once('=') {
        Some((key, text)) if key == name => {
            format!("{key}={}", text.replace(placeholder, &value))
        }
        _ => pair.to_owned(),
    };
    let query: Vec<String> = query.split('&').map(fill).collect();
    let path = format!("{}?{}", parts.uri.path(), query.join("&"));
    let mut uri = parts.uri.clone().into_parts();
    uri.path_and_query = Some(path.parse().map_err(|_| Error::HttpRequestUriInvalid)?);
    parts.uri = Uri::from_parts(uri).map_err(|_| Error::HttpRequestUriInvalid)?;
    Ok(())
}

/// Fills in what belongs into the body, which for that has to be there whole.
/// Bodies of grants without such a secret pass as they are.
pub(super) async fn fill_body(
    secrets: &[HttpSecret],
    parts: &mut Parts,
    body: WasiBody,
) -> Result<WasiBody, Error> {
    let in_body = |secret: &&HttpSecret| *secret.place() == SecretPlace::Body;
    if !secrets.iter().any(|secret| in_body(&secret)) {
        return Ok(body);
    }
    let whole = Limited::new(body, BODY_BYTES).collect().await;
    let whole = whole.map_err(|_| Error::HttpRequestBodySize(Some(BODY_BYTES as u64)))?.to_bytes();
    let filled = match std::str::from_utf8(&whole) {
        Ok(text) => {
            let mut text = Cow::Borrowed(text);
            for secret in secrets.iter().filter(in_body) {
                let placeholder = secret.placeholder();
                if text.contains(&placeholder) {
                    let value = as_written_in(parts, secret.expose_secret());
                    text = Cow::Owned(text.replace(&placeholder, &value));
                }
            }
            Bytes::from(text.into_owned())
        }
        Err(_) => whole,
    };
    if parts.headers.contains_key(CONTENT_LENGTH) {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(filled.len()));
    }
    Ok(Full::new(filled).map_err(|never| match never {}).boxed_unsync())
}

/// The secret as the body's own language writes it within a text.
fn as_written_in<'v>(parts: &Parts, value: &'v str) -> Cow<'v, str> {
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        utf8_percent_encode(value, ENCODED).to_string().into()
    } else if kind.eq_ignore_ascii_case("application/json") || kind.ends_with("+json") {
        // Secrets have no control characters: these two are all there is.
        value.replace('\\', "\\\\").replace('"', "\\\"").into()
    } else {
        value.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use stheno_config::SecretName;

    fn secret(place: SecretPlace, value: &str) -> HttpSecret {
        HttpSecret::new(SecretName::new("key").unwrap(), place, value).unwrap()
    }

    fn parts(uri: &str, header: &str, value: &str) -> Parts {
        Request::builder().uri(uri).header(header, value).body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_header_is_filled_in_and_no_other() {
        let secrets = [secret(SecretPlace::header("x-key").unwrap(), "hunter2hunter2")];
        let mut head = parts("/", "x-key", "a __stheno_secret_key__ b");
        head.headers.insert("x-other", HeaderValue::from_static("__stheno_secret_key__"));
        fill_head(&secrets, &mut head).unwrap();
        assert_eq!(head.headers["x-key"], "a hunter2hunter2 b");
        assert!(head.headers["x-key"].is_sensitive());
        assert_eq!(head.headers["x-other"], "__stheno_secret_key__");
    }

    #[test]
    fn a_parameter_is_filled_in_encoded_and_no_other() {
        let secrets = [secret(SecretPlace::query("key").unwrap(), "a&b=c d/efghijkl")];
        let uri = "https://a/p?x=__stheno_secret_key__&key=__stheno_secret_key__&k";
        let mut head = parts(uri, "a", "b");
        fill_head(&secrets, &mut head).unwrap();
        assert_eq!(
            head.uri.to_string(),
            "https://a/p?x=__stheno_secret_key__&key=a%26b%3Dc%20d%2Fefghijkl&k"
        );
    }

    #[tokio::test]
    async fn a_body_is_filled_in_as_its_language_writes_it() {
        let secrets = [secret(SecretPlace::Body, "a\"b&c d/efghijkl")];
        for (kind, filled) in [
            ("application/json; charset=utf-8", "k=a\\\"b&c d/efghijkl"),
            ("application/x-www-form-urlencoded", "k=a%22b%26c%20d%2Fefghijkl"),
            ("text/plain", "k=a\"b&c d/efghijkl"),
        ] {
            let mut head = parts("/", "content-type", kind);
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("23"));
            let body = Full::new(Bytes::from_static(b"k=__stheno_secret_key__"));
            let body = body.map_err(|never| match never {}).boxed_unsync();
            let body = fill_body(&secrets, &mut head, body).await.unwrap();
            assert_eq!(body.collect().await.unwrap().to_bytes(), filled, "{kind}");
            assert_eq!(head.headers[CONTENT_LENGTH], filled.len().to_string());
        }
        let body = Full::new(Bytes::from(vec![b'a'; BODY_BYTES + 1]));
        let body = body.map_err(|never| match never {}).boxed_unsync();
        let refused = fill_body(&secrets, &mut parts("/", "a", "b"), body).await;
        assert!(matches!(refused, Err(Error::HttpRequestBodySize(_))));
    }
}
