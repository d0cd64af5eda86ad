//! Bodies on their way in.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::{Stream, StreamExt};
use hyper::body::Body as _;
use serde::Deserialize;
use stheno::{Error, FileInfo, NewFile};
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;
use utoipa::IntoParams;

use super::{AccessBody, FileBody};
use crate::error::{ApiError, ErrorBody, Errors};
use crate::extract::{Query, chunks, discard};
use crate::router::Api;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Description {
    /// The name that its key is made from; `/` parts folders. 1 to 1,024 bytes.
    #[param(example = "invoices/1001.pdf")]
    name: String,
    /// Who may read it by its plain URL; without it, `private`.
    #[serde(default)]
    #[param(required = false, inline)]
    access: AccessBody,
    /// Without it, the provider's default.
    cache_control: Option<String>,
    /// A pair of metadata, as `key=value`. May be repeated, at most 32 times.
    #[serde(default, rename = "meta")]
    #[param(rename = "meta", style = Form, explode, required = false, example = "order=1001")]
    metadata: Vec<String>,
    /// The id of the store; without it, the default one.
    store: Option<String>,
}

impl Description {
    fn file(self, headers: &HeaderMap) -> Result<NewFile, ApiError> {
        let pair = |text: String| match text.split_once('=') {
            Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
            None => Err(ApiError::invalid("meta: write key=value")),
        };
        Ok(NewFile {
            name: self.name,
            content_type: content_type(headers)?,
            access: self.access.into(),
            cache_control: self.cache_control,
            metadata: self.metadata.into_iter().map(pair).collect::<Result<_, _>>()?,
        })
    }
}

pub(super) fn content_type(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(None) };
    match value.to_str() {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(ApiError::invalid("the Content-Type header is not visible ASCII")),
    }
}

/// Store a file
///
/// The body is the file, of any length up to the server's `max_file`, and the
/// `Content-Type` header is its type. It gets a key of its own, whatever its
/// name. If the body does not arrive whole, nothing is stored. After 500, 503 and
/// 504 it may be stored all the same; stored again, it is there twice.
#[utoipa::path(
    post, path = "/v1/files", tag = "files", operation_id = "put_file", params(Description),
    request_body(content_type = "application/octet-stream", description = "The file."),
    responses(
        (status = 201, description = "Stored.", body = FileBody),
        (status = 413, description = "`too-large`: longer than the server's `max_file`.",
            body = ErrorBody),
        Errors,
    ),
)]
pub(super) async fn put(
    State(api): State<Api>,
    Query(description): Query<Description>,
    request: Request,
) -> Result<(StatusCode, axum::Json<FileBody>), ApiError> {
    let files = api.files(description.store.as_deref())?;
    let file = description.file(request.headers())?;
    let stored = store(&api, request.into_body(), async |body| files.put(file, body).await).await?;
    Ok((StatusCode::CREATED, axum::Json(stored.into())))
}

/// What kept a body from coming whole.
type Fault = Arc<Mutex<Option<ApiError>>>;

/// Gives the request's body to `put`, held to the limit.
pub(super) async fn store<F>(
    api: &Api,
    body: Body,
    put: impl FnOnce(Arriving) -> F,
) -> Result<FileInfo, ApiError>
where
    F: Future<Output = Result<FileInfo, Error>>,
{
    let limit = api.config().max_file().get().as_u64();
    if body.size_hint().lower() > limit {
        discard(chunks(api, body), api.config().max_body().get().as_u64()).await;
        return Err(ApiError::too_long_a_file(limit));
    }
    let fault = Fault::default();
    let stored = put(arriving(chunks(api, body), limit, Arc::clone(&fault))).await;
    // The store was told that reading failed; here is why.
    let fault = fault.lock().unwrap_or_else(PoisonError::into_inner).take();
    match fault {
        Some(fault) => Err(fault),
        None => Ok(stored?),
    }
}

/// A body as it arrives.
pub(super) type Arriving = std::pin::Pin<Box<dyn AsyncRead + Send>>;

fn arriving(
    chunks: impl Stream<Item = Result<Bytes, ApiError>> + Send + 'static,
    limit: u64,
    fault: Fault,
) -> Arriving {
    let mut left = limit;
    let chunks = chunks.map(move |chunk| {
        let failed = match chunk {
            Ok(chunk) => match left.checked_sub(chunk.len() as u64) {
                Some(rest) => {
                    left = rest;
                    return Ok(chunk);
                }
                None => ApiError::too_long_a_file(limit),
            },
            Err(error) => error,
        };
        *fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(failed);
        Err(io::Error::other("the body did not arrive whole"))
    });
    Box::pin(StreamReader::new(chunks))
}
