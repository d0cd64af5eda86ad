//! Runs: how they begin and what they give.

use std::time::SystemTime;

use stheno::{ErrorKind, MAX_RUN_BODY_BYTES, RunState, TaskVerdict, WorkflowDefinition, Workflows};

use super::{Subject, done, step, waits};
use crate::case::Case;
use crate::check::{Outcome, equal, fails, holds, names, one, pattern};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.start.unchanged" =>
        "A run has the id, the workflow, the input and the time of its start, and so have its tasks.", unchanged;
    "workflows.start.largest" => "An input and a result may have 1 MiB.", largest;
    "workflows.start.odd" =>
        "Ids have any characters but control characters, and ids that look alike are different ids.", odd;
    "workflows.start.once" =>
        "Starting a run id again, while it is under way or after it has ended, finds the run that is there and changes nothing.",
        once;
    "workflows.start.other-workflow" =>
        "The id of a run of another workflow is `conflict`, and nothing is started.", other_workflow;
    "workflows.start.unknown" => "A workflow that is not defined is `not-found` and named.", unknown;
    "workflows.start.unnamed" =>
        "A run without an id of the caller's gets one that no other run has.", unnamed;
    "workflows.start.definition" =>
        "A run keeps the definition that it was started with, whatever becomes of it.", definition;
    "workflows.result.last" =>
        "The result of a run is that of the last step of the list, or of the step that `result-from` names.",
        result;
    "workflows.result.none" =>
        "A run is done without a result if the step that it is from has none.", no_result;
    "workflows.result.wait" => "Who waits for a run learns how it has ended.", wait;
};

async fn unchanged(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.pass(1_234);
    let input: Vec<u8> = (0..=255).collect();
    s.run_on("w", "r", input.clone()).await?;
    let [task] = s.takes("w", ["a"]).await?;
    let found = (task.workflow, task.run, task.step);
    equal("what the task is of", found, (s.own("w"), s.own("r"), "a".to_owned()))?;
    equal("the input of the task", task.input, input.clone())?;
    let run = s.get("r").await?;
    equal("the input", run.input, input)?;
    equal(
        "the run and its workflow",
        (run.status.run, run.status.workflow),
        (s.own("r"), s.own("w")),
    )?;
    equal("the state", run.status.state, RunState::Running)?;
    equal("parent and schedule", (run.status.parent, run.status.schedule), (None, None))?;
    let started = run.status.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    equal("the milliseconds of when it began", started.subsec_millis(), 234)
}

async fn largest(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[]), step("b", &["a"])]).await?;
    let bytes = pattern(MAX_RUN_BODY_BYTES);
    s.run_on("w", "r", bytes.clone()).await?;
    let [task] = s.takes("w", ["a"]).await?;
    holds(task.input == bytes, || format!("{} bytes of input came back", task.input.len()))?;
    s.settle(&task, TaskVerdict::Done(bytes.clone())).await?;
    let [task] = s.takes("w", ["b"]).await?;
    let (id, result) = one("the results of the task", task.results.clone())?;
    equal("the step of the result", id.as_str(), "a")?;
    holds(result == bytes, || format!("{} bytes of result came back", result.len()))?;
    s.settle(&task, TaskVerdict::Done(bytes.clone())).await?;
    let result = s.get("r").await?.result.unwrap_or_default();
    holds(result == bytes, || format!("the run's result has {} bytes, or others", result.len()))
}

async fn odd(s: Subject) -> Outcome {
    let own = s.own("");
    let longest = "n".repeat(255 - own.len());
    let sibling = format!("{}m", "n".repeat(254 - own.len()));
    let names = [
        " ",
        "a",
        "A",
        "a ",
        "a.b",
        "a/b",
        "a\\b",
        "a:b",
        "a@1",
        "?",
        "*",
        "%61",
        "'",
        "\"",
        "ä",
        "a\u{308}",
        "日本",
        "🦀",
        "{a}",
        longest.as_str(),
        sibling.as_str(),
    ];
    for name in names {
        s.define(name, vec![step(name, &[])]).await?;
    }
    for name in names {
        s.run(name, name).await?;
    }
    for name in names {
        let [task] = s.takes(name, [name]).await?;
        equal("the run", s.short(&task.run).as_str(), name)?;
        s.settle(&task, done("1")).await?;
        s.stands(name, &format!("done: {name} done")).await?;
    }
    Ok(())
}

