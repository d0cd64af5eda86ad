//! The workflows module, as an app uses it.

mod args;
mod batch;
mod calls;
mod context;
mod definition;
mod desk;
mod ends;
mod outcome;
mod roster;
mod run;
mod schedule;
mod serve;
mod start;
mod task;
mod workflow;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use stheno_contracts::workflows as contract;
use stheno_engine::{Clock, Provider, WorkflowsModule};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::{Error, ErrorKind, Events};
use calls::Calls;
use serve::Service;

pub use args::{MAX_RUN_BODY_BYTES, MAX_WORKFLOW_STEPS};
pub use context::{Finished, StepContext, StopSignal};
pub use definition::{
    Condition, ConditionPlace, ConditionTest, OnFailure, Retries, StepDefinition, StepWork,
    WorkflowDefinition, WorkflowStatus,
};
pub(crate) use desk::GRACE;
pub use outcome::{IntoOutcome, Outcome};
pub use run::{
    Cause, CauseKind, Fault, RunDetail, RunError, RunFilter, RunPage, RunState, RunStatus,
    StepState, StepStatus,
};
pub use schedule::{Cadence, Overlap, Schedule, ScheduleStatus};
pub use serve::{Define, WorkflowWorker};
pub use start::{RunWorkflow, StartRun, Started};
pub use task::{PulledTasks, Task, TaskAction, TaskSelector, TaskVerdict};
pub use workflow::{Step, Workflow};

/// The workflows, cheap to clone.
///
/// A workflow is a number of steps. A run of it does them, each at least once:
/// the result of a step is recorded before what comes after it begins, and a run
/// whose process dies is taken up by another, or by the next. When a step has
/// failed for good, what was done is undone in reverse. A run id runs once.
///
/// Handlers in this process are given with [`define`](Workflows::define). Who
/// runs handlers himself uses [`pull`](Workflows::pull) and
/// [`settle`](Workflows::settle).
///
/// ```
/// use stheno::{Runtime, Step, StepContext, Workflow};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::builder().build().await?;
/// let workflows = runtime.workflows();
///
/// let order = Workflow::new("order")
///     .then(
///         Step::new("reserve", async |step: StepContext| Ok(step.input::<u32>()? * 2))
///             .compensate(async |_| Ok(())),
///     )
///     .then(Step::new("charge", async |step: StepContext| {
///         Ok(step.result::<u32>("reserve")? + 1)
///     }));
/// workflows.define(order).await?;
///
/// let charged: u32 = workflows.run("order", &20).id("order-1001").await?;
/// assert_eq!(charged, 41);
/// // The same again finds what that run has given.
/// assert_eq!(workflows.run::<u32>("order", &5).id("order-1001").await?, 41);
/// # runtime.shutdown().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Workflows {
    calls: Arc<Calls>,
    service: Arc<Service>,
}

impl Workflows {
    pub(crate) fn new(provider: Provider<WorkflowsModule>, events: Events, clock: Clock) -> Self {
        let calls = Arc::new(Calls::new(provider, clock));
        let service = Arc::new(Service::begin(Arc::clone(&calls), events));
        Self { calls, service }
    }

    pub(crate) fn provider(&self) -> &Provider<WorkflowsModule> {
        self.calls.provider()
    }

