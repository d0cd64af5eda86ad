//! Receiving at least once: pull, work, settle.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use stheno::{Delivery, Events, Verdict};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::event::EventBody;
use crate::error::{ApiError, ErrorBody, Errors};
use crate::extract::Json;
use crate::router::Api;
use crate::wire::Span;

/// The longest wait of one pull. Proxies give up on what is silent for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(pull)).routes(routes!(settle)).routes(routes!(extend))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Pull {
    /// The id of the subscription.
    #[schema(example = "mailer")]
    subscription: String,
    /// At most so many, 1 to 1,000; 100 if not said.
    #[serde(default = "some")]
    max: u32,
    /// How long to wait for the first one, at most `5m`; not at all if not
    /// said.
    #[serde(default = "not_at_all")]
    wait: Span,
    /// For how long they are the caller's; `30s` if not said. What is neither
    /// settled nor extended by then is delivered again.
    #[serde(default = "a_while")]
    lease: Span,
}

fn some() -> u32 {
    100
}

fn not_at_all() -> Span {
    Span(Duration::ZERO)
}

fn a_while() -> Span {
    Span(Duration::from_secs(30))
}

#[derive(Serialize, ToSchema)]
struct Deliveries {
    /// Empty if nothing was due in time.
    deliveries: Vec<DeliveryBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
struct DeliveryBody {
    /// Names this delivery when it is settled or extended. Another attempt at
    /// the same event has another.
    token: String,
    #[schema(inline = false)]
    event: EventBody,
}

/// Take due deliveries of a subscription
///
/// They are leased to the caller, who settles each. If the caller goes away
/// before the answer is sent they are due again at once.
#[utoipa::path(
    post, path = "/v1/events/pull", tag = "events", request_body = Pull,
    responses(
        (status = 200, description = "What was due.", body = Deliveries),
        (status = 404, description = "`not-found`: there is no such subscription.",
            body = ErrorBody),
        Errors,
    ),
)]
async fn pull(State(api): State<Api>, Json(pull): Json<Pull>) -> Result<Response, ApiError> {
    let Span(wait) = pull.wait;
    if wait > LONGEST_WAIT {
        return Err(ApiError::invalid("wait: at most 5m are allowed; pull again after that"));
    }
    let events = api.runtime().events();
    // Whichever of the two is dropped, what it pulls is given back.
    let deliveries = tokio::select! {
        deliveries = events.pull(&pull.subscription, pull.max, wait, pull.lease.0) => deliveries?,
        () = api.stopped() => Vec::new(),
    };
    answer(events.clone(), deliveries)
}

/// An answer whose deliveries are given back unless it is sent.
fn answer(events: Events, deliveries: Vec<Delivery>) -> Result<Response, ApiError> {
    let tokens = deliveries.iter().map(|delivery| delivery.token.clone()).collect();
    let unsent = Unsent { events, tokens };
    let deliveries = deliveries
        .into_iter()
        .map(|delivery| DeliveryBody { token: delivery.token, event: delivery.event.into() })
        .collect();
    let json = serde_json::to_vec(&Deliveries { deliveries })
        .map_err(|error| ApiError::internal(format!("the answer cannot be written: {error}")))?;
    let length = json.len();
    // The connection takes the body when it writes it; if it breaks before, the
    // body is dropped.
    let body = Body::from_stream(stream::once(async move {
        unsent.sent();
        Ok::<_, std::convert::Infallible>(json)
    }));
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
    ];
    Ok((headers, body).into_response())
}

/// Deliveries that nobody has received yet.
struct Unsent {
    events: Events,
    tokens: Vec<String>,
}

