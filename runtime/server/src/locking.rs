//! Routes of the locks: leases that a client renews.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use stheno::{Lease, Lock};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{ApiError, ErrorBody, Errors};
use crate::extract::{Json, Query};
use crate::router::Api;
use crate::wire::Span;

/// The longest wait of one request. Proxies give up on what is silent for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(acquire_lease))
        .routes(routes!(extend_lease))
        .routes(routes!(release_lease))
        .routes(routes!(release_keys))
        .routes(routes!(release_all))
        .routes(routes!(inspect_locks))
        .routes(routes!(list_locks))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LockKeys {
    /// 1 to 64, each of 1 to 1,024 bytes; the order means nothing.
    #[schema(example = json!(["stock:42"]))]
    keys: Vec<String>,
    /// Who asks, 1 to 255 bytes. The same owner may acquire its keys again, which
    /// gives it a new lease and loses it the earlier one. Without one everybody is
    /// somebody else.
    #[schema(nullable = false)]
    owner: Option<String>,
    /// How long the lease lives from the grant; `30s` if not said, and with `null`
    /// it never expires.
    #[serde(default = "a_while")]
    ttl: Option<Span>,
    /// How long to wait if a key is taken, at most `5m`; not at all if not said.
    #[serde(default = "not_at_all")]
    wait: Span,
}

// Present and `null` is for ever, absent is this.
#[allow(clippy::unnecessary_wraps, reason = "a default for an optional field")]
fn a_while() -> Option<Span> {
    Some(Span(Duration::from_secs(30)))
}

fn not_at_all() -> Span {
    Span(Duration::ZERO)
}

#[derive(Serialize, ToSchema)]
#[schema(as = Lease)]
struct LeaseBody {
    /// Names the lease when it is extended or released.
    token: String,
    /// Grows with every lease, whatever its keys.
    fence: u64,
    /// Null never expires.
    #[schema(required = true)]
    ttl: Option<Span>,
}

/// Lock all of the keys or none
///
/// With `wait` it waits for its turn; who came first is served first. If the
/// caller goes away before the answer is sent nothing stays locked.
#[utoipa::path(
    post, path = "/v1/locking/acquire", tag = "locking", request_body = LockKeys,
    responses(
        (status = 200, description = "They are locked.", body = LeaseBody),
        (status = 409, description = "`conflict`: a key is taken, and nothing is locked.",
            body = ErrorBody),
        Errors,
    ),
)]
async fn acquire_lease(
    State(api): State<Api>,
    Json(asked): Json<LockKeys>,
) -> Result<Response, ApiError> {
    let Span(wait) = asked.wait;
    if wait > LONGEST_WAIT {
        return Err(ApiError::invalid("wait: at most 5m are allowed; ask again after that"));
    }
    let acquire = api.runtime().locking().acquire(asked.keys).wait(wait);
    let acquire = acquire.ttl(asked.ttl.map(|Span(ttl)| ttl));
    let acquire = match asked.owner {
        Some(owner) => acquire.owner(owner),
        None => acquire,
    };
    // Dropped, it gives up its place, or what it was granted.
    let lease = tokio::select! {
        biased;
        lease = acquire.into_future() => lease?,
        () = api.stopped() => return Err(ApiError::unavailable("the server is stopping")),
    };
    answer(lease)
}

/// An answer whose lease is released unless it is sent.
fn answer(lease: Lease) -> Result<Response, ApiError> {
    let body = LeaseBody {
        token: lease.token().to_owned(),
        fence: lease.fence(),
        ttl: lease.ttl().map(Span),
    };
    let json = serde_json::to_vec(&body)
        .map_err(|error| ApiError::internal(format!("the answer cannot be written: {error}")))?;
    let length = json.len();
    // The connection takes the body when it writes it; if it breaks before, the
    // body is dropped, and the lease with it.
    let body = Body::from_stream(stream::once(async move {
        let _token = lease.keep();
        Ok::<_, std::convert::Infallible>(json)
    }));
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
    ];
    Ok((headers, body).into_response())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExtendLease {
    /// What `acquire` gave.
    token: String,
    /// From now; `null` is for ever.
    #[serde(deserialize_with = "present")]
    #[schema(required = true)]
    ttl: Option<Span>,
}

/// For a field that may be null but has to be there.
fn present<'de, D: serde::Deserializer<'de>>(decoder: D) -> Result<Option<Span>, D::Error> {
    Option::deserialize(decoder)
}

