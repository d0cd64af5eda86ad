//! What an error of the server means to a guest.
//!
//! The text of a server is not passed on: some quote the request, with the key
//! id, the prefix, and what was signed.

use std::error::Error as _;
use std::io;

use aws_sdk_s3::error::{ConnectorError, ProvideErrorMetadata, SdkError};
use stheno_contracts::Error;

/// What was asked for, as it stands in errors.
pub(super) struct Asked<'a> {
    /// The place of the binding in the config.
    pub(super) place: &'a str,
    /// The object, as the guest has it; empty if it is about several.
    pub(super) key: &'a str,
}

impl Asked<'_> {
    /// The error of a request.
    pub(super) fn failed<E>(&self, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata,
    {
        let place = self.place;
        match error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                self.answered(status, answer.err().meta().code().unwrap_or_default())
            }
            SdkError::TimeoutError(_) => late(place),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => late(place),
            SdkError::DispatchFailure(failure) => Error::Unavailable(format!(
                "the server of {place} cannot be reached, or broke off; what was sent may or may \
                 not have been done{}",
                failure.as_connector_error().map_or("", cause)
            )),
            SdkError::ResponseError(_) => {
                Error::Unavailable(format!("the server of {place} does not answer as S3 does"))
            }
            // What was to be sent is known to be good, so it is about signing.
            _ => Error::Unavailable(format!(
                "no request can be signed for {place}; look at its credentials"
            )),
        }
    }

    /// The error that a server named by this status and code.
    pub(super) fn answered(&self, status: u16, code: &str) -> Error {
        let (place, key) = (self.place, self.key);
        let said = shown(status, code);
        match (status, code) {
            (_, "NoSuchBucket") => {
                Error::Unavailable(format!("there is no such bucket; correct `bucket` of {place}"))
            }
            (_, "NoSuchKey") => Error::NotFound(format!("there is no object {key:?}")),
            (_, "NoSuchUpload") => Error::Unavailable(format!(
                "the server of {place} has dropped what was sent of the body"
            )),
            (
                _,
                "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "ExpiredToken"
                | "InvalidToken"
                | "RequestTimeTooSkewed"
                | "AuthorizationHeaderMalformed"
                | "TokenRefreshRequired",
            ) => Error::Unavailable(format!(
                "the server of {place} does not take its keys, region or clock ({said})"
            )),
            (_, "AccessControlListNotSupported") => Error::InvalidArgument(
                "the bucket takes no access of single objects; leave it out".into(),
            ),
            (_, "EntityTooLarge") => {
                Error::InvalidArgument(format!("the server of {place} takes no body so large"))
            }
            (_, "RequestTimeout" | "SlowDown" | "InternalError" | "ServiceUnavailable") => {
                Error::Unavailable(format!("the server of {place} cannot serve now ({said})"))
            }
            (412, _) | (409, _) | (_, "PreconditionFailed" | "ConditionalRequestConflict") => {
                Error::Conflict(format!("an object {key:?} is there already, or being made"))
            }
            (416, _) | (_, "InvalidRange") => {
                Error::InvalidArgument(format!("the range has no byte of {key:?}"))
            }
            (404, _) => Error::NotFound(format!("there is no object {key:?}")),
            (401 | 403, _) => Error::Denied(format!(
                "the server refuses this to the keys of {place} ({said}); grant it there"
            )),
            (501, _) | (_, "NotImplemented") => {
                Error::Unsupported(format!("the server of {place} does not know this"))
            }
            (300..=399, _) => Error::Unavailable(format!(
                "the bucket is in another region or at another server; correct `region` or \
                 `endpoint` of {place}"
            )),
            (429 | 500.., _) => {
                Error::Unavailable(format!("the server of {place} cannot serve now ({said})"))
            }
            _ => Error::InvalidArgument(format!("the server of {place} refuses this ({said})")),
        }
    }
}

/// The deadline has passed.
pub(super) fn late(place: &str) -> Error {
    Error::Timeout(format!(
        "the server of {place} did not answer within its `timeout`; what was sent may or may not \
         have been done"
    ))
}

/// A code is a word; whatever else a server put there is left out.
fn shown(status: u16, code: &str) -> String {
    let is_word = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_word && !code.is_empty() { format!("{status} {code}") } else { status.to_string() }
}

/// Why there was no connection, in words that name nobody: the texts of errors show
/// the server, and what its certificate says.
fn cause(error: &ConnectorError) -> &'static str {
    let mut next = error.source();
    while let Some(error) = next {
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if within.map_or_else(|| error.is::<rustls::Error>(), |it| it.is::<rustls::Error>()) {
            return ": it is not whom the certificates to trust (`ca`) stand for, or has no TLS";
        }
        match error.downcast_ref().map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => return ": nobody listens there",
            Some(
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof,
            ) => return ": it ended the connection",
            Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                return ": no network leads there";
            }
            _ => next = error.source(),
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_of_a_server_has_its_meaning() {
        let asked = Asked { place: "grants.objects.default", key: "k" };
        for (status, code, kind) in [
            (404, "NoSuchKey", "not-found"),
            (404, "", "not-found"),
            (404, "NoSuchBucket", "unavailable"),
            (404, "NoSuchUpload", "unavailable"),
            (412, "PreconditionFailed", "conflict"),
            (409, "ConditionalRequestConflict", "conflict"),
            (403, "AccessDenied", "denied"),
            (403, "", "denied"),
            (403, "SignatureDoesNotMatch", "unavailable"),
            (400, "ExpiredToken", "unavailable"),
            (416, "InvalidRange", "invalid-argument"),
            (400, "EntityTooLarge", "invalid-argument"),
            (400, "AccessControlListNotSupported", "invalid-argument"),
            (400, "RequestTimeout", "unavailable"),
            (400, "InvalidArgument", "invalid-argument"),
            (501, "NotImplemented", "unsupported"),
            (503, "SlowDown", "unavailable"),
            (500, "", "unavailable"),
            (429, "", "unavailable"),
            (301, "PermanentRedirect", "unavailable"),
        ] {
            assert_eq!(asked.answered(status, code).kind(), kind, "{status} {code}");
        }
    }

    #[test]
    fn a_code_that_is_no_word_is_not_shown() {
        let asked = Asked { place: "grants.objects.default", key: "k" };
        let error = asked.answered(400, "Signed: SK/secret\r\n");
        assert!(!error.message().contains("secret"), "{error:?}");
    }
}
