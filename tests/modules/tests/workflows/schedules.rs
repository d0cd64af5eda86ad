//! Runs that begin by themselves.

use std::time::Duration;

use stheno::{ErrorKind, Overlap, RunFilter, RunState, Schedule, Step, StepState, Workflow};

use crate::{Log, SECOND, Subject, assert_kind};

async fn runs_of(subject: &Subject, schedule: &str) -> Vec<String> {
    let filter = RunFilter { schedule: Some(schedule.into()), ..RunFilter::default() };
    let page = subject.workflows.list(filter, None, 1_000).await.unwrap();
    page.items.into_iter().map(|run| run.run).collect()
}

async fn until_runs(subject: &Subject, schedule: &str, runs: usize) {
    while runs_of(subject, schedule).await.len() < runs {
        tokio::task::yield_now().await;
    }
}

// W13
async fn an_interval_starts_a_run_each_time(subject: Subject) {
    let log = Log::default();
    subject.define(Workflow::new("w").then(log.step("a"))).await;
    let schedule = Schedule::every("s", "w", 10 * SECOND).input(&5).unwrap();
    subject.workflows.schedule(schedule).await.unwrap();
    subject.pass(9 * SECOND);
    assert_eq!(runs_of(&subject, "s").await, Vec::<String>::new());
    let began = subject.time.unix();
    subject.pass(SECOND);
    log.until("a", 1).await;
    let run = runs_of(&subject, "s").await.remove(0);
    let moment = (began + SECOND).as_millis();
    assert_eq!(run, format!("s@{moment}"));
    let detail = subject.workflows.wait(&run).await.unwrap();
    assert_eq!((detail.input_as::<u32>().unwrap(), detail.status.schedule), (5, Some("s".into())));
    for n in 2..5 {
        subject.pass(10 * SECOND);
        log.until("a", n).await;
        // While one has not ended the next is passed over.
        let run = runs_of(&subject, "s").await.remove(0);
        subject.workflows.wait(&run).await.unwrap();
    }
    subject.workflows.unschedule("s").await.unwrap();
    assert_kind(subject.workflows.unschedule("s").await, ErrorKind::NotFound);
    subject.pass(100 * SECOND);
    assert_eq!(subject.workflows.schedules().await.unwrap(), []);
    assert_eq!(log.count("a"), 4);
}

// W13
async fn a_calendar_follows_its_time_zone(subject: Subject) {
    // The clock begins at 2000-01-01T00:00:00Z, a Saturday; Berlin is at 01:00.
    let log = Log::default();
    subject.define(Workflow::new("w").then(log.step("a"))).await;
    for (id, expression, zone, first_s) in [
        ("utc", "0 3 * * *", "UTC", 3 * 3_600),
        ("berlin", "0 3 * * *", "Europe/Berlin", 2 * 3_600),
        ("seconds", "30 0 0 * * *", "UTC", 30),
        ("monday", "0 0 * * MON", "UTC", 2 * 86_400),
        ("list", "15,45 */6 1-5 jan *", "UTC", 15 * 60),
    ] {
        let schedule = Schedule::cron(id, "w", expression).time_zone(zone);
        subject.workflows.schedule(schedule).await.unwrap();
        let all = subject.workflows.schedules().await.unwrap();
        let status = all.iter().find(|status| status.schedule.id == id).unwrap();
        let next = status.next.unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        let begins = Duration::from_secs(946_684_800);
        assert_eq!(next, begins + Duration::from_secs(first_s), "{id}");
    }
    subject.pass(Duration::from_secs(2 * 3_600));
    until_runs(&subject, "berlin", 1).await;
    assert_eq!(runs_of(&subject, "utc").await, Vec::<String>::new());
}

// W13
async fn a_schedule_ends_after_so_many_runs(subject: Subject) {
    let log = Log::default();
    subject.define(Workflow::new("w").then(log.step("a"))).await;
    let schedule = Schedule::every("s", "w", SECOND).max_runs(3);
    subject.workflows.schedule(schedule).await.unwrap();
    for n in 1..=3 {
        subject.pass(SECOND);
        log.until("a", n).await;
        subject.workflows.wait(&runs_of(&subject, "s").await[0]).await.unwrap();
    }
    assert_eq!(subject.workflows.schedules().await.unwrap(), []);
}

