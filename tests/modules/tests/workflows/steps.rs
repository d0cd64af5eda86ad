//! What steps do, in which order, with what.

use std::sync::Arc;

use serde_json::{Value, json};
use stheno::{Condition, Outcome, RunState, Step, StepContext, StepState, Workflow};
use tokio::sync::Barrier;

use crate::{Log, Subject, states};

// W1
async fn steps_run_in_their_order_and_the_result_is_the_last_ones(subject: Subject) {
    let log = Log::default();
    let add = |id: &'static str, before: &'static str| {
        let log = log.clone();
        Step::new(id, move |step: StepContext| {
            let log = log.clone();
            async move {
                log.note(id);
                let before: u32 =
                    if before.is_empty() { step.input()? } else { step.result(before)? };
                Ok(before + 1)
            }
        })
    };
    let workflow = Workflow::new("w").then(add("a", "")).then(add("b", "a")).then(add("c", "b"));
    subject.define(workflow).await;
    let result: u32 = subject.workflows.run("w", &39).await.unwrap();
    assert_eq!((result, log.all()), (42, ["a", "b", "c"].map(String::from).to_vec()));
}

async fn a_step_sees_the_input_and_every_result_before_it_as_they_were(subject: Subject) {
    let workflow = Workflow::new("w")
        .then(Step::new("bytes", async |_| Ok(Outcome::<()>::Bytes(vec![0, 255, 10]))))
        .then(Step::new("json", async |_| Ok(json!({"b": 1, "a": [1.5, null]}))))
        .then(Step::new("looks", async |step: StepContext| {
            assert_eq!(step.input_bytes(), b"{\"n\": 1.50}");
            assert_eq!(step.result_bytes("bytes"), Some(&[0, 255, 10][..]));
            assert!(step.result::<Value>("looks").is_err());
            assert_eq!(step.result_if_any::<Value>("nobody")?, None);
            assert_eq!((step.run(), step.workflow(), step.attempt()), ("r", "w", 1));
            assert_eq!((step.attempts(), step.idempotency_key().as_str()), (1, "r/looks"));
            Ok(step.result::<Value>("json")?)
        }))
        .result_from("json");
    subject.define(workflow).await;
    let start = subject.workflows.start_bytes("w", b"{\"n\": 1.50}".to_vec()).id("r");
    assert!(start.await.unwrap().new);
    let run = subject.workflows.wait("r").await.unwrap();
    assert_eq!(run.status.state, RunState::Done, "{run:?}");
    assert_eq!(run.result_as::<Value>().unwrap(), json!({"b": 1, "a": [1.5, null]}));
    assert_eq!(run.step("bytes").unwrap().result.as_deref(), Some(&[0, 255, 10][..]));
    assert_eq!(run.input, b"{\"n\": 1.50}");
}

// W2
async fn steps_written_together_run_at_the_same_time(subject: Subject) {
    let log = Log::default();
    // Each waits for the other, so one after the other they would never end.
    let barrier = Arc::new(Barrier::new(2));
    let meet = |id: &'static str| {
        let (barrier, log) = (Arc::clone(&barrier), log.clone());
        Step::new(id, move |_| {
            let (barrier, log) = (Arc::clone(&barrier), log.clone());
            async move {
                barrier.wait().await;
                log.note("met");
                Ok(())
            }
        })
    };
    let workflow = Workflow::new("w")
        .then(log.step("before"))
        .together([meet("a"), meet("b")])
        .then(log.step("after"));
    subject.define(workflow).await;
    subject.end_of("w", "r").await;
    assert_eq!(log.all(), ["before", "met", "met", "after"]);
}

// W2
async fn a_step_that_nobody_waits_for_holds_up_the_end_and_nothing_else(subject: Subject) {
    let log = Log::default();
    let workflow = Workflow::new("w")
        .then(log.step("a"))
        .then(Step::wait("slow").no_wait())
        .then(log.step("b"));
    subject.define(workflow).await;
    subject.begin("w", "r").await;
    subject.until("r", "b", StepState::Done).await;
    let run = subject.get("r").await;
    assert_eq!(run.status.state, RunState::Running);
    assert_eq!(run.step("slow").unwrap().state, StepState::Waiting);
    subject.workflows.complete("r", "slow", &5).await.unwrap();
    let result: String = subject.workflows.wait("r").await.unwrap().done().unwrap();
    assert_eq!(result, "b");
}

