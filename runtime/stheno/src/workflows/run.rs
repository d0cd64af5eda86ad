//! Runs, as they are looked up.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use stheno_contracts::workflows as contract;

use crate::events::at;
use crate::{Error, ErrorKind};

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunState {
    /// Steps begin.
    Running,
    /// It cannot go on; what is under way is waited for.
    Stopping,
    /// What was done is being undone.
    Compensating,
    /// Ended as wanted.
    Done,
    /// Ended: what was done has been undone.
    Reverted,
    /// Ended: a compensation failed for good. A retry of it goes on.
    Failed,
}

impl RunState {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Running,
        Self::Stopping,
        Self::Compensating,
        Self::Done,
        Self::Reverted,
        Self::Failed,
    ];

    /// As the contract and the HTTP API spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Compensating => "compensating",
            Self::Done => "done",
            Self::Reverted => "reverted",
            Self::Failed => "failed",
        }
    }

    /// Whether the run has ended.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Done | Self::Reverted | Self::Failed)
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepState {
    /// Not begun.
    Pending,
    /// Due, being done, or waiting for its back-off; or its nested run is under
    /// way.
    Running,
    /// Waits until it is completed from outside.
    Waiting,
    /// Waits for a retry by hand.
    Stalled,
    /// Done.
    Done,
    /// Failed for good.
    Failed,
    /// A condition did not hold, or the handler said so.
    Skipped,
    /// Left out because of a failure, or because the run could not go on.
    PassedOver,
    /// As running, of its compensation.
    Compensating,
    /// Undone.
    Reverted,
    /// Its compensation failed for good.
    Stuck,
}

impl StepState {
    /// As the contract and the HTTP API spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Stalled => "stalled",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::PassedOver => "passed-over",
            Self::Compensating => "compensating",
            Self::Reverted => "reverted",
            Self::Stuck => "stuck",
        }
    }
}

/// Why a run could not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What happened.
    pub kind: CauseKind,
    /// The step that failed, if one did.
    pub step: Option<String>,
    /// In words.
    pub reason: String,
}

/// What kept a run from going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CauseKind {
    /// A step failed for good.
    StepFailed,
    /// It was cancelled.
    Cancelled,
    /// Its time was up.
    TimedOut,
}

impl CauseKind {
    /// As the contract and the HTTP API spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StepFailed => "step-failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed-out",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, &self.step) {
            (CauseKind::StepFailed, Some(step)) => write!(f, "step {step:?} failed"),
            (CauseKind::StepFailed, None) => f.write_str("a step failed"),
            (CauseKind::Cancelled, _) => f.write_str("it was cancelled"),
            (CauseKind::TimedOut, Some(step)) => write!(f, "its time was up in step {step:?}"),
            (CauseKind::TimedOut, None) => f.write_str("its time was up"),
        }?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", self.reason) }
    }
}

/// A run, without its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStatus {
    /// Its id.
    pub run: String,
    /// Of which workflow.
    pub workflow: String,
    /// Where it is.
    pub state: RunState,
    /// Why it could not go on, if it could not.
    pub cause: Option<Cause>,
    /// When it began.
    pub started: SystemTime,
    /// When it ended.
    pub ended: Option<SystemTime>,
    /// The run that began it and the step there.
    pub parent: Option<(String, String)>,
    /// The schedule that began it.
    pub schedule: Option<String>,
}

/// A run with its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDetail {
    /// What is known of it as a whole.
    pub status: RunStatus,
    /// What it was started with.
    pub input: Vec<u8>,
    /// What it gave, if it is done.
    pub result: Option<Vec<u8>>,
    /// In the order of the definition.
    pub steps: Vec<StepStatus>,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepStatus {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub state: StepState,
    /// Attempts made, at the compensation if that has begun.
    pub attempts: u32,
    /// When it began.
    pub began: Option<SystemTime>,
    /// When the step itself ended.
    pub ended: Option<SystemTime>,
    /// When it was undone.
    pub reverted: Option<SystemTime>,
    /// The failed attempts, the last 16.
    pub faults: Vec<Fault>,
    /// The run that it began, if it is nested.
    pub child: Option<String>,
    /// What it gave.
    pub result: Option<Vec<u8>>,
}

/// One failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub at: SystemTime,
    /// Whether at the compensation.
    pub compensation: bool,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Why.
    pub reason: String,
}

/// Which runs are listed: all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of this workflow.
    pub workflow: Option<String>,
    /// In any of these states; in any if empty.
    pub states: Vec<RunState>,
    /// Begun by a step of this run.
    pub parent: Option<String>,
    /// Begun by this schedule.
    pub schedule: Option<String>,
    /// Started at this moment or later.
    pub started_from: Option<SystemTime>,
    /// Started before this moment.
    pub started_before: Option<SystemTime>,
}

/// Some of the runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunPage {
    /// The one that started last first.
    pub items: Vec<RunStatus>,
    /// Give it as `after` for the next page; none after the last.
    pub next: Option<String>,
}

/// Why [`Workflows::run`](super::Workflows::run) gives no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// A call failed, before the run was started or while it was waited for. The
    /// run may have begun and goes on by itself.
    #[error(transparent)]
    Call(#[from] Error),
    /// The run has ended otherwise than done.
    #[error("{}", ended(.0))]
    NotDone(Box<RunDetail>),
}

