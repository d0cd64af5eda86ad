//! Time that is up.

use std::time::Duration;

use stheno::{
    CauseKind, ErrorKind, OnFailure, Retries, StepDefinition, TaskVerdict, WorkflowDefinition,
    Workflows,
};

use super::{LEASE, SECOND, Subject, done, failed, rejected, step, tried, undoable, waits};
use crate::case::Case;
use crate::check::{Outcome, equal, fails, there};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.timeouts.attempt" =>
        "An attempt has failed at the millisecond when its time is up, and its token is lost, whatever it answers.",
        attempt;
    "workflows.timeouts.in-time" => "What is settled a millisecond before the time is up counts.", in_time;
    "workflows.timeouts.again" => "An attempt whose time was up is tried again if attempts are left.", again;
    "workflows.timeouts.undone" =>
        "A step that failed because its time was up is compensated, since nobody knows what it did.", undone;
    "workflows.timeouts.waiting" => "A step that waits has failed when its time is up.", waiting;
    "workflows.timeouts.deadline" =>
        "A task tells when its time or the run's is up, whichever is first.", deadline;
    "workflows.timeouts.run" =>
        "When the time of a run is up no step begins, attempts under way are lost, and what was done is compensated, whatever `on-failure` says.",
        run;
    "workflows.timeouts.stalled" => "A step is stalled no longer than until the run's time is up.", stalled;
    "workflows.timeouts.stopping" =>
        "A run that waits for what is under way waits no longer than its own time.", stopping;
    "workflows.timeouts.compensation" =>
        "The time of a run ends with its last step, and a compensation may take longer.", compensation;
    "workflows.timeouts.undo" => "An attempt at a compensation has the step's time too.", undo;
};

const TEN: Duration = Duration::from_secs(10);

fn limited(step: StepDefinition) -> StepDefinition {
    StepDefinition { timeout: Some(TEN), ..step }
}

impl Subject {
    /// A workflow whose runs have ten seconds.
    async fn define_limited(&self, id: &str, steps: Vec<StepDefinition>) -> Outcome {
        let limited = WorkflowDefinition { timeout: Some(TEN), ..self.workflow(id, steps) };
        Ok(self.api.put_definition(limited).await?)
    }

    /// The run must have ended for this reason.
    async fn is_caused(&self, run: &str, kind: CauseKind) -> Outcome {
        let cause = there("the cause", self.get(run).await?.status.cause)?;
        equal("the cause", cause.kind, kind)
    }
}

async fn attempt(s: Subject) -> Outcome {
    s.define("w", vec![limited(step("a", &[])), step("b", &["a"])]).await?;
    s.run("w", "r").await?;
    let [a] = s.takes("w", ["a"]).await?;
    s.pass(9_999);
    equal("tokens lost in time", s.api.extend(vec![a.token.clone()], LEASE).await?, [""; 0])?;
    s.pass(1);
    s.is_lost(&a).await?;
    equal("tokens lost", s.api.extend(vec![a.token.clone()], LEASE).await?, [a.token])?;
    s.idle("w").await?;
    let run = s.get("r").await?;
    equal("whether it has ended", run.status.state.is_ended(), true)?;
    equal("how many failures there are", run.step("a").map(|it| it.faults.len()), Some(1))?;
    s.is_caused("r", CauseKind::StepFailed).await
}

async fn in_time(s: Subject) -> Outcome {
    s.define("w", vec![limited(step("a", &[])), step("b", &["a"])]).await?;
    s.run("w", "r").await?;
    s.pass(60_000);
    let [a] = s.takes("w", ["a"]).await?;
    s.pass(9_999);
    s.settle(&a, done("1")).await?;
    s.pass(60_000);
    s.does("w", ["b"]).await?;
    s.stands("r", "done: a done, b done").await
}

async fn again(s: Subject) -> Outcome {
    let a = limited(StepDefinition { retries: tried(2), ..step("a", &[]) });
    s.define("w", vec![a]).await?;
    s.run("w", "r").await?;
    let [first] = s.takes("w", ["a"]).await?;
    s.pass(10_000);
    s.idle("w").await?;
    s.pass(1_000);
    let [second] = s.takes("w", ["a"]).await?;
    equal("the attempt", second.attempt, 2)?;
    equal("its time", second.deadline_in, Some(TEN))?;
    s.is_lost(&first).await?;
    s.settle(&second, done("1")).await?;
    s.stands("r", "done: a done").await
}

async fn undone(s: Subject) -> Outcome {
    s.define("w", vec![limited(undoable("a", &[]))]).await?;
    s.run("w", "r").await?;
    s.takes("w", ["a"]).await?;
    s.pass(10_000);
    s.does("w", ["undo a"]).await?;
    s.stands("r", "reverted: a reverted").await
}

