//! A clean stop loses nothing that was accepted, and a provider that dies goes on
//! with what it kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stheno::config::{ByteSize, MemoryLimit, ProviderConfig, Resolve};
use stheno::{
    Condition, ErrorKind, Overlap, RunFilter, RunState, Schedule, Step, StepContext,
    StepDefinition, StepState, StepWork, TaskSelector, Workflow, WorkflowDefinition,
};
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinHandle, JoinSet};

use crate::{LEASE, Log, SECOND, Subject, assert_kind};

/// A run of two steps, of which the second waits a moment.
fn two_steps(log: &Log) -> Workflow {
    let note = |id: &str, log: Log| {
        Step::new(id, move |step: StepContext| {
            let log = log.clone();
            async move {
                if step.step() == "b" {
                    tokio::task::yield_now().await;
                }
                log.note(format!("{} of {}", step.step(), step.run()));
                Ok(())
            }
        })
    };
    Workflow::new("w").then(note("a", log.clone())).then(note("b", log.clone()))
}

impl Subject {
    /// Shuts down while many callers start runs. Gives the runs that were
    /// accepted.
    async fn stop_while_runs_start(&self) -> Vec<String> {
        let started = Arc::new(AtomicUsize::new(0));
        let mut callers = JoinSet::new();
        for _ in 0..64 {
            let (workflows, started) = (self.workflows.clone(), Arc::clone(&started));
            callers.spawn(async move {
                let mut accepted = Vec::new();
                loop {
                    match workflows.start("w", &()).await {
                        Ok(run) => accepted.push(run.run),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                            return accepted;
                        }
                    }
                    started.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            });
        }
        while started.load(Ordering::Relaxed) < 500 {
            tokio::task::yield_now().await;
        }
        self.runtime.shutdown().await.unwrap();
        callers.join_all().await.into_iter().flatten().collect()
    }

    /// Stops beside what follows, which begins when runs of others are refused.
    async fn stopping(&self) -> JoinHandle<()> {
        let runtime = self.runtime.clone();
        let stopping = tokio::spawn(async move { runtime.shutdown().await.unwrap() });
        while self.workflows.start("refused", &()).await.unwrap_err().kind()
            != ErrorKind::Unavailable
        {
            tokio::task::yield_now().await;
        }
        stopping
    }
}

/// How often each thing was noted.
fn counts(log: &Log) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for noted in log.all() {
        *counts.entry(noted).or_default() += 1;
    }
    counts
}

fn once(runs: &[String]) -> BTreeMap<String, usize> {
    runs.iter().flat_map(|run| ["a", "b"].map(|step| (format!("{step} of {run}"), 1))).collect()
}

async fn what_was_accepted_during_the_stop_is_done_before_it_ends(subject: Subject) {
    let log = Log::default();
    subject.define(two_steps(&log)).await;
    let accepted = subject.stop_while_runs_start().await;
    assert_eq!(counts(&log), once(&accepted));
}

// W16
async fn what_was_accepted_during_the_stop_is_done_by_then_or_by_the_next(subject: Subject) {
    let log = Log::default();
    subject.define(two_steps(&log)).await;
    let accepted = subject.stop_while_runs_start().await;
    let subject = subject.restart().await;
    subject.define(two_steps(&log)).await;
    for run in &accepted {
        assert_eq!(subject.workflows.wait(run).await.unwrap().status.state, RunState::Done);
    }
    // A step whose handler had ended is not done again.
    assert_eq!(counts(&log), once(&accepted));
}

async fn handlers_that_have_begun_end_before_the_stop_does(subject: Subject) {
    const RUNS: usize = 10;
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
    subject.define(Workflow::new("w").then(step)).await;
    for n in 0..RUNS {
        subject.begin("w", &n.to_string()).await;
    }
    log.until("begun", RUNS).await;
    let stopping = subject.stopping().await;
    for n in 0..RUNS {
        assert!(!stopping.is_finished());
        assert_eq!(log.count("ended"), n);
        go.add_permits(1);
        log.until("ended", n + 1).await;
    }
    stopping.await.unwrap();
    assert_eq!(log.count("begun"), RUNS);
}

/// A handler starts a run, and a subscriber completes a step: both follow from
/// what was accepted.
async fn what_follows_from_what_was_accepted_is_done_too(subject: Subject) {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (log, workflows) = (Log::default(), subject.workflows.clone());
    let (at_work, gate) = (Arc::clone(&begun), Arc::clone(&go));
    let starts = Step::new("starts", move |_| {
        let (workflows, begun, go) = (workflows.clone(), Arc::clone(&at_work), Arc::clone(&gate));
        async move {
            begun.notify_one();
            go.notified().await;
            workflows.start("next", &()).id("next").await?;
            Ok(())
        }
    });
    subject.define(Workflow::new("w").then(starts)).await;
    let events = subject.runtime.events();
    let publisher = events.clone();
    let publishes = Step::new("publishes", move |_| {
        let events = publisher.clone();
        async move {
            events.publish("asked", &1).await?;
            Ok(())
        }
    });
    let next = Workflow::new("next").together([publishes, Step::wait("gate")]).then(log.step("c"));
    subject.define(next).await;
    let workflows = subject.workflows.clone();
    let complete = move |_| {
        let workflows = workflows.clone();
        async move { Ok(workflows.complete("next", "gate", &()).await?) }
    };
    events.subscribe("asked", "completes", complete).await.unwrap();
    subject.begin("w", "r").await;
    begun.notified().await;
    let stopping = subject.stopping().await;
    go.notify_one();
    stopping.await.unwrap();
    assert_eq!(log.all(), ["c"]);
}

