//! Arguments out of bounds are refused by name and change nothing.

use std::time::Duration;

use stheno::{
    Condition, ConditionTest, ErrorKind, MAX_RUN_BODY_BYTES, OnFailure, Retries, RunFilter,
    Schedule, StepDefinition, StepWork, TaskSelector, TaskVerdict, WorkflowDefinition, Workflows,
};

use super::{LEASE, Subject, done, failed, step, waits};
use crate::case::Case;
use crate::check::{Outcome, equal, names, refuses};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.arguments.define" =>
        "A definition out of bounds is `invalid-argument` that names what is wrong, and the one that is there stays.",
        define;
    "workflows.arguments.steps" =>
        "A definition whose steps do not fit together is `invalid-argument` that names the step, and the one that is there stays.",
        steps;
    "workflows.arguments.nested" =>
        "A nested run whose input is of a step that it does not come after is `invalid-argument` that names the step." [with "nested"],
        nested;
    "workflows.arguments.start" =>
        "A start out of bounds is `invalid-argument` that names what is wrong, and nothing is started.", start;
    "workflows.arguments.pull" =>
        "A `pull`, `settle` or `extend` out of bounds is `invalid-argument` that names what is wrong, and changes nothing.",
        pull;
    "workflows.arguments.ids" =>
        "An id out of bounds is `invalid-argument` that names it, wherever one is asked for.", ids;
    "workflows.arguments.complete" =>
        "A verdict that ends nothing is `invalid-argument`, and the step goes on waiting.", complete;
    "workflows.arguments.list" =>
        "A page or a filter out of bounds is `invalid-argument` that names what is wrong.", list;
    "workflows.arguments.schedule" =>
        "A schedule out of bounds is `invalid-argument` that names what is wrong, and none is made." [with "schedules"],
        schedule;
};

/// Ids that nothing can have.
fn wrong_ids() -> [String; 4] {
    [String::new(), "n".repeat(256), "a\nb".to_owned(), "a\u{0}".to_owned()]
}

/// Refused by name, and `w` is as it was.
async fn refused(s: &Subject, wrong: Vec<(WorkflowDefinition, &str)>) -> Outcome {
    s.define("w", vec![step("good", &[])]).await?;
    for (definition, argument) in wrong {
        refuses(s.api.put_definition(definition).await, argument)?;
    }
    s.run("w", "r").await?;
    s.does("w", ["good"]).await?;
    let own = s.own("");
    let all = s.api.definitions().await?;
    let count = all.iter().filter(|it| it.definition.id.starts_with(&own)).count();
    equal("how many definitions there are", count, 1)
}

async fn define(s: Subject) -> Outcome {
    let with = |steps| s.workflow("w", steps);
    let many: Vec<_> = (0..257).map(|n| step(&n.to_string(), &[])).collect();
    let a = || step("a", &[]);
    let none = Retries { attempts: 0, ..Retries::default() };
    let mut wrong = vec![
        (with(Vec::new()), "steps"),
        (with(many), "steps"),
        (with(vec![a(), step("twice", &[]), step("twice", &[])]), "twice"),
        (with(vec![step("finish", &[])]), "finish"),
        (with(vec![StepDefinition { timeout: Some(Duration::ZERO), ..a() }]), "timeout"),
        (with(vec![StepDefinition { retries: none, ..a() }]), "attempts"),
        (WorkflowDefinition { timeout: Some(Duration::ZERO), ..with(vec![a()]) }, "timeout"),
    ];
    for id in wrong_ids() {
        wrong.push((WorkflowDefinition { id: id.clone(), ..with(vec![a()]) }, "id"));
        wrong.push((with(vec![step(&id, &[])]), "id"));
    }
    refused(&s, wrong).await
}

async fn steps(s: Subject) -> Outcome {
    let with =
        |wrong| s.workflow("w", vec![step("a", &[]), step("beside", &[]), wrong, step("z", &[])]);
    let wrong = || step("wrong", &["a"]);
    let when = |condition| StepDefinition { when: vec![condition], ..wrong() };
    let test = |pointer: &str, test| Condition {
        step: None,
        pointer: pointer.to_owned(),
        test,
        negated: false,
    };
    let skip_to =
        |to: &str| StepDefinition { on_failure: OnFailure::SkipTo(to.to_owned()), ..wrong() };
    let all = [
        step("wrong", &["nowhere"]),
        step("wrong", &["a", "z"]),
        step("wrong", &["wrong"]),
        when(Condition::result("nowhere", "").present()),
        when(Condition::result("beside", "").present()),
        when(Condition::result("wrong", "").present()),
        when(test("customer", ConditionTest::Present)),
        when(test("", ConditionTest::Equals("paid".to_owned()))),
        skip_to("nowhere"),
        skip_to("a"),
        skip_to("wrong"),
        skip_to("z"),
    ];
    let mut all: Vec<_> = all.into_iter().map(|step| (with(step), "wrong")).collect();
    let result_from = Some("nowhere".to_owned());
    all.push((WorkflowDefinition { result_from, ..with(wrong()) }, "nowhere"));
    refused(&s, all).await
}

async fn nested(s: Subject) -> Outcome {
    let of = |input: &str| {
        let work = StepWork::Nested { workflow: s.own("w"), input_from: Some(input.to_owned()) };
        let wrong = StepDefinition { work, ..step("wrong", &["a"]) };
        (s.workflow("w", vec![step("a", &[]), step("beside", &[]), wrong]), "wrong")
    };
    refused(&s, vec![of("nowhere"), of("beside"), of("wrong")]).await
}