async fn waiting(s: Subject) -> Outcome {
    s.define("w", vec![limited(waits("a", &[]))]).await?;
    s.define("v", vec![limited(undoable("a", &[]))]).await?;
    s.run("w", "r").await?;
    s.run("v", "q").await?;
    let [a] = s.takes("v", ["a"]).await?;
    s.settle(&a, TaskVerdict::Waiting).await?;
    s.pass(9_999);
    s.tick().await?;
    s.stands("r", "running: a waiting").await?;
    s.stands("q", "running: a waiting").await?;
    s.pass(1);
    for run in ["r", "q"] {
        let late = s.api.settle_waiting(&s.own(run), "a", done("late")).await;
        fails("completing it when its time is up", late, ErrorKind::Conflict)?;
    }
    s.does("v", ["undo a"]).await?;
    s.is_caused("r", CauseKind::StepFailed).await?;
    s.is_caused("q", CauseKind::StepFailed).await
}

async fn deadline(s: Subject) -> Outcome {
    let steps = vec![
        step("none", &[]),
        limited(step("long", &[])),
        StepDefinition { timeout: Some(2 * SECOND), ..step("short", &[]) },
    ];
    s.define("w", steps.clone()).await?;
    s.define_limited("limited", steps).await?;
    s.run("w", "r").await?;
    s.run("limited", "q").await?;
    s.pass(7_000);
    let tasks = s.takes("w", ["none", "long", "short"]).await?;
    let found = tasks.map(|task| task.deadline_in);
    equal("the time of each", found, [None, Some(TEN), Some(2 * SECOND)])?;
    let tasks = s.takes("limited", ["none", "long", "short"]).await?;
    let found = tasks.map(|task| task.deadline_in);
    let expected = [3, 3, 2].map(|secs| Some(Duration::from_secs(secs)));
    equal("the time of each in a run that has ten seconds", found, expected)
}

async fn run(s: Subject) -> Outcome {
    let proceeds = |step| StepDefinition { on_failure: OnFailure::Proceed, ..step };
    let steps = vec![
        undoable("done", &[]),
        proceeds(undoable("leased", &[])),
        proceeds(waits("waits", &[])),
        undoable("due", &["done"]),
        step("next", &["leased"]),
    ];
    s.define_limited("w", steps).await?;
    s.run("w", "r").await?;
    let [first, leased] = s.takes("w", ["done", "leased"]).await?;
    s.settle(&first, done("1")).await?;
    s.pass(9_999);
    let tokens = vec![leased.token.clone()];
    equal("tokens lost in time", s.api.extend(tokens.clone(), LEASE).await?, [""; 0])?;
    s.pass(1);
    equal("tokens lost", s.api.extend(tokens.clone(), LEASE).await?, tokens)?;
    s.is_lost(&leased).await?;
    s.does("w", ["undo done", "undo leased"]).await?;
    s.idle("w").await?;
    s.is_caused("r", CauseKind::TimedOut).await?;
    let expected = "reverted: done reverted, leased reverted, waits reverted, due passed-over, next passed-over";
    s.stands("r", expected).await
}

async fn stalled(s: Subject) -> Outcome {
    let retries = Retries { automatic: false, ..tried(9) };
    s.define_limited("w", vec![StepDefinition { retries, ..step("a", &[]) }]).await?;
    s.run("w", "r").await?;
    let [a] = s.takes("w", ["a"]).await?;
    s.settle(&a, failed()).await?;
    s.pass(9_999);
    s.tick().await?;
    s.stands("r", "running: a stalled").await?;
    s.pass(1);
    s.tick().await?;
    s.stands("r", "reverted: a failed").await?;
    s.is_caused("r", CauseKind::TimedOut).await
}

async fn stopping(s: Subject) -> Outcome {
    s.define_limited("w", vec![undoable("a", &[]), waits("b", &[])]).await?;
    s.run("w", "r").await?;
    let [a] = s.takes("w", ["a"]).await?;
    s.cancel("r").await?;
    s.pass(9_999);
    s.tick().await?;
    s.stands("r", "stopping: a running, b waiting").await?;
    s.pass(1);
    s.is_lost(&a).await?;
    s.does("w", ["undo a"]).await?;
    s.stands("r", "reverted: a reverted, b reverted").await
}

async fn compensation(s: Subject) -> Outcome {
    s.define_limited("w", vec![undoable("a", &[]), step("b", &["a"])]).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    let [b] = s.takes("w", ["b"]).await?;
    s.pass(9_000);
    s.settle(&b, rejected()).await?;
    let [undo] = s.takes("w", ["undo a"]).await?;
    equal("its time", undo.deadline_in, None)?;
    s.pass(20_000);
    s.settle(&undo, done("")).await?;
    s.stands("r", "reverted: a reverted, b failed").await?;
    s.is_caused("r", CauseKind::StepFailed).await
}

async fn undo(s: Subject) -> Outcome {
    let a = limited(StepDefinition { retries: tried(2), ..undoable("a", &[]) });
    s.define("w", vec![a, step("b", &["a"])]).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    let [b] = s.takes("w", ["b"]).await?;
    s.settle(&b, rejected()).await?;
    let [undo] = s.takes("w", ["undo a"]).await?;
    equal("its time", undo.deadline_in, Some(TEN))?;
    s.pass(10_000);
    s.is_lost(&undo).await?;
    s.idle("w").await?;
    s.pass(1_000);
    let [undo] = s.takes("w", ["undo a"]).await?;
    equal("the attempt", undo.attempt, 2)?;
    s.settle(&undo, done("")).await?;
    s.stands("r", "reverted: a reverted, b failed").await
}
