//! Tasks, for those who run handlers themselves.

use std::time::Duration;

use stheno_contracts::workflows as contract;

use super::args;
use super::run::RunState;
use crate::Error;

/// Which tasks a worker takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSelector {
    /// Of this workflow.
    pub workflow: String,
    /// Of these steps only, if any are given; then the end of a run only if
    /// `finish` is among them.
    pub steps: Vec<String>,
}

/// What a task asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskAction {
    /// Do the step.
    Invoke,
    /// Undo it.
    Compensate,
    /// The run has ended in this state.
    Finish(RunState),
}

/// One attempt at a step, leased to who pulled it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Names it when it is settled or extended.
    pub token: String,
    /// The workflow.
    pub workflow: String,
    /// The run.
    pub run: String,
    /// The step; empty for [`TaskAction::Finish`].
    pub step: String,
    /// What to do.
    pub action: TaskAction,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How many there are.
    pub attempts: u32,
    /// The run's input.
    pub input: Vec<u8>,
    /// Results of the steps that it comes after; of a compensation its own as
    /// well; at the end the run's.
    pub results: Vec<(String, Vec<u8>)>,
    /// When the attempt's time is up, so that it must be stopped; none is never.
    pub deadline_in: Option<Duration>,
}

/// What [`Workflows::pull_now`](super::Workflows::pull_now) found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledTasks {
    /// What was due.
    pub tasks: Vec<Task>,
    /// When something is due next; none if nothing will be.
    pub next_due: Option<Duration>,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskVerdict {
    /// Done, with the result, usually JSON.
    Done(Vec<u8>),
    /// There was nothing to do. Not of a compensation.
    Skipped,
    /// It goes on elsewhere, until the step is completed.
    Waiting,
    /// Failed, with the reason: tried again if attempts are left.
    Failed(String),
    /// Failed for good, with the reason.
    Rejected(String),
    /// Not tried: due again at once, and the attempt does not count.
    Returned,
}

impl TaskSelector {
    /// All tasks of a workflow.
    pub fn workflow(id: impl Into<String>) -> Self {
        Self { workflow: id.into(), steps: Vec::new() }
    }

    pub(super) fn checked(self) -> Result<contract::Selector, Error> {
        args::at_most("steps", self.steps.len())?;
        let name = |step: &String| args::name("steps", step);
        Ok(contract::Selector {
            workflow: args::name("workflow", &self.workflow)?,
            steps: self.steps.iter().map(name).collect::<Result<_, _>>()?,
        })
    }
}

impl From<contract::Action> for TaskAction {
    fn from(action: contract::Action) -> Self {
        match action {
            contract::Action::Invoke => Self::Invoke,
            contract::Action::Compensate => Self::Compensate,
            contract::Action::Finish(state) => Self::Finish(state.into()),
        }
    }
}

impl From<contract::Task> for Task {
    fn from(task: contract::Task) -> Self {
        Self {
            token: task.token,
            workflow: task.workflow,
            run: task.run,
            step: task.step,
            action: task.action.into(),
            attempt: task.attempt,
            attempts: task.attempts,
            input: task.input,
            results: task.results,
            deadline_in: task.deadline_in_ms.map(Duration::from_millis),
        }
    }
}

impl From<TaskVerdict> for contract::Verdict {
    fn from(verdict: TaskVerdict) -> Self {
        match verdict {
            TaskVerdict::Done(result) => Self::Done(result),
            TaskVerdict::Skipped => Self::Skipped,
            TaskVerdict::Waiting => Self::Waiting,
            TaskVerdict::Failed(reason) => Self::Failed(reason),
            TaskVerdict::Rejected(reason) => Self::Rejected(reason),
            TaskVerdict::Returned => Self::Returned,
        }
    }
}
