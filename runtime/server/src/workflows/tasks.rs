//! Doing steps: pull, work, settle.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stheno::{Task, TaskAction, TaskSelector, TaskVerdict, Workflows};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::{given, shown};
use super::runs::{LONGEST_WAIT, StateBody};
use crate::error::{ApiError, Errors};
use crate::extract::Json;
use crate::router::Api;
use crate::wire::{self, Base64, Span};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(pull_tasks))
        .routes(routes!(settle_tasks))
        .routes(routes!(extend_tasks))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PullTasks {
    /// At least one.
    #[schema(inline = false)]
    workflows: Vec<SelectorBody>,
    /// At most so many, 1 to 1,000; 10 if not said.
    #[serde(default = "some")]
    max: u32,
    /// How long to wait for the first one, at most `5m`; not at all if not said.
    #[serde(default = "not_at_all")]
    wait: Span,
    /// For how long they are the caller's; `30s` if not said. What is neither
    /// settled nor extended by then is due again.
    #[serde(default = "a_while")]
    lease: Span,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TaskSelector)]
struct SelectorBody {
    #[schema(example = "order")]
    workflow: String,
    /// Only of these steps, if any are given; then the end of a run only if
    /// `finish` is among them.
    #[serde(default)]
    steps: Vec<String>,
}

fn some() -> u32 {
    10
}

fn not_at_all() -> Span {
    Span(Duration::ZERO)
}

fn a_while() -> Span {
    Span(Duration::from_secs(30))
}

#[derive(Serialize, ToSchema)]
struct PulledTasks {
    /// Empty if nothing was due in time.
    #[schema(inline = false)]
    tasks: Vec<TaskBody>,
}

/// One attempt at a step.
#[derive(Serialize, ToSchema)]
#[schema(as = Task)]
struct TaskBody {
    /// Names it when it is settled or extended. Another attempt has another.
    token: String,
    workflow: String,
    run: String,
    /// Empty for `finish`.
    step: String,
    #[schema(inline = false)]
    action: ActionBody,
    /// How the run has ended; only with `finish`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    state: Option<StateBody>,
    /// Which attempt this is, from 1.
    attempt: u32,
    /// How many there are.
    attempts: u32,
    /// The run's input, if it is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    input: Option<Box<RawValue>>,
    /// The run's input, if it is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    input_base64: Option<Base64>,
    /// By step: results of those that it comes after; of a compensation its own as
    /// well; at the end the run's.
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    results: BTreeMap<String, Box<RawValue>>,
    /// Those of them that are not JSON.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    results_base64: BTreeMap<String, Base64>,
    /// When the attempt's time is up, so that it must be stopped.
    #[schema(required = true)]
    deadline_in: Option<Span>,
}

/// Do the step, undo it, or take note that the run has ended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = TaskAction)]
enum ActionBody {
    Invoke,
    Compensate,
    Finish,
}

impl From<Task> for TaskBody {
    fn from(task: Task) -> Self {
        let (input, input_base64) = shown(task.input);
        let (mut results, mut results_base64) = (BTreeMap::new(), BTreeMap::new());
        for (step, result) in task.results {
            match shown(result) {
                (Some(json), _) => drop(results.insert(step, json)),
                (None, Some(bytes)) => drop(results_base64.insert(step, bytes)),
                (None, None) => {}
            }
        }
        let (action, state) = match task.action {
            TaskAction::Invoke => (ActionBody::Invoke, None),
            TaskAction::Compensate => (ActionBody::Compensate, None),
            TaskAction::Finish(state) => (ActionBody::Finish, Some(state.into())),
        };
        Self {
            token: task.token,
            workflow: task.workflow,
            run: task.run,
            step: task.step,
            action,
            state,
            attempt: task.attempt,
            attempts: task.attempts,
            input,
            input_base64,
            results,
            results_base64,
            deadline_in: task.deadline_in.map(Span),
        }
    }
}

/// Take due tasks
///
/// They are leased to the caller, who settles each. If the caller goes away before
/// the answer is sent they are due again at once.
#[utoipa::path(
    post, path = "/v1/workflows/pull", tag = "workflows", request_body = PullTasks,
    responses((status = 200, description = "What was due.", body = PulledTasks), Errors),
)]
async fn pull_tasks(
    State(api): State<Api>,
    Json(pull): Json<PullTasks>,
) -> Result<Response, ApiError> {
    let Span(wait) = pull.wait;
    if wait > LONGEST_WAIT {
        return Err(ApiError::invalid("wait: at most 5m are allowed; pull again after that"));
    }
    if pull.workflows.is_empty() {
        return Err(ApiError::invalid("workflows: name at least one, as {\"workflow\": \"ID\"}"));
    }
    let workflows = api.runtime().workflows();
    let selectors = pull
        .workflows
        .into_iter()
        .map(|SelectorBody { workflow, steps }| TaskSelector { workflow, steps })
        .collect();
    // Whichever of the two is dropped, what it pulls is given back.
    let tasks = tokio::select! {
        tasks = workflows.pull(selectors, pull.max, wait, pull.lease.0) => tasks?,
        () = api.stopped() => Vec::new(),
    };
    answer(workflows.clone(), tasks)
}

