//! What runs do.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stheno::{
    Condition, ConditionTest, OnFailure, Retries, StepDefinition, StepWork, WorkflowDefinition,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{ApiError, ErrorBody, Errors};
use crate::extract::{Json, Query};
use crate::router::Api;
use crate::wire::{self, Span};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(define_workflow, undefine_workflow))
        .routes(routes!(list_definitions))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WorkflowId {
    /// 1 to 255 bytes without control characters.
    #[param(example = "order")]
    id: String,
}

/// A workflow: what runs of it do, in which order.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WorkflowSteps)]
struct DefinitionBody {
    /// 1 to 256, each after those that it comes after.
    #[schema(inline = false)]
    steps: Vec<StepBody>,
    /// The step whose result is the run's; the last if not said.
    #[serde(default)]
    #[schema(example = "charge")]
    result_from: Option<String>,
    /// How long a run may take until its last step has ended; no limit if not
    /// said.
    #[serde(default)]
    timeout: Option<Span>,
    /// How long a run that has ended can be looked up, and its id is not run
    /// again; the provider's default if not said.
    #[serde(default)]
    retention: Option<Span>,
    /// Whether a last task, of the action `finish`, tells how each run has ended.
    #[serde(default)]
    finish: bool,
}

#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WorkflowStep)]
struct StepBody {
    /// Unique in the workflow, and not `finish`.
    #[schema(example = "charge")]
    id: String,
    /// The steps that have to end first; none begins with the run. Not said, it is
    /// the step before it in the list.
    #[serde(default)]
    after: Option<Vec<String>>,
    /// All must hold, else the step is skipped.
    #[serde(default)]
    #[schema(inline = false)]
    when: Vec<ConditionBody>,
    /// `handler` if not said.
    #[serde(default)]
    #[schema(inline = false)]
    work: WorkBody,
    /// How often it is tried in all; once if not said.
    #[serde(default = "once")]
    attempts: u32,
    /// The waits between attempts.
    #[serde(default)]
    #[schema(inline = false)]
    backoff: WaitsBody,
    /// False: a failed attempt is repeated only when somebody asks for it.
    #[serde(default = "yes")]
    auto_retry: bool,
    /// How long one attempt may take, waiting included; no limit if not said.
    #[serde(default)]
    timeout: Option<Span>,
    /// `revert` if not said.
    #[serde(default)]
    #[schema(inline = false)]
    on_failure: FailureBody,
    /// Whether somebody undoes the step.
    #[serde(default)]
    compensates: bool,
}

fn once() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// The wait after the first failure, which doubles with each, and the longest.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WorkflowBackoff)]
struct WaitsBody {
    initial: Span,
    max: Span,
}

impl Default for WaitsBody {
    fn default() -> Self {
        let Retries { initial, max, .. } = Retries::default();
        Self { initial: Span(initial), max: Span(max) }
    }
}

/// Who does a step: a worker (`handler`), nobody here (`wait`), or a run of
/// another workflow (`nested`).
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schema(as = WorkflowWork)]
enum WorkBody {
    #[default]
    Handler,
    Wait,
    Nested {
        workflow: String,
        /// The step whose result is its input; the parent's input if not said.
        #[serde(default)]
        input_from: Option<String>,
    },
}

/// What becomes of the run when the step has failed for good: what was done is
/// compensated (`revert`), it goes on (`proceed`), with a later step (`skip-to`),
/// or without those that come after (`skip-rest`).
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = WorkflowOnFailure)]
enum FailureBody {
    #[default]
    Revert,
    Proceed,
    SkipTo(String),
    SkipRest,
}

/// A test of a value in the run's input, or in the result of a step.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WorkflowCondition)]
struct ConditionBody {
    /// The step whose result is looked at; the run's input if not said.
    #[serde(default)]
    #[schema(example = "check")]
    step: Option<String>,
    /// A JSON pointer; empty for the whole.
    #[serde(default)]
    #[schema(example = "/fraud")]
    pointer: String,
    #[schema(inline = false)]
    test: TestBody,
    /// Whether it holds when the test does not.
    #[serde(default)]
    negated: bool,
}

/// Whether there is something other than null (`present`), something other than
/// null, false, 0, "", [] and {} (`truthy`), or this value (`equals`).
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = WorkflowTest)]
enum TestBody {
    Present,
    Truthy,
    #[schema(value_type = serde_json::Value)]
    Equals(Box<RawValue>),
}

impl DefinitionBody {
    fn decoded(self, id: String) -> WorkflowDefinition {
        let mut before: Option<String> = None;
        let steps = self.steps.into_iter().map(|step| {
            let after = step.after.unwrap_or_else(|| before.iter().cloned().collect());
            before = Some(step.id.clone());
            StepDefinition {
                id: step.id,
                after,
                when: step.when.into_iter().map(Condition::from).collect(),
                work: match step.work {
                    WorkBody::Handler => StepWork::Handler,
                    WorkBody::Wait => StepWork::Wait,
                    WorkBody::Nested { workflow, input_from } => {
                        StepWork::Nested { workflow, input_from }
                    }
                },
                retries: Retries {
                    attempts: step.attempts,
                    initial: step.backoff.initial.0,
                    max: step.backoff.max.0,
                    automatic: step.auto_retry,
                },
                timeout: step.timeout.map(|Span(timeout)| timeout),
                on_failure: match step.on_failure {
                    FailureBody::Revert => OnFailure::Revert,
                    FailureBody::Proceed => OnFailure::Proceed,
                    FailureBody::SkipTo(step) => OnFailure::SkipTo(step),
                    FailureBody::SkipRest => OnFailure::SkipRest,
                },
                compensates: step.compensates,
            }
        });
        WorkflowDefinition {
            id,
            steps: steps.collect(),
            result_from: self.result_from,
            timeout: self.timeout.map(|Span(timeout)| timeout),
            retention: self.retention.map(|Span(retention)| retention),
            finish: self.finish,
        }
    }
}