    /// Defines a workflow and runs its handlers in this process, until the
    /// runtime stops. Await the result, after setting what else is wanted; see
    /// [`Define`]. A definition that is there is replaced for the runs to come;
    /// runs under way keep theirs, and their steps are handled as far as this
    /// workflow has steps of the same name.
    ///
    /// # Errors
    ///
    /// `conflict` if this runtime serves a workflow with that id;
    /// `invalid-argument`, which names the step, for one that cannot be; and what
    /// else the provider says.
    pub fn define(&self, workflow: Workflow) -> Define<'_> {
        Define::new(self, workflow)
    }

    /// Defines a workflow whose handlers are elsewhere, or replaces its definition
    /// for the runs to come.
    ///
    /// # Errors
    ///
    /// `invalid-argument`, which names the step, for one that cannot be;
    /// `unsupported` for nested runs where the provider has none; and what else it
    /// says.
    pub async fn put_definition(&self, definition: WorkflowDefinition) -> Result<(), Error> {
        self.calls.define(definition.checked()?).await
    }

    /// Forgets a definition, and the schedules that start it. Runs under way go
    /// on.
    ///
    /// # Errors
    ///
    /// `not-found` if there is none, and what else the provider says.
    pub async fn remove_definition(&self, workflow: &str) -> Result<(), Error> {
        self.calls.undefine(args::name("workflow", workflow)?).await
    }

    /// All definitions, ordered by id.
    ///
    /// # Errors
    ///
    /// What the provider says.
    pub async fn definitions(&self) -> Result<Vec<WorkflowStatus>, Error> {
        self.calls.defined().await
    }

    /// Starts a run on this input as JSON, and does not wait for it. Await the
    /// result, after setting an id if it is to have one of its own:
    ///
    /// ```no_run
    /// # async fn example(workflows: stheno::Workflows) -> Result<(), stheno::Error> {
    /// let started = workflows.start("order", &1001).id("order-1001").await?;
    /// assert!(started.new, "there was none of this id");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `not-found` if the workflow is not defined, `conflict` if the id is a run of
    /// another workflow, `encoding` or `invalid-argument` for what cannot be,
    /// `unavailable` when the provider is full, and what else it says. After
    /// `timeout`, `unavailable` or `internal` it may have been started all the
    /// same: ask again with the same id.
    pub fn start<'a, T: Serialize + ?Sized>(
        &'a self,
        workflow: &'a str,
        input: &T,
    ) -> StartRun<'a> {
        StartRun::json(self, workflow, input)
    }

    /// As [`Workflows::start`], with the input as it is.
    ///
    /// # Errors
    ///
    /// As for [`Workflows::start`].
    pub fn start_bytes<'a>(&'a self, workflow: &'a str, input: Vec<u8>) -> StartRun<'a> {
        StartRun::bytes(self, workflow, input)
    }

    /// Starts a run and waits for its result. If there is a run of that id, it
    /// waits for that one. Await the result, after setting an id if it is to have
    /// one of its own. If the future is dropped the run goes on.
    ///
    /// # Errors
    ///
    /// That the run has ended otherwise than done, with its cause; and as for
    /// [`Workflows::start`] and [`Workflows::wait`].
    pub fn run<'a, R>(
        &'a self,
        workflow: &'a str,
        input: &(impl Serialize + ?Sized),
    ) -> RunWorkflow<'a, R> {
        RunWorkflow::new(self.start(workflow, input))
    }

    /// Waits until a run has ended, however it does.
    ///
    /// # Errors
    ///
    /// `not-found` if there is no such run, also where it is no longer retained;
    /// `unavailable` when the runtime stops; and what else the provider says.
    pub async fn wait(&self, run: &str) -> Result<RunDetail, Error> {
        let run = args::name("run", run)?;
        let waiter = self.calls.news().wait(&run)?;
        start::ended(&self.calls, waiter, run, true).await
    }

    /// A run with its steps.
    ///
    /// # Errors
    ///
    /// `not-found` if there is no such run, also where it is no longer retained;
    /// and what else the provider says.
    pub async fn get(&self, run: &str) -> Result<RunDetail, Error> {
        self.calls.get(args::name("run", run)?).await
    }

    /// Runs, the one that started last first.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a `max` of 0 or more than 1,000 or a name that cannot
    /// be, and what the provider says.
    pub async fn list(
        &self,
        filter: RunFilter,
        after: Option<&str>,
        max: u32,
    ) -> Result<RunPage, Error> {
        let after = after.map(|after| args::given("after", after)).transpose()?;
        self.calls.list(filter.checked()?, after, max).await
    }

    /// Says that a run must not go on, also one that is done and still retained.
    /// What is under way is waited for, then what was done is compensated.
    ///
    /// # Errors
    ///
    /// `not-found` if there is no such run; `conflict` if it cannot go on already,
    /// or has ended otherwise than done; and what else the provider says.
    pub async fn cancel(&self, run: &str, reason: &str) -> Result<(), Error> {
        self.calls.cancel(args::name("run", run)?, args::reason(reason.to_owned())).await
    }

    /// Ends a step that waits, or whose compensation does, with this result as
    /// JSON.
    ///
    /// # Errors
    ///
    /// `not-found`, which names the run or the step; `conflict` if it does not
    /// wait; `encoding`; and what else the provider says.
    pub async fn complete<T: Serialize + ?Sized>(
        &self,
        run: &str,
        step: &str,
        result: &T,
    ) -> Result<(), Error> {
        let result = serde_json::to_vec(result).map_err(|error| {
            Error::new(ErrorKind::Encoding, format!("the result of step {step:?}: {error}"))
        })?;
        self.settle_waiting(run, step, TaskVerdict::Done(result)).await
    }

    /// Fails a step that waits, or whose compensation does, for good.
    ///
    /// # Errors
    ///
    /// As for [`Workflows::complete`].
    pub async fn fail(&self, run: &str, step: &str, reason: &str) -> Result<(), Error> {
        self.settle_waiting(run, step, TaskVerdict::Rejected(reason.to_owned())).await
    }

    /// Ends a step that waits, or whose compensation does: done, skipped, failed
    /// (tried again if attempts are left) or rejected.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for another verdict, and as for
    /// [`Workflows::complete`].
    pub async fn settle_waiting(
        &self,
        run: &str,
        step: &str,
        verdict: TaskVerdict,
    ) -> Result<(), Error> {
        if matches!(verdict, TaskVerdict::Waiting | TaskVerdict::Returned) {
            return Err(Error::invalid(
                "verdict must be done, skipped, failed or rejected: the step waits already",
            ));
        }
        let verdict = args::verdict(verdict.into())?;
        self.calls.complete(args::name("run", run)?, args::name("step", step)?, verdict).await
    }

    /// Tries a step again now, with all its attempts: one that is stalled, one
    /// that waits for its back-off, or one whose compensation failed for good.
    ///
    /// # Errors
    ///
    /// `not-found`, which names the run or the step; `conflict` if there is nothing
    /// to try again; and what else the provider says.
    pub async fn retry(&self, run: &str, step: &str) -> Result<(), Error> {
        self.calls.retry(args::name("run", run)?, args::name("step", step)?).await
    }

    /// Makes a schedule, or replaces it; what it has started counts on.
    ///
    /// # Errors
    ///
    /// `not-found` if the workflow is not defined; `invalid-argument` says what is
    /// wrong with the expression or the time zone; `unsupported` where the
    /// provider has no schedules; and what else it says.
    pub async fn schedule(&self, schedule: Schedule) -> Result<(), Error> {
        self.calls.schedule(schedule.checked()?).await
    }

    /// Removes a schedule. Runs that it started go on.
    ///
    /// # Errors
    ///
    /// `not-found` if there is none, and what else the provider says.
    pub async fn unschedule(&self, id: &str) -> Result<(), Error> {
        self.calls.unschedule(args::schedule_id("id", id)?).await
    }

    /// All schedules, ordered by id.
    ///
    /// # Errors
    ///
    /// What the provider says.
    pub async fn schedules(&self) -> Result<Vec<ScheduleStatus>, Error> {
        self.calls.schedules().await
    }

    /// Shows runs as they end, from now on, as far as this process learns of it.
    /// Who has to know of each defines its workflow with
    /// [`Workflow::on_finish`].
    ///
    /// # Errors
    ///
    /// `unavailable` when the runtime stops.
    pub fn watch(&self) -> Result<RunEnds, Error> {
        Ok(RunEnds { calls: Arc::clone(&self.calls), ends: self.calls.news().watch()? })
    }

    /// Takes at most `max` due tasks and leases each for `lease`. Waits up to
    /// `wait` for the first one. If the returned future is dropped, or the runtime
    /// is shut down, the waiting ends and nothing stays leased.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a `max` of 0 or more than 1,000, a `lease` of zero or
    /// no selector, and what else the provider says.
    pub async fn pull(
        &self,
        selectors: Vec<TaskSelector>,
        max: u32,
        wait: Duration,
        lease: Duration,
    ) -> Result<Vec<Task>, Error> {
        let tasks = self.calls.pull_waiting(selected(selectors)?, max, wait, lease).await?;
        Ok(tasks.into_iter().map(Task::from).collect())
    }

    /// Takes what is due now, and says when to come again.
    ///
    /// # Errors
    ///
    /// As for [`Workflows::pull`].
    pub async fn pull_now(
        &self,
        selectors: Vec<TaskSelector>,
        max: u32,
        lease: Duration,
    ) -> Result<PulledTasks, Error> {
        let selectors = selected(selectors)?;
        let pulled = self.calls.pull(selectors, max, Duration::ZERO, lease).await?;
        let tasks = pulled.tasks.into_iter().map(Task::from).collect();
        Ok(PulledTasks { tasks, next_due: pulled.next_due })
    }

    /// Records what came of attempts. Gives the tokens whose lease or deadline had
    /// passed or that were settled before: for those nothing was recorded.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for more than 1,000 or a result that is too large, and
    /// what the provider says.
    pub async fn settle(&self, outcomes: Vec<(String, TaskVerdict)>) -> Result<Vec<String>, Error> {
        args::at_most("outcomes", outcomes.len())?;
        let outcomes = outcomes.into_iter().map(|(token, verdict)| {
            Ok(contract::Outcome { token, verdict: args::verdict(verdict.into())? })
        });
        self.calls.settle(outcomes.collect::<Result<_, Error>>()?).await
    }

    /// Leases tasks for `lease` from now. Gives the tokens that are no longer
    /// leased, or whose run's time is up: those attempts must be stopped.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for more than 1,000 or a `lease` of zero, and what the
    /// provider says.
    pub async fn extend(&self, tokens: Vec<String>, lease: Duration) -> Result<Vec<String>, Error> {
        args::at_most("tokens", tokens.len())?;
        self.calls.extend(tokens, args::at_least_a_moment("lease", lease)?).await
    }

    /// Lets nobody start runs any more; see
    /// [`Runtime::shutdown`](crate::Runtime::shutdown).
    pub(crate) async fn close(&self) {
        self.calls.door().close().await;
    }

    /// Has a provider that forgets do what is due, and says whether anything was.
    pub(crate) async fn handle_due(&self) -> bool {
        self.service.handle_due(&self.calls).await
    }

    /// Ends after the attempts that have begun, and tells who waits.
    pub(crate) async fn stop(&self) {
        self.service.stop(&self.calls).await;
        self.calls.news().close();
    }
}

fn selected(selectors: Vec<TaskSelector>) -> Result<Vec<contract::Selector>, Error> {
    args::at_most("selectors", selectors.len())?;
    if selectors.is_empty() {
        return Err(Error::invalid("selectors is empty; name a workflow whose tasks to take"));
    }
    selectors.into_iter().map(TaskSelector::checked).collect()
}

/// Runs as they end: see [`Workflows::watch`].
pub struct RunEnds {
    calls: Arc<Calls>,
    ends: broadcast::Receiver<contract::Ended>,
}

impl RunEnds {
    /// The next run that ends; none when the runtime has stopped. Who asks too
    /// seldom misses the oldest.
    ///
    /// # Errors
    ///
    /// What the provider says when it is asked for the run.
    pub async fn next(&mut self) -> Option<Result<RunStatus, Error>> {
        loop {
            let ended = match self.ends.recv().await {
                Ok(ended) => ended,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return None,
            };
            match self.calls.get(ended.run).await {
                Ok(run) => return Some(Ok(run.status)),
                // It was not retained for so long.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
