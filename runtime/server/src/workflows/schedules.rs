//! Runs that begin by themselves.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stheno::{Cadence, Overlap, Schedule, ScheduleStatus};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::{given, shown};
use crate::error::{ApiError, ErrorBody, Errors};
use crate::extract::{Json, Query};
use crate::router::Api;
use crate::wire::{self, Base64, Span};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(put_schedule, remove_schedule))
        .routes(routes!(list_schedules))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ScheduleId {
    /// 1 to 240 bytes without control characters.
    #[param(example = "nightly")]
    id: String,
}

/// A schedule, with either `cron` or `every`.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSchedule)]
struct ScheduleBody {
    /// The workflow that is started.
    #[schema(example = "report")]
    workflow: String,
    /// What each run is started with, as any JSON; null if there is none.
    #[serde(default, deserialize_with = "wire::present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    input: Option<Box<RawValue>>,
    /// ... or as any bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    input_base64: Option<Base64>,
    /// Five fields (minute, hour, day of month, month, day of week), or six with
    /// seconds first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "0 3 * * *")]
    cron: Option<String>,
    /// Of `cron`; `UTC` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "Europe/Berlin")]
    time_zone: Option<String>,
    /// At least `1s`, from when the schedule was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    every: Option<Span>,
    /// What happens while the last run has not ended; `skip` if not said.
    #[serde(default)]
    #[schema(inline = false)]
    overlap: OverlapBody,
    /// Whether moments that passed while nobody could serve are made up for by one
    /// run.
    #[serde(default)]
    catch_up: bool,
    /// How many runs it starts in all; no end if not said.
    #[serde(default)]
    max_runs: Option<u64>,
}

/// None is started (`skip`), one is regardless (`allow`), or the last is cancelled
/// (`replace`).
#[derive(Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Overlap)]
enum OverlapBody {
    #[default]
    Skip,
    Allow,
    Replace,
}

impl ScheduleBody {
    fn decoded(self, id: String) -> Result<Schedule, ApiError> {
        let cadence = match (self.cron, self.every, self.time_zone) {
            (Some(expression), None, zone) => {
                Cadence::Cron { expression, time_zone: zone.unwrap_or_else(|| "UTC".into()) }
            }
            (None, Some(Span(every)), None) => Cadence::Every(every),
            (None, Some(_), Some(_)) => {
                return Err(ApiError::invalid("time_zone: it goes with `cron` only"));
            }
            (Some(_), Some(_), _) => {
                return Err(ApiError::invalid("give `cron` or `every`, not both"));
            }
            (None, None, _) => {
                return Err(ApiError::invalid(
                    "give `cron` (such as \"0 3 * * *\") or `every` (such as \"30s\")",
                ));
            }
        };
        Ok(Schedule {
            id,
            workflow: self.workflow,
            input: given("input", self.input, self.input_base64)?,
            cadence,
            overlap: match self.overlap {
                OverlapBody::Skip => Overlap::Skip,
                OverlapBody::Allow => Overlap::Allow,
                OverlapBody::Replace => Overlap::Replace,
            },
            catch_up: self.catch_up,
            max_runs: self.max_runs,
        })
    }
}

impl From<Schedule> for ScheduleBody {
    fn from(schedule: Schedule) -> Self {
        let (input, input_base64) = shown(schedule.input);
        let (cron, time_zone, every) = match schedule.cadence {
            Cadence::Cron { expression, time_zone } => (Some(expression), Some(time_zone), None),
            Cadence::Every(every) => (None, None, Some(Span(every))),
        };
        Self {
            workflow: schedule.workflow,
            input,
            input_base64,
            cron,
            time_zone,
            every,
            overlap: match schedule.overlap {
                Overlap::Skip => OverlapBody::Skip,
                Overlap::Allow => OverlapBody::Allow,
                Overlap::Replace => OverlapBody::Replace,
            },
            catch_up: schedule.catch_up,
            max_runs: schedule.max_runs,
        }
    }
}

/// Make a schedule, or replace it
///
/// What it has started counts on.
#[utoipa::path(
    put, path = "/v1/workflows/schedule", tag = "workflows", params(ScheduleId),
    request_body = ScheduleBody,
    responses(
        (status = 204, description = "It is there."),
        (status = 404, description = "`not-found`: the workflow is not defined.",
            body = ErrorBody),
        Errors,
    ),
)]
async fn put_schedule(
    State(api): State<Api>,
    Query(ScheduleId { id }): Query<ScheduleId>,
    Json(body): Json<ScheduleBody>,
) -> Result<StatusCode, ApiError> {
    api.runtime().workflows().schedule(body.decoded(id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a schedule
///
/// Runs that it started go on.
#[utoipa::path(
    delete, path = "/v1/workflows/schedule", tag = "workflows", params(ScheduleId),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "`not-found`: there is none.", body = ErrorBody),
        Errors,
    ),
)]
async fn remove_schedule(
    State(api): State<Api>,
    Query(ScheduleId { id }): Query<ScheduleId>,
) -> Result<StatusCode, ApiError> {
    api.runtime().workflows().unschedule(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
struct Schedules {
    /// Ordered by id.
    #[schema(inline = false)]
    schedules: Vec<ScheduleStatusBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Schedule)]
struct ScheduleStatusBody {
    id: String,
    #[schema(inline = false)]
    schedule: ScheduleBody,
    /// When it is due next. Milliseconds since 1970.
    #[schema(required = true)]
    next_ms: Option<u64>,
    /// Runs that it has started.
    runs: u64,
    /// Moments at which it started none, because of `overlap`.
    skipped: u64,
    #[schema(required = true)]
    last_run: Option<String>,
}

/// All schedules
#[utoipa::path(
    get, path = "/v1/workflows/schedules", tag = "workflows",
    responses((status = 200, description = "All of them.", body = Schedules), Errors),
)]
async fn list_schedules(State(api): State<Api>) -> Result<axum::Json<Schedules>, ApiError> {
    let all = api.runtime().workflows().schedules().await?;
    let schedules = all.into_iter().map(|status| {
        let ScheduleStatus { schedule, next, runs, skipped, last_run } = status;
        ScheduleStatusBody {
            id: schedule.id.clone(),
            schedule: schedule.into(),
            next_ms: next.map(wire::unix_ms),
            runs,
            skipped,
            last_run,
        }
    });
    Ok(axum::Json(Schedules { schedules: schedules.collect() }))
}
