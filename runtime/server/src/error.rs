//! The one form of every error.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stheno::{Error, ErrorKind};
use stheno_config::format_duration;
use utoipa::{IntoResponses, ToSchema};

/// The body of every answer that is an error.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// For programs: `invalid-argument`, `encoding` (400), `unauthorized`
    /// (401), `denied` (403), `not-found`, `unknown-route` (404),
    /// `method-not-allowed` (405), `too-slow` (408), `conflict`, `lost-lease` (409),
    /// `too-large` (413), `invalid-argument` (416 for a range), `internal` (500),
    /// `unsupported` (501), `unavailable` (503), `timeout` (504).
    #[schema(example = "invalid-argument")]
    pub kind: &'static str,
    /// For people. An argument at fault is named.
    #[schema(example = "key is empty")]
    pub message: String,
}

/// An error on its way out.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    detail: ErrorDetail,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, detail: ErrorDetail { kind, message: message.into() } }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        let kind = ErrorKind::InvalidArgument.as_str();
        Self::new(StatusCode::BAD_REQUEST, kind, message)
    }

    pub(crate) fn miss(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorKind::NotFound.as_str(), message)
    }

    /// Not `not-found`: who has the wrong address must not take it for a miss.
    pub(crate) fn unknown_route() -> Self {
        let message = "there is no such route; /openapi.json lists them";
        Self::new(StatusCode::NOT_FOUND, "unknown-route", message)
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "this route has other methods; the Allow header lists them";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message)
    }

    pub(crate) fn unauthorized() -> Self {
        let message = "show the server's token: Authorization: Bearer TOKEN";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, ErrorKind::Denied.as_str(), message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        let kind = ErrorKind::Unavailable.as_str();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        let kind = ErrorKind::Internal.as_str();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, kind, message)
    }

    pub(crate) fn too_slow(patience: Duration) -> Self {
        let patience = format_duration(patience);
        let message = format!("nothing of the body came for {patience} (server.body_timeout)");
        Self::new(StatusCode::REQUEST_TIMEOUT, "too-slow", message)
    }

    pub(crate) fn too_large(limit: u64) -> Self {
        let message = format!("the body is longer than {limit} bytes (server.max_body)");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message)
    }

    pub(crate) fn too_long_a_file(limit: u64) -> Self {
        let message = format!("the file is longer than {limit} bytes (server.max_file)");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message)
    }

    /// The error in its one form, where the kind alone does not say the status.
    pub(crate) fn with_status(self, status: StatusCode) -> Response {
        Self { status, ..self }.into_response()
    }

    /// The error as a whole HTTP/1 message that ends its connection, for where
    /// there is no request to answer.
    pub(crate) fn as_message(&self) -> Vec<u8> {
        let body = serde_json::to_string(&ErrorBody { error: self.detail.clone() });
        let body = body.unwrap_or_default();
        format!(
            "HTTP/1.1 {}\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            self.status,
            body.len()
        )
        .into_bytes()
    }

    pub(crate) fn detail(&self) -> &ErrorDetail {
        &self.detail
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::InvalidArgument | ErrorKind::Encoding => StatusCode::BAD_REQUEST,
            ErrorKind::Denied => StatusCode::FORBIDDEN,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict | ErrorKind::LostLease => StatusCode::CONFLICT,
            ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.kind().as_str(), error.message())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, Json(ErrorBody { error: self.detail })).into_response();
        let named = match status {
            StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "1")),
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
            _ => None,
        };
        if let Some((name, value)) = named {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// The errors that every call of a module may give, for the document.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "only its description is used")]
pub(crate) enum Errors {
    /// `invalid-argument` or `encoding`: the message names what is wrong.
    /// Nothing was changed.
    #[response(status = 400)]
    Invalid(ErrorBody),
    /// `unauthorized`: the token is missing or wrong.
    #[response(status = 401)]
    Unauthorized(ErrorBody),
    /// `denied`: the operator did not grant it, or a web page called.
    #[response(status = 403)]
    Denied(ErrorBody),
    /// `too-slow`: the body stood still for the server's `body_timeout`. Nothing was
    /// changed.
    #[response(status = 408)]
    TooSlow(ErrorBody),
    /// `internal`: a fault of the provider.
    #[response(status = 500)]
    Internal(ErrorBody),
    /// `unsupported`: the provider leaves this out.
    #[response(status = 501)]
    Unsupported(ErrorBody),
    /// `unavailable`: it cannot be served now; after `Retry-After` seconds it may be.
    /// A call that could then be done twice says so.
    #[response(status = 503)]
    Unavailable(ErrorBody),
    /// `timeout`: it may or may not have been done. A call that could be done twice
    /// says so.
    #[response(status = 504)]
    Timeout(ErrorBody),
}
