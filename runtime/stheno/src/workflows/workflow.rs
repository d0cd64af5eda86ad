//! Workflows with their handlers, written as they run.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use stheno_contracts::workflows as contract;

use super::context::{Finished, StepContext};
use super::definition::{
    Condition, OnFailure, Retries, StepDefinition, StepWork, WorkflowDefinition,
};
use super::outcome::{IntoOutcome, failed, verdict};
use crate::Failure;

/// What a handler returns.
pub(super) type Handling = Pin<Box<dyn Future<Output = contract::Verdict> + Send>>;
pub(super) type Handler = Arc<dyn Fn(StepContext) -> Handling + Send + Sync>;
pub(super) type Finisher = Arc<dyn Fn(Finished) -> Handling + Send + Sync>;

/// The handlers of one step.
#[derive(Clone, Default)]
pub(super) struct Handlers {
    pub(super) invoke: Option<Handler>,
    pub(super) compensate: Option<Handler>,
}

/// A workflow with its handlers, for [`Workflows::define`](super::Workflows::define).
///
/// Steps run one after the other, in the order in which they are written. Those
/// that are written [`together`](Workflow::together) run at the same time, and
/// what is written next waits for all of them. [`Step::after`] says otherwise for
/// one step.
///
/// ```
/// use std::time::Duration;
///
/// use stheno::{Condition, OnFailure, Step, StepContext, Workflow};
///
/// # async fn charge(order: u64) -> Result<String, std::io::Error> { Ok(format!("receipt {order}")) }
/// # async fn refund(receipt: String) -> Result<(), std::io::Error> { drop(receipt); Ok(()) }
/// let order = Workflow::new("order")
///     .then(
///         Step::new("charge", async |step: StepContext| Ok(charge(step.input()?).await?))
///             .compensate(async |step: StepContext| Ok(refund(step.result("charge")?).await?))
///             .attempts(5)
///             .timeout(Duration::from_secs(30)),
///     )
///     .then(Step::wait("approved").when(Condition::result("charge", "").present()))
///     .together([
///         Step::nested("ship", "shipment"),
///         Step::new("mail", async |_| Ok(())).on_failure(OnFailure::Proceed),
///     ])
///     .result_from("charge")
///     .timeout(Duration::from_secs(3_600));
/// # let _ = order;
/// ```
#[must_use = "nothing is defined until it is given to Workflows::define"]
pub struct Workflow {
    definition: WorkflowDefinition,
    handlers: BTreeMap<String, Handlers>,
    /// The steps that the next one comes after.
    last: Vec<String>,
    publishes: bool,
    finisher: Option<Finisher>,
}

/// A step with its handlers.
#[must_use = "a step does nothing until it is part of a workflow"]
pub struct Step {
    definition: StepDefinition,
    handlers: Handlers,
    /// None: after what is written before it.
    after: Option<Vec<String>>,
    no_wait: bool,
}

impl Workflow {
    /// A workflow without steps. The id stays the same across restarts.
    pub fn new(id: impl Into<String>) -> Self {
        let definition = WorkflowDefinition {
            id: id.into(),
            steps: Vec::new(),
            result_from: None,
            timeout: None,
            retention: None,
            finish: false,
        };
        Self {
            definition,
            handlers: BTreeMap::new(),
            last: Vec::new(),
            publishes: false,
            finisher: None,
        }
    }

    /// The next step: after those that are written before it.
    pub fn then(self, step: Step) -> Self {
        self.together([step])
    }

    /// Steps that run at the same time, after those that are written before them.
    pub fn together(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        let mut last = Vec::new();
        for step in steps {
            let Step { mut definition, handlers, after, no_wait } = step;
            definition.after = after.unwrap_or_else(|| self.last.clone());
            if !no_wait {
                last.push(definition.id.clone());
            }
            self.handlers.insert(definition.id.clone(), handlers);
            self.definition.steps.push(definition);
        }
        if !last.is_empty() {
            self.last = last;
        }
        self
    }

