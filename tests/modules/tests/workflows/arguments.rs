//! Wrong arguments are named, and change nothing.

use std::time::Duration;

use stheno::{
    Condition, ConditionTest, Error, ErrorKind, MAX_RUN_BODY_BYTES, MAX_WORKFLOW_STEPS, OnFailure,
    Retries, RunDetail, RunError, RunFilter, RunState, RunStatus, Schedule, ScheduleStatus, Step,
    StepDefinition, StepState, StepWork, TaskSelector, TaskVerdict, Workflow, WorkflowDefinition,
    WorkflowStatus,
};

use crate::{LEASE, Log, SECOND, Subject, assert_kind};

/// The error is about this argument.
#[track_caller]
fn assert_names<T>(result: Result<T, Error>, argument: &str) {
    let message = assert_kind(result, ErrorKind::InvalidArgument);
    assert!(message.starts_with(argument), "{argument}: {message}");
}

/// The error says this somewhere.
#[track_caller]
fn assert_says<T>(result: Result<T, Error>, text: &str) {
    let message = assert_kind(result, ErrorKind::InvalidArgument);
    assert!(message.contains(text), "{text}: {message}");
}

fn wrong_names() -> [String; 4] {
    [String::new(), "line\nbreak".into(), "nul\0".into(), "é".repeat(127) + "ab"]
}

fn definition(id: &str, steps: Vec<StepDefinition>) -> WorkflowDefinition {
    WorkflowDefinition {
        id: id.into(),
        steps,
        result_from: None,
        timeout: None,
        retention: None,
        finish: false,
    }
}

fn step(id: &str) -> StepDefinition {
    StepDefinition::new(id, StepWork::Handler)
}

fn after(id: &str, after: &[&str]) -> StepDefinition {
    StepDefinition { after: after.iter().map(|step| (*step).to_owned()).collect(), ..step(id) }
}

/// All that can be seen.
type Seen = (Vec<WorkflowStatus>, Vec<ScheduleStatus>, Vec<RunStatus>, RunDetail, RunDetail);

/// A workflow of two runs, of which one waits and of the other a task is leased.
struct Scene {
    subject: Subject,
    token: String,
    before: Seen,
}

impl Scene {
    async fn new(subject: Subject) -> Self {
        let workflow = Workflow::new("w").then(Step::wait("gate")).then(Step::elsewhere("b"));
        subject.define(workflow).await;
        subject.define(Workflow::new("t").then(Step::elsewhere("a"))).await;
        subject.workflows.schedule(Schedule::every("s", "w", 60 * SECOND)).await.unwrap();
        subject.begin("w", "r").await;
        subject.begin("t", "leased").await;
        let selector = vec![TaskSelector::workflow("t")];
        let pulled = subject.workflows.pull_now(selector, 1, LEASE).await.unwrap();
        let token = pulled.tasks[0].token.clone();
        let before = Self::seen(&subject).await;
        Self { subject, token, before }
    }

    async fn seen(subject: &Subject) -> Seen {
        let workflows = &subject.workflows;
        let runs = workflows.list(RunFilter::default(), None, 1_000).await.unwrap();
        (
            workflows.definitions().await.unwrap(),
            workflows.schedules().await.unwrap(),
            runs.items,
            subject.get("r").await,
            subject.get("leased").await,
        )
    }

    /// What was there is there, and the task is still its worker's.
    async fn assert_unchanged(self) {
        assert_eq!(Self::seen(&self.subject).await, self.before);
        let done = vec![(self.token, TaskVerdict::Done(b"1".to_vec()))];
        assert!(self.subject.workflows.settle(done).await.unwrap().is_empty());
    }
}

fn call(error: RunError) -> Error {
    match error {
        RunError::Call(error) => error,
        RunError::NotDone(run) => panic!("it ran: {run:?}"),
    }
}

