//! Time that is up.

use std::sync::Arc;

use stheno::{CauseKind, OnFailure, RunState, Step, StepContext, StepState, Workflow};
use tokio::sync::{Semaphore, oneshot};

use crate::{Log, SECOND, Subject};

/// Says when it is dropped.
struct Dropped(Log);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.note("dropped");
    }
}

/// A step that never ends by itself, and what it started beside itself.
fn hangs(log: &Log, id: &str) -> Step {
    let (run, undo) = (log.clone(), log.clone());
    Step::new(id, move |step: StepContext| {
        let log = run.clone();
        async move {
            let _dropped = Dropped(log.clone());
            let (beside, mut signal) = (log.clone(), step.stop_signal());
            assert!(!signal.is_stopped());
            tokio::spawn(async move {
                signal.stopped().await;
                beside.note("told");
            });
            log.note("begun");
            std::future::pending::<()>().await;
            log.note("went on");
            Ok(())
        }
    })
    .compensate(move |_| {
        let undo = undo.clone();
        async move {
            undo.note("undone");
            Ok(())
        }
    })
}

// W6, W20
async fn an_attempt_whose_time_is_up_is_stopped_and_undone(subject: Subject) {
    let log = Log::default();
    let workflow = Workflow::new("w").then(hangs(&log, "a").timeout(10 * SECOND));
    subject.define(workflow).await;
    subject.begin("w", "r").await;
    log.until("begun", 1).await;
    subject.pass(10 * SECOND);
    let run = subject.workflows.wait("r").await.unwrap();
    assert_eq!(run.status.state, RunState::Reverted);
    let cause = run.status.cause.unwrap();
    assert_eq!((cause.kind, cause.step.as_deref()), (CauseKind::StepFailed, Some("a")));
    log.until("told", 1).await;
    log.until("dropped", 1).await;
    assert_eq!((log.count("undone"), log.count("went on")), (1, 0));
}

// W6, W20
async fn a_run_whose_time_is_up_stops_what_is_under_way(subject: Subject) {
    let log = Log::default();
    let workflow = Workflow::new("w")
        .then(log.step("before"))
        .then(hangs(&log, "a").on_failure(OnFailure::Proceed))
        .timeout(10 * SECOND);
    subject.define(workflow).await;
    subject.begin("w", "r").await;
    log.until("begun", 1).await;
    subject.pass(10 * SECOND);
    let run = subject.workflows.wait("r").await.unwrap();
    assert_eq!(run.status.state, RunState::Reverted, "going on is for steps, not for runs");
    assert_eq!(run.status.cause.unwrap().kind, CauseKind::TimedOut);
    log.until("dropped", 1).await;
    assert_eq!((log.count("undone"), log.count("undo before")), (1, 1));
    assert_eq!(log.count("went on"), 0);
}

// W6
async fn a_wait_has_an_end_too(subject: Subject) {
    let log = Log::default();
    let workflow =
        Workflow::new("w").then(log.step("a")).then(Step::wait("never").timeout(3_600 * SECOND));
    subject.define(workflow).await;
    subject.begin("w", "r").await;
    subject.until("r", "never", StepState::Waiting).await;
    subject.pass(3_600 * SECOND);
    let run = subject.workflows.wait("r").await.unwrap();
    assert_eq!(run.status.state, RunState::Reverted);
    assert_eq!(log.all(), ["a", "undo a"]);
}

async fn a_timed_out_attempt_is_tried_again_if_attempts_are_left(subject: Subject) {
    let log = Log::default();
    let seen = log.clone();
    let step = Step::new("a", move |step: StepContext| {
        let log = seen.clone();
        async move {
            log.note("begun");
            if step.attempt() == 1 {
                std::future::pending::<()>().await;
            }
            Ok(step.attempt())
        }
    });
    let step = step.timeout(SECOND).attempts(2).backoff(SECOND, SECOND);
    subject.define(Workflow::new("w").then(step)).await;
    subject.begin("w", "r").await;
    log.until("begun", 1).await;
    subject.pass(SECOND);
    subject.until_faults("r", "a", 1).await;
    subject.pass(SECOND);
    assert_eq!(subject.workflows.wait("r").await.unwrap().result_as::<u32>().unwrap(), 2);
}

async fn an_answer_that_comes_in_time_counts(subject: Subject) {
    let (go, wait) = oneshot::channel::<()>();
    let (log, wait) = (Log::default(), Arc::new(std::sync::Mutex::new(Some(wait))));
    let begun = log.clone();
    let step = Step::new("a", move |step: StepContext| {
        let (wait, begun) = (wait.lock().unwrap().take(), begun.clone());
        async move {
            assert_eq!(step.time_limit(), Some(10 * SECOND));
            begun.note("begun");
            Ok(wait.unwrap().await?)
        }
    });
    subject.define(Workflow::new("w").then(step.timeout(10 * SECOND))).await;
    subject.begin("w", "r").await;
    log.until("begun", 1).await;
    subject.pass(9 * SECOND);
    go.send(()).unwrap();
    assert_eq!(subject.workflows.wait("r").await.unwrap().status.state, RunState::Done);
}

/// A handler that hangs holds up neither its workflow nor another.
async fn steps_that_hang_hold_up_nobody(subject: Subject) {
    let log = Log::default();
    let hanging = Workflow::new("hangs").then(hangs(&log, "a"));
    subject.workflows.define(hanging).concurrency(4).await.unwrap();
    for n in 0..10 {
        subject.begin("hangs", &format!("h{n}")).await;
    }
    log.until("begun", 4).await;
    subject.define(Workflow::new("well").then(log.step("b"))).await;
    for n in 0..50 {
        subject.end_of("well", &format!("w{n}")).await;
    }
    assert_eq!(log.count("begun"), 4, "no more than were allowed at once");
}

async fn no_more_run_at_once_than_was_said(subject: Subject) {
    let (log, go) = (Log::default(), Arc::new(Semaphore::new(0)));
    let (seen, gate) = (log.clone(), Arc::clone(&go));
    let step = Step::new("a", move |_| {
        let (log, gate) = (seen.clone(), Arc::clone(&gate));
        async move {
            log.note("begun");
            gate.acquire().await?.forget();
            log.note("ended");
            Ok(())
        }
    });
    let workflow = Workflow::new("w").then(step);
    subject.workflows.define(workflow).concurrency(3).await.unwrap();
    for n in 0..30 {
        subject.begin("w", &n.to_string()).await;
    }
    for n in 0..30 {
        log.until("begun", (n + 3).min(30)).await;
        assert!(log.count("begun") - log.count("ended") <= 3);
        go.add_permits(1);
        log.until("ended", n + 1).await;
    }
    for n in 0..30 {
        subject.workflows.wait(&n.to_string()).await.unwrap();
    }
    assert_eq!(log.count("begun"), 30);
}

for_every_provider! {
    an_attempt_whose_time_is_up_is_stopped_and_undone,
    a_run_whose_time_is_up_stops_what_is_under_way,
    a_wait_has_an_end_too,
    a_timed_out_attempt_is_tried_again_if_attempts_are_left,
    an_answer_that_comes_in_time_counts,
    steps_that_hang_hold_up_nobody,
    no_more_run_at_once_than_was_said,
}
