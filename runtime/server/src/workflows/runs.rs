//! Starting runs, looking at them, and what is done to one from outside.

use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stheno::{Cause, Fault, RunDetail, RunFilter, RunState, RunStatus, StepStatus, TaskVerdict};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::{given, shown};
use super::tasks::{VerdictBody, verdict};
use crate::error::{ApiError, ErrorBody, Errors};
use crate::extract::{Json, Query};
use crate::router::Api;
use crate::wire::{self, Base64, Span};

/// The longest wait of one request. Proxies give up on what is silent for longer.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(300);

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(start_run))
        .routes(routes!(get_run))
        .routes(routes!(list_runs))
        .routes(routes!(cancel_run))
        .routes(routes!(complete_step))
        .routes(routes!(retry_step))
}

/// A run to start, with either `input` or `input_base64`, or with neither, which
/// is null.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRun {
    #[schema(example = "order")]
    workflow: String,
    /// A run id runs once: 1 to 255 bytes without control characters. Without one
    /// the run gets an id that no other has.
    #[schema(example = "order-1001")]
    run: Option<String>,
    /// Any JSON, kept as it is written here; at most 1 MiB.
    #[serde(default, deserialize_with = "wire::present")]
    #[schema(value_type = Option<serde_json::Value>)]
    input: Option<Box<RawValue>>,
    /// Any bytes, at most 1 MiB.
    #[schema(nullable = false)]
    input_base64: Option<Base64>,
}

#[derive(Serialize, ToSchema)]
struct RunStarted {
    /// Its id.
    run: String,
    /// False: a run of this id is there, and nothing was started.
    new: bool,
}

/// Start a run
#[utoipa::path(
    post, path = "/v1/workflows/start", tag = "workflows", request_body = NewRun,
    responses(
        (status = 200, description = "It goes on by itself.", body = RunStarted),
        (status = 404, description = "`not-found`: the workflow is not defined.",
            body = ErrorBody),
        (status = 409, description = "`conflict`: the id is a run of another workflow.",
            body = ErrorBody),
        Errors,
    ),
)]
async fn start_run(
    State(api): State<Api>,
    Json(new): Json<NewRun>,
) -> Result<axum::Json<RunStarted>, ApiError> {
    let input = given("input", new.input, new.input_base64)?;
    let start = api.runtime().workflows().start_bytes(&new.workflow, input);
    let start = match new.run {
        Some(run) => start.id(run),
        None => start,
    };
    let started = start.await?;
    Ok(axum::Json(RunStarted { run: started.run, new: started.new }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WhichRun {
    /// Its id.
    #[param(example = "order-1001")]
    run: String,
    /// How long to wait for its end, at most `5m`; not at all if not said.
    #[serde(default)]
    #[param(required = false)]
    wait: Option<Span>,
}

/// Where a run is. `done`, `reverted` and `failed` are ends.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = RunState)]
pub(super) enum StateBody {
    Running,
    Stopping,
    Compensating,
    Done,
    Reverted,
    Failed,
}

impl From<RunState> for StateBody {
    fn from(state: RunState) -> Self {
        match state {
            RunState::Running => Self::Running,
            RunState::Stopping => Self::Stopping,
            RunState::Compensating => Self::Compensating,
            RunState::Done => Self::Done,
            RunState::Reverted => Self::Reverted,
            RunState::Failed => Self::Failed,
        }
    }
}

impl From<StateBody> for RunState {
    fn from(state: StateBody) -> Self {
        match state {
            StateBody::Running => Self::Running,
            StateBody::Stopping => Self::Stopping,
            StateBody::Compensating => Self::Compensating,
            StateBody::Done => Self::Done,
            StateBody::Reverted => Self::Reverted,
            StateBody::Failed => Self::Failed,
        }
    }
}

/// A run, without its steps. Times are milliseconds since 1970.
#[derive(Serialize, ToSchema)]
#[schema(as = RunStatus)]
pub(super) struct StatusBody {
    run: String,
    workflow: String,
    #[schema(inline = false)]
    state: StateBody,
    /// Why it could not go on, if it could not.
    #[schema(required = true)]
    cause: Option<CauseBody>,
    started_ms: u64,
    #[schema(required = true)]
    ended_ms: Option<u64>,
    /// The run and the step that began it.
    #[schema(required = true)]
    parent: Option<ParentBody>,
    /// The schedule that began it.
    #[schema(required = true)]
    schedule: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RunCause)]
struct CauseBody {
    /// `step-failed`, `cancelled` or `timed-out`.
    kind: &'static str,
    #[schema(required = true)]
    step: Option<String>,
    reason: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RunParent)]
struct ParentBody {
    run: String,
    step: String,
}

impl From<RunStatus> for StatusBody {
    fn from(status: RunStatus) -> Self {
        Self {
            run: status.run,
            workflow: status.workflow,
            state: status.state.into(),
            cause: status.cause.map(|Cause { kind, step, reason }| CauseBody {
                kind: kind.as_str(),
                step,
                reason,
            }),
            started_ms: wire::unix_ms(status.started),
            ended_ms: status.ended.map(wire::unix_ms),
            parent: status.parent.map(|(run, step)| ParentBody { run, step }),
            schedule: status.schedule,
        }
    }
}

/// A run with its steps, each body as JSON if it is, and in base64 otherwise.
#[derive(Serialize, ToSchema)]
#[schema(as = Run)]
struct DetailBody {
    #[serde(flatten)]
    #[schema(inline = false)]
    status: StatusBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    input: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    input_base64: Option<Base64>,
    /// Of a run that is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    result_base64: Option<Base64>,
    /// In the order of the definition.
    #[schema(inline = false)]
    steps: Vec<StepStatusBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = StepStatus)]
