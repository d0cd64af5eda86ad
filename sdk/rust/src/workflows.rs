//! The workflows module: implement [`Workflows`], then
//! [`export_workflows_provider!`](crate::export_workflows_provider).
//!
//! What each function guarantees is written in the contract,
//! `wit/deps/workflows/workflows.wit`; the short form is repeated here.

use crate::bindings::workflows::exports::stheno::workflows::workflows as wit;
use crate::provider::{Component, Hosted, Lifecycle, Result};

pub use wit::{
    Action, Cadence, Cause, CauseKind, Condition, Cron, Definition, Ended, Failure, Fault, Filter,
    Outcome, Overlap, Pulled, Retries, RunDetail, RunPage, RunState, RunStatus, ScheduleDefinition,
    ScheduleStatus, Selector, Settled, Source, StartRequest, Started, Step, StepState, StepStatus,
    Task, Test, Verdict, Work, WorkflowStatus,
};

/// A provider of the workflows module: a state machine that the host starts runs
/// in, pulls tasks from and settles with. It never waits for a handler.
pub trait Workflows: Lifecycle {
    /// Defines a workflow, or replaces its definition for the runs to come.
    ///
    /// # Errors
    ///
    /// `invalid-argument` naming the step that is wrong.
    fn define(&mut self, definition: Definition) -> Result<()>;

    /// Forgets a definition and the schedules that start it.
    ///
    /// # Errors
    ///
    /// `not-found` if there is none.
    fn undefine(&mut self, workflow: String) -> Result<()>;

    /// All definitions, ordered by id.
    ///
    /// # Errors
    ///
    /// `unavailable` if the backend cannot be reached.
    fn defined(&mut self) -> Result<Vec<WorkflowStatus>>;

    /// Starts runs, an answer for each request.
    ///
    /// # Errors
    ///
    /// `unavailable` if the backend cannot be reached. A request that is refused
    /// is an answer.
    fn start(&mut self, requests: Vec<StartRequest>) -> Result<Vec<Started>>;

    /// Takes at most `max` due tasks, leases them for `lease_ms`, and does what
    /// is due by time alone.
    ///
    /// # Errors
    ///
    /// `unavailable` if the backend cannot be reached.
    fn pull(
        &mut self,
        selectors: Vec<Selector>,
        max: u32,
        wait_ms: u64,
        lease_ms: u64,
    ) -> Result<Pulled>;

    /// Records what came of attempts.
    ///
    /// # Errors
    ///
    /// `unavailable` if the backend cannot be reached.
    fn settle(&mut self, outcomes: Vec<Outcome>) -> Result<Settled>;

    /// Leases the tasks for `lease_ms` from now and gives the tokens whose
    /// handlers must be stopped.
    ///
    /// # Errors
    ///
    /// `unavailable` if the backend cannot be reached.
    fn extend(&mut self, tokens: Vec<String>, lease_ms: u64) -> Result<Vec<String>>;

    /// Ends a step, or a compensation, that waits.
    ///
    /// # Errors
    ///
    /// `not-found` naming the run or the step, `conflict` if it does not wait.
    fn complete(&mut self, run: String, step: String, verdict: Verdict) -> Result<Settled>;

    /// Tries a step again now that is stalled, stuck, or waits for its back-off.
    ///
    /// # Errors
    ///
    /// `not-found` naming the run or the step, `conflict` if there is nothing to
    /// try again.
    fn retry(&mut self, run: String, step: String) -> Result<()>;

    /// Says that the run must not go on, also one that is done and retained.
    ///
    /// # Errors
    ///
    /// `not-found` if there is no such run, `conflict` if it already does not go
    /// on.
    fn cancel(&mut self, run: String, reason: String) -> Result<Settled>;

    /// A run with its steps.
    ///
    /// # Errors
    ///
    /// `not-found` if there is none, or it is retained no more.
    fn get(&mut self, run: String) -> Result<RunDetail>;

    /// Runs, the one that started last first.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a cursor that was not given out.
    fn list(&mut self, filter: Filter, after: Option<String>, max: u32) -> Result<RunPage>;

    /// Makes a schedule, or replaces it.
    ///
    /// # Errors
    ///
    /// `not-found` if the workflow is not defined, `invalid-argument` saying
    /// what is wrong, `unsupported` without `schedules`.
    fn schedule(&mut self, definition: ScheduleDefinition) -> Result<()>;

    /// Removes a schedule.
    ///
    /// # Errors
    ///
    /// `not-found` if there is none, `unsupported` without `schedules`.
    fn unschedule(&mut self, id: String) -> Result<()>;

    /// All schedules, ordered by id.
    ///
    /// # Errors
    ///
    /// `unsupported` without `schedules`.
    fn schedules(&mut self) -> Result<Vec<ScheduleStatus>>;
}

impl<P: Workflows + Hosted> wit::Guest for Component<P> {
    fn define(definition: Definition) -> Result<()> {
        P::call(|p| p.define(definition))
    }

    fn undefine(workflow: String) -> Result<()> {
        P::call(|p| p.undefine(workflow))
    }

    fn defined() -> Result<Vec<WorkflowStatus>> {
        P::call(P::defined)
    }

    fn start(requests: Vec<StartRequest>) -> Result<Vec<Started>> {
        P::call(|p| p.start(requests))
    }

    fn pull(selectors: Vec<Selector>, max: u32, wait_ms: u64, lease_ms: u64) -> Result<Pulled> {
        P::call(|p| p.pull(selectors, max, wait_ms, lease_ms))
    }

    fn settle(outcomes: Vec<Outcome>) -> Result<Settled> {
        P::call(|p| p.settle(outcomes))
    }

    fn extend(tokens: Vec<String>, lease_ms: u64) -> Result<Vec<String>> {
        P::call(|p| p.extend(tokens, lease_ms))
    }

    fn complete(run: String, step: String, verdict: Verdict) -> Result<Settled> {
        P::call(|p| p.complete(run, step, verdict))
    }

    fn retry(run: String, step: String) -> Result<()> {
        P::call(|p| p.retry(run, step))
    }

    fn cancel(run: String, reason: String) -> Result<Settled> {
        P::call(|p| p.cancel(run, reason))
    }

    fn get(run: String) -> Result<RunDetail> {
        P::call(|p| p.get(run))
    }

    fn list(filter: Filter, after: Option<String>, max: u32) -> Result<RunPage> {
        P::call(|p| p.list(filter, after, max))
    }

    fn schedule(definition: ScheduleDefinition) -> Result<()> {
        P::call(|p| p.schedule(definition))
    }

    fn unschedule(id: String) -> Result<()> {
        P::call(|p| p.unschedule(id))
    }

    fn schedules() -> Result<Vec<ScheduleStatus>> {
        P::call(P::schedules)
    }
}

/// Makes the component export the workflows world, served by the given type,
/// which implements [`Lifecycle`](crate::Lifecycle) and [`Workflows`].
#[macro_export]
macro_rules! export_workflows_provider {
    ($provider:ty) => {
        $crate::export_lifecycle!($provider);
        const _: () = {
            type Exported = $crate::provider::Component<$provider>;
            $crate::bindings::workflows::export_workflows_part!(Exported with_types_in $crate::bindings::workflows);
        };
    };
}
