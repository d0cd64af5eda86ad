//! The workflows module: `wit/deps/workflows/workflows.wit`.
//!
//! Cases pull and settle by hand, which says exactly when what happens.

mod arguments;
mod calendar;
mod callers;
mod cancelling;
mod conditions;
mod definitions;
mod failures;
mod finish;
mod full;
mod history;
mod leases;
mod nested;
mod restart;
mod retries;
mod runs;
mod schedules;
mod steps;
mod timeouts;
mod undoing;
mod unsupported;
mod waiting;

use std::panic::Location;
use std::time::Duration;

use stheno::{
    Retries, RunDetail, RunFilter, StepDefinition, StepStatus, StepWork, Task, TaskAction,
    TaskSelector, TaskVerdict, WorkflowDefinition, Workflows,
};

use crate::case::Case;
use crate::check::{Fault, Outcome, equal, equal_at, there};
use crate::subject::Subject as Of;

pub(crate) const CASES: &[&[Case]] = &[
    lifecycle!("workflows", Workflows),
    runs::CASES,
    definitions::CASES,
    steps::CASES,
    conditions::CASES,
    leases::CASES,
    retries::CASES,
    timeouts::CASES,
    waiting::CASES,
    failures::CASES,
    undoing::CASES,
    cancelling::CASES,
    nested::CASES,
    finish::CASES,
    history::CASES,
    schedules::CASES,
    calendar::CASES,
    arguments::CASES,
    full::CASES,
    callers::CASES,
    restart::CASES,
    unsupported::CASES,
];

type Subject = Of<Workflows>;

const SECOND: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_secs(30);
const LEASE_MS: u64 = 30_000;
/// More than any case makes due.
const ALL: u32 = 1_000;
/// More than any wait that a case asks for.
const LONG: u64 = 100_000_000;

impl Subject {
    /// Without a result of a step of its own, a limit or a last task.
    fn workflow(&self, id: &str, steps: Vec<StepDefinition>) -> WorkflowDefinition {
        WorkflowDefinition {
            id: self.own(id),
            steps,
            result_from: None,
            timeout: None,
            // So that no case depends on a provider's default.
            retention: Some(Duration::from_millis(2 * LONG)),
            finish: false,
        }
    }

    async fn define(&self, id: &str, steps: Vec<StepDefinition>) -> Outcome {
        Ok(self.api.put_definition(self.workflow(id, steps)).await?)
    }

    /// A step that is a run of this workflow.
    fn nested(&self, id: &str, workflow: &str, after: &[&str]) -> StepDefinition {
        let work = StepWork::Nested { workflow: self.own(workflow), input_from: None };
        StepDefinition { work, ..step(id, after) }
    }

    async fn run(&self, workflow: &str, run: &str) -> Outcome {
        self.run_on(workflow, run, "null").await
    }

    async fn run_on(&self, workflow: &str, run: &str, input: impl Into<Vec<u8>>) -> Outcome {
        let new = self.start(workflow, run, input).await?;
        equal(&format!("whether {run:?} is new"), new, true)
    }

    /// Says whether the run is a new one.
    async fn start(
        &self,
        workflow: &str,
        run: &str,
        input: impl Into<Vec<u8>>,
    ) -> Result<bool, Fault> {
        let run = self.own(run);
        let started = self.api.start_bytes(&self.own(workflow), input.into()).id(&run).await?;
        equal("the id that was started", &started.run, &run)?;
        Ok(started.new)
    }

    fn selector(&self, workflow: &str) -> Vec<TaskSelector> {
        vec![TaskSelector::workflow(self.own(workflow))]
    }

    /// All that is due.
    async fn pull(&self, workflow: &str) -> Result<Vec<Task>, Fault> {
        Ok(self.api.pull_now(self.selector(workflow), ALL, LEASE).await?.tasks)
    }

    /// Has the provider do what is due by time alone.
    async fn tick(&self) -> Outcome {
        self.idle("nobody").await
    }

    /// What is due must be this, in any order; it is leased. The tasks come as they
    /// are named here.
    #[track_caller]
    fn takes<const N: usize>(
        &self,
        workflow: &str,
        expected: [&str; N],
    ) -> impl Future<Output = Result<[Task; N], Fault>> {
        let place = Location::caller();
        async move {
            let mut tasks = self.pull(workflow).await?;
            tasks.sort_by_cached_key(|task| {
                let (what, rank) = (what(task), |it: &&str| *it == what(task));
                (expected.iter().position(rank).unwrap_or(N), what)
            });
            let found: Vec<_> = tasks.iter().map(what).collect();
            equal_at(place, &format!("what is due for {workflow:?}"), found, expected)?;
            tasks.try_into().map_err(|_| Fault::at(place, "other tasks came"))
        }
    }

    /// What is due must be this, in any order. Each is done, a step with its id as
    /// its result.
    #[track_caller]
    fn does<const N: usize>(
        &self,
        workflow: &str,
        expected: [&str; N],
    ) -> impl Future<Output = Outcome> {
        let place = Location::caller();
        let taken = self.takes(workflow, expected);
        async move {
            let tasks = taken.await?;
            let verdict = |task: Task| (task.token, done(&format!("\"{}\"", task.step)));
            let lost = self.api.settle(tasks.into_iter().map(verdict).collect()).await?;
            equal_at(place, "tokens lost at once", lost, [""; 0])
        }
    }