/// Renew a lease
#[utoipa::path(
    post, path = "/v1/locking/extend", tag = "locking", request_body = ExtendLease,
    responses(
        (status = 204, description = "It lives for so long from now."),
        (status = 409, description = "`lost-lease`: one of its keys is no longer held.",
            body = ErrorBody),
        Errors,
    ),
)]
async fn extend_lease(
    State(api): State<Api>,
    Json(ExtendLease { token, ttl }): Json<ExtendLease>,
) -> Result<StatusCode, ApiError> {
    api.runtime().locking().extend(&token, ttl.map(|Span(ttl)| ttl)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReleaseLease {
    /// What `acquire` gave.
    token: String,
}

#[derive(Serialize, ToSchema)]
struct LeaseReleased {
    /// Whether the lease was whole until now. If not, somebody else may have had
    /// one of its keys; what was left of it is free.
    released: bool,
}

/// End a lease
#[utoipa::path(
    post, path = "/v1/locking/release", tag = "locking", request_body = ReleaseLease,
    responses((status = 200, description = "Its keys are free.", body = LeaseReleased), Errors),
)]
async fn release_lease(
    State(api): State<Api>,
    Json(ReleaseLease { token }): Json<ReleaseLease>,
) -> Result<axum::Json<LeaseReleased>, ApiError> {
    let released = api.runtime().locking().release(&token).await?;
    Ok(axum::Json(LeaseReleased { released }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReleaseKeys {
    /// 1 to 64.
    keys: Vec<String>,
    /// Whose; without one, those that were acquired without one.
    #[schema(nullable = false)]
    owner: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct KeysFreed {
    /// How many keys were freed.
    keys: u64,
}

/// Free those of the keys that an owner holds
#[utoipa::path(
    post, path = "/v1/locking/release-keys", tag = "locking", request_body = ReleaseKeys,
    responses((status = 200, description = "They are free.", body = KeysFreed), Errors),
)]
async fn release_keys(
    State(api): State<Api>,
    Json(ReleaseKeys { keys, owner }): Json<ReleaseKeys>,
) -> Result<axum::Json<KeysFreed>, ApiError> {
    let keys = api.runtime().locking().release_keys(keys, owner.as_deref()).await?;
    Ok(axum::Json(KeysFreed { keys }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReleaseAll {
    /// Whose; `null` for what was acquired without an owner.
    #[serde(deserialize_with = "owner_or_null")]
    #[schema(required = true)]
    owner: Option<String>,
}

/// For a field that may be null but has to be there.
fn owner_or_null<'de, D: serde::Deserializer<'de>>(decoder: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(decoder)
}

/// Free all keys that an owner holds
#[utoipa::path(
    post, path = "/v1/locking/release-all", tag = "locking", request_body = ReleaseAll,
    responses((status = 200, description = "They are free.", body = KeysFreed), Errors),
)]
async fn release_all(
    State(api): State<Api>,
    Json(ReleaseAll { owner }): Json<ReleaseAll>,
) -> Result<axum::Json<KeysFreed>, ApiError> {
    let keys = api.runtime().locking().release_all(owner.as_deref()).await?;
    Ok(axum::Json(KeysFreed { keys }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InspectKeys {
    /// At most 1,000.
    keys: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Lock)]
struct LockBody {
    key: String,
    /// Null if it was acquired without one.
    #[schema(required = true)]
    owner: Option<String>,
    fence: u64,
    /// Null never expires.
    #[schema(required = true)]
    expires_in: Option<Span>,
    /// How many wait for the key.
    waiting: u64,
}

impl From<Lock> for LockBody {
    fn from(lock: Lock) -> Self {
        Self {
            key: lock.key,
            owner: lock.owner,
            fence: lock.fence,
            expires_in: lock.expires_in.map(Span),
            waiting: lock.waiting,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct Inspected {
    /// Those of the keys that are held, in the order of the keys.
    #[schema(inline = false)]
    locks: Vec<LockBody>,
}

/// Who has these keys
#[utoipa::path(
    post, path = "/v1/locking/inspect", tag = "locking", request_body = InspectKeys,
    responses((status = 200, description = "Those that are held.", body = Inspected), Errors),
)]
async fn inspect_locks(
    State(api): State<Api>,
    Json(InspectKeys { keys }): Json<InspectKeys>,
) -> Result<axum::Json<Inspected>, ApiError> {
    let locks = api.runtime().locking().inspect(keys).await?;
    let locks = locks.into_iter().flatten().map(LockBody::from).collect();
    Ok(axum::Json(Inspected { locks }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    /// Only what this owner holds.
    owner: Option<String>,
    /// Go on after an earlier page.
    after: Option<String>,
    /// At most so many, 1 to 1,000; 100 if not said.
    #[serde(default = "some")]
    #[param(required = false)]
    max: u32,
}

fn some() -> u32 {
    100
}

#[derive(Serialize, ToSchema)]
#[schema(as = LockPage)]
struct LockPageBody {
    /// Ordered by key.
    #[schema(inline = false)]
    locks: Vec<LockBody>,
    /// Give it as `after` for the next page; null after the last.
    #[schema(required = true)]
    next: Option<String>,
}

/// The keys that are held
#[utoipa::path(
    get, path = "/v1/locking/locks", tag = "locking", params(Listing),
    responses((status = 200, description = "Some of them.", body = LockPageBody), Errors),
)]
async fn list_locks(
    State(api): State<Api>,
    Query(Listing { owner, after, max }): Query<Listing>,
) -> Result<axum::Json<LockPageBody>, ApiError> {
    let page = api.runtime().locking().held(owner.as_deref(), after.as_deref(), max).await?;
    let locks = page.items.into_iter().map(LockBody::from).collect();
    Ok(axum::Json(LockPageBody { locks, next: page.next }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stheno::{ErrorKind, Runtime};

    #[tokio::test]
    async fn an_answer_that_is_not_sent_gives_its_lease_back() {
        let runtime = Runtime::builder().build().await.unwrap();
        let locking = runtime.locking();
        drop(answer(locking.acquire(["a"]).await.unwrap()).unwrap());
        let lease = locking.acquire(["a"]).await.unwrap();

        // One that is sent keeps it.
        let token = lease.token().to_owned();
        let response = answer(lease).unwrap();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert!(body.starts_with(format!("{{\"token\":\"{token}\"").as_bytes()));
        let taken = locking.try_acquire(["a"]).await.unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::Conflict);
        assert!(locking.release(&token).await.unwrap());
    }
}
