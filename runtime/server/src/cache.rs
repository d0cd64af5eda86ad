//! Routes of the cache.

use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stheno::NewEntry;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{ApiError, ErrorBody, Errors};
use crate::extract::{Json, Query, Raw};
use crate::router::Api;
use crate::wire::{self, Base64, Span};

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(get_entry, put_entry, delete_entry))
        .routes(routes!(get))
        .routes(routes!(get_by_tags))
        .routes(routes!(set))
        .routes(routes!(delete))
        .routes(routes!(clear_tags))
        .routes(routes!(clear_matching))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Key {
    /// 1 to 1,024 bytes of UTF-8, any characters.
    #[param(example = "price:42")]
    key: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Place {
    /// 1 to 1,024 bytes of UTF-8, any characters.
    #[param(example = "price:42")]
    key: String,
    /// How long the entry lives; without it, the provider's default. `0s`
    /// stores nothing and removes what stood there.
    #[param(value_type = Option<String>, example = "30s")]
    ttl: Option<Span>,
    /// A name by which the entry can be found and cleared. May be repeated, at
    /// most 64 times.
    #[serde(default, rename = "tag")]
    #[param(rename = "tag", style = Form, explode, required = false)]
    tags: Vec<String>,
}

/// The value under a key
///
/// Its bytes are the body.
#[utoipa::path(
    get, path = "/v1/cache/entry", tag = "cache", params(Key),
    responses(
        (status = 200, description = "The value as it was stored.",
            content_type = "application/octet-stream"),
        (status = 404, description = "`not-found`: a miss.", body = ErrorBody),
        Errors,
    ),
)]
async fn get_entry(
    State(api): State<Api>,
    Query(Key { key }): Query<Key>,
) -> Result<([(HeaderName, &'static str); 2], Vec<u8>), ApiError> {
    // Whoever stored the value may not be whom a browser should believe.
    const HEADERS: [(HeaderName, &str); 2] = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    match api.runtime().cache().get_bytes(&key).await? {
        Some(value) => Ok((HEADERS, value)),
        None => Err(ApiError::miss("nothing is cached under this key")),
    }
}

/// Store a value
///
/// The body is the value, whatever its content type. It replaces what stood
/// under the key, tags included.
#[utoipa::path(
    put, path = "/v1/cache/entry", tag = "cache", params(Place),
    request_body(content_type = "application/octet-stream", description = "At most 8 MiB."),
    responses(
        (status = 204, description = "Stored."),
        (status = 413, description = "`too-large`: longer than the server's `max_body`.",
            body = ErrorBody),
        Errors,
    ),
)]
async fn put_entry(
    State(api): State<Api>,
    Query(place): Query<Place>,
    Raw(value): Raw,
) -> Result<StatusCode, ApiError> {
    let mut set = api.runtime().cache().set_bytes(&place.key, value).tags(place.tags);
    if let Some(Span(ttl)) = place.ttl {
        set = set.ttl(ttl);
    }
    set.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a key
///
/// One that is not there is not an error.
#[utoipa::path(
    delete, path = "/v1/cache/entry", tag = "cache", params(Key),
    responses((status = 204, description = "It is not there now."), Errors),
)]
async fn delete_entry(
    State(api): State<Api>,
    Query(Key { key }): Query<Key>,
) -> Result<StatusCode, ApiError> {
    api.runtime().cache().delete([key]).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Keys {
    /// At most 1,000.
    keys: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Tags {
    /// At most 1,000.
    tags: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Pattern {
    /// `*` is any run of characters, every other character is itself.
    #[schema(example = "price:*")]
    pattern: String,
}

#[derive(Serialize, ToSchema)]
struct Looked {
    /// One for each key, in the order of the keys.
    entries: Vec<MaybeEntry>,
}

#[derive(Serialize, ToSchema)]
struct MaybeEntry {
    key: String,
    /// `null` for a miss.
    #[schema(required = true)]
    value_base64: Option<Base64>,
}

#[derive(Serialize, ToSchema)]
struct Found {
    /// Each entry once, in no order.
    entries: Vec<Entry>,
}

#[derive(Serialize, ToSchema)]
struct Entry {
    key: String,
    value_base64: Base64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewEntries {
    /// At most 1,000. Of several with one key the last one wins.
    entries: Vec<NewEntryBody>,
}

/// An entry to store, with either `value` or `value_base64`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewEntryBody {
    /// 1 to 1,024 bytes of UTF-8, any characters.
    key: String,
    /// Any JSON, stored as it is written here.
    #[serde(default, deserialize_with = "wire::present")]
    #[schema(value_type = Option<serde_json::Value>)]
    value: Option<Box<RawValue>>,
    /// Any bytes.
    #[schema(nullable = false)]
    value_base64: Option<Base64>,
    /// Without it, the provider's default; `0s` removes the entry.
    ttl: Option<Span>,
    /// At most 64.
    #[serde(default)]
    tags: Vec<String>,
}

/// The values under keys
#[utoipa::path(
    post, path = "/v1/cache/get", tag = "cache", request_body = Keys,
    responses((status = 200, description = "Every key with its value.", body = Looked), Errors),
)]
async fn get(
    State(api): State<Api>,
    Json(Keys { keys }): Json<Keys>,
) -> Result<axum::Json<Looked>, ApiError> {
    let values = api.runtime().cache().get_many_bytes(&keys).await?;
    let entries = keys.into_iter().zip(values);
    let entries =
        entries.map(|(key, value)| MaybeEntry { key, value_base64: value.map(Base64) }).collect();
    Ok(axum::Json(Looked { entries }))
}

/// The entries that carry at least one of the tags
#[utoipa::path(
    post, path = "/v1/cache/get-by-tags", tag = "cache", request_body = Tags,
    responses((status = 200, description = "All of them.", body = Found), Errors),
)]
async fn get_by_tags(
    State(api): State<Api>,
    Json(Tags { tags }): Json<Tags>,
) -> Result<axum::Json<Found>, ApiError> {
    let hits = api.runtime().cache().get_by_tags(tags).await?;
    let entries = hits
        .into_iter()
        .map(|hit| Entry { key: hit.key, value_base64: Base64(hit.value) })
        .collect();
    Ok(axum::Json(Found { entries }))
}

