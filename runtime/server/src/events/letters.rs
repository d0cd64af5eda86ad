//! Events that were given up.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::event::EventBody;
use crate::error::{ApiError, Errors};
use crate::extract::{Json, Query};
use crate::router::Api;
use crate::wire;

/// How many come at once, unless said otherwise.
const PAGE: u32 = 100;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(dead_letters))
        .routes(routes!(replay))
        .routes(routes!(remove))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only those of the subscription with this id.
    subscription: Option<String>,
    /// What the page before gave as `next`.
    after: Option<String>,
    /// At most so many, 1 to 1,000; 100 if not said.
    max: Option<u32>,
}

#[derive(Serialize, ToSchema)]
struct Page {
    /// The oldest first.
    dead_letters: Vec<LetterBody>,
    /// Give it as `after` for the next page; `null` after the last.
    #[schema(required = true)]
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetter)]
struct LetterBody {
    /// Names it when it is replayed or removed.
    id: String,
    /// The id of the subscription that gave it up.
    subscription: String,
    #[schema(inline = false)]
    event: EventBody,
    /// What the last attempt said.
    reason: String,
    /// When it was given up. Milliseconds since 1970.
    died_ms: u64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Ids {
    /// At most 1,000.
    ids: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct LetterCount {
    /// How many there were.
    dead_letters: u64,
}

/// Dead letters, the oldest first
#[utoipa::path(
    get, path = "/v1/events/dead-letters", tag = "events", params(Filter),
    responses((status = 200, description = "Some of them.", body = Page), Errors),
)]
async fn dead_letters(
    State(api): State<Api>,
    Query(filter): Query<Filter>,
) -> Result<axum::Json<Page>, ApiError> {
    let (subscription, after) = (filter.subscription.as_deref(), filter.after.as_deref());
    let max = filter.max.unwrap_or(PAGE);
    let page = api.runtime().events().dead_letters(subscription, after, max).await?;
    let dead_letters = page
        .items
        .into_iter()
        .map(|letter| LetterBody {
            id: letter.id,
            subscription: letter.subscription,
            event: letter.event.into(),
            reason: letter.reason,
            died_ms: wire::unix_ms(letter.died),
        })
        .collect();
    Ok(axum::Json(Page { dead_letters, next: page.next }))
}

/// Make dead letters due again, with all their attempts
#[utoipa::path(
    post, path = "/v1/events/dead-letters/replay", tag = "events", request_body = Ids,
    responses((status = 200, description = "They are due.", body = LetterCount), Errors),
)]
async fn replay(
    State(api): State<Api>,
    Json(Ids { ids }): Json<Ids>,
) -> Result<axum::Json<LetterCount>, ApiError> {
    let dead_letters = api.runtime().events().replay_dead_letters(ids).await?;
    Ok(axum::Json(LetterCount { dead_letters }))
}

/// Forget dead letters
#[utoipa::path(
    post, path = "/v1/events/dead-letters/remove", tag = "events", request_body = Ids,
    responses((status = 200, description = "They are gone.", body = LetterCount), Errors),
)]
async fn remove(
    State(api): State<Api>,
    Json(Ids { ids }): Json<Ids>,
) -> Result<axum::Json<LetterCount>, ApiError> {
    let dead_letters = api.runtime().events().remove_dead_letters(ids).await?;
    Ok(axum::Json(LetterCount { dead_letters }))
}