impl From<ConditionBody> for Condition {
    fn from(body: ConditionBody) -> Self {
        Self {
            step: body.step,
            pointer: body.pointer,
            test: match body.test {
                TestBody::Present => ConditionTest::Present,
                TestBody::Truthy => ConditionTest::Truthy,
                TestBody::Equals(value) => ConditionTest::Equals(value.get().to_owned()),
            },
            negated: body.negated,
        }
    }
}

impl From<Condition> for ConditionBody {
    fn from(condition: Condition) -> Self {
        let null = || RawValue::NULL.to_owned();
        Self {
            step: condition.step,
            pointer: condition.pointer,
            test: match condition.test {
                ConditionTest::Present => TestBody::Present,
                ConditionTest::Truthy => TestBody::Truthy,
                ConditionTest::Equals(json) => {
                    TestBody::Equals(wire::as_json(json.as_bytes()).unwrap_or_else(null))
                }
            },
            negated: condition.negated,
        }
    }
}

impl From<StepDefinition> for StepBody {
    fn from(step: StepDefinition) -> Self {
        let Retries { attempts, initial, max, automatic } = step.retries;
        Self {
            id: step.id,
            after: Some(step.after),
            when: step.when.into_iter().map(ConditionBody::from).collect(),
            work: match step.work {
                StepWork::Handler => WorkBody::Handler,
                StepWork::Wait => WorkBody::Wait,
                StepWork::Nested { workflow, input_from } => {
                    WorkBody::Nested { workflow, input_from }
                }
            },
            attempts,
            backoff: WaitsBody { initial: Span(initial), max: Span(max) },
            auto_retry: automatic,
            timeout: step.timeout.map(Span),
            on_failure: match step.on_failure {
                OnFailure::Revert => FailureBody::Revert,
                OnFailure::Proceed => FailureBody::Proceed,
                OnFailure::SkipTo(step) => FailureBody::SkipTo(step),
                OnFailure::SkipRest => FailureBody::SkipRest,
            },
            compensates: step.compensates,
        }
    }
}

impl From<WorkflowDefinition> for DefinitionBody {
    fn from(definition: WorkflowDefinition) -> Self {
        let span = |duration: Option<Duration>| duration.map(Span);
        Self {
            steps: definition.steps.into_iter().map(StepBody::from).collect(),
            result_from: definition.result_from,
            timeout: span(definition.timeout),
            retention: span(definition.retention),
            finish: definition.finish,
        }
    }
}

/// Define a workflow, or replace its definition for the runs to come
#[utoipa::path(
    put, path = "/v1/workflows/definition", tag = "workflows", params(WorkflowId),
    request_body = DefinitionBody,
    responses((status = 204, description = "It is defined."), Errors),
)]
async fn define_workflow(
    State(api): State<Api>,
    Query(WorkflowId { id }): Query<WorkflowId>,
    Json(body): Json<DefinitionBody>,
) -> Result<StatusCode, ApiError> {
    api.runtime().workflows().put_definition(body.decoded(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forget a definition, and the schedules that start it
///
/// Runs under way go on.
#[utoipa::path(
    delete, path = "/v1/workflows/definition", tag = "workflows", params(WorkflowId),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "`not-found`: there is none.", body = ErrorBody),
        Errors,
    ),
)]
async fn undefine_workflow(
    State(api): State<Api>,
    Query(WorkflowId { id }): Query<WorkflowId>,
) -> Result<StatusCode, ApiError> {
    api.runtime().workflows().remove_definition(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
struct Workflows {
    /// Ordered by id.
    #[schema(inline = false)]
    workflows: Vec<WorkflowBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Workflow)]
struct WorkflowBody {
    id: String,
    #[schema(inline = false)]
    definition: DefinitionBody,
    /// Runs that have not ended, by whichever definition.
    active: u64,
}

/// All workflows that are defined
#[utoipa::path(
    get, path = "/v1/workflows/definitions", tag = "workflows",
    responses((status = 200, description = "All of them.", body = Workflows), Errors),
)]
async fn list_definitions(State(api): State<Api>) -> Result<axum::Json<Workflows>, ApiError> {
    let all = api.runtime().workflows().definitions().await?;
    let workflows = all.into_iter().map(|status| WorkflowBody {
        id: status.definition.id.clone(),
        definition: status.definition.into(),
        active: status.active,
    });
    Ok(axum::Json(Workflows { workflows: workflows.collect() }))
}