    /// The step whose result is the run's; the one that is written last if not
    /// said.
    pub fn result_from(mut self, step: impl Into<String>) -> Self {
        self.definition.result_from = Some(step.into());
        self
    }

    /// How long a run may take until its last step has ended. Then attempts under
    /// way are stopped, and what was done is compensated.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.definition.timeout = Some(timeout);
        self
    }

    /// How long a run that has ended can be looked up, and its id is not run
    /// again; the provider's default if not said.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.definition.retention = Some(retention);
        self
    }

    /// Lets steps publish events, with [`StepContext::publish`]: they are released
    /// when the run is done and forgotten when it ends otherwise. It costs one
    /// task more for each run.
    pub fn publishes(mut self) -> Self {
        self.publishes = true;
        self.definition.finish = true;
        self
    }

    /// Calls `handler` when a run has ended, at least once, also if a process
    /// dies; ever more slowly until it returns well. It costs one task more for
    /// each run.
    pub fn on_finish<H, F>(mut self, handler: H) -> Self
    where
        H: Fn(Finished) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        self.finisher = Some(Arc::new(move |finished| {
            let handled = handler(finished);
            Box::pin(async move {
                match handled.await {
                    Ok(()) => contract::Verdict::Done(Vec::new()),
                    Err(failure) => failed(failure),
                }
            })
        }));
        self.definition.finish = true;
        self
    }

    pub(super) fn into_parts(self) -> Parts {
        let Self { definition, handlers, publishes, finisher, .. } = self;
        Parts { definition, handlers, publishes, finisher }
    }
}

/// What a workflow is made of.
pub(super) struct Parts {
    pub(super) definition: WorkflowDefinition,
    pub(super) handlers: BTreeMap<String, Handlers>,
    pub(super) publishes: bool,
    pub(super) finisher: Option<Finisher>,
}

fn handler<H, F, O>(handler: H) -> Handler
where
    H: Fn(StepContext) -> F + Send + Sync + 'static,
    F: Future<Output = Result<O, Failure>> + Send + 'static,
    O: IntoOutcome,
{
    Arc::new(move |context| {
        let handled = handler(context);
        Box::pin(async move { verdict(handled.await) })
    })
}

impl Step {
    fn of(id: impl Into<String>, work: StepWork, handlers: Handlers) -> Self {
        let definition = StepDefinition::new(id, work);
        Self { definition, handlers, after: None, no_wait: false }
    }

    /// A step that `handler` does. What it returns, anything that can be written
    /// as JSON or an [`Outcome`](super::Outcome), is the step's result. Its error
    /// is a failed attempt, which is tried again if attempts are left;
    /// [`Failure::reject`] is not. A panic is a failure like any other.
    ///
    /// It may run twice: its process may die before the result is recorded. See
    /// [`StepContext::idempotency_key`]. It is stopped, by dropping its future,
    /// when its time is up or its lease is lost.
    pub fn new<H, F, O>(id: impl Into<String>, run: H) -> Self
    where
        H: Fn(StepContext) -> F + Send + Sync + 'static,
        F: Future<Output = Result<O, Failure>> + Send + 'static,
        O: IntoOutcome,
    {
        let handlers = Handlers { invoke: Some(handler(run)), compensate: None };
        Self::of(id, StepWork::Handler, handlers)
    }

    /// A step whose handler is in another process: one that defines it so, or one
    /// that takes its tasks over HTTP.
    pub fn elsewhere(id: impl Into<String>) -> Self {
        Self::of(id, StepWork::Handler, Handlers::default())
    }

    /// A step that nobody does: it waits until
    /// [`Workflows::complete`](super::Workflows::complete) or
    /// [`Workflows::fail`](super::Workflows::fail).
    pub fn wait(id: impl Into<String>) -> Self {
        Self::of(id, StepWork::Wait, Handlers::default())
    }

    /// A step that is a run of another workflow, on this run's input. If that
    /// does not end as done the step has failed; compensating the step cancels it.
    pub fn nested(id: impl Into<String>, workflow: impl Into<String>) -> Self {
        let work = StepWork::Nested { workflow: workflow.into(), input_from: None };
        Self::of(id, work, Handlers::default())
    }

