//! Tasks, for those who run handlers themselves.

use std::time::Duration;

use stheno::{RunState, Step, StepState, Task, TaskAction, TaskSelector, TaskVerdict, Workflow};

use crate::{LEASE, Log, SECOND, Subject};

impl Subject {
    /// All that is due.
    async fn pull(&self, workflow: &str) -> Vec<Task> {
        let selector = vec![TaskSelector::workflow(workflow)];
        self.workflows.pull_now(selector, 1_000, LEASE).await.unwrap().tasks
    }

    async fn pull_one(&self, workflow: &str) -> Task {
        let mut tasks = self.pull(workflow).await;
        assert_eq!(tasks.len(), 1, "{tasks:?}");
        tasks.remove(0)
    }

    async fn settle(&self, task: &Task, verdict: TaskVerdict) {
        let lost = self.workflows.settle(vec![(task.token.clone(), verdict)]).await.unwrap();
        assert!(lost.is_empty(), "{task:?}");
    }
}

fn done() -> TaskVerdict {
    TaskVerdict::Done(b"1".to_vec())
}

async fn two_steps(subject: &Subject) {
    let workflow = Workflow::new("w").then(Step::elsewhere("a").compensates_elsewhere());
    let workflow = workflow.then(Step::elsewhere("b"));
    subject.define(workflow).await;
}

async fn a_task_is_one_workers_until_its_lease_ends(subject: Subject) {
    two_steps(&subject).await;
    subject.begin("w", "r").await;
    let task = subject.pull_one("w").await;
    assert_eq!((task.step.as_str(), task.action, task.attempt), ("a", TaskAction::Invoke, 1));
    assert_eq!(subject.pull("w").await, []);
    subject.pass(LEASE - Duration::from_millis(1));
    let extended = subject.workflows.extend(vec![task.token.clone(), "x".into()], LEASE).await;
    assert_eq!(extended.unwrap(), ["x"]);
    subject.pass(LEASE - Duration::from_millis(1));
    assert_eq!(subject.pull("w").await, []);
    subject.pass(Duration::from_millis(1));
    let again = subject.pull_one("w").await;
    assert_ne!(again.token, task.token);
    // The first one is not listened to any more.
    let late = vec![(task.token.clone(), TaskVerdict::Rejected("late".into()))];
    let lost = subject.workflows.settle(late).await.unwrap();
    assert_eq!(lost, std::slice::from_ref(&task.token));
    assert_eq!(subject.workflows.extend(vec![task.token.clone()], LEASE).await.unwrap().len(), 1);
    subject.settle(&again, done()).await;
    let twice = subject.workflows.settle(vec![(again.token, done())]).await.unwrap();
    assert_eq!(twice.len(), 1);
    let task = subject.pull_one("w").await;
    assert_eq!(
        (task.step.as_str(), task.results.clone()),
        ("b", vec![("a".into(), b"1".to_vec())])
    );
    subject.settle(&task, done()).await;
    assert_eq!(subject.get("r").await.status.state, RunState::Done);
}

async fn a_worker_takes_only_what_it_names(subject: Subject) {
    let workflow = Workflow::new("w").together([Step::elsewhere("a"), Step::elsewhere("b")]);
    subject.define(workflow).await;
    subject.begin("w", "r").await;
    let of = |steps: &[&str]| {
        let steps = steps.iter().map(|step| (*step).to_owned()).collect();
        vec![TaskSelector { workflow: "w".into(), steps }]
    };
    let pull = async |steps: &[&str]| {
        let pulled = subject.workflows.pull_now(of(steps), 10, LEASE).await.unwrap();
        pulled.tasks.into_iter().map(|task| task.step).collect::<Vec<_>>()
    };
    assert_eq!(pull(&["c"]).await, Vec::<String>::new());
    assert_eq!(pull(&["b"]).await, ["b"]);
    assert_eq!(pull(&["a", "b"]).await, ["a"]);
}