    /// Nothing is due.
    #[track_caller]
    fn idle(&self, workflow: &str) -> impl Future<Output = Outcome> {
        let taken = self.takes(workflow, []);
        async move { taken.await.map(drop) }
    }

    #[track_caller]
    fn settle(&self, task: &Task, verdict: TaskVerdict) -> impl Future<Output = Outcome> {
        let place = Location::caller();
        async move {
            let lost = self.api.settle(vec![(task.token.clone(), verdict)]).await?;
            equal_at(place, &format!("tokens of {:?} that were lost", what(task)), lost, [""; 0])
        }
    }

    /// The token is listened to no more.
    #[track_caller]
    fn is_lost(&self, task: &Task) -> impl Future<Output = Outcome> {
        let place = Location::caller();
        async move {
            for late in [done("late"), failed(), rejected(), TaskVerdict::Returned] {
                let lost = self.api.settle(vec![(task.token.clone(), late)]).await?;
                let what = format!("tokens of {:?} that were lost", what(task));
                equal_at(place, &what, &lost, std::slice::from_ref(&task.token))?;
            }
            Ok(())
        }
    }

    async fn complete(&self, run: &str, step: &str, verdict: TaskVerdict) -> Outcome {
        Ok(self.api.settle_waiting(&self.own(run), step, verdict).await?)
    }

    async fn cancel(&self, run: &str) -> Outcome {
        Ok(self.api.cancel(&self.own(run), "the case says so").await?)
    }

    async fn retry(&self, run: &str, step: &str) -> Outcome {
        Ok(self.api.retry(&self.own(run), step).await?)
    }

    async fn get(&self, run: &str) -> Result<RunDetail, Fault> {
        Ok(self.api.get(&self.own(run)).await?)
    }

    async fn step(&self, run: &str, step: &str) -> Result<StepStatus, Fault> {
        there("the step", self.get(run).await?.step(step).cloned())
    }

    /// The run must be in this state, and its steps in theirs: `running: a done, b
    /// pending`.
    #[track_caller]
    fn stands(&self, run: &str, expected: &str) -> impl Future<Output = Outcome> {
        let place = Location::caller();
        async move {
            let found = shown(&self.get(run).await?);
            equal_at(place, &format!("the run {run:?}"), found.as_str(), expected)
        }
    }

    /// The runs that a filter finds, as the case calls them.
    async fn list(&self, filter: RunFilter) -> Result<Vec<String>, Fault> {
        let page = self.api.list(filter, None, ALL).await?;
        equal("what is after the last page", page.next, None::<String>)?;
        Ok(page.items.iter().map(|run| self.short(&run.run)).collect())
    }

    /// An own name as the case calls it.
    fn short(&self, name: &str) -> String {
        name.strip_prefix(&self.own("")).unwrap_or(name).to_owned()
    }
}

/// A task in short: the step's id, `undo ID`, or `finish STATE`.
fn what(task: &Task) -> String {
    match task.action {
        TaskAction::Invoke => task.step.clone(),
        TaskAction::Compensate => format!("undo {}", task.step),
        TaskAction::Finish(state) => format!("finish {state}"),
    }
}

/// A run in short.
fn shown(run: &RunDetail) -> String {
    let step = |step: &StepStatus| format!("{} {}", step.id, step.state.as_str());
    let steps: Vec<_> = run.steps.iter().map(step).collect();
    format!("{}: {}", run.status.state, steps.join(", "))
}

/// The results that a task has, as text, ordered by their steps.
fn results(task: &Task) -> Vec<(&str, &str)> {
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or("no text");
    let mut all: Vec<_> =
        task.results.iter().map(|(step, bytes)| (step.as_str(), text(bytes))).collect();
    all.sort_unstable();
    all
}

/// A step that a handler does and nobody undoes.
fn step(id: &str, after: &[&str]) -> StepDefinition {
    let after = after.iter().map(|&id| id.to_owned()).collect();
    StepDefinition { after, ..StepDefinition::new(id, StepWork::Handler) }
}

/// One that is compensated.
fn undoable(id: &str, after: &[&str]) -> StepDefinition {
    StepDefinition { compensates: true, ..step(id, after) }
}

/// One that waits to be completed.
fn waits(id: &str, after: &[&str]) -> StepDefinition {
    StepDefinition { work: StepWork::Wait, ..step(id, after) }
}

/// So many attempts, a second after the first.
fn tried(attempts: u32) -> Retries {
    Retries { attempts, initial: SECOND, max: 5 * SECOND, automatic: true }
}

fn done(result: &str) -> TaskVerdict {
    TaskVerdict::Done(result.as_bytes().to_vec())
}

fn failed() -> TaskVerdict {
    TaskVerdict::Failed("the case says so".to_owned())
}

fn rejected() -> TaskVerdict {
    TaskVerdict::Rejected("the case says never".to_owned())
}