async fn a_run_that_waits_for_somebody_does_not_hold_up_the_stop(subject: Subject) {
    let (log, durable) = (Log::default(), subject.provider.durable);
    let steps = |log: &Log| {
        Workflow::new("w").then(log.step("a")).then(Step::wait("gate")).then(log.step("b"))
    };
    subject.define(steps(&log)).await;
    subject.begin("w", "r").await;
    subject.until("r", "gate", StepState::Waiting).await;
    let subject = subject.restart().await;
    subject.define(steps(&log)).await;
    if durable {
        subject.workflows.complete("r", "gate", &()).await.unwrap();
        assert_eq!(subject.workflows.wait("r").await.unwrap().status.state, RunState::Done);
        assert_eq!(log.all(), ["a", "b"]);
    } else {
        assert_kind(subject.workflows.get("r").await, ErrorKind::NotFound);
    }
}

async fn after_the_stop_nothing_is_taken_and_it_may_be_asked_twice(subject: Subject) {
    let log = Log::default();
    subject.define(Workflow::new("w").then(Step::wait("a"))).await;
    subject.begin("w", "r").await;
    subject.runtime.shutdown().await.unwrap();
    let workflows = &subject.workflows;
    let selector = || vec![TaskSelector::workflow("w")];
    for refused in [
        workflows.start("w", &()).await.err(),
        workflows.define(Workflow::new("new").then(log.step("a"))).await.err(),
        workflows.put_definition(large("new", 1)).await.err(),
        workflows.remove_definition("w").await.err(),
        workflows.definitions().await.err(),
        workflows.schedule(Schedule::every("s", "w", SECOND)).await.err(),
        workflows.unschedule("s").await.err(),
        workflows.schedules().await.err(),
        workflows.pull_now(selector(), 1, LEASE).await.err(),
        workflows.pull(selector(), 1, SECOND, LEASE).await.err(),
        workflows.complete("r", "a", &()).await.err(),
        workflows.cancel("r", "no").await.err(),
        workflows.retry("r", "a").await.err(),
        workflows.get("r").await.err(),
        workflows.wait("r").await.err(),
        workflows.list(RunFilter::default(), None, 1).await.err(),
    ] {
        let refused = refused.unwrap();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    }
    subject.runtime.shutdown().await.unwrap();
}

async fn whoever_waits_is_let_go(subject: Subject) {
    subject.define(Workflow::new("w").then(Step::wait("a"))).await;
    subject.begin("w", "r").await;
    let waits: Vec<_> = (0..8)
        .map(|_| {
            let workflows = subject.workflows.clone();
            tokio::spawn(async move { workflows.wait("r").await })
        })
        .collect();
    let workflows = subject.workflows.clone();
    let pulls = tokio::spawn(async move {
        let selector = vec![TaskSelector::workflow("w")];
        workflows.pull(selector, 1, 3_600 * SECOND, LEASE).await
    });
    tokio::task::yield_now().await;
    subject.runtime.shutdown().await.unwrap();
    for wait in waits {
        assert_kind(wait.await.unwrap(), ErrorKind::Unavailable);
    }
    match pulls.await.unwrap() {
        Ok(tasks) => assert_eq!(tasks, []),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
    }
}

/// A definition of so many bytes.
fn large(id: &str, bytes: usize) -> WorkflowDefinition {
    let condition = Condition::input(format!("/{}", "x".repeat(bytes))).present();
    let step = StepDefinition { when: vec![condition], ..StepDefinition::new("a", StepWork::Wait) };
    WorkflowDefinition {
        id: id.into(),
        steps: vec![step],
        result_from: None,
        timeout: None,
        retention: None,
        finish: false,
    }
}

impl Subject {
    /// The same provider with little memory, so that it can be brought down.
    async fn mortal(self) -> Self {
        let guest = stheno_test_support::guest(self.provider.name);
        let mut config = ProviderConfig::new(Resolve::File(guest));
        config.limits.memory = MemoryLimit::new(ByteSize::mib(16)).unwrap();
        Self::with(self.provider, config).await.unwrap()
    }

    /// Gives the provider more than its memory holds.
    async fn bring_down(&self) {
        let refused = self.workflows.put_definition(large("large", 32 << 20)).await;
        let message = assert_kind(refused, ErrorKind::Internal);
        assert!(message.contains("limits.memory = \"16MiB\""), "{message}");
    }
}

