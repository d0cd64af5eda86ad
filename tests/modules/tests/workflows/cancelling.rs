//! Runs that must not go on.

use stheno::{CauseKind, ErrorKind, RunState, Step, StepState, Workflow};

use crate::{Log, SECOND, Subject, assert_kind, never};

// W8
async fn a_run_under_way_stops_and_is_undone(subject: Subject) {
    let log = Log::default();
    let workflow = Workflow::new("w").then(log.step("a")).then(Step::wait("b")).then(log.step("c"));
    subject.define(workflow).await;
    subject.begin("w", "r").await;
    subject.until("r", "b", StepState::Waiting).await;
    subject.workflows.cancel("r", "changed my mind").await.unwrap();
    // What is under way is waited for.
    assert_eq!(subject.get("r").await.status.state, RunState::Stopping);
    assert_kind(subject.workflows.cancel("r", "again").await, ErrorKind::Conflict);
    subject.workflows.complete("r", "b", &()).await.unwrap();
    let run = subject.workflows.wait("r").await.unwrap();
    let cause = run.status.cause.clone().unwrap();
    assert_eq!((cause.kind, cause.reason.as_str()), (CauseKind::Cancelled, "changed my mind"));
    assert_eq!(run.status.state, RunState::Reverted);
    assert_eq!(log.all(), ["a", "undo a"]);
    assert_kind(subject.workflows.cancel("r", "again").await, ErrorKind::Conflict);
}

// W8
async fn a_run_that_is_done_is_undone_while_it_is_retained(subject: Subject) {
    let log = Log::default();
    let workflow = Workflow::new("w").then(log.step("a")).then(log.step("b"));
    subject.define(workflow.retention(60 * SECOND)).await;
    subject.end_of("w", "r").await;
    subject.workflows.cancel("r", "sent back").await.unwrap();
    subject.until_run("r", RunState::Reverted).await;
    assert_eq!(log.all(), ["a", "b", "undo b", "undo a"]);
    subject.end_of("w", "old").await;
    subject.pass(61 * SECOND);
    assert_kind(subject.workflows.cancel("old", "late").await, ErrorKind::NotFound);
}

// W8
async fn one_that_has_failed_is_not_cancelled(subject: Subject) {
    let log = Log::default();
    let stubborn = Step::new("a", async |_| Ok(())).compensate(async |_| Err::<(), _>(never()));
    subject.define(Workflow::new("w").then(stubborn).then(log.failing("b", 9, never))).await;
    assert_eq!(subject.end_of("w", "r").await.status.state, RunState::Failed);
    assert_kind(subject.workflows.cancel("r", "x").await, ErrorKind::Conflict);
    assert_kind(subject.workflows.cancel("nobody", "x").await, ErrorKind::NotFound);
}

for_every_provider! {
    a_run_under_way_stops_and_is_undone,
    a_run_that_is_done_is_undone_while_it_is_retained,
    one_that_has_failed_is_not_cancelled,
}
