//! Runs within runs.

use stheno::{RunFilter, RunState, Step, StepContext, StepState, Workflow};

use crate::{Log, Subject, never};

// W5
async fn a_nested_run_gives_its_result_to_the_step(subject: Subject) {
    let double = Step::new("d", async |step: StepContext| Ok(step.input::<u32>()? * 2));
    subject.define(Workflow::new("double").then(double)).await;
    let workflow = Workflow::new("w")
        .then(Step::nested("of input", "double"))
        .then(Step::nested("of result", "double").input_from("of input"));
    subject.define(workflow).await;
    subject.workflows.start("w", &5).id("r").await.unwrap();
    let run = subject.workflows.wait("r").await.unwrap();
    assert_eq!(run.result_as::<u32>().unwrap(), 20);
    let child = subject.get(run.steps[0].child.as_deref().unwrap()).await;
    assert_eq!(child.status.parent, Some(("r".into(), "of input".into())));
    let filter = RunFilter { parent: Some("r".into()), ..RunFilter::default() };
    assert_eq!(subject.workflows.list(filter, None, 10).await.unwrap().items.len(), 2);
}

// W5
async fn a_nested_run_that_fails_fails_the_step(subject: Subject) {
    let log = Log::default();
    let child = Workflow::new("child").then(log.step("c")).then(log.failing("d", 9, never));
    subject.define(child).await;
    let parent = Workflow::new("w").then(log.step("a")).then(Step::nested("n", "child"));
    subject.define(parent).await;
    let run = subject.end_of("w", "r").await;
    assert_eq!(run.status.state, RunState::Reverted);
    assert_eq!(run.step("n").unwrap().state, StepState::Failed);
    assert_eq!(log.all(), ["a", "c", "d", "undo c", "undo a"]);
}

// W5
async fn undoing_the_step_cancels_the_run_that_it_began(subject: Subject) {
    let log = Log::default();
    subject.define(Workflow::new("child").then(log.step("c"))).await;
    let parent = Workflow::new("w")
        .then(log.step("a"))
        .then(Step::nested("n", "child"))
        .then(log.failing("b", 9, never));
    subject.define(parent).await;
    let run = subject.end_of("w", "r").await;
    assert_eq!(run.status.state, RunState::Reverted);
    let child = subject.get(run.step("n").unwrap().child.as_deref().unwrap()).await;
    assert_eq!(child.status.state, RunState::Reverted);
    assert_eq!(log.all(), ["a", "c", "b", "undo c", "undo a"]);
}

async fn cancelling_the_parent_cancels_the_child(subject: Subject) {
    let log = Log::default();
    let child = Workflow::new("child").then(log.step("c")).then(Step::wait("w"));
    subject.define(child).await;
    subject.define(Workflow::new("w").then(Step::nested("n", "child"))).await;
    subject.begin("w", "r").await;
    let child = loop {
        match subject.get("r").await.steps[0].child.clone() {
            Some(child) => break child,
            None => tokio::task::yield_now().await,
        }
    };
    subject.until(&child, "w", StepState::Waiting).await;
    subject.workflows.cancel("r", "no more").await.unwrap();
    // What is under way in the child is waited for.
    if !subject.get(&child).await.status.state.is_ended() {
        drop(subject.workflows.complete(&child, "w", &()).await);
    }
    let run = subject.workflows.wait("r").await.unwrap();
    assert_eq!(run.status.state, RunState::Reverted);
    assert_eq!(subject.get(&child).await.status.state, RunState::Reverted);
    assert_eq!(log.all(), ["c", "undo c"]);
}

for_every_provider! {
    a_nested_run_gives_its_result_to_the_step,
    a_nested_run_that_fails_fails_the_step,
    undoing_the_step_cancels_the_run_that_it_began,
    cancelling_the_parent_cancels_the_child,
}
