//! A full provider: what it forgets, and what it refuses.

use serde_json::json;
use stheno::{
    ErrorKind, MAX_RUN_BODY_BYTES, RunError, RunFilter, RunState, Step, StepContext, Workflow,
};
use tokio::task::JoinSet;

use crate::{Log, SECOND, Subject, assert_kind};

const RUNS: usize = 20;

impl Subject {
    /// The same provider with other options.
    async fn with_room(self, options: serde_json::Value) -> Self {
        let subject = Self::with_options(self.provider, options).await.unwrap();
        let echo = Step::new("a", async |step: StepContext| Ok(step.input_bytes().len()));
        subject.define(Workflow::new("w").then(echo)).await;
        subject
    }

    async fn runs(&self) -> usize {
        let page = self.workflows.list(RunFilter::default(), None, 1_000).await.unwrap();
        assert_eq!(page.next, None);
        page.items.len()
    }
}

async fn runs_without_an_id_do_not_fill_the_provider(subject: Subject) {
    let subject = subject.with_room(json!({ "max_runs": RUNS })).await;
    let kept = subject.workflows.start("w", &()).id("kept").await.unwrap();
    assert!(kept.new);
    for n in 0..RUNS * 10 {
        let input = vec![b'x'; n];
        let started = subject.workflows.start_bytes("w", input).await.unwrap();
        let run = subject.workflows.wait(&started.run).await.unwrap();
        assert_eq!(run.result_as::<usize>().unwrap(), n);
        assert!(subject.runs().await <= RUNS);
    }
    // Also many at the same time, as long as they fit.
    for _ in 0..10 {
        let mut starts = JoinSet::new();
        for _ in 0..RUNS - 1 {
            let workflows = subject.workflows.clone();
            starts.spawn(async move { workflows.start("w", &()).await.unwrap() });
        }
        assert!(starts.join_all().await.iter().all(|started| started.new));
        let active = async || subject.workflows.definitions().await.unwrap()[0].active;
        while active().await > 0 {
            tokio::task::yield_now().await;
        }
    }
    // One that was named is remembered through all of it.
    assert!(!subject.workflows.start("w", &()).id("kept").await.unwrap().new);
}

async fn runs_that_were_named_fill_it_until_their_retention_is_over(subject: Subject) {
    let subject = subject.with_room(json!({ "max_runs": RUNS, "retention": "10s" })).await;
    for n in 0..RUNS {
        subject.end_of("w", &format!("r{n}")).await;
    }
    for refused in [
        subject.workflows.start("w", &()).id("one more").await,
        subject.workflows.start("w", &()).await,
    ] {
        let message = assert_kind(refused, ErrorKind::Unavailable);
        assert!(message.contains("`max_runs`"), "{message}");
    }
    // What is there is found, and ends what it began.
    assert!(!subject.workflows.start("w", &()).id("r0").await.unwrap().new);
    assert_eq!(subject.runs().await, RUNS);
    subject.pass(10 * SECOND);
    subject.end_of("w", "one more").await;
    assert_eq!(subject.runs().await, 1);
}

async fn bodies_of_runs_without_an_id_do_not_fill_it_either(subject: Subject) {
    const LARGE: usize = 64 << 10;
    let subject = subject.with_room(json!({ "max_bytes": "1MiB" })).await;
    let input = || vec![b'x'; LARGE];
    for _ in 0..10 * (1 << 20) / LARGE {
        let started = subject.workflows.start_bytes("w", input()).await.unwrap();
        subject.workflows.wait(&started.run).await.unwrap();
    }
    let mut named = 0;
    let refused = loop {
        let id = format!("r{named}");
        match subject.workflows.start_bytes("w", input()).id(&id).await {
            Ok(started) => subject.workflows.wait(&started.run).await.unwrap(),
            Err(error) => break error,
        };
        named += 1;
    };
    let message = assert_kind(Err::<(), _>(refused), ErrorKind::Unavailable);
    assert!(message.contains("`max_bytes`"), "{message}");
    // Three quarters of it are for what is started.
    assert_eq!(named, 11);
    assert_eq!(subject.runs().await, named);
}

/// More of them than the provider keeps once they have ended, but for a few.
async fn who_waits_for_a_run_without_an_id_gets_its_result_or_is_told_that_it_is_gone(
    subject: Subject,
) {
    const CALLERS: usize = 64;
    let subject = subject.with_room(json!({ "max_runs": 2 * CALLERS, "history": 2 })).await;
    for _ in 0..5 {
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let workflows = subject.workflows.clone();
            callers.spawn(async move {
                let input = "x".repeat(caller);
                match workflows.run::<usize>("w", &input).await {
                    Ok(bytes) => assert_eq!(bytes, caller + 2),
                    Err(RunError::Call(error)) => {
                        assert_eq!(error.kind(), ErrorKind::NotFound);
                        return 0;
                    }
                    Err(RunError::NotDone(run)) => panic!("{run:?}"),
                }
                1
            });
        }
        let told: usize = callers.join_all().await.into_iter().sum();
        assert!(told > 0, "nobody was told anything");
        assert_eq!(subject.runs().await, 2);
    }
}

async fn results_beyond_their_bounds_fail_their_step_for_good(subject: Subject) {
    let log = Log::default();
    // As JSON text has two quotes more.
    let large = |id: &str, bytes: usize| {
        let log = log.clone();
        Step::new(id, move |step: StepContext| {
            log.note(step.step());
            async move { Ok("x".repeat(bytes - 2)) }
        })
        .attempts(3)
    };
    let one = Workflow::new("one").then(large("too large", MAX_RUN_BODY_BYTES + 1));
    subject.define(one).await;
    let run = subject.end_of("one", "r1").await;
    let cause = run.status.cause.unwrap();
    assert_eq!((run.status.state, cause.step.as_deref()), (RunState::Reverted, Some("too large")));
    assert!(cause.reason.contains("result has 1048577 bytes"), "{}", cause.reason);
    assert_eq!(log.count("too large"), 1);
    // Four of the largest fit into one run.
    let steps = ["a", "b", "c", "d"].map(|id| large(id, MAX_RUN_BODY_BYTES));
    let four = Workflow::new("four").together(steps).then(large("too much", 3));
    subject.define(four).await;
    let run = subject.end_of("four", "r2").await;
    let cause = run.status.cause.unwrap();
    assert_eq!((run.status.state, cause.step.as_deref()), (RunState::Reverted, Some("too much")));
    assert_eq!(["a", "b", "c", "d", "too much"].map(|step| log.count(step)), [1; 5]);
}

for_every_provider! {
    runs_without_an_id_do_not_fill_the_provider,
    runs_that_were_named_fill_it_until_their_retention_is_over,
    bodies_of_runs_without_an_id_do_not_fill_it_either,
    who_waits_for_a_run_without_an_id_gets_its_result_or_is_told_that_it_is_gone,
    results_beyond_their_bounds_fail_their_step_for_good,
}