struct StepStatusBody {
    id: String,
    /// `pending`, `running`, `waiting`, `stalled`, `done`, `failed`, `skipped`,
    /// `passed-over`, `compensating`, `reverted` or `stuck`.
    state: &'static str,
    /// Attempts made, at the compensation if that has begun.
    attempts: u32,
    #[schema(required = true)]
    began_ms: Option<u64>,
    #[schema(required = true)]
    ended_ms: Option<u64>,
    #[schema(required = true)]
    reverted_ms: Option<u64>,
    /// The failed attempts, the last 16.
    #[schema(inline = false)]
    faults: Vec<FaultBody>,
    /// The run that it began, if it is nested.
    #[schema(required = true)]
    child: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    result_base64: Option<Base64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = StepFault)]
struct FaultBody {
    at_ms: u64,
    /// Whether at the compensation.
    compensation: bool,
    attempt: u32,
    reason: String,
}

impl From<StepStatus> for StepStatusBody {
    fn from(step: StepStatus) -> Self {
        let (result, result_base64) = step.result.map(shown).unwrap_or_default();
        let faults = step.faults.into_iter().map(|Fault { at, compensation, attempt, reason }| {
            FaultBody { at_ms: wire::unix_ms(at), compensation, attempt, reason }
        });
        Self {
            id: step.id,
            state: step.state.as_str(),
            attempts: step.attempts,
            began_ms: step.began.map(wire::unix_ms),
            ended_ms: step.ended.map(wire::unix_ms),
            reverted_ms: step.reverted.map(wire::unix_ms),
            faults: faults.collect(),
            child: step.child,
            result,
            result_base64,
        }
    }
}

impl From<RunDetail> for DetailBody {
    fn from(run: RunDetail) -> Self {
        let (input, input_base64) = shown(run.input);
        let (result, result_base64) = run.result.map(shown).unwrap_or_default();
        Self {
            status: run.status.into(),
            input,
            input_base64,
            result,
            result_base64,
            steps: run.steps.into_iter().map(StepStatusBody::from).collect(),
        }
    }
}

/// A run with its steps
///
/// With `wait` it answers when the run has ended, or when the time is over, with
/// where the run is then.
#[utoipa::path(
    get, path = "/v1/workflows/run", tag = "workflows", params(WhichRun),
    responses(
        (status = 200, description = "The run.", body = DetailBody),
        (status = 404, description = "`not-found`: there is none, or it is no longer retained.",
            body = ErrorBody),
        Errors,
    ),
)]
async fn get_run(
    State(api): State<Api>,
    Query(WhichRun { run, wait }): Query<WhichRun>,
) -> Result<axum::Json<DetailBody>, ApiError> {
    let workflows = api.runtime().workflows();
    let wait = wait.map_or(Duration::ZERO, |Span(wait)| wait);
    if wait > LONGEST_WAIT {
        return Err(ApiError::invalid("wait: at most 5m are allowed; ask again after that"));
    }
    if !wait.is_zero() {
        tokio::select! {
            biased;
            ended = workflows.wait(&run) => return Ok(axum::Json(ended?.into())),
            () = api.runtime().clock().sleep(wait) => {}
            () = api.stopped() => {}
        }
    }
    Ok(axum::Json(workflows.get(&run).await?.into()))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only of this workflow.
    workflow: Option<String>,
    /// Only in one of these states; may be repeated.
    #[serde(default)]
    #[param(required = false)]
    state: Vec<StateBody>,
    /// Only begun by a step of this run.
    parent: Option<String>,
    /// Only begun by this schedule.
    schedule: Option<String>,
    /// Only started at this moment or later. Milliseconds since 1970.
    started_from_ms: Option<u64>,
    /// Only started before this moment. Milliseconds since 1970.
    started_before_ms: Option<u64>,
    /// What the page before gave as `next`.
    after: Option<String>,
    /// At most so many, 1 to 1,000; 100 if not said.
    max: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RunPage)]
