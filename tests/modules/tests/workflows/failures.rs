//! What becomes of steps that fail, and of what was done before.

use std::time::Duration;

use stheno::{
    CauseKind, ErrorKind, OnFailure, RunError, RunState, Step, StepContext, StepState, Workflow,
};

use crate::{Log, SECOND, Subject, assert_kind, busy, never, states};

// W1
async fn what_was_done_is_undone_in_reverse(subject: Subject) {
    let log = Log::default();
    let workflow = Workflow::new("w")
        .then(log.step("a"))
        .together([log.step("b"), log.step("c")])
        .then(log.step("d"))
        .then(log.failing("e", 9, never))
        .then(log.step("f"));
    subject.define(workflow).await;
    let error = subject.workflows.run::<()>("w", &()).id("r").await.unwrap_err();
    assert!(error.to_string().contains("step \"e\" failed: never"), "{error}");
    let cause = error.cause().unwrap();
    assert_eq!((cause.kind, cause.step.as_deref()), (CauseKind::StepFailed, Some("e")));
    let RunError::NotDone(run) = error else { panic!("{error}") };
    assert_eq!(run.status.state, RunState::Reverted);
    use StepState::{Failed, PassedOver, Reverted};
    assert_eq!(states(&run), [Reverted, Reverted, Reverted, Reverted, Failed, PassedOver]);
    let mut undone = log.all().split_off(5);
    assert_eq!(undone.first().unwrap(), "undo d");
    assert_eq!(undone.last().unwrap(), "undo a");
    undone[1..3].sort();
    assert_eq!(undone, ["undo d", "undo b", "undo c", "undo a"]);
}

async fn a_compensation_has_the_steps_own_result(subject: Subject) {
    let log = Log::default();
    let seen = log.clone();
    let step = Step::new("a", async |_| Ok(7)).compensate(move |step: StepContext| {
        let seen = seen.clone();
        async move {
            assert_eq!(step.idempotency_key(), "r/a/compensate");
            seen.note(step.result::<u32>("a")?.to_string());
            Ok(())
        }
    });
    subject.define(Workflow::new("w").then(step).then(log.failing("b", 9, never))).await;
    subject.end_of("w", "r").await;
    assert_eq!(log.all(), ["b", "7"]);
}

// W3
async fn a_failed_attempt_is_repeated_after_its_pause(subject: Subject) {
    let log = Log::default();
    let step = log.failing("a", 2, busy).attempts(3).backoff(10 * SECOND, 100 * SECOND);
    subject.define(Workflow::new("w").then(step)).await;
    subject.begin("w", "r").await;
    for attempt in 1..=2 {
        subject.until_faults("r", "a", attempt).await;
        assert_eq!(log.count("a"), attempt);
        // At least half of the pause, at most all of it.
        let pause = u32::try_from(attempt).unwrap() * 10 * SECOND;
        subject.pass(pause / 2 - Duration::from_millis(1));
        tokio::task::yield_now().await;
        assert_eq!(log.count("a"), attempt);
        subject.pass(pause / 2 + Duration::from_millis(1));
        log.until("a", attempt + 1).await;
    }
    let run = subject.workflows.wait("r").await.unwrap();
    assert_eq!(run.result_as::<u32>().unwrap(), 3);
    let faults = &run.steps[0].faults;
    assert_eq!((faults[1].attempt, faults[1].reason.as_str()), (2, "busy"));
}

// W3
async fn the_last_attempt_is_the_last_and_a_rejection_is_too(subject: Subject) {
    let log = Log::default();
    let tired = log.failing("tired", 9, busy).attempts(2).backoff(Duration::ZERO, Duration::ZERO);
    subject.define(Workflow::new("tired").then(tired)).await;
    let run = subject.end_of("tired", "r1").await;
    assert_eq!((run.status.state, log.count("tired")), (RunState::Reverted, 2));
    let rejects = log.failing("rejects", 9, never).attempts(5);
    subject.define(Workflow::new("rejects").then(rejects)).await;
    let run = subject.end_of("rejects", "r2").await;
    assert_eq!((run.status.state, log.count("rejects")), (RunState::Reverted, 1));
}

async fn a_panic_is_a_failure_and_costs_no_other(subject: Subject) {
    let log = Log::default();
    for waits in [false, true] {
        let id = format!("panics {waits}");
        let step = Step::new("a", move |_: StepContext| async move {
            if waits {
                tokio::task::yield_now().await;
            }
            panic!("oh no");
            #[allow(unreachable_code, reason = "it has a type")]
            Ok(())
        });
        subject.define(Workflow::new(&id).then(step)).await;
        let run = subject.end_of(&id, &id).await;
        assert!(run.status.cause.unwrap().reason.contains("panicked: oh no"));
    }
    subject.define(Workflow::new("well").then(log.step("a"))).await;
    assert_eq!(subject.end_of("well", "r").await.status.state, RunState::Done);
}

