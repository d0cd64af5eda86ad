//! Who receives what.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use stheno::Subscription;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{ApiError, ErrorBody, Errors};
use crate::extract::{Json, Query};
use crate::router::Api;
use crate::wire::Span;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(subscribe, unsubscribe)).routes(routes!(subscriptions))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Id {
    /// 1 to 255 bytes without control characters. Outcomes are recorded under
    /// it: keep it across restarts.
    #[param(example = "mailer")]
    id: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSubscription {
    /// `*` is any run of characters, dots included; the rest is itself.
    #[schema(example = "order.*")]
    pattern: String,
    /// Whether it also receives what was published before it existed and
    /// reached nobody. True if not said.
    #[serde(default = "yes")]
    retained: bool,
    /// Removes it once nobody has pulled for so long; without it, it stays.
    idle_ttl: Option<Span>,
}

fn yes() -> bool {
    true
}

#[derive(Serialize, ToSchema)]
struct Subscriptions {
    /// All of them, ordered by id.
    subscriptions: Vec<SubscriptionBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Subscription)]
struct SubscriptionBody {
    id: String,
    pattern: String,
    retained: bool,
    #[schema(required = true)]
    idle_ttl: Option<Span>,
    /// Deliveries that are due or will be.
    waiting: u64,
    /// Deliveries that were pulled and not settled.
    leased: u64,
    /// Dead letters.
    dead: u64,
}

/// Create a subscription
///
/// The same one again changes nothing.
#[utoipa::path(
    put, path = "/v1/events/subscription", tag = "events", params(Id),
    request_body = NewSubscription,
    responses(
        (status = 204, description = "It is there."),
        (status = 409, description = "`conflict`: it has another pattern.", body = ErrorBody),
        Errors,
    ),
)]
async fn subscribe(
    State(api): State<Api>,
    Query(Id { id }): Query<Id>,
    Json(new): Json<NewSubscription>,
) -> Result<StatusCode, ApiError> {
    let subscription = Subscription {
        id,
        pattern: new.pattern,
        retained: new.retained,
        idle_ttl: new.idle_ttl.map(|Span(ttl)| ttl),
    };
    api.runtime().events().create_subscription(subscription).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a subscription, all that waits in it, and its dead letters
#[utoipa::path(
    delete, path = "/v1/events/subscription", tag = "events", params(Id),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "`not-found`: there is none.", body = ErrorBody),
        Errors,
    ),
)]
async fn unsubscribe(
    State(api): State<Api>,
    Query(Id { id }): Query<Id>,
) -> Result<StatusCode, ApiError> {
    api.runtime().events().remove_subscription(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All subscriptions, and how much waits in each
#[utoipa::path(
    get, path = "/v1/events/subscriptions", tag = "events",
    responses((status = 200, description = "All of them.", body = Subscriptions), Errors),
)]
async fn subscriptions(State(api): State<Api>) -> Result<axum::Json<Subscriptions>, ApiError> {
    let all = api.runtime().events().subscriptions().await?;
    let subscriptions = all
        .into_iter()
        .map(|status| SubscriptionBody {
            id: status.subscription.id,
            pattern: status.subscription.pattern,
            retained: status.subscription.retained,
            idle_ttl: status.subscription.idle_ttl.map(Span),
            waiting: status.waiting,
            leased: status.leased,
            dead: status.dead,
        })
        .collect();
    Ok(axum::Json(Subscriptions { subscriptions }))
}