async fn what_is_returned_is_due_again_and_does_not_count(subject: Subject) {
    two_steps(&subject).await;
    subject.begin("w", "r").await;
    for _ in 0..3 {
        let task = subject.pull_one("w").await;
        assert_eq!(task.attempt, 1);
        subject.settle(&task, TaskVerdict::Returned).await;
    }
    subject.settle(&subject.pull_one("w").await, TaskVerdict::Skipped).await;
    assert_eq!(subject.get("r").await.steps[0].state, StepState::Skipped);
}

async fn a_worker_may_do_the_compensation(subject: Subject) {
    two_steps(&subject).await;
    subject.begin("w", "r").await;
    subject.settle(&subject.pull_one("w").await, done()).await;
    subject.settle(&subject.pull_one("w").await, TaskVerdict::Rejected("no".into())).await;
    let task = subject.pull_one("w").await;
    assert_eq!((task.step.as_str(), task.action), ("a", TaskAction::Compensate));
    assert_eq!(task.results, [("a".to_owned(), b"1".to_vec())]);
    subject.settle(&task, done()).await;
    assert_eq!(subject.get("r").await.status.state, RunState::Reverted);
}

async fn who_waits_is_woken_and_what_nobody_took_is_given_back(subject: Subject) {
    two_steps(&subject).await;
    let workflows = subject.workflows.clone();
    let selector = || vec![TaskSelector::workflow("w")];
    for n in 0..20 {
        let run = format!("r{n}");
        let waits = tokio::spawn({
            let workflows = workflows.clone();
            async move { workflows.pull(selector(), 10, 3_600 * SECOND, LEASE).await }
        });
        tokio::task::yield_now().await;
        subject.begin("w", &run).await;
        if n % 2 == 0 {
            waits.abort();
            match waits.await {
                // It had them already.
                Ok(taken) => assert_eq!(taken.unwrap()[0].run, run),
                Err(_) => {
                    let again = workflows.pull(selector(), 1, 3_600 * SECOND, LEASE).await.unwrap();
                    assert_eq!((again[0].run.as_str(), again[0].attempt), (run.as_str(), 1));
                }
            }
        } else {
            assert_eq!(waits.await.unwrap().unwrap()[0].run, run);
        }
    }
}

/// A slow handler keeps its task: the lease is renewed while it runs.
async fn a_slow_handler_keeps_its_task(subject: Subject) {
    let log = Log::default();
    let go = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let (seen, gate) = (log.clone(), std::sync::Arc::clone(&go));
    let step = Step::new("a", move |_| {
        let (log, gate) = (seen.clone(), std::sync::Arc::clone(&gate));
        async move {
            log.note("begun");
            gate.acquire().await?.forget();
            Ok(())
        }
    });
    subject.define(Workflow::new("w").then(step)).await;
    subject.define(Workflow::new("other").then(log.step("tick"))).await;
    subject.begin("w", "r").await;
    log.until("begun", 1).await;
    // Five leases long, in steps that are well within a third of one. Each ends
    // only when the loop has come round.
    for n in 1..=50 {
        subject.pass(3 * SECOND);
        subject.end_of("other", &format!("t{n}")).await;
    }
    go.add_permits(1);
    assert_eq!(subject.workflows.wait("r").await.unwrap().status.state, RunState::Done);
    assert_eq!(log.count("begun"), 1);
}

// W17
async fn what_was_lost_with_its_worker_is_done_by_another(subject: Subject) {
    let log = Log::default();
    subject.define(Workflow::new("w").then(Step::elsewhere("a"))).await;
    subject.begin("w", "r").await;
    // Somebody takes it and is never heard of again.
    subject.pull_one("w").await;
    subject.workflows.remove_definition("w").await.unwrap();
    subject.pass(LEASE);
    let task = subject.pull_one("w").await;
    assert_eq!(task.attempt, 1, "one that was lost is not counted");
    subject.settle(&task, done()).await;
    assert_eq!(subject.get("r").await.status.state, RunState::Done);
    drop(log);
}

for_every_provider! {
    a_task_is_one_workers_until_its_lease_ends,
    a_worker_takes_only_what_it_names,
    what_is_returned_is_due_again_and_does_not_count,
    a_worker_may_do_the_compensation,
    who_waits_is_woken_and_what_nobody_took_is_given_back,
    a_slow_handler_keeps_its_task,
    what_was_lost_with_its_worker_is_done_by_another,
}
