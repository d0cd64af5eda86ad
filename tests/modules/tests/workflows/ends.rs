//! Who is told that a run has ended.

use std::sync::Arc;

use stheno::{ErrorKind, Finished, RunState, Step, Workflow};
use tokio::sync::mpsc;

use crate::{Log, SECOND, Subject, assert_kind, busy, never};

// W12
async fn a_watch_shows_each_run_that_ends_from_now_on(subject: Subject) {
    let log = Log::default();
    subject.define(Workflow::new("well").then(log.step("a"))).await;
    subject.define(Workflow::new("ill").then(log.failing("a", 9, never))).await;
    subject.end_of("well", "before").await;
    let mut watch = subject.workflows.watch().unwrap();
    for (workflow, run) in [("well", "r1"), ("ill", "r2"), ("well", "r3")] {
        subject.begin(workflow, run).await;
        let ended = watch.next().await.unwrap().unwrap();
        let state = if workflow == "well" { RunState::Done } else { RunState::Reverted };
        assert_eq!((ended.run.as_str(), ended.workflow.as_str()), (run, workflow));
        assert_eq!(ended.state, state);
        assert_eq!(ended.cause.is_some(), workflow == "ill");
    }
    subject.runtime.shutdown().await.unwrap();
    assert!(watch.next().await.is_none());
    assert_kind(subject.workflows.watch().map(drop), ErrorKind::Unavailable);
}

// W12
async fn a_closure_is_told_until_it_has_taken_it(subject: Subject) {
    let (sender, mut told) = mpsc::unbounded_channel();
    let log = Log::default();
    let failures = log.clone();
    let finish = move |finished: Finished| {
        let (sender, failures) = (sender.clone(), failures.clone());
        async move {
            if failures.count("failed") < 2 {
                failures.note("failed");
                return Err(busy());
            }
            Ok(sender.send(finished)?)
        }
    };
    let workflow = Workflow::new("w").then(log.step("a")).then(Step::wait("b")).retention(SECOND);
    subject.define(workflow.result_from("a").on_finish(finish)).await;
    subject.workflows.start("w", &5).id("r").await.unwrap();
    subject.until("r", "b", stheno::StepState::Waiting).await;
    subject.workflows.complete("r", "b", &()).await.unwrap();
    assert_eq!(subject.workflows.wait("r").await.unwrap().status.state, RunState::Done);
    // Ever more slowly, and it is retained meanwhile.
    log.until("failed", 1).await;
    let finished = loop {
        match told.try_recv() {
            Ok(finished) => break finished,
            Err(_) => {
                subject.pass(SECOND);
                tokio::task::yield_now().await;
            }
        }
    };
    assert_eq!((finished.run.as_str(), finished.state), ("r", RunState::Done));
    assert_eq!(finished.input_as::<u32>().unwrap(), 5);
    assert_eq!(finished.result_as::<String>().unwrap(), "a");
}

async fn a_run_that_is_waited_for_by_many_is_told_to_each(subject: Subject) {
    subject.define(Workflow::new("w").then(Step::wait("a"))).await;
    subject.begin("w", "r").await;
    let waits: Vec<_> = (0..64)
        .map(|_| {
            let workflows = subject.workflows.clone();
            tokio::spawn(async move { workflows.wait("r").await })
        })
        .collect();
    tokio::task::yield_now().await;
    subject.workflows.complete("r", "a", &1).await.unwrap();
    for wait in waits {
        assert_eq!(wait.await.unwrap().unwrap().status.state, RunState::Done);
    }
    assert_kind(subject.workflows.wait("nobody").await, ErrorKind::NotFound);
}

/// What one process ends another does not learn, so it looks for itself.
async fn a_run_that_somebody_else_ends_is_seen(subject: Subject) {
    subject.define(Workflow::new("w").then(Step::elsewhere("a"))).await;
    let workflows = Arc::new(subject.workflows.clone());
    let waits = tokio::spawn({
        let workflows = Arc::clone(&workflows);
        async move { workflows.run::<u32>("w", &()).id("r").await }
    });
    let selector = || vec![stheno::TaskSelector::workflow("w")];
    let task = workflows.pull(selector(), 1, 60 * SECOND, crate::LEASE).await.unwrap().remove(0);
    let done = vec![(task.token, stheno::TaskVerdict::Done(b"7".to_vec()))];
    assert_eq!(workflows.settle(done).await.unwrap(), Vec::<String>::new());
    assert_eq!(waits.await.unwrap().unwrap(), 7);
}

for_every_provider! {
    a_watch_shows_each_run_that_ends_from_now_on,
    a_closure_is_told_until_it_has_taken_it,
    a_run_that_is_waited_for_by_many_is_told_to_each,
    a_run_that_somebody_else_ends_is_seen,
}