async fn definitions_and_schedules_outlive_the_providers_death(subject: Subject) {
    let subject = subject.mortal().await;
    let log = Log::default();
    subject.define(Workflow::new("here").then(log.step("a"))).await;
    subject.workflows.put_definition(large("elsewhere", 1_000)).await.unwrap();
    subject.workflows.put_definition(large("gone", 1)).await.unwrap();
    for (id, workflow) in [("s", "here"), ("elsewhere", "elsewhere"), ("gone", "gone")] {
        let schedule = Schedule::every(id, workflow, 10 * SECOND).overlap(Overlap::Allow);
        let schedule = schedule.input(&id).unwrap();
        subject.workflows.schedule(schedule).await.unwrap();
    }
    subject.workflows.remove_definition("gone").await.unwrap();
    subject.workflows.unschedule("elsewhere").await.unwrap();
    let defined = subject.workflows.definitions().await.unwrap();
    let schedules = subject.workflows.schedules().await.unwrap();
    assert_eq!((defined.len(), schedules.len()), (2, 1));
    for n in 1..=3 {
        subject.bring_down().await;
        assert_eq!(subject.workflows.definitions().await.unwrap(), defined);
        let schedule = subject.workflows.schedules().await.unwrap().remove(0);
        assert_eq!(schedule.schedule, schedules[0].schedule);
        // Runs begin as before, by hand and by the clock.
        assert_eq!(subject.end_of("here", &format!("r{n}")).await.status.state, RunState::Done);
        subject.pass(10 * SECOND);
        log.until("a", 2 * n).await;
    }
}

async fn whose_run_died_is_told_and_its_id_may_run_again(subject: Subject) {
    let subject = subject.mortal().await;
    let log = Log::default();
    subject.define(Workflow::new("w").then(Step::wait("gate")).then(log.step("a"))).await;
    subject.begin("w", "r").await;
    let workflows = subject.workflows.clone();
    let waits = tokio::spawn(async move { workflows.wait("r").await });
    tokio::task::yield_now().await;
    subject.bring_down().await;
    // The next call starts it again: no time passes, and who waits is told.
    assert_kind(subject.workflows.get("r").await, ErrorKind::NotFound);
    assert_kind(waits.await.unwrap(), ErrorKind::NotFound);
    subject.begin("w", "r").await;
    subject.workflows.complete("r", "gate", &()).await.unwrap();
    assert_eq!(subject.workflows.wait("r").await.unwrap().status.state, RunState::Done);
    assert_eq!(log.all(), ["a"]);
}

// W17
async fn runs_go_on_after_the_providers_death(subject: Subject) {
    let subject = subject.mortal().await;
    let (log, go) = (Log::default(), Arc::new(Semaphore::new(0)));
    let (seen, gate) = (log.clone(), Arc::clone(&go));
    let slow = Step::new("slow", move |_| {
        let (log, gate) = (seen.clone(), Arc::clone(&gate));
        async move {
            log.note("slow");
            gate.acquire().await?.forget();
            Ok(())
        }
    });
    let steps = Workflow::new("w").then(log.step("a")).together([slow, Step::wait("gate")]);
    subject.define(steps.then(log.step("b"))).await;
    subject.workflows.schedule(Schedule::every("s", "w", 3_600 * SECOND)).await.unwrap();
    subject.begin("w", "r").await;
    log.until("slow", 1).await;
    subject.until("r", "gate", StepState::Waiting).await;
    let workflows = subject.workflows.clone();
    let waits = tokio::spawn(async move { workflows.wait("r").await });
    let (run, schedules) = (subject.get("r").await, subject.workflows.schedules().await.unwrap());
    for _ in 0..3 {
        subject.bring_down().await;
        assert_eq!(subject.get("r").await, run);
        assert_eq!(subject.workflows.schedules().await.unwrap(), schedules);
    }
    // The attempt under way is still its worker's, and who waits waits on.
    go.add_permits(1);
    subject.until("r", "slow", StepState::Done).await;
    subject.workflows.complete("r", "gate", &()).await.unwrap();
    assert_eq!(waits.await.unwrap().unwrap().status.state, RunState::Done);
    assert_eq!(log.all(), ["a", "slow", "b"]);
    subject.pass(Duration::from_secs(3_600));
    log.until("a", 2).await;
}

// A durable provider keeps what is due for the next process instead.
for_every_provider! {
    forgetful:
    what_was_accepted_during_the_stop_is_done_before_it_ends,
    what_follows_from_what_was_accepted_is_done_too,
    whose_run_died_is_told_and_its_id_may_run_again,
}
for_every_provider! {
    durable:
    what_was_accepted_during_the_stop_is_done_by_then_or_by_the_next,
    runs_go_on_after_the_providers_death,
}
for_every_provider! {
    handlers_that_have_begun_end_before_the_stop_does,
    a_run_that_waits_for_somebody_does_not_hold_up_the_stop,
    after_the_stop_nothing_is_taken_and_it_may_be_asked_twice,
    whoever_waits_is_let_go,
    definitions_and_schedules_outlive_the_providers_death,
}
