//! Steps that somebody else ends.

use stheno::{ErrorKind, Outcome, RunState, Step, StepContext, StepState, TaskVerdict, Workflow};

use crate::{Log, Subject, assert_kind, never};

// W4
async fn a_step_that_waits_ends_when_it_is_completed(subject: Subject) {
    let log = Log::default();
    subject.define(Workflow::new("w").then(Step::wait("approved")).then(log.step("b"))).await;
    subject.begin("w", "r").await;
    assert_eq!(subject.get("r").await.steps[0].state, StepState::Waiting);
    assert_eq!(log.all(), Vec::<String>::new());
    subject.workflows.complete("r", "approved", &"by ada").await.unwrap();
    let run = subject.workflows.wait("r").await.unwrap();
    assert_eq!(run.steps[0].result.as_deref(), Some(&b"\"by ada\""[..]));
    let again = subject.workflows.complete("r", "approved", &()).await;
    assert_kind(again, ErrorKind::Conflict);
}

// W4
async fn one_that_is_failed_reverts_the_run(subject: Subject) {
    let log = Log::default();
    subject.define(Workflow::new("w").then(log.step("a")).then(Step::wait("approved"))).await;
    subject.begin("w", "r").await;
    subject.until("r", "approved", StepState::Waiting).await;
    subject.workflows.fail("r", "approved", "too dear").await.unwrap();
    let run = subject.workflows.wait("r").await.unwrap();
    assert_eq!(run.status.state, RunState::Reverted);
    assert_eq!(run.status.cause.unwrap().reason, "too dear");
    assert_eq!(log.all(), ["a", "undo a"]);
}

// W4
async fn a_handler_may_leave_the_end_to_somebody_else(subject: Subject) {
    let log = Log::default();
    let seen = log.clone();
    let step = Step::new("a", async |_| Ok(Outcome::<()>::Waiting)).compensate(
        move |step: StepContext| {
            seen.note(format!("undo {}", step.result::<u32>("a").unwrap()));
            async { Ok(Outcome::<()>::Waiting) }
        },
    );
    subject.define(Workflow::new("w").then(step).then(log.failing("b", 9, never))).await;
    subject.begin("w", "r").await;
    subject.until("r", "a", StepState::Waiting).await;
    subject.workflows.complete("r", "a", &5).await.unwrap();
    log.until("undo 5", 1).await;
    // Its compensation waits as well.
    while subject.workflows.complete("r", "a", &()).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(subject.workflows.wait("r").await.unwrap().status.state, RunState::Reverted);
    assert_eq!(log.all(), ["b", "undo 5"]);
}

async fn every_verdict_ends_a_wait_as_it_says(subject: Subject) {
    let log = Log::default();
    subject.define(Workflow::new("w").then(Step::wait("a")).then(log.step("b"))).await;
    for (run, verdict, state) in [
        ("done", TaskVerdict::Done(vec![0, 255]), StepState::Done),
        ("skipped", TaskVerdict::Skipped, StepState::Skipped),
        ("failed", TaskVerdict::Failed("f".into()), StepState::Failed),
        ("rejected", TaskVerdict::Rejected("r".into()), StepState::Failed),
    ] {
        subject.begin("w", run).await;
        subject.workflows.settle_waiting(run, "a", verdict).await.unwrap();
        let ended = subject.workflows.wait(run).await.unwrap();
        assert_eq!(ended.steps[0].state, state, "{run}");
    }
}

async fn what_does_not_wait_cannot_be_completed(subject: Subject) {
    subject.define(Workflow::new("w").then(Step::elsewhere("a")).then(Step::wait("b"))).await;
    subject.begin("w", "r").await;
    let workflows = &subject.workflows;
    assert_kind(workflows.complete("r", "a", &()).await, ErrorKind::Conflict);
    assert_kind(workflows.complete("r", "b", &()).await, ErrorKind::Conflict);
    let message = assert_kind(workflows.complete("r", "c", &()).await, ErrorKind::NotFound);
    assert!(message.contains("`c`"), "{message}");
    let message = assert_kind(workflows.fail("s", "a", "x").await, ErrorKind::NotFound);
    assert!(message.contains("`s`"), "{message}");
}

for_every_provider! {
    a_step_that_waits_ends_when_it_is_completed,
    one_that_is_failed_reverts_the_run,
    a_handler_may_leave_the_end_to_somebody_else,
    every_verdict_ends_a_wait_as_it_says,
    what_does_not_wait_cannot_be_completed,
}
