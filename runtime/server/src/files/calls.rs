//! What is asked and answered in JSON.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use stheno::{NewFile, UploadUrl};
use utoipa::{IntoParams, ToSchema};

use super::{FileBody, NewFileBody};
use crate::error::{ApiError, ErrorBody, ErrorDetail, Errors};
use crate::extract::{Json, Query};
use crate::router::Api;
use crate::wire::Span;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Key {
    /// The key that the upload gave.
    pub(super) key: String,
    /// The id of the store; without it, the default one.
    pub(super) store: Option<String>,
}

/// What is known of a file
#[utoipa::path(
    get, path = "/v1/files/info", tag = "files", operation_id = "file_info", params(Key),
    responses(
        (status = 200, description = "Its description.", body = FileBody),
        (status = 404, description = "`not-found`: there is no such file.", body = ErrorBody),
        Errors,
    ),
)]
pub(super) async fn info(
    State(api): State<Api>,
    Query(Key { key, store }): Query<Key>,
) -> Result<axum::Json<FileBody>, ApiError> {
    Ok(axum::Json(api.files(store.as_deref())?.stat(&key).await?.into()))
}

const fn hundred() -> u32 {
    100
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Listing {
    /// What the keys begin with; a whole key gives that file. Empty for all of
    /// them: it must be said.
    #[param(example = "invoices/")]
    prefix: String,
    /// The `cursor` of the part before.
    cursor: Option<String>,
    /// 1 to 1,000; without it, 100.
    #[serde(default = "hundred")]
    #[param(required = false)]
    limit: u32,
    /// The id of the store; without it, the default one.
    store: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct FilePageBody {
    /// In a fixed order of their keys. There may be fewer than `limit`, or
    /// none, and more to come.
    files: Vec<FileBody>,
    /// What gets the next part; `null` after the last.
    #[schema(required = true)]
    cursor: Option<String>,
}

/// Files whose key begins with a prefix
#[utoipa::path(
    get, path = "/v1/files/list", tag = "files", operation_id = "list_files", params(Listing),
    responses((status = 200, description = "A part of them.", body = FilePageBody), Errors),
)]
pub(super) async fn list(
    State(api): State<Api>,
    Query(Listing { prefix, cursor, limit, store }): Query<Listing>,
) -> Result<axum::Json<FilePageBody>, ApiError> {
    let files = api.files(store.as_deref())?;
    let page = files.list(&prefix, cursor.as_deref(), limit).await?;
    let files = page.files.into_iter().map(FileBody::from).collect();
    Ok(axum::Json(FilePageBody { files, cursor: page.cursor }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FileKeys {
    /// At most 1,000.
    keys: Vec<String>,
    /// The id of the store; without it, the default one.
    store: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Deleted {
    /// One for each key, in the order of the keys.
    results: Vec<DeletedKey>,
}

#[derive(Serialize, ToSchema)]
struct DeletedKey {
    key: String,
    /// Why it may still be there; `null` if it is gone.
    #[schema(required = true)]
    error: Option<ErrorDetail>,
}

/// Remove files
///
/// Each key has a result of its own. One that is not there is removed.
#[utoipa::path(
    post, path = "/v1/files/delete", tag = "files", operation_id = "delete_files",
    request_body = FileKeys,
    responses((status = 200, description = "What became of each.", body = Deleted), Errors),
)]
pub(super) async fn delete(
    State(api): State<Api>,
    Json(FileKeys { keys, store }): Json<FileKeys>,
) -> Result<axum::Json<Deleted>, ApiError> {
    let results = api.files(store.as_deref())?.delete(&keys).await?;
    let result = |(key, result): (String, Result<(), stheno::Error>)| DeletedKey {
        key,
        error: result.err().map(|error| ApiError::from(error).detail().clone()),
    };
    Ok(axum::Json(Deleted { results: keys.into_iter().zip(results).map(result).collect() }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CopyFile {
    /// The file to copy.
    key: String,
    /// How to describe the copy; without it, as the first is.
    #[schema(nullable = false)]
    file: Option<NewFileBody>,
    /// The id of the store; without it, the default one.
    store: Option<String>,
}

/// Store the body of a file once more
///
/// The copy has a key of its own. After 500, 503 and 504 there may be one all the
/// same; copied again, there are two.
#[utoipa::path(
    post, path = "/v1/files/copy", tag = "files", operation_id = "copy_file",
    request_body = CopyFile,
    responses(
        (status = 200, description = "The copy.", body = FileBody),
        (status = 404, description = "`not-found`: there is no such file.", body = ErrorBody),
        Errors,
    ),
)]
pub(super) async fn copy(
    State(api): State<Api>,
    Json(CopyFile { key, file, store }): Json<CopyFile>,
) -> Result<axum::Json<FileBody>, ApiError> {
    let files = api.files(store.as_deref())?;
    let copy = files.copy(&key, file.map(NewFile::from)).await?;
    Ok(axum::Json(copy.into()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DownloadLink {
    key: String,
    /// From 1s to 168h (a week).
    expires: Span,
    /// The id of the store; without it, the default one.
    store: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct LinkBody {
    /// Who has it can read the file until it expires.
    url: String,
}

/// A link to read a file
#[utoipa::path(
    post, path = "/v1/files/download-url", tag = "files", operation_id = "download_url",
    request_body = DownloadLink,
    responses(
        (status = 200, description = "The link.", body = LinkBody),
        (status = 404, description = "`not-found`: there is no such file.", body = ErrorBody),
        Errors,
    ),
)]
pub(super) async fn download_url(
    State(api): State<Api>,
    Json(DownloadLink { key, expires: Span(expires), store }): Json<DownloadLink>,
) -> Result<axum::Json<LinkBody>, ApiError> {
    let url = api.files(store.as_deref())?.download_url(&key, expires).await?;
    Ok(axum::Json(LinkBody { url }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UploadLink {
    file: NewFileBody,
    /// From 1s to 168h (a week).
    expires: Span,
    /// The id of the store; without it, the default one.
    store: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct UploadLinkBody {
    /// The key that the file will have.
    key: String,
    /// Where to PUT the body, until it expires.
    url: String,
    /// The headers that the request must have, as they stand here.
    headers: BTreeMap<String, String>,
}

/// A link to upload a file, and the key that it will have
#[utoipa::path(
    post, path = "/v1/files/upload-url", tag = "files", operation_id = "upload_url",
    request_body = UploadLink,
    responses((status = 200, description = "The link.", body = UploadLinkBody), Errors),
)]
pub(super) async fn upload_url(
    State(api): State<Api>,
    Json(UploadLink { file, expires: Span(expires), store }): Json<UploadLink>,
) -> Result<axum::Json<UploadLinkBody>, ApiError> {
    let files = api.files(store.as_deref())?;
    let UploadUrl { key, url, headers } = files.upload_url(file.into(), expires).await?;
    let headers = headers.into_iter().collect();
    Ok(axum::Json(UploadLinkBody { key, url, headers }))
}