async fn wrong_names_and_ids_are_refused(subject: Subject) {
    let scene = Scene::new(subject).await;
    let (workflows, log) = (&scene.subject.workflows, Log::default());
    for wrong in wrong_names() {
        let named = |id: &str| definition(id, vec![step("a")]);
        assert_names(workflows.put_definition(named(&wrong)).await, "id");
        let own = Workflow::new(&wrong).then(log.step("a"));
        assert_names(workflows.define(own).await.map(drop), "id");
        let put = async |step| workflows.put_definition(definition("w", vec![step])).await;
        assert_names(put(step(&wrong)).await, "the id of a step");
        assert_names(put(after("a", &[&wrong])).await, "step \"a\": after");
        let nested = |workflow: &str, input_from: Option<&str>| {
            let (workflow, input_from) = (workflow.into(), input_from.map(str::to_owned));
            StepDefinition::new("a", StepWork::Nested { workflow, input_from })
        };
        assert_names(put(nested(&wrong, None)).await, "step \"a\": workflow");
        assert_names(put(nested("w", Some(&wrong))).await, "step \"a\": input_from");
        let result = WorkflowDefinition { result_from: Some(wrong.clone()), ..named("w") };
        assert_names(workflows.put_definition(result).await, "result_from");
        assert_names(workflows.remove_definition(&wrong).await, "workflow");

        assert_names(workflows.start(&wrong, &()).await, "workflow");
        assert_names(workflows.start("w", &()).id(&wrong).await, "id");
        assert_names(workflows.start_bytes("w", vec![]).id(&wrong).await, "id");
        assert_names(workflows.run::<()>("w", &()).id(&wrong).await.map_err(call), "id");
        assert_names(workflows.run::<()>(&wrong, &()).await.map_err(call), "workflow");
        assert_names(workflows.wait(&wrong).await, "run");
        assert_names(workflows.get(&wrong).await, "run");
        assert_names(workflows.cancel(&wrong, "why").await, "run");
        for (run, step, argument) in
            [(wrong.as_str(), "gate", "run"), ("r", wrong.as_str(), "step")]
        {
            assert_names(workflows.complete(run, step, &()).await, argument);
            assert_names(workflows.fail(run, step, "why").await, argument);
            assert_names(workflows.retry(run, step).await, argument);
        }
        let all = RunFilter::default;
        for (filter, argument) in [
            (RunFilter { workflow: Some(wrong.clone()), ..all() }, "workflow"),
            (RunFilter { parent: Some(wrong.clone()), ..all() }, "parent"),
            (RunFilter { schedule: Some(wrong.clone()), ..all() }, "schedule"),
        ] {
            assert_names(workflows.list(filter, None, 1).await, argument);
        }
        for (id, workflow, argument) in
            [(wrong.as_str(), "w", "id"), ("new", wrong.as_str(), "workflow")]
        {
            let schedule = Schedule::every(id, workflow, 60 * SECOND);
            assert_names(workflows.schedule(schedule).await, argument);
        }
        let cron = |expression: &str, zone: &str| {
            workflows.schedule(Schedule::cron("new", "w", expression).time_zone(zone))
        };
        assert_names(cron(&wrong, "UTC").await, "expression");
        assert_names(cron("* * * * *", &wrong).await, "time_zone");
        assert_names(workflows.unschedule(&wrong).await, "id");

        let of = |workflow: &str, steps| TaskSelector { workflow: workflow.into(), steps };
        for (selector, argument) in
            [(of(&wrong, vec![]), "workflow"), (of("w", vec![wrong.clone()]), "steps")]
        {
            let both = vec![TaskSelector::workflow("w"), selector];
            assert_names(workflows.pull_now(both.clone(), 1, LEASE).await, argument);
            assert_names(workflows.pull(both, 1, SECOND, LEASE).await, argument);
        }
    }
    assert_eq!(log.all(), Vec::<String>::new());
    scene.assert_unchanged().await;
}