// W2
async fn conditions_decide_what_is_done(subject: Subject) {
    let (log, input) = (Log::default(), json!({"a": {"b": [1, 0]}, "empty": [], "null": null}));
    for (n, (condition, holds)) in [
        (Condition::input("").present(), true),
        (Condition::input("/a/b/0").equals(1), true),
        (Condition::input("/a/b/0").equals(1.0), true),
        (Condition::input("/a/b/0").equals(2), false),
        (Condition::input("/a").equals(json!({"b": [1, 0]})), true),
        (Condition::input("/a/b/1").truthy(), false),
        (Condition::input("/a/b/1").present(), true),
        (Condition::input("/empty").truthy(), false),
        (Condition::input("/null").present(), false),
        (Condition::input("/null").present().negated(), true),
        (Condition::input("/nowhere").present(), false),
        (Condition::result("first", "").equals("first"), true),
        (Condition::result("skipped", "").present(), false),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("w{n}");
        let skipped = Step::new("skipped", async |_| Ok(Outcome::<()>::Skipped));
        let workflow = Workflow::new(&id)
            .then(log.step("first"))
            .then(skipped)
            .then(log.step("conditional").when(condition.clone()))
            .then(log.step("last"));
        subject.define(workflow).await;
        subject.workflows.start(&id, &input).id(&id).await.unwrap();
        let run = subject.workflows.wait(&id).await.unwrap();
        let state = if holds { StepState::Done } else { StepState::Skipped };
        let expected = [StepState::Done, StepState::Skipped, state, StepState::Done];
        assert_eq!(states(&run), expected, "{condition:?}");
        assert_eq!(run.status.state, RunState::Done);
    }
}

async fn a_run_whose_steps_are_all_skipped_is_done(subject: Subject) {
    let never = || Condition::input("/never").present();
    let log = Log::default();
    let workflow = Workflow::new("w").then(log.step("a").when(never()));
    subject.define(workflow.then(log.step("b").when(never()))).await;
    let nothing: () = subject.workflows.run("w", &()).await.unwrap();
    assert_eq!((nothing, log.all()), ((), Vec::new()));
}

async fn a_graph_begins_each_step_when_those_before_it_have_ended(subject: Subject) {
    let log = Log::default();
    let none = Vec::<String>::new();
    let workflow = Workflow::new("w")
        .then(Step::wait("left").after(none.clone()))
        .then(Step::wait("right").after(none))
        .then(log.step("after left").after(["left"]))
        .then(log.step("after both").after(["left", "right"]));
    subject.define(workflow).await;
    subject.begin("w", "r").await;
    subject.until("r", "right", StepState::Waiting).await;
    subject.workflows.complete("r", "left", &()).await.unwrap();
    subject.until("r", "after left", StepState::Done).await;
    assert_eq!(subject.get("r").await.step("after both").unwrap().state, StepState::Pending);
    subject.workflows.complete("r", "right", &()).await.unwrap();
    subject.workflows.wait("r").await.unwrap();
    assert_eq!(log.all(), ["after left", "after both"]);
}

async fn a_run_keeps_the_definition_that_it_was_started_with(subject: Subject) {
    let log = Log::default();
    let first = Workflow::new("w").then(Step::wait("gate")).then(log.step("old"));
    let worker = subject.define(first).await;
    subject.begin("w", "before").await;
    worker.stop().await;
    let second = Workflow::new("w").then(log.step("old")).then(log.step("new"));
    subject.define(second).await;
    subject.end_of("w", "after").await;
    subject.workflows.complete("before", "gate", &()).await.unwrap();
    let run = subject.workflows.wait("before").await.unwrap();
    assert_eq!(run.steps.len(), 2);
    assert_eq!(log.all(), ["old", "new", "old"]);
}

for_every_provider! {
    steps_run_in_their_order_and_the_result_is_the_last_ones,
    a_step_sees_the_input_and_every_result_before_it_as_they_were,
    steps_written_together_run_at_the_same_time,
    a_step_that_nobody_waits_for_holds_up_the_end_and_nothing_else,
    conditions_decide_what_is_done,
    a_run_whose_steps_are_all_skipped_is_done,
    a_graph_begins_each_step_when_those_before_it_have_ended,
    a_run_keeps_the_definition_that_it_was_started_with,
}