// W3, W18
async fn one_that_is_repeated_by_hand_waits_for_it(subject: Subject) {
    let log = Log::default();
    let step = log.failing("a", 1, busy).attempts(3).retry_by_hand();
    subject.define(Workflow::new("w").then(step)).await;
    subject.begin("w", "r").await;
    subject.until("r", "a", StepState::Stalled).await;
    subject.pass(3_600 * SECOND);
    tokio::task::yield_now().await;
    assert_eq!(log.count("a"), 1);
    subject.workflows.retry("r", "a").await.unwrap();
    assert_eq!(subject.workflows.wait("r").await.unwrap().status.state, RunState::Done);
    assert_eq!(log.count("a"), 2);
}

// W18
async fn a_retry_by_hand_does_not_wait_for_the_pause(subject: Subject) {
    let log = Log::default();
    let step = log.failing("a", 1, busy).attempts(2).backoff(3_600 * SECOND, 3_600 * SECOND);
    subject.define(Workflow::new("w").then(step)).await;
    subject.begin("w", "r").await;
    subject.until_faults("r", "a", 1).await;
    assert_eq!(log.count("a"), 1);
    subject.workflows.retry("r", "a").await.unwrap();
    assert_eq!(subject.workflows.wait("r").await.unwrap().status.state, RunState::Done);
    assert_eq!(log.count("a"), 2);
    assert_kind(subject.workflows.retry("r", "a").await, ErrorKind::Conflict);
}

// W7
async fn a_run_can_go_on_without_a_step(subject: Subject) {
    use StepState::{Done, Failed, PassedOver};
    for (then, expected) in [
        (OnFailure::Proceed, [Failed, Done, Done, Done]),
        (OnFailure::SkipTo("c".into()), [Failed, PassedOver, Done, Done]),
        (OnFailure::SkipRest, [Failed, PassedOver, PassedOver, PassedOver]),
    ] {
        let log = Log::default();
        let id = format!("{then:?}");
        let workflow = Workflow::new(&id)
            .then(log.failing("a", 9, never).on_failure(then))
            .then(log.step("b"))
            .then(log.step("c"))
            .then(log.step("d"));
        subject.define(workflow).await;
        let run = subject.end_of(&id, &id).await;
        assert_eq!((run.status.state, states(&run)), (RunState::Done, expected.to_vec()), "{id}");
        assert!(run.status.cause.is_none());
    }
}

// W18
async fn a_compensation_that_fails_for_good_stops_there_and_goes_on_by_hand(subject: Subject) {
    let log = Log::default();
    let (attempts, well) = (log.clone(), log.clone());
    let stubborn = Step::new("b", async |_| Ok(())).compensate(move |_| {
        let (attempts, well) = (attempts.clone(), well.clone());
        async move {
            attempts.note("undo b");
            if well.count("well") == 0 { Err(never()) } else { Ok(()) }
        }
    });
    let workflow =
        Workflow::new("w").then(log.step("a")).then(stubborn).then(log.failing("c", 9, never));
    subject.define(workflow).await;
    let run = subject.end_of("w", "r").await;
    assert_eq!(run.status.state, RunState::Failed);
    assert_eq!(states(&run), [StepState::Done, StepState::Stuck, StepState::Failed]);
    assert_eq!(log.all(), ["a", "c", "undo b"]);
    let text = run.done::<()>().unwrap_err().to_string();
    assert!(text.contains("the compensation of step \"b\" failed: never"), "{text}");
    log.note("well");
    subject.workflows.retry("r", "b").await.unwrap();
    subject.until_run("r", RunState::Reverted).await;
    assert_eq!(log.all(), ["a", "c", "undo b", "well", "undo b", "undo a"]);
    assert_kind(subject.workflows.retry("r", "b").await, ErrorKind::Conflict);
}

async fn siblings_under_way_are_waited_for_and_then_undone(subject: Subject) {
    let log = Log::default();
    let workflow =
        Workflow::new("w").together([Step::wait("slow"), log.failing("fails", 9, never)]);
    subject.define(workflow).await;
    subject.begin("w", "r").await;
    subject.until_faults("r", "fails", 1).await;
    let run = subject.get("r").await;
    assert_eq!(run.status.state, RunState::Stopping, "{run:?}");
    subject.workflows.complete("r", "slow", &()).await.unwrap();
    let run = subject.workflows.wait("r").await.unwrap();
    assert_eq!(states(&run), [StepState::Reverted, StepState::Failed]);
}

for_every_provider! {
    what_was_done_is_undone_in_reverse,
    a_compensation_has_the_steps_own_result,
    a_failed_attempt_is_repeated_after_its_pause,
    the_last_attempt_is_the_last_and_a_rejection_is_too,
    a_panic_is_a_failure_and_costs_no_other,
    one_that_is_repeated_by_hand_waits_for_it,
    a_retry_by_hand_does_not_wait_for_the_pause,
    a_run_can_go_on_without_a_step,
    a_compensation_that_fails_for_good_stops_there_and_goes_on_by_hand,
    siblings_under_way_are_waited_for_and_then_undone,
}