async fn definitions_that_cannot_be_are_refused_and_name_the_step(subject: Subject) {
    let scene = Scene::new(subject).await;
    let workflows = &scene.subject.workflows;
    let when = |condition: Condition, steps: &[&str]| StepDefinition {
        when: vec![condition],
        ..after("wrong", steps)
    };
    let failing = |on_failure: OnFailure| StepDefinition { on_failure, ..after("wrong", &["a"]) };
    let nested = |input_from: &str| {
        let (workflow, input_from) = ("w".into(), Some(input_from.into()));
        StepDefinition::new("wrong", StepWork::Nested { workflow, input_from })
    };
    let test = |step: Option<&str>, pointer: &str, test: ConditionTest| Condition {
        step: step.map(str::to_owned),
        pointer: pointer.into(),
        test,
        negated: false,
    };
    let present = ConditionTest::Present;
    let long = ConditionTest::Equals(format!("{:?}", "x".repeat(2 << 20)));
    let many = |count: usize| (0..count).map(|n| step(&n.to_string())).collect::<Vec<_>>();
    let none = Retries { attempts: 0, ..Retries::default() };
    for (steps, says) in [
        (vec![], "steps has 0 items"),
        (many(MAX_WORKFLOW_STEPS + 1), "steps has 257 items"),
        (vec![step("a"), step("wrong"), step("wrong")], "steps has \"wrong\" twice"),
        (vec![step("finish")], "\"finish\""),
        (vec![StepDefinition { retries: none, ..step("wrong") }], "step \"wrong\": attempts is 0"),
        (
            vec![StepDefinition { timeout: Some(Duration::ZERO), ..step("wrong") }],
            "step \"wrong\": timeout is zero",
        ),
        (vec![after("wrong", &["a"; 257])], "step \"wrong\": after has more than 256"),
        // Itself, in a circle, one that stands behind it, and nobody.
        (vec![after("wrong", &["wrong"])], "wrong"),
        (vec![after("wrong", &["b"]), after("b", &["wrong"])], "wrong"),
        (vec![after("wrong", &["b"]), step("b")], "wrong"),
        (vec![after("wrong", &["nobody"])], "nobody"),
        (vec![step("a"), failing(OnFailure::SkipTo("a".into()))], "wrong"),
        (vec![step("a"), failing(OnFailure::SkipTo("wrong".into()))], "wrong"),
        (vec![step("a"), failing(OnFailure::SkipTo("nobody".into()))], "nobody"),
        (vec![step("a"), failing(OnFailure::SkipTo("b".into())), step("b")], "wrong"),
        (vec![step("a"), when(test(Some("a"), "", present.clone()), &[])], "wrong"),
        (vec![step("a"), when(test(Some("nobody"), "", present.clone()), &["a"])], "nobody"),
        (vec![step("a"), when(test(Some("wrong"), "", present.clone()), &["a"])], "wrong"),
        (vec![when(test(None, "no/slash", present), &[])], "no/slash"),
        (vec![when(test(None, "", ConditionTest::Equals("{".into())), &[])], "wrong"),
        (vec![when(test(None, "", long), &[])], "`new`"),
        (vec![step("a"), nested("a")], "wrong"),
        (vec![nested("nobody")], "nobody"),
    ] {
        let wrong = definition("new", steps);
        let describe =
            format!("{:?}", wrong.steps.iter().map(|step| &step.id).take(3).collect::<Vec<_>>());
        let refused = workflows.put_definition(wrong.clone()).await;
        let message = assert_kind(refused, ErrorKind::InvalidArgument);
        assert!(message.contains(says), "{describe}: {message}");
        // Neither does it take the place of one that can.
        let refused = workflows.put_definition(WorkflowDefinition { id: "w".into(), ..wrong });
        assert_kind(refused.await, ErrorKind::InvalidArgument);
    }
    let nobody = Some("nobody".to_owned());
    let wrong = WorkflowDefinition { result_from: nobody, ..definition("w", vec![step("a")]) };
    assert_says(workflows.put_definition(wrong).await, "nobody");
    let timeout = Some(Duration::ZERO);
    let wrong = WorkflowDefinition { timeout, ..definition("w", vec![step("a")]) };
    assert_names(workflows.put_definition(wrong).await, "timeout");
    scene.assert_unchanged().await;
}