struct PageBody {
    /// The one that started last first.
    #[schema(inline = false)]
    runs: Vec<StatusBody>,
    /// Give it as `after` for the next page; `null` after the last.
    #[schema(required = true)]
    next: Option<String>,
}

fn at(name: &str, unix_ms: Option<u64>) -> Result<Option<SystemTime>, ApiError> {
    let at = |ms| {
        SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_millis(ms))
            .ok_or_else(|| ApiError::invalid(format!("{name}: there is no such moment")))
    };
    unix_ms.map(at).transpose()
}

/// Runs, the one that started last first
#[utoipa::path(
    get, path = "/v1/workflows/runs", tag = "workflows", params(Which),
    responses((status = 200, description = "Some of them.", body = PageBody), Errors),
)]
async fn list_runs(
    State(api): State<Api>,
    Query(which): Query<Which>,
) -> Result<axum::Json<PageBody>, ApiError> {
    let filter = RunFilter {
        workflow: which.workflow,
        states: which.state.into_iter().map(RunState::from).collect(),
        parent: which.parent,
        schedule: which.schedule,
        started_from: at("started_from_ms", which.started_from_ms)?,
        started_before: at("started_before_ms", which.started_before_ms)?,
    };
    let max = which.max.unwrap_or(100);
    let page = api.runtime().workflows().list(filter, which.after.as_deref(), max).await?;
    let runs = page.items.into_iter().map(StatusBody::from).collect();
    Ok(axum::Json(PageBody { runs, next: page.next }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CancelRun {
    run: String,
    /// Why; cut to 4 KiB.
    #[serde(default)]
    reason: String,
}

/// Say that a run must not go on
///
/// Also of one that is done and still retained. What is under way is waited for,
/// then what was done is compensated.
#[utoipa::path(
    post, path = "/v1/workflows/cancel", tag = "workflows", request_body = CancelRun,
    responses(
        (status = 204, description = "It goes on no more."),
        (status = 404, description = "`not-found`: there is no such run.", body = ErrorBody),
        (status = 409, description = "`conflict`: it goes on no more already, or has ended \
            otherwise than done.", body = ErrorBody),
        Errors,
    ),
)]
async fn cancel_run(
    State(api): State<Api>,
    Json(CancelRun { run, reason }): Json<CancelRun>,
) -> Result<StatusCode, ApiError> {
    api.runtime().workflows().cancel(&run, &reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CompleteStep {
    run: String,
    step: String,
    /// `done` if not said; not `waiting` or `returned`.
    #[serde(default)]
    #[schema(inline = false)]
    verdict: VerdictBody,
    /// The result as any JSON, only with `done`; null if there is none.
    #[serde(default, deserialize_with = "wire::present")]
    #[schema(value_type = Option<serde_json::Value>)]
    result: Option<Box<RawValue>>,
    /// The result as any bytes.
    #[schema(nullable = false)]
    result_base64: Option<Base64>,
    /// Why; only with `failed` and `rejected`.
    #[schema(nullable = false)]
    reason: Option<String>,
}

/// End a step that waits
#[utoipa::path(
    post, path = "/v1/workflows/complete", tag = "workflows", request_body = CompleteStep,
    responses(
        (status = 204, description = "It has ended."),
        (status = 404, description = "`not-found`: there is no such run or step.",
            body = ErrorBody),
        (status = 409, description = "`conflict`: it does not wait.", body = ErrorBody),
        Errors,
    ),
)]
async fn complete_step(
    State(api): State<Api>,
    Json(body): Json<CompleteStep>,
) -> Result<StatusCode, ApiError> {
    let CompleteStep { run, step, verdict: kind, result, result_base64, reason } = body;
    let verdict: TaskVerdict = verdict(kind, result, result_base64, reason)?;
    api.runtime().workflows().settle_waiting(&run, &step, verdict).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RetryStep {
    run: String,
    step: String,
}

/// Try a step again now, with all its attempts
///
/// One that is stalled, one that waits for its back-off, or one that is stuck.
#[utoipa::path(
    post, path = "/v1/workflows/retry", tag = "workflows", request_body = RetryStep,
    responses(
        (status = 204, description = "It is due."),
        (status = 404, description = "`not-found`: there is no such run or step.",
            body = ErrorBody),
        (status = 409, description = "`conflict`: there is nothing to try again.",
            body = ErrorBody),
        Errors,
    ),
)]
async fn retry_step(
    State(api): State<Api>,
    Json(RetryStep { run, step }): Json<RetryStep>,
) -> Result<StatusCode, ApiError> {
    api.runtime().workflows().retry(&run, &step).await?;
    Ok(StatusCode::NO_CONTENT)
}
