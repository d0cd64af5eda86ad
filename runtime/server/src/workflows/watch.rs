//! Looking at runs as they end, as server-sent events.

use std::convert::Infallible;

use axum::extract::State;
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use stheno::{RunEnds, RunStatus};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::runs::StatusBody;
use crate::error::{ApiError, ErrorBody, Errors};
use crate::extract::Query;
use crate::router::Api;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(watch_runs))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// Only of this workflow.
    workflow: Option<String>,
    /// Only this run.
    run: Option<String>,
}

/// Watch runs as they end
///
/// Server-sent events: `id` is the run's id, `event` its state, `data` the run as
/// JSON, without its steps. It shows what ends from now on, as far as this server
/// learns of it, and ends with the connection. Who has to know of each run has a
/// workflow with `finish`, or asks for the run. A last event called `stheno.error`
/// says why a watch ends that the client did not end.
#[utoipa::path(
    get, path = "/v1/workflows/watch", tag = "workflows", params(Whose),
    responses(
        (status = 200, description = "One for each run.", content_type = "text/event-stream"),
        Errors,
    ),
)]
async fn watch_runs(
    State(api): State<Api>,
    Query(whose): Query<Whose>,
) -> Result<Sse<impl Stream<Item = Result<Frame, Infallible>>>, ApiError> {
    let ends = api.runtime().workflows().watch()?;
    let watch = Watch { api, ends, whose };
    let frames = stream::unfold(Some(watch), async |watch| {
        let (frame, next) = watch?.next().await;
        Some((stream::iter(frame), next))
    });
    Ok(Sse::new(frames.flatten().map(Ok)).keep_alive(KeepAlive::new()))
}

struct Watch {
    api: Api,
    ends: RunEnds,
    whose: Whose,
}

impl Watch {
    /// What to show next, and who shows what comes then.
    async fn next(mut self) -> (Option<Frame>, Option<Self>) {
        loop {
            let ended = tokio::select! {
                ended = self.ends.next() => ended,
                () = self.api.stopped() => None,
            };
            match ended {
                None => return (None, None),
                Some(Ok(run)) if self.wanted(&run) => return (Some(frame(run)), Some(self)),
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    let error = ApiError::from(error).detail().clone();
                    let frame = Frame::default().event("stheno.error");
                    return (Some(json(frame, &ErrorBody { error })), None);
                }
            }
        }
    }

    fn wanted(&self, run: &RunStatus) -> bool {
        let Whose { workflow, run: id } = &self.whose;
        workflow.as_ref().is_none_or(|workflow| *workflow == run.workflow)
            && id.as_ref().is_none_or(|id| *id == run.run)
    }
}

fn frame(run: RunStatus) -> Frame {
    // Ids come from the provider, which may be anybody's: a line end in one would
    // begin another field.
    let id = run.run.replace(|character: char| character.is_control(), "\u{fffd}");
    json(Frame::default().id(id).event(run.state.as_str()), &StatusBody::from(run))
}

fn json(frame: Frame, value: &impl serde::Serialize) -> Frame {
    match serde_json::to_string(value) {
        Ok(json) => frame.data(json),
        Err(error) => frame.comment(format!("cannot be written as JSON: {error}")),
    }
}