async fn what_is_defined_wrongly_here_may_be_defined_rightly_afterwards(subject: Subject) {
    let (workflows, log) = (&subject.workflows, Log::default());
    let right = || Workflow::new("w").then(log.step("a"));
    let circle = right().then(log.step("b").after(["b"]));
    assert_says(workflows.define(circle).await.map(drop), "`b`");
    let twice = right().then(log.step("a"));
    assert_names(workflows.define(twice).await.map(drop), "steps has \"a\" twice");
    assert_names(workflows.define(right()).concurrency(0).await.map(drop), "concurrency");
    assert_names(workflows.define(right()).lease(Duration::ZERO).await.map(drop), "lease");
    assert_eq!(workflows.definitions().await.unwrap(), []);
    subject.define(right()).await;
    let message = assert_kind(workflows.define(right()).await.map(drop), ErrorKind::Conflict);
    assert!(message.contains("\"w\""), "{message}");
    assert_eq!(subject.end_of("w", "r").await.status.state, RunState::Done);
    assert_eq!(log.all(), ["a"]);
}

async fn what_is_out_of_range_is_refused(subject: Subject) {
    let scene = Scene::new(subject).await;
    let workflows = &scene.subject.workflows;
    let large = || vec![b'1'; MAX_RUN_BODY_BYTES + 1];
    let text = "x".repeat(MAX_RUN_BODY_BYTES);
    assert_names(workflows.start_bytes("w", large()).await, "input");
    assert_names(workflows.start("w", &text).id("new").await, "input");
    assert_names(workflows.run::<()>("w", &text).await.map_err(call), "input");
    assert_names(workflows.complete("r", "gate", &text).await, "result");
    for wrong in [TaskVerdict::Waiting, TaskVerdict::Returned] {
        assert_names(workflows.settle_waiting("r", "gate", wrong).await, "verdict");
    }
    for max in [0, 1_001] {
        assert_names(workflows.list(RunFilter::default(), None, max).await, "max");
        let selector = || vec![TaskSelector::workflow("w")];
        assert_names(workflows.pull_now(selector(), max, LEASE).await, "max");
        assert_names(workflows.pull(selector(), max, SECOND, LEASE).await, "max");
    }
    for after in ["", "no page gave this"] {
        assert_says(workflows.list(RunFilter::default(), Some(after), 1).await, "after");
    }
    let steps = vec!["a".to_owned(); 1_001];
    for (selectors, argument) in [
        (vec![], "selectors"),
        (vec![TaskSelector::workflow("w"); 1_001], "selectors"),
        (vec![TaskSelector { workflow: "w".into(), steps }], "steps"),
    ] {
        assert_names(workflows.pull_now(selectors.clone(), 1, LEASE).await, argument);
        assert_names(workflows.pull(selectors, 1, SECOND, LEASE).await, argument);
    }
    let selector = vec![TaskSelector::workflow("t")];
    assert_names(workflows.pull_now(selector, 1, Duration::ZERO).await, "lease");
    let tokens = |count| vec![scene.token.clone(); count];
    assert_names(workflows.extend(tokens(1_001), LEASE).await, "tokens");
    assert_names(workflows.extend(tokens(1), Duration::ZERO).await, "lease");
    let done = || TaskVerdict::Done(b"1".to_vec());
    let many = tokens(1_001).into_iter().map(|token| (token, done()));
    assert_names(workflows.settle(many.collect()).await, "outcomes");
    // One that is too large costs all of its call.
    let outcomes =
        vec![(scene.token.clone(), done()), ("another".to_owned(), TaskVerdict::Done(large()))];
    assert_names(workflows.settle(outcomes).await, "result");
    scene.assert_unchanged().await;
}

