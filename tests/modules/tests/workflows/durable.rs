//! What survives the provider's process where the provider is durable. That it
//! also survives being killed is for `tests/crash`.

use stheno::{RunState, Schedule, Step, StepState, Workflow};

use crate::{LEASE, Log, SECOND, Subject, busy};

// W16
async fn a_run_goes_on_where_it_was_after_a_restart(subject: Subject) {
    let log = Log::default();
    let workflow = |log: &Log| {
        Workflow::new("w").then(log.step("a")).then(Step::wait("gate")).then(log.step("b"))
    };
    subject.define(workflow(&log)).await;
    subject.begin("w", "r").await;
    subject.until("r", "gate", StepState::Waiting).await;
    let subject = subject.restart().await;
    subject.define(workflow(&log)).await;
    subject.workflows.complete("r", "gate", &()).await.unwrap();
    assert_eq!(subject.workflows.wait("r").await.unwrap().status.state, RunState::Done);
    let subject = subject.restart().await;
    assert_eq!(subject.get("r").await.result_as::<String>().unwrap(), "b");
    assert_eq!(log.all(), ["a", "b"]);
}

// W16
async fn a_pause_and_a_timeout_survive_a_restart(subject: Subject) {
    let log = Log::default();
    let retried = |log: &Log| {
        let step = log.failing("a", 1, busy).attempts(2).backoff(10 * SECOND, 10 * SECOND);
        Workflow::new("retried").then(step)
    };
    subject.define(retried(&log)).await;
    let late = Workflow::new("late").then(Step::wait("a").timeout(100 * SECOND));
    subject.define(late).await;
    subject.begin("retried", "r1").await;
    subject.begin("late", "r2").await;
    subject.until_faults("r1", "a", 1).await;
    let subject = subject.restart().await;
    subject.define(retried(&log)).await;
    subject.pass(10 * SECOND);
    assert_eq!(subject.workflows.wait("r1").await.unwrap().result_as::<u32>().unwrap(), 2);
    subject.pass(90 * SECOND);
    assert_eq!(subject.workflows.wait("r2").await.unwrap().status.state, RunState::Reverted);
}

// W17
async fn a_task_that_nobody_settled_is_done_by_the_next_process(subject: Subject) {
    let log = Log::default();
    subject.define(Workflow::new("w").then(Step::elsewhere("a"))).await;
    subject.begin("w", "r").await;
    let selector = vec![stheno::TaskSelector::workflow("w")];
    let taken = subject.workflows.pull_now(selector, 1, LEASE).await.unwrap();
    assert_eq!(taken.tasks.len(), 1);
    let subject = subject.restart().await;
    subject.define(Workflow::new("w").then(log.step("a"))).await;
    subject.pass(LEASE);
    assert_eq!(subject.workflows.wait("r").await.unwrap().status.state, RunState::Done);
    assert_eq!(log.all(), ["a"]);
}

// W13, W16
async fn definitions_and_schedules_survive_a_restart(subject: Subject) {
    subject.define(Workflow::new("w").then(Step::wait("a"))).await;
    subject.workflows.schedule(Schedule::every("s", "w", 60 * SECOND)).await.unwrap();
    subject.pass(10 * SECOND);
    let before = subject.workflows.schedules().await.unwrap();
    let defined = subject.workflows.definitions().await.unwrap();
    let subject = subject.restart().await;
    assert_eq!(subject.workflows.schedules().await.unwrap(), before);
    assert_eq!(subject.workflows.definitions().await.unwrap(), defined);
}

for_every_provider! {
    durable:
    a_run_goes_on_where_it_was_after_a_restart,
    a_pause_and_a_timeout_survive_a_restart,
    a_task_that_nobody_settled_is_done_by_the_next_process,
    definitions_and_schedules_survive_a_restart,
}
