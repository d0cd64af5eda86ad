//! Looking at events as they come, as server-sent events.
//!
//! Each watch has a subscription of its own that nobody else knows. It goes when
//! the watch ends; should the process be killed, or the client stop reading for
//! long, the subscription's own `idle-ttl` takes it away, so that events nobody
//! looks at do not pile up. That is why a watch promises less than a pull.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use stheno::{Delivery, Error, Events, Subscription, Verdict};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::event::EventBody;
use crate::error::{ApiError, ErrorBody, Errors};
use crate::extract::Query;
use crate::router::Api;

/// A client that reads nothing for so long is no longer served.
const IDLE_TTL: Duration = Duration::from_secs(60);
/// How long one look waits; well below [`IDLE_TTL`].
const WAIT: Duration = Duration::from_secs(15);
const LEASE: Duration = Duration::from_secs(60);
const BATCH: u32 = 64;
/// The pause after an error that may pass.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(watch))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct What {
    /// `*` is any run of characters, dots included; the rest is itself.
    #[param(example = "order.*")]
    pattern: String,
    /// Whether to begin with what was published before and reached nobody.
    /// False if not said.
    #[serde(default)]
    #[param(required = false)]
    retained: bool,
}

/// Watch events as they come
///
/// Server-sent events: `id` is the event's id, `event` its name, `data` the
/// event as JSON. It shows what is published from now on and ends with the
/// connection; an event that comes while nobody watches is not kept. To handle
/// every event, subscribe and pull. A last event called `stheno.error` says why
/// a watch ends that the client did not end.
#[utoipa::path(
    get, path = "/v1/events/watch", tag = "events", params(What),
    responses(
        (status = 200, description = "One for each event.", content_type = "text/event-stream"),
        Errors,
    ),
)]
async fn watch(
    State(api): State<Api>,
    Query(What { pattern, retained }): Query<What>,
) -> Result<Sse<impl Stream<Item = Result<Frame, Infallible>>>, ApiError> {
    let events = api.runtime().events().clone();
    let id = format!("watch-{}", uuid::Uuid::new_v4());
    let subscription = Subscription { id: id.clone(), pattern, retained, idle_ttl: Some(IDLE_TTL) };
    // Before it is made: this request may end in the middle of that.
    let place = Place { events, id: Some(id.clone()) };
    place.events.create_subscription(subscription).await?;
    let watch = Watch { api, place, id, shown: Vec::new() };
    let frames = stream::unfold(Some(watch), async |watch| Some(watch?.next().await));
    Ok(Sse::new(frames.flat_map(stream::iter).map(Ok)).keep_alive(KeepAlive::new()))
}

/// The subscription of one watch; dropping it removes it.
struct Place {
    events: Events,
    id: Option<String>,
}

impl Place {
    async fn remove(mut self) {
        if let Some(id) = self.id.take() {
            remove(&self.events, &id).await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) {
            let events = self.events.clone();
            runtime.spawn(async move { remove(&events, &id).await });
        }
    }
}

async fn remove(events: &Events, id: &str) {
    if let Err(error) = events.remove_subscription(id).await {
        tracing::debug!(%error, "the subscription of a watch goes when its time is over");
    }
}

struct Watch {
    api: Api,
    place: Place,
    id: String,
    /// The tokens of what was given to the connection.
    shown: Vec<String>,
}

impl Watch {
    /// What to show next, and who shows what comes then. It is asked for only
    /// when the connection has taken all before, which is then settled.
    async fn next(mut self) -> (Vec<Frame>, Option<Self>) {
        let shown = std::mem::take(&mut self.shown);
        let looked = tokio::select! {
            looked = look(&self.place.events, &self.id, shown) => looked,
            () = self.api.stopped() => {
                self.place.remove().await;
                return (Vec::new(), None);
            }
        };
        match looked {
            Ok(deliveries) => {
                self.shown = deliveries.iter().map(|delivery| delivery.token.clone()).collect();
                (deliveries.into_iter().map(frame).collect(), Some(self))
            }
            Err(error) => {
                self.place.remove().await;
                (vec![failed(error)], None)
            }
        }
    }
}

/// Settles what was shown, then waits until there is more.
async fn look(events: &Events, id: &str, shown: Vec<String>) -> Result<Vec<Delivery>, Error> {
    if !shown.is_empty() {
        let handled = shown.into_iter().map(|token| (token, Verdict::Handled)).collect();
        if let Err(error) = events.settle(handled).await {
            tracing::debug!(%error, "events of a watch may be shown twice");
        }
    }
    loop {
        match events.pull(id, BATCH, WAIT, LEASE).await {
            Ok(deliveries) if deliveries.is_empty() => {}
            Err(error) if error.is_retryable() => tokio::time::sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

fn frame(delivery: Delivery) -> Frame {
    // Names and ids come from the provider, which may be anybody's: a line end
    // in one would begin another field.
    let one_line = |text: &str| text.replace(|character: char| character.is_control(), "\u{fffd}");
    let (id, name) = (one_line(&delivery.event.id), one_line(&delivery.event.name));
    json(Frame::default().id(id).event(name), &EventBody::from(delivery.event))
}

fn failed(error: Error) -> Frame {
    let error = ApiError::from(error).detail().clone();
    json(Frame::default().event("stheno.error"), &ErrorBody { error })
}

fn json(frame: Frame, value: &impl serde::Serialize) -> Frame {
    match serde_json::to_string(value) {
        Ok(json) => frame.data(json),
        Err(error) => frame.comment(format!("cannot be written as JSON: {error}")),
    }
}