/// Store entries, in their order
///
/// After an error that is not `invalid-argument` each of them may or may not be
/// stored; storing them again is safe.
#[utoipa::path(
    post, path = "/v1/cache/set", tag = "cache", request_body = NewEntries,
    responses((status = 204, description = "All are stored."), Errors),
)]
async fn set(
    State(api): State<Api>,
    Json(NewEntries { entries }): Json<NewEntries>,
) -> Result<StatusCode, ApiError> {
    let entries = entries
        .into_iter()
        .enumerate()
        .map(|(position, entry)| {
            let value = wire::body("value", entry.value, entry.value_base64)
                .map_err(|error| ApiError::invalid(format!("entries[{position}]: {error}")))?;
            let ttl = entry.ttl.map(|Span(ttl)| ttl);
            Ok(NewEntry { key: entry.key, value, ttl, tags: entry.tags })
        })
        .collect::<Result<Vec<_>, ApiError>>()?;
    api.runtime().cache().set_many(entries).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove keys
#[utoipa::path(
    post, path = "/v1/cache/delete", tag = "cache", request_body = Keys,
    responses((status = 204, description = "They are not there now."), Errors),
)]
async fn delete(
    State(api): State<Api>,
    Json(Keys { keys }): Json<Keys>,
) -> Result<StatusCode, ApiError> {
    api.runtime().cache().delete(keys).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove every entry that carries one of the tags when the call begins
#[utoipa::path(
    post, path = "/v1/cache/clear-tags", tag = "cache", request_body = Tags,
    responses((status = 204, description = "They are gone."), Errors),
)]
async fn clear_tags(
    State(api): State<Api>,
    Json(Tags { tags }): Json<Tags>,
) -> Result<StatusCode, ApiError> {
    api.runtime().cache().clear_tags(tags).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove every entry whose whole key matches
#[utoipa::path(
    post, path = "/v1/cache/clear-matching", tag = "cache", request_body = Pattern,
    responses((status = 204, description = "They are gone."), Errors),
)]
async fn clear_matching(
    State(api): State<Api>,
    Json(Pattern { pattern }): Json<Pattern>,
) -> Result<StatusCode, ApiError> {
    api.runtime().cache().clear_matching(&pattern).await?;
    Ok(StatusCode::NO_CONTENT)
}