// W13
async fn a_schedule_goes_with_its_workflow(subject: Subject) {
    subject.define(Workflow::new("w").then(Step::wait("a"))).await;
    subject.workflows.schedule(Schedule::every("s", "w", SECOND)).await.unwrap();
    subject.workflows.remove_definition("w").await.unwrap();
    assert_eq!(subject.workflows.schedules().await.unwrap(), []);
    let missing = subject.workflows.schedule(Schedule::every("s", "w", SECOND)).await;
    assert_kind(missing, ErrorKind::NotFound);
}

// W15
async fn what_overlap_says_holds(subject: Subject) {
    subject.define(Workflow::new("w").then(Step::wait("a"))).await;
    for (id, overlap) in
        [("skip", Overlap::Skip), ("allow", Overlap::Allow), ("replace", Overlap::Replace)]
    {
        let schedule = Schedule::every(id, "w", 10 * SECOND).overlap(overlap);
        subject.workflows.schedule(schedule).await.unwrap();
    }
    for n in 1..=3 {
        subject.pass(10 * SECOND);
        until_runs(&subject, "allow", n).await;
    }
    let all = subject.workflows.schedules().await.unwrap();
    let counts: Vec<_> = all.iter().map(|s| (s.schedule.id.as_str(), s.runs, s.skipped)).collect();
    assert_eq!(counts, [("allow", 3, 0), ("replace", 3, 0), ("skip", 1, 2)]);
    assert_eq!(runs_of(&subject, "skip").await.len(), 1);
    // Only the last one of those that were replaced goes on.
    let replaced = runs_of(&subject, "replace").await;
    assert_eq!(subject.get(&replaced[0]).await.status.state, RunState::Running);
    for run in &replaced[1..] {
        assert_ne!(subject.get(run).await.status.state, RunState::Running);
    }
    // Once it has ended the next moment counts again.
    let run = runs_of(&subject, "skip").await.remove(0);
    subject.workflows.complete(&run, "a", &()).await.unwrap();
    subject.pass(10 * SECOND);
    until_runs(&subject, "skip", 2).await;
}

// W14
async fn a_moment_starts_one_run_however_many_look(subject: Subject) {
    let log = Log::default();
    subject.define(Workflow::new("w").then(log.step("a"))).await;
    let schedule = Schedule::every("s", "w", SECOND).overlap(Overlap::Allow);
    subject.workflows.schedule(schedule).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let others: Vec<_> = (0..8)
        .map(|_| {
            let (workflows, stop) = (subject.workflows.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let selector = vec![TaskSelector::workflow("another")];
                    workflows.pull_now(selector, 1, crate::LEASE).await.unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for n in 1..=50 {
        subject.pass(SECOND);
        log.until("a", n).await;
    }
    stop.store(true, Ordering::Relaxed);
    for other in others {
        other.await.unwrap();
    }
    assert_eq!(log.count("a"), 50);
    assert_eq!(runs_of(&subject, "s").await.len(), 50);
}

/// A schedule fires also where no handler is, and where none has room.
async fn a_schedule_does_not_need_anybody_who_works(subject: Subject) {
    let definition = stheno::WorkflowDefinition {
        id: "w".into(),
        steps: vec![stheno::StepDefinition::new("a", stheno::StepWork::Wait)],
        result_from: None,
        timeout: Some(5 * SECOND),
        retention: None,
        finish: false,
    };
    subject.workflows.put_definition(definition).await.unwrap();
    let schedule = Schedule::every("s", "w", 10 * SECOND).max_runs(1);
    subject.workflows.schedule(schedule).await.unwrap();
    let mut watch = subject.workflows.watch().unwrap();
    subject.pass(10 * SECOND);
    // Nothing but the watch is asked, and it does not look.
    subject.until_scheduled().await;
    subject.pass(5 * SECOND);
    let ended = watch.next().await.unwrap().unwrap();
    assert_eq!((ended.state, ended.schedule.as_deref()), (RunState::Reverted, Some("s")));
}

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stheno::TaskSelector;

impl Subject {
    /// Waits until the only schedule has started its only run.
    async fn until_scheduled(&self) {
        while !self.workflows.schedules().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let run = runs_of(self, "s").await.remove(0);
        self.until(&run, "a", StepState::Waiting).await;
    }
}

for_every_provider! {
    an_interval_starts_a_run_each_time,
    a_calendar_follows_its_time_zone,
    a_schedule_ends_after_so_many_runs,
    a_schedule_goes_with_its_workflow,
    what_overlap_says_holds,
    a_moment_starts_one_run_however_many_look,
    a_schedule_does_not_need_anybody_who_works,
}