async fn once(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.run_on("w", "r", "1").await?;
    equal("whether it is new again", s.start("w", "r", "2").await?, false)?;
    let [task] = s.takes("w", ["a"]).await?;
    equal("whether it is new under way", s.start("w", "r", "3").await?, false)?;
    equal("the input", s.get("r").await?.input, b"1")?;
    s.settle(&task, done("4")).await?;
    equal("whether it is new when done", s.start("w", "r", "5").await?, false)?;
    s.idle("w").await?;
    equal("the result", s.get("r").await?.result, Some(b"4".to_vec()))
}

async fn other_workflow(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.define("v", vec![step("b", &[])]).await?;
    s.run("w", "r").await?;
    let other = async || s.api.start_bytes(&s.own("v"), Vec::new()).id(s.own("r")).await;
    fails("the id of a run of another workflow", other().await, ErrorKind::Conflict)?;
    s.idle("v").await?;
    s.does("w", ["a"]).await?;
    fails("the id of one that is done", other().await, ErrorKind::Conflict)?;
    s.idle("v").await?;
    s.stands("r", "done: a done").await
}

async fn unknown(s: Subject) -> Outcome {
    let (workflow, run) = (s.own("no such workflow"), s.own("r"));
    let started = s.api.start_bytes(&workflow, Vec::new()).id(&run).await;
    names("a workflow that is not there", started, ErrorKind::NotFound, &workflow)?;
    names("the run", s.api.get(&run).await, ErrorKind::NotFound, &run)
}

async fn unnamed(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    let mut runs = Vec::new();
    for _ in 0..3 {
        let started = s.api.start_bytes(&s.own("w"), b"1".to_vec()).await?;
        equal("whether it is new", started.new, true)?;
        equal("its input", s.api.get(&started.run).await?.input, b"1")?;
        holds(!runs.contains(&started.run), || format!("{} was given twice", started.run))?;
        runs.push(started.run);
    }
    s.does("w", ["a", "a", "a"]).await
}

async fn definition(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[]), step("b", &["a"])]).await?;
    s.run("w", "old").await?;
    s.define("w", vec![step("a", &[]), step("c", &["a"])]).await?;
    s.run("w", "new").await?;
    s.does("w", ["a", "a"]).await?;
    s.stands("old", "running: a done, b running").await?;
    s.stands("new", "running: a done, c running").await?;
    s.api.remove_definition(&s.own("w")).await?;
    s.does("w", ["b", "c"]).await?;
    s.stands("old", "done: a done, b done").await?;
    s.stands("new", "done: a done, c done").await
}

async fn result(s: Subject) -> Outcome {
    let steps = || vec![step("a", &[]), step("b", &[]), step("c", &[])];
    s.define("last", steps()).await?;
    let result_from = Some("b".to_owned());
    let named = WorkflowDefinition { result_from, ..s.workflow("named", steps()) };
    s.api.put_definition(named).await?;
    for (workflow, expected) in [("last", "\"c\""), ("named", "\"b\"")] {
        s.run(workflow, workflow).await?;
        s.does(workflow, ["a", "b", "c"]).await?;
        let run = s.get(workflow).await?;
        equal("the result", run.result, Some(expected.as_bytes().to_vec()))?;
        for step in run.steps {
            let own = format!("\"{}\"", step.id).into_bytes();
            equal("the result of each step", step.result, Some(own))?;
        }
    }
    Ok(())
}

async fn no_result(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[]), step("b", &["a"])]).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    let [task] = s.takes("w", ["b"]).await?;
    s.settle(&task, TaskVerdict::Skipped).await?;
    s.stands("r", "done: a done, b skipped").await?;
    equal("the result", s.get("r").await?.result, None::<Vec<u8>>)
}

async fn wait(s: Subject) -> Outcome {
    s.define("w", vec![waits("a", &[])]).await?;
    s.run("w", "good").await?;
    s.run("w", "bad").await?;
    let (good, bad) = (s.own("good"), s.own("bad"));
    let ends = async {
        s.complete("good", "a", done("1")).await?;
        s.complete("bad", "a", super::rejected()).await?;
        // A hint may be missed; then it is looked for.
        s.pass(60_000);
        Outcome::Ok(())
    };
    let (good, bad, ended) = futures_util::join!(s.api.wait(&good), s.api.wait(&bad), ends);
    ended?;
    let found = (good?.status.state, bad?.status.state);
    equal("how they have ended", found, (RunState::Done, RunState::Reverted))
}