impl RunError {
    /// Why the run could not go on, if that is it.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Call(_) => None,
            Self::NotDone(run) => run.status.cause.as_ref(),
        }
    }
}

fn ended(run: &RunDetail) -> String {
    let status = &run.status;
    let mut text =
        format!("run {:?} of {:?} ended as {}", status.run, status.workflow, status.state);
    if let Some(cause) = &status.cause {
        text = format!("{text}: {cause}");
    }
    let stuck = run.steps.iter().filter(|step| step.state == StepState::Stuck);
    for step in stuck {
        let reason = step.faults.last().map_or("", |fault| fault.reason.as_str());
        text = format!("{text}; the compensation of step {:?} failed: {reason}", step.id);
    }
    text
}

impl RunDetail {
    /// The input, read from JSON.
    ///
    /// # Errors
    ///
    /// `encoding` if it is not a `T`.
    pub fn input_as<T: DeserializeOwned>(&self) -> Result<T, Error> {
        read(&self.input, || format!("the input of run {:?}", self.status.run))
    }

    /// The result, read from JSON. A run without one gave null.
    ///
    /// # Errors
    ///
    /// `encoding` if it is not a `T`.
    pub fn result_as<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let result = self.result.as_deref().unwrap_or(b"null");
        read(result, || format!("the result of run {:?}", self.status.run))
    }

    /// The result of a run that is done.
    ///
    /// # Errors
    ///
    /// That it is not, or `encoding` if the result is not a `T`.
    pub fn done<T: DeserializeOwned>(self) -> Result<T, RunError> {
        if self.status.state == RunState::Done {
            return Ok(self.result_as()?);
        }
        Err(RunError::NotDone(Box::new(self)))
    }

    /// The step of this id.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<&StepStatus> {
        self.steps.iter().find(|step| step.id == id)
    }
}

pub(super) fn read<T: DeserializeOwned>(
    bytes: &[u8],
    what: impl FnOnce() -> String,
) -> Result<T, Error> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::new(ErrorKind::Encoding, format!("{}: {error}", what())))
}

pub(super) fn unix_ms(time: SystemTime) -> u64 {
    super::args::millis(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO))
}

macro_rules! same {
    ($own:ident = contract::$theirs:ident { $($variant:ident),* $(,)? }) => {
        impl From<contract::$theirs> for $own {
            fn from(it: contract::$theirs) -> Self {
                match it { $(contract::$theirs::$variant => Self::$variant),* }
            }
        }

        impl From<$own> for contract::$theirs {
            fn from(it: $own) -> Self {
                match it { $($own::$variant => Self::$variant),* }
            }
        }
    };
}
pub(super) use same;

same!(RunState = contract::RunState { Running, Stopping, Compensating, Done, Reverted, Failed });
same!(
    StepState = contract::StepState {
        Pending,
        Running,
        Waiting,
        Stalled,
        Done,
        Failed,
        Skipped,
        PassedOver,
        Compensating,
        Reverted,
        Stuck,
    }
);
same!(CauseKind = contract::CauseKind { StepFailed, Cancelled, TimedOut });

impl From<contract::Cause> for Cause {
    fn from(cause: contract::Cause) -> Self {
        Self { kind: cause.kind.into(), step: cause.step, reason: cause.reason }
    }
}

impl From<contract::RunStatus> for RunStatus {
    fn from(status: contract::RunStatus) -> Self {
        Self {
            run: status.run,
            workflow: status.workflow,
            state: status.state.into(),
            cause: status.cause.map(Cause::from),
            started: at(status.started_ms),
            ended: status.ended_ms.map(at),
            parent: status.parent,
            schedule: status.schedule,
        }
    }
}

impl From<contract::StepStatus> for StepStatus {
    fn from(step: contract::StepStatus) -> Self {
        Self {
            id: step.id,
            state: step.state.into(),
            attempts: step.attempts,
            began: step.began_ms.map(at),
            ended: step.ended_ms.map(at),
            reverted: step.reverted_ms.map(at),
            faults: step
                .faults
                .into_iter()
                .map(|fault| Fault {
                    at: at(fault.at_ms),
                    compensation: fault.compensation,
                    attempt: fault.attempt,
                    reason: fault.reason,
                })
                .collect(),
            child: step.child,
            result: step.result,
        }
    }
}

impl From<contract::RunDetail> for RunDetail {
    fn from(run: contract::RunDetail) -> Self {
        Self {
            status: run.status.into(),
            input: run.input,
            result: run.result,
            steps: run.steps.into_iter().map(StepStatus::from).collect(),
        }
    }
}

impl From<contract::RunPage> for RunPage {
    fn from(page: contract::RunPage) -> Self {
        Self { items: page.items.into_iter().map(RunStatus::from).collect(), next: page.next }
    }
}

impl RunFilter {
    pub(super) fn checked(self) -> Result<contract::Filter, Error> {
        let name = |argument, text: Option<String>| {
            text.map(|text| super::args::name(argument, &text)).transpose()
        };
        let schedule = |id: String| super::args::schedule_id("schedule", &id);
        Ok(contract::Filter {
            workflow: name("workflow", self.workflow)?,
            states: self.states.into_iter().map(contract::RunState::from).collect(),
            parent: name("parent", self.parent)?,
            schedule: self.schedule.map(schedule).transpose()?,
            started_from_ms: self.started_from.map(unix_ms),
            started_before_ms: self.started_before.map(unix_ms),
        })
    }
}