    /// Gives a nested run the result of this step as its input.
    pub fn input_from(mut self, step: impl Into<String>) -> Self {
        if let StepWork::Nested { input_from, .. } = &mut self.definition.work {
            *input_from = Some(step.into());
        }
        self
    }

    /// How the step is undone, when the run cannot go on after it was done, or
    /// after an attempt of which nobody knows how far it came. Steps are undone
    /// in reverse. What it returns is dropped.
    pub fn compensate<H, F, O>(mut self, undo: H) -> Self
    where
        H: Fn(StepContext) -> F + Send + Sync + 'static,
        F: Future<Output = Result<O, Failure>> + Send + 'static,
        O: IntoOutcome,
    {
        self.handlers.compensate = Some(handler(undo));
        self.definition.compensates = true;
        self
    }

    /// Says that another process has the handler that undoes the step.
    pub fn compensates_elsewhere(mut self) -> Self {
        self.definition.compensates = true;
        self
    }

    /// Begins when these have ended, instead of those that are written before it;
    /// with the run, if there is none.
    pub fn after<S: Into<String>>(mut self, steps: impl IntoIterator<Item = S>) -> Self {
        self.after = Some(steps.into_iter().map(Into::into).collect());
        self
    }

    /// Is done only if this holds, beside other conditions; else it is skipped and
    /// what comes after goes on.
    pub fn when(mut self, condition: Condition) -> Self {
        self.definition.when.push(condition);
        self
    }

    /// How often the step is tried in all; once if not said.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.definition.retries.attempts = attempts;
        self
    }

    /// The wait after the first failure, which doubles with each, and the longest
    /// wait; 1 s and 60 s if not said. A random half of it is taken off.
    pub fn backoff(mut self, initial: Duration, max: Duration) -> Self {
        self.definition.retries = Retries { initial, max, ..self.definition.retries };
        self
    }

    /// Repeats a failed attempt only when somebody calls
    /// [`Workflows::retry`](super::Workflows::retry).
    pub fn retry_by_hand(mut self) -> Self {
        self.definition.retries.automatic = false;
        self
    }

    /// How long one attempt may take, waiting included; then it is stopped and has
    /// failed.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.definition.timeout = Some(timeout);
        self
    }

    /// What becomes of the run when the step has failed for good;
    /// [`OnFailure::Revert`] if not said.
    pub fn on_failure(mut self, then: OnFailure) -> Self {
        self.definition.on_failure = then;
        self
    }

    /// Lets what is written after it begin without it. The run still ends only
    /// when it has ended.
    pub fn no_wait(mut self) -> Self {
        self.no_wait = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(workflow: Workflow) -> Vec<(String, Vec<String>)> {
        let steps = workflow.into_parts().definition.steps;
        steps.into_iter().map(|step| (step.id, step.after)).collect()
    }

    #[test]
    fn steps_come_after_those_that_are_written_before_them() {
        let step = |id: &str| Step::new(id, async |_| Ok(()));
        let workflow = Workflow::new("w")
            .then(step("a"))
            .together([step("b"), step("c"), step("beside").no_wait()])
            .then(step("d").no_wait())
            .then(step("e"))
            .then(step("f").after(["a"]))
            .then(step("g").after(Vec::<String>::new()))
            .then(step("h"));
        let expected: [(&str, &[&str]); 9] = [
            ("a", &[]),
            ("b", &["a"]),
            ("c", &["a"]),
            ("beside", &["a"]),
            ("d", &["b", "c"]),
            ("e", &["b", "c"]),
            ("f", &["a"]),
            ("g", &[]),
            ("h", &["g"]),
        ];
        let found = after(workflow);
        for ((id, after), expected) in found.iter().zip(expected) {
            let after: Vec<_> = after.iter().map(String::as_str).collect();
            assert_eq!((id.as_str(), after.as_slice()), expected);
        }
    }
}