/// An answer whose tasks are given back unless it is sent.
fn answer(workflows: Workflows, tasks: Vec<Task>) -> Result<Response, ApiError> {
    let tokens = tasks.iter().map(|task| task.token.clone()).collect();
    let unsent = Unsent { workflows, tokens };
    let tasks = tasks.into_iter().map(TaskBody::from).collect();
    let json = serde_json::to_vec(&PulledTasks { tasks })
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

/// Tasks that nobody has received yet.
struct Unsent {
    workflows: Workflows,
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
            let (workflows, tokens) = (self.workflows.clone(), std::mem::take(&mut self.tokens));
            runtime.spawn(async move {
                let outcomes = tokens.into_iter().map(|token| (token, TaskVerdict::Returned));
                if let Err(error) = workflows.settle(outcomes.collect()).await {
                    tracing::warn!(%error, "tasks that were not sent come after their lease");
                }
            });
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SettleTasks {
    /// At most 1,000.
    #[schema(inline = false)]
    outcomes: Vec<TaskOutcome>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TaskOutcome {
    /// What the pull gave.
    token: String,
    /// `done` if not said.
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

/// `done`. `skipped`: there was nothing to do. `waiting`: it goes on elsewhere,
/// until the step is completed. `failed`: tried again if attempts are left.
/// `rejected`: failed for good. `returned`: not tried, due again at once, and the
/// attempt does not count.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = TaskVerdict)]
pub(super) enum VerdictBody {
    #[default]
    Done,
    Skipped,
    Waiting,
    Failed,
    Rejected,
    Returned,
}

pub(super) fn verdict(
    kind: VerdictBody,
    result: Option<Box<RawValue>>,
    result_base64: Option<Base64>,
    reason: Option<String>,
) -> Result<TaskVerdict, ApiError> {
    const UNSAID: &str = "no reason was given";
    let has_result = result.is_some() || result_base64.is_some();
    match kind {
        VerdictBody::Failed | VerdictBody::Rejected => {}
        _ if reason.is_some() => {
            return Err(ApiError::invalid("`reason` goes with `failed` and `rejected` only"));
        }
        _ => {}
    }
    if has_result && !matches!(kind, VerdictBody::Done) {
        return Err(ApiError::invalid("`result` goes with `done` only"));
    }
    let reason = reason.unwrap_or_else(|| UNSAID.into());
    Ok(match kind {
        VerdictBody::Done => TaskVerdict::Done(given("result", result, result_base64)?),
        VerdictBody::Skipped => TaskVerdict::Skipped,
        VerdictBody::Waiting => TaskVerdict::Waiting,
        VerdictBody::Failed => TaskVerdict::Failed(reason),
        VerdictBody::Rejected => TaskVerdict::Rejected(reason),
        VerdictBody::Returned => TaskVerdict::Returned,
    })
}

#[derive(Serialize, ToSchema)]
struct LostTasks {
    /// The tokens whose lease or time was over, or that were settled before: for
    /// those nothing was recorded, and what is under way must be stopped.
    lost: Vec<String>,
}

/// Record what came of attempts
#[utoipa::path(
    post, path = "/v1/workflows/settle", tag = "workflows", request_body = SettleTasks,
    responses((status = 200, description = "Recorded, but for these.", body = LostTasks), Errors),
)]
async fn settle_tasks(
    State(api): State<Api>,
    Json(SettleTasks { outcomes }): Json<SettleTasks>,
) -> Result<axum::Json<LostTasks>, ApiError> {
    let decode = |(position, outcome): (usize, TaskOutcome)| {
        let TaskOutcome { token, verdict: kind, result, result_base64, reason } = outcome;
        let verdict = verdict(kind, result, result_base64, reason).map_err(|error| {
            ApiError::invalid(format!("outcomes[{position}]: {}", error.detail().message))
        })?;
        Ok((token, verdict))
    };
    let outcomes = outcomes.into_iter().enumerate().map(decode);
    let outcomes = outcomes.collect::<Result<Vec<_>, ApiError>>()?;
    let lost = api.runtime().workflows().settle(outcomes).await?;
    Ok(axum::Json(LostTasks { lost }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExtendTasks {
    /// At most 1,000.
    tokens: Vec<String>,
    /// From now.
    lease: Span,
}

/// Lease tasks for longer
#[utoipa::path(
    post, path = "/v1/workflows/extend", tag = "workflows", request_body = ExtendTasks,
    responses((status = 200, description = "Extended, but for these.", body = LostTasks), Errors),
)]
async fn extend_tasks(
    State(api): State<Api>,
    Json(ExtendTasks { tokens, lease: Span(lease) }): Json<ExtendTasks>,
) -> Result<axum::Json<LostTasks>, ApiError> {
    let lost = api.runtime().workflows().extend(tokens, lease).await?;
    Ok(axum::Json(LostTasks { lost }))
}