async fn start(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    let workflow = s.own("w");
    let large = s.api.start_bytes(&workflow, vec![0; MAX_RUN_BODY_BYTES + 1]).id(s.own("r")).await;
    refuses(large, "input")?;
    for id in wrong_ids() {
        refuses(s.api.start_bytes(&workflow, Vec::new()).id(&id).await, "id")?;
        refuses(s.api.start_bytes(&id, Vec::new()).id(s.own("r")).await, "workflow")?;
    }
    s.idle("w").await
}

async fn pull(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.run("w", "r").await?;
    for max in [0, 1_001, u32::MAX] {
        refuses(s.api.pull_now(s.selector("w"), max, LEASE).await, "max")?;
    }
    refuses(s.api.pull_now(s.selector("w"), 1, Duration::ZERO).await, "lease")?;
    refuses(s.api.pull_now(Vec::new(), 1, LEASE).await, "selectors")?;
    let many = vec![TaskSelector::workflow(s.own("w")); 1_001];
    refuses(s.api.pull_now(many, 1, LEASE).await, "selectors")?;
    for id in wrong_ids() {
        let workflow = vec![TaskSelector::workflow(&id)];
        refuses(s.api.pull_now(workflow, 1, LEASE).await, "workflow")?;
        let steps = vec![TaskSelector { workflow: s.own("w"), steps: vec![id] }];
        refuses(s.api.pull_now(steps, 1, LEASE).await, "steps")?;
    }
    let [a] = s.takes("w", ["a"]).await?;
    let token = || a.token.clone();
    refuses(s.api.extend(vec![token()], Duration::ZERO).await, "lease")?;
    refuses(s.api.extend(vec![token(); 1_001], LEASE).await, "tokens")?;
    refuses(s.api.settle(vec![(token(), done("1")); 1_001]).await, "outcomes")?;
    let large = TaskVerdict::Done(vec![0; MAX_RUN_BODY_BYTES + 1]);
    refuses(s.api.settle(vec![(token(), large)]).await, "result")?;
    for token in ["no such token", ""] {
        let lost = s.api.settle(vec![(token.to_owned(), done("1"))]).await?;
        equal("tokens that nobody was given", lost, [token])?;
    }
    s.settle(&a, done("1")).await
}

async fn ids(s: Subject) -> Outcome {
    for id in wrong_ids() {
        refuses(s.api.remove_definition(&id).await, "workflow")?;
        refuses(s.api.get(&id).await, "run")?;
        refuses(s.api.wait(&id).await, "run")?;
        refuses(s.api.cancel(&id, "").await, "run")?;
        refuses(s.api.retry(&id, "a").await, "run")?;
        refuses(s.api.retry(&s.own("r"), &id).await, "step")?;
        refuses(s.api.settle_waiting(&id, "a", failed()).await, "run")?;
        refuses(s.api.settle_waiting(&s.own("r"), &id, failed()).await, "step")?;
        refuses(s.api.unschedule(&id).await, "id")?;
    }
    Ok(())
}

async fn complete(s: Subject) -> Outcome {
    s.define("w", vec![waits("a", &[])]).await?;
    s.run("w", "r").await?;
    for verdict in [TaskVerdict::Waiting, TaskVerdict::Returned] {
        refuses(s.api.settle_waiting(&s.own("r"), "a", verdict).await, "verdict")?;
    }
    let large = TaskVerdict::Done(vec![0; MAX_RUN_BODY_BYTES + 1]);
    refuses(s.api.settle_waiting(&s.own("r"), "a", large).await, "result")?;
    s.stands("r", "running: a waiting").await
}

async fn list(s: Subject) -> Outcome {
    for max in [0, 1_001] {
        refuses(s.api.list(RunFilter::default(), None, max).await, "max")?;
    }
    for id in wrong_ids() {
        let workflow = RunFilter { workflow: Some(id.clone()), ..RunFilter::default() };
        refuses(s.api.list(workflow, None, 1).await, "workflow")?;
        let parent = RunFilter { parent: Some(id.clone()), ..RunFilter::default() };
        refuses(s.api.list(parent, None, 1).await, "parent")?;
        let schedule = RunFilter { schedule: Some(id), ..RunFilter::default() };
        refuses(s.api.list(schedule, None, 1).await, "schedule")?;
    }
    refuses(s.api.list(RunFilter::default(), Some("no page gave this"), 1).await, "after")
}

async fn schedule(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    let good = || s.every_ten("s", "w");
    let every = |millis| Schedule::every(s.own("s"), s.own("w"), Duration::from_millis(millis));
    let mut wrong = vec![
        (every(999), "every"),
        (every(0), "every"),
        (good().max_runs(0), "max_runs"),
        (Schedule { input: vec![0; MAX_RUN_BODY_BYTES + 1], ..good() }, "input"),
    ];
    for id in wrong_ids() {
        wrong.push((Schedule { workflow: id.clone(), ..good() }, "workflow"));
        wrong.push((Schedule::cron(s.own("s"), s.own("w"), &id), "expression"));
        let zoned = Schedule::cron(s.own("s"), s.own("w"), "* * * * *").time_zone(&id);
        wrong.push((zoned, "time_zone"));
        wrong.push((Schedule { id, ..good() }, "id"));
    }
    for (schedule, argument) in wrong {
        refuses(s.api.schedule(schedule).await, argument)?;
    }
    equal("how many schedules there are", s.schedules().await?.len(), 0)?;
    let id = s.own("s");
    names("removing it", s.api.unschedule(&id).await, ErrorKind::NotFound, &id)
}