impl Unsent {
    fn sent(mut self) {
        self.tokens.clear();
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        if self.tokens.is_empty() {
            return;
        }
        // Without a runtime the process ends; their lease runs out then.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (events, tokens) = (self.events.clone(), std::mem::take(&mut self.tokens));
            runtime.spawn(async move {
                let outcomes = tokens.into_iter().map(|token| (token, Verdict::Returned));
                if let Err(error) = events.settle(outcomes.collect()).await {
                    tracing::warn!(%error, "deliveries that were not sent come after their lease");
                }
            });
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Settle {
    /// At most 1,000.
    outcomes: Vec<OutcomeBody>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Outcome)]
struct OutcomeBody {
    /// What the pull gave.
    token: String,
    #[schema(inline = false)]
    verdict: VerdictBody,
    /// Why; only with `failed` and `rejected`.
    #[schema(nullable = false)]
    reason: Option<String>,
}

/// `handled`: done with. `failed`: tried again later, or dead after the last
/// attempt. `rejected`: dead now. `returned`: not tried, due again at once, and
/// the attempt does not count.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Verdict)]
enum VerdictBody {
    Handled,
    Failed,
    Rejected,
    Returned,
}

impl OutcomeBody {
    fn decoded(self) -> Result<(String, Verdict), String> {
        const UNSAID: &str = "no reason was given";
        let verdict = match (self.verdict, self.reason) {
            (VerdictBody::Handled, None) => Verdict::Handled,
            (VerdictBody::Returned, None) => Verdict::Returned,
            (VerdictBody::Failed, reason) => Verdict::Failed(reason.unwrap_or(UNSAID.into())),
            (VerdictBody::Rejected, reason) => Verdict::Rejected(reason.unwrap_or(UNSAID.into())),
            (VerdictBody::Handled | VerdictBody::Returned, Some(_)) => {
                return Err("`reason` goes with `failed` and `rejected` only".into());
            }
        };
        Ok((self.token, verdict))
    }
}

#[derive(Serialize, ToSchema)]
struct Lost {
    /// The tokens whose lease had run out, or that were settled before: for
    /// those nothing was recorded.
    lost: Vec<String>,
}

/// Record how deliveries went
#[utoipa::path(
    post, path = "/v1/events/settle", tag = "events", request_body = Settle,
    responses((status = 200, description = "Recorded, but for these.", body = Lost), Errors),
)]
async fn settle(
    State(api): State<Api>,
    Json(Settle { outcomes }): Json<Settle>,
) -> Result<axum::Json<Lost>, ApiError> {
    let outcomes = outcomes
        .into_iter()
        .enumerate()
        .map(|(position, outcome)| {
            outcome
                .decoded()
                .map_err(|error| ApiError::invalid(format!("outcomes[{position}]: {error}")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let lost = api.runtime().events().settle(outcomes).await?;
    Ok(axum::Json(Lost { lost }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Extend {
    /// At most 1,000.
    tokens: Vec<String>,
    /// From now.
    lease: Span,
}

/// Lease deliveries for longer
#[utoipa::path(
    post, path = "/v1/events/extend", tag = "events", request_body = Extend,
    responses((status = 200, description = "Extended, but for these.", body = Lost), Errors),
)]
async fn extend(
    State(api): State<Api>,
    Json(Extend { tokens, lease: Span(lease) }): Json<Extend>,
) -> Result<axum::Json<Lost>, ApiError> {
    let lost = api.runtime().events().extend(tokens, lease).await?;
    Ok(axum::Json(Lost { lost }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stheno::{Runtime, Subscription};

    #[tokio::test]
    async fn an_answer_that_is_not_sent_gives_its_deliveries_back() {
        let runtime = Runtime::builder().build().await.unwrap();
        let events = runtime.events();
        let subscription =
            Subscription { id: "s".into(), pattern: "*".into(), retained: true, idle_ttl: None };
        events.create_subscription(subscription).await.unwrap();
        events.publish("a", &1).await.unwrap();
        let hour = Duration::from_secs(3600);
        let pulled = events.pull("s", 10, Duration::ZERO, hour).await.unwrap();
        assert_eq!(pulled.len(), 1);

        drop(answer(events.clone(), pulled).unwrap());
        let again = events.pull("s", 10, hour, hour).await.unwrap();
        assert_eq!(again[0].event.attempt, 1);

        // One that is sent keeps them.
        let response = answer(events.clone(), again).unwrap();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert!(body.starts_with(b"{\"deliveries\":[{\"token\":"));
        assert_eq!(events.subscriptions().await.unwrap()[0].leased, 1);
        assert!(events.pull("s", 10, Duration::ZERO, hour).await.unwrap().is_empty());
    }
}
