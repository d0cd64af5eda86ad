//! What the steps of a run publish: heard once, when the run is done, or never.

use std::collections::BTreeSet;

use stheno::{
    ErrorKind, Finished, NewEvent, RunState, Step, StepContext, StepState, Subscription, Verdict,
    Workflow,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::{LEASE, Log, SECOND, Subject, busy, never};

/// Where everything that is published arrives.
const EAR: &str = "ear";

impl Subject {
    async fn listen(&self) {
        let all =
            Subscription { id: EAR.into(), pattern: "*".into(), retained: false, idle_ttl: None };
        self.runtime.events().create_subscription(all).await.unwrap();
    }

    /// What was heard since it was asked last: each event's name and its data.
    async fn heard(&self) -> Vec<(String, String)> {
        let events = self.runtime.events();
        let mut heard = Vec::new();
        loop {
            let deliveries = events.pull_now(EAR, 1_000, LEASE).await.unwrap().deliveries;
            if deliveries.is_empty() {
                return heard;
            }
            let outcomes = deliveries.iter().map(|one| (one.token.clone(), Verdict::Handled));
            assert!(events.settle(outcomes.collect()).await.unwrap().is_empty());
            heard.extend(deliveries.into_iter().map(|one| {
                let data = String::from_utf8(one.event.data).unwrap();
                (one.event.name, data)
            }));
        }
    }

    async fn heard_names(&self) -> Vec<String> {
        self.heard().await.into_iter().map(|(name, _)| name).collect()
    }
}

/// A step that publishes its id with the run's, and when it is undone
/// `ID.undone`.
fn publishing(id: &str) -> Step {
    let publish = |step: StepContext, suffix: &str| {
        let name = format!("{}{suffix}", step.step());
        step.publish(&name, step.run())
    };
    Step::new(id, move |step| async move { Ok(publish(step, "")?) })
        .compensate(move |step| async move { Ok(publish(step, ".undone")?) })
}

/// One whose ends are told: then the events are where they belong.
fn telling(id: &str) -> (Workflow, mpsc::UnboundedReceiver<Finished>) {
    let (sender, told) = mpsc::unbounded_channel();
    let finish = move |finished| {
        let sender = sender.clone();
        async move { Ok(sender.send(finished)?) }
    };
    (Workflow::new(id).publishes().on_finish(finish), told)
}

// W19
async fn what_steps_publish_is_heard_when_the_run_is_done(subject: Subject) {
    subject.listen().await;
    let (workflow, mut told) = telling("w");
    let two = Step::new("two", async |step: StepContext| {
        step.publish("first", &1)?;
        step.publish_event(NewEvent {
            metadata: vec![("k".into(), "v".into())],
            ..NewEvent::bytes("second", b"\"as it is\"")
        })?;
        Ok(())
    });
    let steps = workflow.then(publishing("a")).then(Step::wait("gate")).then(two);
    subject.define(steps).await;
    subject.begin("w", "r").await;
    subject.until("r", "gate", StepState::Waiting).await;
    assert_eq!(subject.heard().await, []);
    subject.workflows.complete("r", "gate", &()).await.unwrap();
    assert_eq!(told.recv().await.unwrap().state, RunState::Done);
    let heard = subject.heard().await;
    let expected = [("a", "\"r\""), ("first", "1"), ("second", "\"as it is\"")];
    assert_eq!(heard, expected.map(|(name, data)| (name.to_owned(), data.to_owned())));
    // The run is forgotten, and nothing more of it is heard.
    subject.pass(2 * 3_600 * SECOND);
    assert_eq!(subject.heard().await, []);
}

// W19
async fn what_is_told_again_is_not_heard_again(subject: Subject) {
    subject.listen().await;
    let log = Log::default();
    let told = log.clone();
    let finish = move |finished: Finished| {
        let told = told.clone();
        async move {
            told.note(finished.run);
            if told.count("r") < 3 { Err(busy()) } else { Ok(()) }
        }
    };
    subject.define(Workflow::new("w").publishes().on_finish(finish).then(publishing("a"))).await;
    assert_eq!(subject.end_of("w", "r").await.status.state, RunState::Done);
    let mut heard = Vec::new();
    for times in 1..=3 {
        while log.count("r") < times {
            subject.pass(SECOND);
            tokio::task::yield_now().await;
        }
        heard.extend(subject.heard_names().await);
        assert_eq!(heard, ["a"]);
    }
}

// W19
async fn what_a_run_has_published_that_was_undone_is_never_heard(subject: Subject) {
    subject.listen().await;
    let log = Log::default();
    let (workflow, mut told) = telling("w");
    let steps =
        workflow.then(publishing("a")).then(publishing("b")).then(log.failing("c", 9, never));
    subject.define(steps).await;
    subject.begin("w", "r").await;
    assert_eq!(told.recv().await.unwrap().state, RunState::Reverted);
    // But what undoing it has published is.
    assert_eq!(subject.heard_names().await, ["b.undone", "a.undone"]);
}

// W8, W19
async fn what_a_cancelled_run_has_published_is_never_heard(subject: Subject) {
    subject.listen().await;
    let (workflow, mut told) = telling("w");
    subject.define(workflow.then(publishing("a")).then(Step::wait("gate"))).await;
    subject.begin("w", "r").await;
    subject.until("r", "gate", StepState::Waiting).await;
    subject.workflows.cancel("r", "changed my mind").await.unwrap();
    subject.workflows.complete("r", "gate", &()).await.unwrap();
    assert_eq!(told.recv().await.unwrap().state, RunState::Reverted);
    assert_eq!(subject.heard_names().await, ["a.undone"]);
}

async fn what_a_run_has_published_that_has_failed_is_never_heard(subject: Subject) {
    subject.listen().await;
    let log = Log::default();
    let stubborn = Step::new("a", async |step: StepContext| Ok(step.publish("a", &1)?)).compensate(
        async |step: StepContext| {
            step.publish("not undone", &1)?;
            Err::<(), _>(never())
        },
    );
    let (workflow, mut told) = telling("w");
    subject.define(workflow.then(stubborn).then(log.failing("b", 9, never))).await;
    subject.begin("w", "r").await;
    assert_eq!(told.recv().await.unwrap().state, RunState::Failed);
    assert_eq!(subject.heard().await, []);
}

async fn what_an_attempt_has_published_that_failed_is_never_heard(subject: Subject) {
    subject.listen().await;
    let (workflow, mut told) = telling("w");
    let step = Step::new("a", async |step: StepContext| {
        step.publish(&format!("attempt {}", step.attempt()), &1)?;
        match step.attempt() {
            1 => Err(busy()),
            2 => panic!("on the second"),
            3 => std::future::pending().await,
            _ => Ok(()),
        }
    });
    let step = step.attempts(4).backoff(SECOND, SECOND).timeout(10 * SECOND);
    subject.define(workflow.then(step)).await;
    subject.begin("w", "r").await;
    for faults in 1..=3 {
        if faults == 3 {
            // It began, or its time would not run out.
            while subject.get("r").await.steps[0].attempts < 3 {
                tokio::task::yield_now().await;
            }
            subject.pass(10 * SECOND);
        }
        subject.until_faults("r", "a", faults).await;
        subject.pass(SECOND);
    }
    assert_eq!(told.recv().await.unwrap().state, RunState::Done);
    assert_eq!(subject.heard_names().await, ["attempt 4"]);
}

async fn a_step_that_waits_has_published_too(subject: Subject) {
    subject.listen().await;
    let (workflow, mut told) = telling("w");
    let step = Step::new("a", async |step: StepContext| {
        step.publish("asked", &1)?;
        Ok(stheno::Outcome::<()>::Waiting)
    });
    subject.define(workflow.then(step)).await;
    subject.begin("w", "r").await;
    subject.until("r", "a", StepState::Waiting).await;
    assert_eq!(subject.heard().await, []);
    subject.workflows.complete("r", "a", &()).await.unwrap();
    told.recv().await.unwrap();
    assert_eq!(subject.heard_names().await, ["asked"]);
}

async fn runs_at_the_same_time_do_not_mix(subject: Subject) {
    subject.listen().await;
    let (workflow, mut told) = telling("w");
    subject.define(workflow.then(publishing("a")).then(Step::wait("gate"))).await;
    // Ids as long as they may be, alike but for their end.
    let id = |end: char| "r".repeat(254) + &String::from(end);
    let runs = ["one", "other", &id('1'), &id('2')].map(str::to_owned);
    for run in &runs {
        subject.begin("w", run).await;
        subject.until(run, "gate", StepState::Waiting).await;
    }
    for (n, run) in runs.iter().enumerate() {
        if n % 2 == 0 {
            subject.workflows.fail(run, "gate", "no").await.unwrap();
        } else {
            subject.workflows.complete(run, "gate", &()).await.unwrap();
        }
        assert_eq!(told.recv().await.unwrap().run, *run);
        let name = if n % 2 == 0 { "a.undone" } else { "a" };
        assert_eq!(subject.heard().await, [(name.to_owned(), format!("{run:?}"))]);
    }
}

async fn of_many_runs_those_that_are_done_are_heard_whole_and_once(subject: Subject) {
    const RUNS: usize = 64;
    subject.listen().await;
    let (workflow, mut told) = telling("w");
    let last = Step::new("last", async |step: StepContext| {
        let fails: bool = step.input()?;
        tokio::task::yield_now().await;
        step.publish("last", step.run())?;
        if fails { Err(never()) } else { Ok(()) }
    });
    let steps = workflow.together(["a", "b", "c"].map(publishing)).then(last);
    subject.define(steps).await;
    let mut starts = JoinSet::new();
    for n in 0..RUNS {
        let workflows = subject.workflows.clone();
        starts.spawn(async move {
            workflows.start("w", &(n % 2 == 0)).id(format!("r{n}")).await.unwrap();
        });
    }
    starts.join_all().await;
    let mut expected = BTreeSet::new();
    for _ in 0..RUNS {
        let finished = told.recv().await.unwrap();
        let fails = finished.input_as::<bool>().unwrap();
        assert_eq!(finished.state, if fails { RunState::Reverted } else { RunState::Done });
        let names: &[_] =
            if fails { &["a.undone", "b.undone", "c.undone"] } else { &["a", "b", "c", "last"] };
        expected.extend(names.iter().map(|name| (name.to_string(), format!("{:?}", finished.run))));
    }
    let heard = subject.heard().await;
    assert_eq!(heard.len(), expected.len(), "each once");
    assert_eq!(heard.into_iter().collect::<BTreeSet<_>>(), expected);
}

async fn what_cannot_be_published_is_an_error_of_the_step(subject: Subject) {
    subject.listen().await;
    let log = Log::default();
    let seen = log.clone();
    let step = Step::new("a", move |step: StepContext| {
        let log = seen.clone();
        async move {
            let large = vec![0; stheno::MAX_DATA_BYTES + 1];
            let ok = step.publish("ok", &1);
            for refused in [
                step.publish("", &1),
                step.publish("line\nbreak", &1),
                step.publish_event(NewEvent::bytes("large", large)),
                step.publish_event(NewEvent { attempts: Some(0), ..NewEvent::bytes("n", "") }),
            ] {
                let error = refused.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidArgument);
                log.note(error.message().split(' ').next().unwrap());
            }
            Ok(ok?)
        }
    });
    let (workflow, mut told) = telling("publishes");
    subject.define(workflow.then(step)).await;
    subject.begin("publishes", "r").await;
    assert_eq!(told.recv().await.unwrap().state, RunState::Done);
    assert_eq!(log.all(), ["name", "name", "data", "attempts"]);
    assert_eq!(subject.heard_names().await, ["ok"]);
    // A workflow that did not say that it would.
    subject.define(Workflow::new("silent").then(publishing("a"))).await;
    let run = subject.end_of("silent", "r2").await;
    assert_eq!(run.status.state, RunState::Reverted);
    let reason = run.status.cause.unwrap().reason;
    assert!(reason.contains("\"silent\"") && reason.contains("Workflow::publishes()"), "{reason}");
    assert_eq!(subject.heard().await, []);
}

for_every_provider! {
    what_steps_publish_is_heard_when_the_run_is_done,
    what_is_told_again_is_not_heard_again,
    what_a_run_has_published_that_was_undone_is_never_heard,
    what_a_cancelled_run_has_published_is_never_heard,
    what_a_run_has_published_that_has_failed_is_never_heard,
    what_an_attempt_has_published_that_failed_is_never_heard,
    a_step_that_waits_has_published_too,
    runs_at_the_same_time_do_not_mix,
    of_many_runs_those_that_are_done_are_heard_whole_and_once,
    what_cannot_be_published_is_an_error_of_the_step,
}
