//! Publishing, now or as a group.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stheno::NewEvent;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{ApiError, Errors};
use crate::extract::Json;
use crate::router::Api;
use crate::wire::{self, Base64, Pairs, Span};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(publish))
        .routes(routes!(stage))
        .routes(routes!(release))
        .routes(routes!(discard))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewEvents {
    /// At most 1,000.
    events: Vec<NewEventBody>,
}

/// An event to publish, with either `data` or `data_base64`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewEvent)]
struct NewEventBody {
    /// 1 to 255 bytes without control characters.
    #[schema(example = "order.placed")]
    name: String,
    /// Any JSON, kept as it is written here; at most 1 MiB.
    #[serde(default, deserialize_with = "wire::present")]
    #[schema(value_type = Option<serde_json::Value>)]
    data: Option<Box<RawValue>>,
    /// Any bytes, at most 1 MiB.
    #[schema(nullable = false)]
    data_base64: Option<Base64>,
    /// Strings that travel with it: at most 64, of 4 KiB together.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    metadata: Pairs,
    /// How long to hold it back before its first delivery.
    delay: Option<Span>,
    /// 1 (first) to 2,097,152 (last); 100 if not said.
    priority: Option<u32>,
    /// How many times a subscription may fail it; without it, the provider's
    /// default.
    attempts: Option<u32>,
    /// The waits between attempts; without it, the provider's default.
    backoff: Option<BackoffBody>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Backoff)]
struct BackoffBody {
    /// The wait after the first failure, which doubles with each.
    initial: Span,
    /// The longest wait.
    max: Span,
}

fn decoded(events: Vec<NewEventBody>) -> Result<Vec<NewEvent>, ApiError> {
    let decode = |(position, event): (usize, NewEventBody)| {
        let data = wire::body("data", event.data, event.data_base64)
            .map_err(|error| ApiError::invalid(format!("events[{position}]: {error}")))?;
        Ok(NewEvent {
            name: event.name,
            data,
            metadata: event.metadata.0,
            delay: event.delay.map_or(Duration::ZERO, |Span(delay)| delay),
            priority: event.priority,
            attempts: event.attempts,
            backoff: event.backoff.map(|backoff| (backoff.initial.0, backoff.max.0)),
        })
    };
    events.into_iter().enumerate().map(decode).collect()
}

#[derive(Serialize, ToSchema)]
struct Published {
    /// The ids of the events, in their order.
    ids: Vec<String>,
}

/// Publish events, all of them or none
///
/// Each is then delivered at least once to every subscription whose pattern
/// matches. After 500, 503 and 504 they may be published all the same, unless the
/// provider is one instance that is not durable: published again, they may be
/// delivered twice.
#[utoipa::path(
    post, path = "/v1/events/publish", tag = "events", request_body = NewEvents,
    responses((status = 200, description = "They are accepted.", body = Published), Errors),
)]
async fn publish(
    State(api): State<Api>,
    Json(NewEvents { events }): Json<NewEvents>,
) -> Result<axum::Json<Published>, ApiError> {
    let ids = api.runtime().events().publish_all(decoded(events)?).await?;
    Ok(axum::Json(Published { ids }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Staged {
    /// 1 to 255 bytes without control characters.
    group: String,
    /// How long the group is kept after this; ten minutes if not said.
    ttl: Option<Span>,
    /// At most 1,000.
    events: Vec<NewEventBody>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Group)]
struct GroupBody {
    group: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Discarded {
    group: String,
    /// Only the events with these names; all if there is none.
    #[serde(default)]
    names: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct Count {
    /// How many events there were.
    events: u64,
}

/// Hold events back in a group, all of them or none
///
/// After 500, 503 and 504 they may be in the group all the same; staged again, they
/// may be in it twice. Who must know discards the group and begins anew.
#[utoipa::path(
    post, path = "/v1/events/groups/stage", tag = "events", request_body = Staged,
    responses((status = 204, description = "They are in the group."), Errors),
)]
async fn stage(State(api): State<Api>, Json(staged): Json<Staged>) -> Result<StatusCode, ApiError> {
    let mut group = api.runtime().events().group(staged.group);
    if let Some(Span(ttl)) = staged.ttl {
        group = group.ttl(ttl);
    }
    group.stage(decoded(staged.events)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Publish what a group holds
///
/// It is released once, whoever calls at the same moment: the others get 0, as
/// does who comes after the group has expired or was discarded. So it may be tried
/// again after any error, which then does not say how many events there were.
#[utoipa::path(
    post, path = "/v1/events/groups/release", tag = "events", request_body = GroupBody,
    responses((status = 200, description = "They are published.", body = Count), Errors),
)]
async fn release(
    State(api): State<Api>,
    Json(GroupBody { group }): Json<GroupBody>,
) -> Result<axum::Json<Count>, ApiError> {
    let events = api.runtime().events().group(group).release().await?;
    Ok(axum::Json(Count { events }))
}

/// Forget what a group holds
#[utoipa::path(
    post, path = "/v1/events/groups/discard", tag = "events", request_body = Discarded,
    responses((status = 200, description = "They are gone.", body = Count), Errors),
)]
async fn discard(
    State(api): State<Api>,
    Json(Discarded { group, names }): Json<Discarded>,
) -> Result<axum::Json<Count>, ApiError> {
    let events = api.runtime().events().group(group).discard_named(names).await?;
    Ok(axum::Json(Count { events }))
}
