//! The last task, which tells how a run has ended.

use std::time::Duration;

use stheno::{ErrorKind, StepDefinition, TaskSelector, TaskVerdict, WorkflowDefinition, Workflows};

use super::{
    LEASE, LEASE_MS, LONG, Subject, done, failed, rejected, results, step, undoable, what,
};
use crate::case::Case;
use crate::check::{Outcome, equal, fails};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.finish.told" =>
        "A last task has the run's state and its result under the step that it is from, and comes once it is over.",
        told;
    "workflows.finish.states" =>
        "The last task comes however the run has ended, and again when a run that had ended goes on.", states;
    "workflows.finish.repeated" =>
        "The last task is repeated until it is done, whatever else is said of it.", repeated;
    "workflows.finish.lost" => "A last task that was lost with its worker comes again.", lost;
    "workflows.finish.retained" => "A run is retained until its last task is done.", retained;
    "workflows.finish.selector" =>
        "Who takes some steps only is given the last task if `finish` is among them.", selector;
};

impl Subject {
    async fn define_telling(&self, id: &str, steps: Vec<StepDefinition>) -> Outcome {
        let telling = WorkflowDefinition { finish: true, ..self.workflow(id, steps) };
        Ok(self.api.put_definition(telling).await?)
    }
}

async fn told(s: Subject) -> Outcome {
    let steps = vec![step("a", &[]), step("b", &["a"])];
    let telling = WorkflowDefinition {
        finish: true,
        result_from: Some("a".to_owned()),
        ..s.workflow("w", steps)
    };
    s.api.put_definition(telling).await?;
    s.run_on("w", "r", "5").await?;
    s.does("w", ["a"]).await?;
    s.does("w", ["b"]).await?;
    s.stands("r", "done: a done, b done").await?;
    let [last] = s.takes("w", ["finish done"]).await?;
    let found = (last.workflow.as_str(), last.run.as_str(), last.step.as_str());
    equal("what it is of", found, (s.own("w").as_str(), s.own("r").as_str(), ""))?;
    equal("the input", &last.input, b"5")?;
    equal("the results", results(&last), [("a", "\"a\"")])?;
    s.settle(&last, done("dropped")).await?;
    s.pass(LONG);
    s.idle("w").await?;
    equal("the result", s.get("r").await?.result, Some(b"\"a\"".to_vec()))
}

async fn states(s: Subject) -> Outcome {
    s.define_telling("w", vec![undoable("a", &[]), step("b", &["a"])]).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    let [b] = s.takes("w", ["b"]).await?;
    s.settle(&b, rejected()).await?;
    let [undo] = s.takes("w", ["undo a"]).await?;
    s.settle(&undo, rejected()).await?;
    s.does("w", ["finish failed"]).await?;
    s.retry("r", "a").await?;
    s.does("w", ["undo a"]).await?;
    s.does("w", ["finish reverted"]).await?;
    s.idle("w").await?;
    s.run("w", "q").await?;
    s.does("w", ["a"]).await?;
    s.does("w", ["b"]).await?;
    s.does("w", ["finish done"]).await?;
    s.cancel("q").await?;
    s.does("w", ["undo a"]).await?;
    s.does("w", ["finish reverted"]).await?;
    s.pass(LONG);
    s.idle("w").await
}

async fn repeated(s: Subject) -> Outcome {
    s.define_telling("w", vec![step("a", &[])]).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    let verdicts = [failed(), rejected(), failed(), TaskVerdict::Returned, failed()];
    for (attempt, verdict) in verdicts.into_iter().cycle().take(20).enumerate() {
        let [last] = s.takes("w", ["finish done"]).await?;
        let at_once = verdict == TaskVerdict::Returned;
        s.settle(&last, verdict).await?;
        if !at_once {
            let due = s.pull("w").await?.len();
            equal(&format!("how many are due right after failure {attempt}"), due, 0)?;
        }
        s.pass(LONG / 50);
    }
    s.does("w", ["finish done"]).await?;
    s.pass(LONG);
    s.idle("w").await
}

async fn lost(s: Subject) -> Outcome {
    s.define_telling("w", vec![step("a", &[])]).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    for _ in 0..5 {
        s.takes("w", ["finish done"]).await?;
        s.pass(LEASE_MS);
        s.tick().await?;
        s.pass(LONG / 50);
    }
    s.does("w", ["finish done"]).await
}

async fn retained(s: Subject) -> Outcome {
    let telling = WorkflowDefinition {
        finish: true,
        retention: Some(Duration::from_secs(10)),
        ..s.workflow("w", vec![step("a", &[])])
    };
    s.api.put_definition(telling).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    s.pass(LONG);
    equal("whether it is new", s.start("w", "r", "").await?, false)?;
    s.does("w", ["finish done"]).await?;
    s.pass(10_000);
    fails("looking it up", s.api.get(&s.own("r")).await, ErrorKind::NotFound).map(drop)
}

async fn selector(s: Subject) -> Outcome {
    s.define_telling("w", vec![step("a", &[])]).await?;
    s.run("w", "r").await?;
    let take = async |steps: &[&str]| {
        let steps = steps.iter().map(|&step| step.to_owned()).collect();
        let selector = vec![TaskSelector { workflow: s.own("w"), steps }];
        s.api.pull_now(selector, super::ALL, LEASE).await
    };
    equal("what is due of `finish`", take(&["finish"]).await?.tasks.len(), 0)?;
    s.does("w", ["a"]).await?;
    equal("what is due of `a`", take(&["a"]).await?.tasks.len(), 0)?;
    let tasks = take(&["a", "finish"]).await?.tasks;
    equal("what is due of both", tasks.iter().map(what).collect::<Vec<_>>(), ["finish done"])
}
