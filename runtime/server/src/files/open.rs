//! What anybody may use, token or not: the plain URLs of public files, and
//! links, which say themselves what they allow.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use stheno::{Access, ErrorKind, Files, LinkUse};
use utoipa::IntoParams;

use super::FileBody;
use super::download::{answer, missing};
use super::upload::{content_type, store};
use crate::error::{ApiError, ErrorBody, Errors};
use crate::extract::Query;
use crate::router::Api;

/// The route of plain URLs.
pub(super) const PLAIN: &str = "/files/{*key}";
/// The same of a store that is not the default one, or by its id.
pub(super) const PLAIN_OF_STORE: &str = "/stores/{store}/{*key}";
const LINK: &str = "/v1/files/link";
/// The routes that say themselves whom they answer.
pub(crate) const OPEN: &[&str] = &[PLAIN, PLAIN_OF_STORE, LINK];

/// A public file of the default store by its plain URL.
pub(super) async fn plain(
    State(api): State<Api>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = uri.path().strip_prefix("/files/").unwrap_or_default();
    public(api.runtime().files(), key, &headers).await
}

/// A public file by the plain URL that names its store.
pub(super) async fn plain_of_store(
    State(api): State<Api>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let path = uri.path().strip_prefix("/stores/").unwrap_or_default();
    let (store, key) = path.split_once('/').unwrap_or_default();
    let files = api.runtime().files_of(store).map_err(|_| missing())?;
    public(files, key, &headers).await
}

/// What is private, or no key at all, is as if it were not there.
async fn public(files: &Files, key: &str, headers: &HeaderMap) -> Result<Response, ApiError> {
    let key = percent_decode_str(key).decode_utf8().map_err(|_| missing())?;
    let answered = answer(files, &key, headers, |info| info.access == Access::Public).await;
    answered.map_err(|error| match error.detail().kind {
        kind if kind == ErrorKind::InvalidArgument.as_str() => missing(),
        _ => error,
    })
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Link {
    /// What the link carries.
    token: String,
}

/// Read the file that a link is for
///
/// Needs no token of the server. As `/v1/files/content`.
#[utoipa::path(
    get, path = "/v1/files/link", tag = "files", operation_id = "read_link", params(Link),
    responses(
        (status = 200, description = "The file.", content_type = "application/octet-stream"),
        (status = 206, description = "The range.", content_type = "application/octet-stream"),
        (status = 304, description = "It is what `If-None-Match` names."),
        (status = 404, description = "`not-found`: the file was removed.", body = ErrorBody),
        (status = 416, description = "`invalid-argument`: no byte of it is in the range.",
            body = ErrorBody),
        Errors,
    ),
)]
pub(super) async fn read_link(
    State(api): State<Api>,
    Query(Link { token }): Query<Link>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    match api.runtime().files().redeem(&token)? {
        LinkUse::Read { store, key } => {
            let files = api.runtime().files_of(&store).map_err(|_| missing())?;
            answer(files, &key, &headers, |_| true).await
        }
        LinkUse::Write { .. } => Err(ApiError::denied("the link is to upload, with PUT")),
    }
}

/// Upload the file that a link is for
///
/// Needs no token of the server. The body is the file. A `Content-Type` that is
/// not the one the link was made for is refused.
#[utoipa::path(
    put, path = "/v1/files/link", tag = "files", operation_id = "write_link", params(Link),
    request_body(content_type = "application/octet-stream", description = "The file."),
    responses(
        (status = 201, description = "Stored.", body = FileBody),
        (status = 409, description = "`conflict`: it was uploaded already.", body = ErrorBody),
        (status = 413, description = "`too-large`: longer than the server's `max_file`.",
            body = ErrorBody),
        Errors,
    ),
)]
pub(super) async fn write_link(
    State(api): State<Api>,
    Query(Link { token }): Query<Link>,
    request: Request,
) -> Result<(StatusCode, axum::Json<FileBody>), ApiError> {
    let LinkUse::Write { store: id, key, file } = api.runtime().files().redeem(&token)? else {
        return Err(ApiError::denied("the link is to read, with GET"));
    };
    let sent = content_type(request.headers())?;
    if let (Some(sent), Some(meant)) = (&sent, &file.content_type)
        && sent != meant
    {
        return Err(ApiError::invalid(format!("the Content-Type must be {meant}")));
    }
    let files = api.runtime().files_of(&id).map_err(|_| missing())?;
    let put = async |body| files.put_kept(file, &key, body).await;
    let stored = store(&api, request.into_body(), put).await?;
    Ok((StatusCode::CREATED, axum::Json(stored.into())))
}
