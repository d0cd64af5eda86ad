//! Steps: what begins when, and with what.

use stheno::{MAX_RUN_BODY_BYTES, MAX_WORKFLOW_STEPS, RunState, StepState, TaskVerdict, Workflows};

use super::{Subject, done, results, step};
use crate::case::Case;
use crate::check::{Outcome, equal, pattern};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.steps.sequence" =>
        "A step begins when the one that it comes after has ended, and not before its result is recorded.",
        sequence;
    "workflows.steps.parallel" =>
        "Steps that wait for nobody begin together, and one that comes after several waits for all of them.",
        parallel;
    "workflows.steps.results" =>
        "A task has the results of the steps that it comes after, directly or through others, and of no others.",
        ancestors;
    "workflows.steps.skipped" =>
        "A step whose handler has nothing to do is `skipped`, gives no result, and what comes after goes on.",
        skipped;
    "workflows.steps.settled" => "What is settled is not asked for again.", settled;
    "workflows.steps.many" => "A workflow may have 256 steps.", many;
    "workflows.steps.too-much" =>
        "The results of one run have at most 4 MiB together, and the attempt that goes beyond has failed for good.",
        too_much;
};

async fn sequence(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[]), step("b", &["a"]), step("c", &["b"])]).await?;
    s.run("w", "r").await?;
    s.stands("r", "running: a running, b pending, c pending").await?;
    let [a] = s.takes("w", ["a"]).await?;
    s.pass(1_000);
    s.idle("w").await?;
    s.settle(&a, done("1")).await?;
    s.stands("r", "running: a done, b running, c pending").await?;
    s.does("w", ["b"]).await?;
    s.stands("r", "running: a done, b done, c running").await?;
    s.does("w", ["c"]).await?;
    s.idle("w").await?;
    s.stands("r", "done: a done, b done, c done").await
}

async fn parallel(s: Subject) -> Outcome {
    let steps = vec![
        step("a", &[]),
        step("b", &["a"]),
        step("c", &["a"]),
        step("d", &["b", "c"]),
        step("beside", &[]),
    ];
    s.define("w", steps).await?;
    s.run("w", "r").await?;
    let [a, beside] = s.takes("w", ["a", "beside"]).await?;
    s.settle(&a, done("1")).await?;
    let [b, c] = s.takes("w", ["b", "c"]).await?;
    s.settle(&c, done("3")).await?;
    s.idle("w").await?;
    s.settle(&b, done("2")).await?;
    s.does("w", ["d"]).await?;
    s.stands("r", "running: a done, b done, c done, d done, beside running").await?;
    s.settle(&beside, done("5")).await?;
    s.stands("r", "done: a done, b done, c done, d done, beside done").await
}

async fn ancestors(s: Subject) -> Outcome {
    let steps = vec![
        step("a", &[]),
        step("other", &[]),
        step("b", &["a"]),
        step("skips", &["a"]),
        step("c", &["b", "skips"]),
    ];
    s.define("w", steps).await?;
    s.run("w", "r").await?;
    let [a, other] = s.takes("w", ["a", "other"]).await?;
    equal("the results that the first has", results(&a), [])?;
    s.settle(&a, done("{\"a\": 1}")).await?;
    s.settle(&other, done("0")).await?;
    let [b, skips] = s.takes("w", ["b", "skips"]).await?;
    equal("the results that the second has", results(&b), [("a", "{\"a\": 1}")])?;
    s.settle(&b, done("no JSON")).await?;
    s.settle(&skips, TaskVerdict::Skipped).await?;
    let [c] = s.takes("w", ["c"]).await?;
    let expected = [("a", "{\"a\": 1}"), ("b", "no JSON")];
    equal("the results that the last has", results(&c), expected)
}

async fn skipped(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[]), step("b", &["a"])]).await?;
    s.run("w", "r").await?;
    let [a] = s.takes("w", ["a"]).await?;
    s.settle(&a, TaskVerdict::Skipped).await?;
    let [b] = s.takes("w", ["b"]).await?;
    equal("the results that the next has", results(&b), [])?;
    s.settle(&b, done("1")).await?;
    s.stands("r", "done: a skipped, b done").await
}

async fn settled(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[]), step("b", &["a"])]).await?;
    s.run("w", "r").await?;
    let [a] = s.takes("w", ["a"]).await?;
    s.settle(&a, done("1")).await?;
    s.is_lost(&a).await?;
    s.pass(super::LONG);
    let [b] = s.takes("w", ["b"]).await?;
    equal("the result that was settled first", results(&b), [("a", "1")])?;
    s.settle(&b, done("2")).await?;
    s.is_lost(&a).await?;
    s.is_lost(&b).await?;
    s.idle("w").await?;
    s.stands("r", "done: a done, b done").await?;
    equal("the result", s.get("r").await?.result, Some(b"2".to_vec()))
}

async fn many(s: Subject) -> Outcome {
    let middle: Vec<String> = (2..MAX_WORKFLOW_STEPS).map(|n| format!("m{n:03}")).collect();
    let names: Vec<&str> = middle.iter().map(String::as_str).collect();
    let mut steps = vec![step("first", &[])];
    steps.extend(names.iter().map(|name| step(name, &["first"])));
    steps.push(step("last", &names));
    s.define("w", steps).await?;
    s.run("w", "r").await?;
    s.does("w", ["first"]).await?;
    let tasks = s.pull("w").await?;
    let mut found: Vec<_> = tasks.iter().map(|task| task.step.as_str()).collect();
    found.sort_unstable();
    equal("what is due after the first", &found, &names)?;
    let verdict = |task: &stheno::Task| (task.token.clone(), done(&task.step));
    let lost = s.api.settle(tasks.iter().map(verdict).collect()).await?;
    equal("tokens lost at once", lost, [""; 0])?;
    let [last] = s.takes("w", ["last"]).await?;
    let found: Vec<_> = results(&last).into_iter().map(|(step, _)| step).collect();
    let expected: Vec<_> = std::iter::once("first").chain(names).collect();
    equal("the steps whose results the last has", found, expected)?;
    s.settle(&last, done("1")).await?;
    equal("the state", s.get("r").await?.status.state, RunState::Done)
}

async fn too_much(s: Subject) -> Outcome {
    let steps = ["a", "b", "c", "d", "e"].map(|id| super::undoable(id, &[])).to_vec();
    s.define("w", steps).await?;
    s.run("w", "r").await?;
    let mut tasks = s.takes("w", ["a", "b", "c", "d", "e"]).await?.to_vec();
    let last = crate::check::there("the last task", tasks.pop())?;
    for task in tasks {
        s.settle(&task, TaskVerdict::Done(pattern(MAX_RUN_BODY_BYTES))).await?;
    }
    equal("the state with 4 MiB", s.get("r").await?.status.state, RunState::Running)?;
    s.settle(&last, TaskVerdict::Done(b"1".to_vec())).await?;
    let run = s.get("r").await?;
    equal("the state with a byte more", run.status.state, RunState::Compensating)?;
    let cause = run.status.cause.and_then(|cause| cause.step);
    equal("the step that failed", cause, Some("e".to_owned()))?;
    let states: Vec<_> = run.steps.iter().take(4).map(|step| step.state).collect();
    equal("the other steps", states, [StepState::Compensating; 4])
}
