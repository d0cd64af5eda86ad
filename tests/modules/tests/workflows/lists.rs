//! Runs that are looked up.

use std::time::{Duration, SystemTime};

use stheno::{ErrorKind, RunFilter, RunState, Step, Workflow};

use crate::{Log, SECOND, Subject, assert_kind, never};

async fn listed(subject: &Subject, filter: RunFilter) -> Vec<String> {
    let page = subject.workflows.list(filter, None, 1_000).await.unwrap();
    assert_eq!(page.next, None);
    page.items.into_iter().map(|run| run.run).collect()
}

// W11
async fn runs_are_found_by_what_is_known_of_them(subject: Subject) {
    let log = Log::default();
    subject.define(Workflow::new("waits").then(Step::wait("a"))).await;
    subject.define(Workflow::new("does").then(log.step("a"))).await;
    subject.define(Workflow::new("fails").then(log.failing("a", 9, never))).await;
    let mut moments: Vec<SystemTime> = Vec::new();
    for (workflow, run) in [("waits", "r1"), ("does", "r2"), ("fails", "r3"), ("waits", "r4")] {
        moments.push(SystemTime::UNIX_EPOCH + subject.time.unix());
        subject.begin(workflow, run).await;
        if workflow != "waits" {
            subject.workflows.wait(run).await.unwrap();
        }
        subject.pass(SECOND);
    }
    let all = RunFilter::default;
    assert_eq!(listed(&subject, all()).await, ["r4", "r3", "r2", "r1"]);
    for (filter, expected) in [
        (RunFilter { workflow: Some("waits".into()), ..all() }, vec!["r4", "r1"]),
        (RunFilter { workflow: Some("nobody".into()), ..all() }, vec![]),
        (RunFilter { states: vec![RunState::Done], ..all() }, vec!["r2"]),
        (RunFilter { states: vec![RunState::Reverted, RunState::Done], ..all() }, vec!["r3", "r2"]),
        (RunFilter { started_from: Some(moments[2]), ..all() }, vec!["r4", "r3"]),
        (RunFilter { started_before: Some(moments[2]), ..all() }, vec!["r2", "r1"]),
        (
            RunFilter {
                workflow: Some("waits".into()),
                states: vec![RunState::Running],
                started_before: Some(moments[3]),
                ..all()
            },
            vec!["r1"],
        ),
    ] {
        assert_eq!(listed(&subject, filter.clone()).await, expected, "{filter:?}");
    }
}

async fn pages_follow_each_other_without_a_gap(subject: Subject) {
    subject.define(Workflow::new("w").then(Step::wait("a"))).await;
    for n in 0..25 {
        subject.begin("w", &format!("r{n:02}")).await;
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = subject.workflows.list(RunFilter::default(), after.as_deref(), 7).await.unwrap();
        assert!(page.items.len() <= 7);
        seen.extend(page.items.into_iter().map(|run| run.run));
        after = page.next;
        if after.is_none() {
            break;
        }
        // What begins meanwhile is before the first page.
        subject.begin("w", &format!("later{}", seen.len())).await;
    }
    let expected: Vec<_> = (0..25).rev().map(|n| format!("r{n:02}")).collect();
    assert_eq!(seen, expected);
}

// W11
async fn what_has_ended_is_kept_for_its_retention_and_no_longer(subject: Subject) {
    let log = Log::default();
    let short = Workflow::new("short").then(log.step("a")).retention(10 * SECOND);
    let long = Workflow::new("long").then(log.failing("a", 9, never)).retention(100 * SECOND);
    subject.define(short).await;
    subject.define(long).await;
    subject.define(Workflow::new("waits").then(Step::wait("a")).retention(SECOND)).await;
    subject.begin("waits", "waits").await;
    subject.end_of("short", "short").await;
    subject.end_of("long", "long").await;
    subject.pass(11 * SECOND);
    assert_eq!(listed(&subject, RunFilter::default()).await, ["long", "waits"]);
    assert_kind(subject.workflows.get("short").await, ErrorKind::NotFound);
    assert_kind(subject.workflows.wait("short").await, ErrorKind::NotFound);
    subject.pass(90 * SECOND);
    assert_eq!(listed(&subject, RunFilter::default()).await, ["waits"]);
}

async fn a_run_says_when_and_how_often(subject: Subject) {
    let log = Log::default();
    let before = subject.time.unix();
    let step = log.failing("a", 1, crate::busy).attempts(2).backoff(SECOND, SECOND);
    subject.define(Workflow::new("w").then(step).then(Step::wait("b"))).await;
    subject.begin("w", "r").await;
    subject.until_faults("r", "a", 1).await;
    subject.pass(SECOND);
    subject.until("r", "b", stheno::StepState::Waiting).await;
    subject.pass(5 * SECOND);
    subject.workflows.complete("r", "b", &()).await.unwrap();
    let run = subject.workflows.wait("r").await.unwrap();
    let at = |offset: Duration| {
        let whole = u64::try_from((before + offset).as_millis()).unwrap();
        Some(SystemTime::UNIX_EPOCH + Duration::from_millis(whole))
    };
    assert_eq!((Some(run.status.started), run.status.ended), (at(Duration::ZERO), at(6 * SECOND)));
    let (a, b) = (&run.steps[0], &run.steps[1]);
    assert_eq!((a.attempts, a.began, a.ended), (2, at(Duration::ZERO), at(SECOND)));
    assert_eq!((a.faults.len(), Some(a.faults[0].at)), (1, at(Duration::ZERO)));
    assert_eq!((b.began, b.ended, b.reverted), (at(SECOND), at(6 * SECOND), None));
}

async fn definitions_are_listed_as_they_were_given(subject: Subject) {
    let log = Log::default();
    let condition = stheno::Condition::result("a", "/x").equals("y").negated();
    let workflow = Workflow::new("w")
        .then(log.step("a").attempts(3).backoff(SECOND, 9 * SECOND).timeout(5 * SECOND))
        .then(Step::wait("b").when(condition.clone()).on_failure(stheno::OnFailure::SkipRest))
        .then(Step::nested("c", "w").input_from("a").retry_by_hand())
        .result_from("a")
        .timeout(60 * SECOND)
        .retention(90 * SECOND)
        .on_finish(async |_| Ok(()));
    subject.define(workflow).await;
    subject.define(Workflow::new("a").then(log.step("a"))).await;
    let all = subject.workflows.definitions().await.unwrap();
    let ids: Vec<_> = all.iter().map(|status| status.definition.id.as_str()).collect();
    assert_eq!(ids, ["a", "w"]);
    let definition = all[1].definition.clone();
    assert_eq!((definition.timeout, definition.retention), (Some(60 * SECOND), Some(90 * SECOND)));
    assert!(definition.finish && definition.steps[0].compensates);
    assert_eq!(definition.steps[1].when, [condition]);
    assert_eq!(definition.steps[1].after, ["a"]);
    // The same again is the same.
    subject.workflows.put_definition(definition.clone()).await.unwrap();
    subject.begin("w", "r").await;
    let again = subject.workflows.definitions().await.unwrap().remove(1);
    assert_eq!((again.definition, again.active), (definition, 1));
}

for_every_provider! {
    runs_are_found_by_what_is_known_of_them,
    pages_follow_each_other_without_a_gap,
    what_has_ended_is_kept_for_its_retention_and_no_longer,
    a_run_says_when_and_how_often,
    definitions_are_listed_as_they_were_given,
}