// W13
async fn schedules_that_cannot_be_are_refused(subject: Subject) {
    let scene = Scene::new(subject).await;
    let workflows = &scene.subject.workflows;
    let schedule = || Schedule::every("s", "w", 60 * SECOND);
    for (wrong, argument) in [
        (Schedule { id: "s".repeat(241), ..schedule() }, "id"),
        (Schedule { input: vec![0; MAX_RUN_BODY_BYTES + 1], ..schedule() }, "input"),
        (schedule().max_runs(0), "max_runs"),
        (Schedule::every("s", "w", Duration::ZERO), "every"),
        (Schedule::every("s", "w", Duration::from_millis(999)), "every"),
    ] {
        assert_names(workflows.schedule(wrong).await, argument);
    }
    assert_says(workflows.schedule(Schedule::every("s", "w", Duration::MAX)).await, "every");
    assert_names(workflows.unschedule(&"s".repeat(241)).await, "id");
    let filter = RunFilter { schedule: Some("s".repeat(241)), ..RunFilter::default() };
    assert_names(workflows.list(filter, None, 1).await, "schedule");
    for (expression, says) in [
        ("daily", "`daily`"),
        ("* * * *", "`* * * *`"),
        ("* * * * * * *", "`* * * * * * *`"),
        ("60 * * * *", "`60`"),
        ("* 24 * * *", "`24`"),
        ("* * 0 * *", "`0`"),
        ("* * * 13 *", "`13`"),
        ("* * * * funday", "`funday`"),
        ("*/0 * * * *", "`*/0`"),
        ("5-1 * * * *", "`5-1`"),
        ("1, * * * *", "``"),
        ("-1 * * * *", "`-1`"),
        ("+1 * * * *", "`+1`"),
        ("0 0 30 feb *", "cron expression"),
    ] {
        let wrong = workflows.schedule(Schedule::cron("s", "w", expression)).await;
        let message = assert_kind(wrong, ErrorKind::InvalidArgument);
        assert!(message.contains(says), "{expression}: {message}");
    }
    for zone in ["Mars/Olympus", "Europe", "+25:00", "../UTC"] {
        let wrong = Schedule::cron("s", "w", "* * * * *").time_zone(zone);
        assert_says(workflows.schedule(wrong).await, zone);
    }
    scene.assert_unchanged().await;
}

async fn what_is_not_there_is_named_and_what_cannot_be_done_is_a_conflict(subject: Subject) {
    let scene = Scene::new(subject).await;
    let workflows = &scene.subject.workflows;
    let schedule = Schedule::every("s", "nobody", 60 * SECOND);
    for error in [
        workflows.remove_definition("nobody").await.err(),
        workflows.start("nobody", &()).await.err(),
        workflows.run::<()>("nobody", &()).await.err().map(call),
        workflows.wait("nobody").await.err(),
        workflows.get("nobody").await.err(),
        workflows.cancel("nobody", "why").await.err(),
        workflows.complete("nobody", "gate", &()).await.err(),
        workflows.fail("nobody", "gate", "why").await.err(),
        workflows.retry("nobody", "gate").await.err(),
        workflows.complete("r", "nobody", &()).await.err(),
        workflows.fail("r", "nobody", "why").await.err(),
        workflows.retry("r", "nobody").await.err(),
        workflows.schedule(schedule).await.err(),
        workflows.unschedule("nobody").await.err(),
    ] {
        let message = assert_kind(error.map_or(Ok(()), Err), ErrorKind::NotFound);
        assert!(message.contains("`nobody`"), "{message}");
    }
    for (refused, named) in [
        (workflows.start("t", &()).id("r").await.map(drop), "`r`"),
        (workflows.complete("r", "b", &()).await, "`b`"),
        (workflows.complete("leased", "a", &()).await, "`a`"),
        (workflows.retry("r", "gate").await, "`gate`"),
        (workflows.retry("leased", "a").await, "`a`"),
    ] {
        let message = assert_kind(refused, ErrorKind::Conflict);
        assert!(message.contains(named), "{message}");
    }
    // Tokens that nobody has are lost.
    for token in ["", "x", "0.0", "-1.1", "0", "ffffffffffffffff.1", "🦀"] {
        let outcomes = vec![(token.to_owned(), TaskVerdict::Done(Vec::new()))];
        assert_eq!(workflows.settle(outcomes).await.unwrap(), [token]);
        assert_eq!(workflows.extend(vec![token.to_owned()], LEASE).await.unwrap(), [token]);
    }
    scene.assert_unchanged().await;
}

