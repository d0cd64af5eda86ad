//! A run id runs once.

use stheno::{ErrorKind, Step, StepContext, Workflow};
use tokio::task::JoinSet;

use crate::{Log, SECOND, Subject, assert_kind};

fn counting(log: &Log) -> Workflow {
    let log = log.clone();
    let step = Step::new("a", move |step: StepContext| {
        let log = log.clone();
        async move {
            log.note(step.run());
            Ok(step.input::<u32>()?)
        }
    });
    Workflow::new("w").then(step).retention(60 * SECOND)
}

// W9
async fn a_second_run_of_an_id_finds_the_first_while_it_is_retained(subject: Subject) {
    let log = Log::default();
    subject.define(counting(&log)).await;
    for input in [1, 2] {
        let result: u32 = subject.workflows.run("w", &input).id("r").await.unwrap();
        assert_eq!(result, 1);
    }
    assert!(!subject.workflows.start("w", &3).id("r").await.unwrap().new);
    assert_eq!(log.count("r"), 1);
    subject.pass(61 * SECOND);
    assert_eq!(subject.workflows.run::<u32>("w", &4).id("r").await.unwrap(), 4);
    assert_eq!(log.count("r"), 2);
}

// W10
async fn of_64_callers_with_one_id_one_starts_it(subject: Subject) {
    let log = Log::default();
    subject.define(counting(&log)).await;
    for round in 0..20 {
        let mut callers = JoinSet::new();
        for caller in 0..64_u32 {
            let workflows = subject.workflows.clone();
            callers.spawn(async move {
                let id = format!("r{round}");
                let started = workflows.start("w", &caller).id(&id).await.unwrap();
                let result: u32 = workflows.run("w", &caller).id(&id).await.unwrap();
                (started.new, caller, result)
            });
        }
        let all = callers.join_all().await;
        let new: Vec<_> = all.iter().filter(|(new, ..)| *new).collect();
        assert_eq!(new.len(), 1);
        assert!(all.iter().all(|(.., result)| *result == new[0].1), "{all:?}");
        assert_eq!(log.count(&format!("r{round}")), 1);
    }
}

async fn runs_without_an_id_have_one_of_their_own(subject: Subject) {
    let log = Log::default();
    subject.define(counting(&log)).await;
    let mut ids = std::collections::BTreeSet::new();
    for n in 0..100 {
        let started = subject.workflows.start("w", &n).await.unwrap();
        assert!(started.new && ids.insert(started.run));
    }
    for id in &ids {
        subject.workflows.wait(id).await.unwrap();
        assert_eq!(log.count(id), 1);
    }
}

async fn an_id_is_of_one_workflow(subject: Subject) {
    subject.define(Workflow::new("w").then(Step::wait("a"))).await;
    subject.define(Workflow::new("other").then(Step::wait("a"))).await;
    subject.begin("w", "r").await;
    let other = subject.workflows.start("other", &()).id("r").await;
    assert_kind(other, ErrorKind::Conflict);
    let nobody = subject.workflows.start("nobody", &()).await;
    assert!(assert_kind(nobody, ErrorKind::NotFound).contains("`nobody`"));
}

async fn an_undefined_workflow_starts_nothing_and_ends_what_has_begun(subject: Subject) {
    let log = Log::default();
    let workflow = Workflow::new("w").then(Step::wait("a")).then(log.step("b"));
    let worker = subject.define(workflow).await;
    subject.begin("w", "r").await;
    subject.workflows.remove_definition("w").await.unwrap();
    assert_kind(subject.workflows.start("w", &()).await, ErrorKind::NotFound);
    assert_kind(subject.workflows.remove_definition("w").await, ErrorKind::NotFound);
    subject.workflows.complete("r", "a", &()).await.unwrap();
    subject.workflows.wait("r").await.unwrap();
    assert_eq!(log.all(), ["b"]);
    worker.stop().await;
}

for_every_provider! {
    a_second_run_of_an_id_finds_the_first_while_it_is_retained,
    of_64_callers_with_one_id_one_starts_it,
    runs_without_an_id_have_one_of_their_own,
    an_id_is_of_one_workflow,
    an_undefined_workflow_starts_nothing_and_ends_what_has_begun,
}
