//! Decoding requests: bodies within the limit, and JSON and queries whose
//! mistakes are told by name.

use std::future::ready;
use std::pin::pin;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use futures_util::{Stream, StreamExt, stream};
use hyper::body::Body as _;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use crate::error::ApiError;
use crate::router::Api;

/// The body, whatever its content type says.
pub(crate) struct Raw(pub(crate) Bytes);

impl FromRequest<Api> for Raw {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let limit = api.config().max_body().get();
        let body = request.into_body();
        if body.size_hint().lower() > limit.as_u64() {
            discard(chunks(api, body), limit.as_u64()).await;
            return Err(ApiError::too_large(limit.as_u64()));
        }
        let mut bytes = Vec::new();
        let mut chunks = pin!(chunks(api, body));
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            if bytes.len() + chunk.len() > limit.as_usize() {
                discard(chunks, limit.as_u64()).await;
                return Err(ApiError::too_large(limit.as_u64()));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Self(bytes.into()))
    }
}

/// A body as it comes, which may not stand still for long.
pub(crate) fn chunks(
    api: &Api,
    body: Body,
) -> impl Stream<Item = Result<Bytes, ApiError>> + Send + use<> {
    let patience = api.config().body_timeout().get();
    stream::unfold(body.into_data_stream(), move |mut chunks| async move {
        let chunk = match tokio::time::timeout(patience, chunks.next()).await {
            Ok(chunk) => chunk?.map_err(|error| {
                ApiError::invalid(format!("the body did not arrive whole: {error}"))
            }),
            Err(_) => Err(ApiError::too_slow(patience)),
        };
        Some((chunk, chunks))
    })
}

/// Reads on and forgets, since most clients look at the answer only when they
/// have sent everything, and see a broken connection if they may not; but not
/// for ever.
pub(crate) async fn discard(chunks: impl Stream<Item = Result<Bytes, ApiError>>, limit: u64) {
    let mut left = limit;
    let reading = chunks.take_while(|chunk| {
        let length = chunk.as_ref().map_or(u64::MAX, |chunk| chunk.len() as u64);
        left = left.saturating_sub(length);
        ready(left > 0)
    });
    reading.for_each(|_| ready(())).await;
}

/// A JSON body, whatever its content type says, so that `curl -d` will do.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Api> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let Raw(bytes) = Raw::from_request(request, api).await?;
        let mut decoder = serde_json::Deserializer::from_slice(&bytes);
        let value = serde_path_to_error::deserialize(&mut decoder).map_err(|error| {
            let place = error.path().to_string();
            named("body", &place, &error.into_inner().to_string())
        })?;
        decoder.end().map_err(|error| named("body", ".", &error.to_string()))?;
        Ok(Self(value))
    }
}

/// The query. Text that is not UTF-8 is refused rather than mended: two keys
/// must not become one.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        if percent_decode_str(query).decode_utf8().is_err() {
            return Err(ApiError::invalid("query: it is not UTF-8; encode text as UTF-8 first"));
        }
        let decoder = serde_html_form::Deserializer::from_bytes(query.as_bytes());
        serde_path_to_error::deserialize(decoder).map(Self).map_err(|error| {
            let place = error.path().to_string();
            named("query", &place, &error.into_inner().to_string())
        })
    }
}

/// `place` is a path such as `events[0].delay`, or `.` for the whole.
fn named(part: &str, place: &str, message: &str) -> ApiError {
    let place = if place == "." { part } else { place };
    ApiError::invalid(format!("{place}: {message}"))
}
