//! Routes of the analytics.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stheno::{ActorGroup, Identify, JsonObject, Track};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{ApiError, Errors};
use crate::extract::Json;
use crate::router::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(track)).routes(routes!(identify)).routes(routes!(flush))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Tracked {
    /// At most 1,000.
    events: Vec<TrackBody>,
}

/// What somebody did, with `actor`, `group`, or both.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Track)]
struct TrackBody {
    /// 1 to 255 bytes without control characters.
    #[schema(example = "order.placed")]
    event: String,
    /// Who: 1 to 255 bytes without control characters.
    #[schema(example = "user-42")]
    actor: Option<String>,
    group: Option<GroupBody>,
    /// A JSON object of at most 64 KiB, passed on as it is written here.
    #[schema(value_type = Option<serde_json::Map<String, serde_json::Value>>)]
    properties: Option<Box<RawValue>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Identities {
    /// At most 1,000.
    identities: Vec<IdentifyBody>,
}

/// What is known of an actor, or of a group if there is one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Identify)]
struct IdentifyBody {
    /// Who; of a group, who says so. Needed where there is no group.
    #[schema(example = "user-42")]
    actor: Option<String>,
    group: Option<GroupBody>,
    /// A JSON object of at most 64 KiB, passed on as it is written here.
    #[schema(value_type = Option<serde_json::Map<String, serde_json::Value>>)]
    properties: Option<Box<RawValue>>,
}

/// A group of actors.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ActorGroup)]
struct GroupBody {
    /// 1 to 255 bytes without control characters.
    #[schema(example = "company")]
    kind: String,
    /// 1 to 255 bytes without control characters.
    #[schema(example = "acme")]
    id: String,
}

fn group(group: Option<GroupBody>) -> Option<ActorGroup> {
    group.map(|GroupBody { kind, id }| ActorGroup { kind, id })
}

fn properties(place: &str, json: Option<Box<RawValue>>) -> Result<Option<JsonObject>, ApiError> {
    let parse = |json: Box<RawValue>| {
        JsonObject::parse(json.get())
            .map_err(|error| ApiError::invalid(format!("{place}.properties: {}", error.message())))
    };
    json.map(parse).transpose()
}

/// Track events, all of them or none
///
/// They are accepted into a buffer and handed over in batches.
#[utoipa::path(
    post, path = "/v1/analytics/track", tag = "analytics", request_body = Tracked,
    responses((status = 204, description = "They are accepted."), Errors),
)]
async fn track(
    State(api): State<Api>,
    Json(Tracked { events }): Json<Tracked>,
) -> Result<StatusCode, ApiError> {
    let decode = |(position, event): (usize, TrackBody)| {
        Ok(Track {
            event: event.event,
            actor: event.actor,
            group: group(event.group),
            properties: properties(&format!("events[{position}]"), event.properties)?,
        })
    };
    let events = events.into_iter().enumerate().map(decode).collect::<Result<_, ApiError>>()?;
    api.runtime().analytics().track_all(events).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Say what is known of actors and groups, all of it or nothing
#[utoipa::path(
    post, path = "/v1/analytics/identify", tag = "analytics", request_body = Identities,
    responses((status = 204, description = "It is accepted."), Errors),
)]
async fn identify(
    State(api): State<Api>,
    Json(Identities { identities }): Json<Identities>,
) -> Result<StatusCode, ApiError> {
    let decode = |(position, identity): (usize, IdentifyBody)| {
        Ok(Identify {
            actor: identity.actor,
            group: group(identity.group),
            properties: properties(&format!("identities[{position}]"), identity.properties)?,
        })
    };
    let identities =
        identities.into_iter().enumerate().map(decode).collect::<Result<_, ApiError>>()?;
    api.runtime().analytics().identify_all(identities).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
struct Flushed {
    /// How each provider keeps up.
    providers: Vec<Keeping>,
}

#[derive(Serialize, ToSchema)]
struct Keeping {
    /// The id of the provider.
    #[schema(example = "default")]
    provider: String,
    /// Items that it has not accepted yet.
    waiting: u64,
    /// Items that it will never get: missed while its buffer was full, or
    /// refused.
    lost: u64,
}

/// Have every provider take and write out what was accepted before
///
/// An error names the first event that a provider could not take. After
/// `unavailable` and `timeout` they wait on; after any other they were given up.
#[utoipa::path(
    post, path = "/v1/analytics/flush", tag = "analytics",
    responses((status = 200, description = "It is written out.", body = Flushed), Errors),
)]
async fn flush(State(api): State<Api>) -> Result<axum::Json<Flushed>, ApiError> {
    api.runtime().analytics().flush().await?;
    let all = api.runtime().analytics().status().into_iter();
    let providers = all
        .map(|status| Keeping {
            provider: status.provider,
            waiting: status.waiting,
            lost: status.lost,
        })
        .collect();
    Ok(axum::Json(Flushed { providers }))
}