async fn the_longest_and_oddest_arguments_are_taken(subject: Subject) {
    let workflows = &subject.workflows;
    let longest = "é".repeat(127) + "a";
    let mut last: Vec<StepDefinition> = Vec::new();
    for id in [longest.as_str(), "/", "..", "🦀", " "] {
        let after = last.last().map(|step| step.id.clone()).into_iter().collect();
        let retries = Retries { initial: Duration::MAX, max: Duration::MAX, ..Retries::default() };
        let retries = Retries { attempts: u32::MAX, ..retries };
        last.push(StepDefinition { after, retries, timeout: Some(Duration::MAX), ..step(id) });
    }
    let odd = WorkflowDefinition {
        timeout: Some(Duration::MAX),
        retention: Some(Duration::MAX),
        ..definition(&longest, last)
    };
    workflows.put_definition(odd).await.unwrap();
    let input: Vec<u8> = (0..MAX_RUN_BODY_BYTES).map(|n| (n % 251) as u8).collect();
    let started = workflows.start_bytes(&longest, input.clone()).id(&longest).await.unwrap();
    assert_eq!((started.run.as_str(), started.new), (longest.as_str(), true));
    let selector = || vec![TaskSelector::workflow(&longest)];
    for n in 0..5 {
        let pulled = workflows.pull(selector(), 1_000, Duration::MAX, Duration::MAX).await;
        let task = pulled.unwrap().remove(0);
        assert!(task.input == input);
        assert!(
            workflows.extend(vec![task.token.clone()], Duration::MAX).await.unwrap().is_empty()
        );
        // The results of a run have 4 MiB together.
        let result = if n == 4 { vec![255; MAX_RUN_BODY_BYTES] } else { Vec::new() };
        let lost = workflows.settle(vec![(task.token, TaskVerdict::Done(result))]).await.unwrap();
        assert_eq!(lost, Vec::<String>::new());
    }
    let run = workflows.wait(&longest).await.unwrap();
    assert_eq!(run.status.state, RunState::Done);
    assert!(run.result.unwrap() == vec![255; MAX_RUN_BODY_BYTES]);
    subject.pass(Duration::from_secs(1 << 40));
    assert!(subject.get(&longest).await.input == input, "it is retained for ever");
}

async fn a_workflow_may_have_256_steps_and_a_schedule_an_id_of_240_bytes(subject: Subject) {
    let workflows = &subject.workflows;
    let steps = (0..MAX_WORKFLOW_STEPS).map(|n| StepDefinition::new(n.to_string(), StepWork::Wait));
    workflows.put_definition(definition("w", steps.collect())).await.unwrap();
    let id = "é".repeat(120);
    workflows.schedule(Schedule::every(&id, "w", SECOND).max_runs(1)).await.unwrap();
    subject.pass(SECOND);
    while !workflows.schedules().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let filter = RunFilter { schedule: Some(id.clone()), ..RunFilter::default() };
    let run = workflows.list(filter, None, 1_000).await.unwrap().items.remove(0).run;
    assert!(run.starts_with(&format!("{id}@")), "{run}");
    // It is a run as any other.
    for n in 0..MAX_WORKFLOW_STEPS {
        workflows.complete(&run, &n.to_string(), &n).await.unwrap();
    }
    let run = workflows.wait(&run).await.unwrap();
    assert_eq!(run.result_as::<usize>().unwrap(), MAX_WORKFLOW_STEPS - 1);
    assert!(run.steps.iter().all(|step| step.state == StepState::Done));
}

for_every_provider! {
    wrong_names_and_ids_are_refused,
    definitions_that_cannot_be_are_refused_and_name_the_step,
    what_is_defined_wrongly_here_may_be_defined_rightly_afterwards,
    what_is_out_of_range_is_refused,
    schedules_that_cannot_be_are_refused,
    what_is_not_there_is_named_and_what_cannot_be_done_is_a_conflict,
    the_longest_and_oddest_arguments_are_taken,
    a_workflow_may_have_256_steps_and_a_schedule_an_id_of_240_bytes,
}
