//! Runs, as they are looked up.

use std::time::{Duration, SystemTime};

use stheno::{
    ErrorKind, RunFilter, RunState, StepState, TaskVerdict, WorkflowDefinition, Workflows,
};

use super::{Subject, done, rejected, step, undoable};
use crate::case::Case;
use crate::check::{Fault, Outcome, equal, names};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.history.retention" =>
        "A run that has ended is there until its retention has passed, and is gone at that millisecond.",
        retention;
    "workflows.history.forgotten" =>
        "The id of a run that is no longer retained can be run again.", forgotten;
    "workflows.history.under-way" => "A run that has not ended is not forgotten.", under_way;
    "workflows.history.times" => "A run and its steps tell when they began and ended.", times;
    "workflows.history.listed" => "Runs are listed as they are, the one that started last first.", listed;
    "workflows.history.pages" =>
        "Pages give each run once, also if others start meanwhile, and the last one names none after it.", pages;
    "workflows.history.states" => "A filter finds runs in any of the states that it names.", states;
    "workflows.history.started" =>
        "A filter finds runs that started at one moment or later, and before another.", started;
    "workflows.history.missing" => "Looking up a run that does not exist is `not-found` and names it.", missing;
};

impl Subject {
    fn of(&self, workflow: &str) -> RunFilter {
        RunFilter { workflow: Some(self.own(workflow)), ..RunFilter::default() }
    }

    /// Runs of it are retained for ten seconds.
    async fn define_short(&self, id: &str) -> Outcome {
        let retention = Some(Duration::from_secs(10));
        let short = self.workflow(id, vec![step("a", &[])]);
        Ok(self.api.put_definition(WorkflowDefinition { retention, ..short }).await?)
    }
}

async fn retention(s: Subject) -> Outcome {
    s.define_short("w").await?;
    s.run("w", "r").await?;
    s.pass(60_000);
    s.does("w", ["a"]).await?;
    s.pass(9_999);
    s.stands("r", "done: a done").await?;
    equal("the runs that are listed", s.list(s.of("w")).await?, ["r"])?;
    equal("whether it is new", s.start("w", "r", "").await?, false)?;
    s.pass(1);
    let run = s.own("r");
    names("looking it up", s.api.get(&run).await, ErrorKind::NotFound, &run)?;
    equal("the runs that are listed", s.list(s.of("w")).await?, [""; 0])?;
    names("cancelling it", s.api.cancel(&run, "").await, ErrorKind::NotFound, &run)?;
    names("trying it again", s.api.retry(&run, "a").await, ErrorKind::NotFound, &run)
}

async fn forgotten(s: Subject) -> Outcome {
    s.define_short("w").await?;
    for round in ["1", "2", "3"] {
        s.run_on("w", "r", round).await?;
        let [a] = s.takes("w", ["a"]).await?;
        equal("the input", &a.input, round.as_bytes())?;
        s.settle(&a, done("0")).await?;
        s.pass(10_000);
    }
    Ok(())
}

async fn under_way(s: Subject) -> Outcome {
    s.define_short("w").await?;
    s.run("w", "r").await?;
    s.pass(super::LONG);
    s.stands("r", "running: a running").await?;
    s.does("w", ["a"]).await
}

async fn times(s: Subject) -> Outcome {
    s.define("w", vec![undoable("a", &[]), undoable("b", &["a"]), step("c", &["b"])]).await?;
    s.run("w", "r").await?;
    s.pass(1_000);
    s.does("w", ["a"]).await?;
    s.pass(1_000);
    let [b] = s.takes("w", ["b"]).await?;
    s.pass(1_000);
    s.settle(&b, rejected()).await?;
    s.pass(1_000);
    let [undo] = s.takes("w", ["undo a"]).await?;
    s.pass(1_000);
    s.settle(&undo, done("")).await?;
    let run = s.get("r").await?;
    let since = |at: Option<SystemTime>| {
        at.map(|at| at.duration_since(run.status.started).unwrap_or_default().as_secs())
    };
    equal("when the run ended", since(run.status.ended), Some(5))?;
    let found: Vec<_> = run
        .steps
        .iter()
        .map(|step| (step.began.is_some(), since(step.ended), since(step.reverted)))
        .collect();
    let of_c = found.get(2).map(|(began, _, reverted)| (*began, *reverted));
    equal("whether `c` began and when it was undone", of_c, Some((false, None)))?;
    let expected = [(true, Some(1), Some(5)), (true, Some(3), None)];
    equal("when `a` and `b` ended and were undone", found.get(..2), Some(expected.as_slice()))?;
    let began = since(run.step("b").and_then(|step| step.began));
    equal("whether `b` began after `a`", began.is_some_and(|at| (1..=2).contains(&at)), true)
}

async fn listed(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.define("v", vec![step("a", &[])]).await?;
    for (workflow, run) in [("w", "1"), ("v", "2"), ("w", "3"), ("w", "4")] {
        s.run(workflow, run).await?;
        s.pass(1);
    }
    equal("the runs of one workflow", s.list(s.of("w")).await?, ["4", "3", "1"])?;
    equal("the runs of the other", s.list(s.of("v")).await?, ["2"])?;
    equal("the runs of none", s.list(s.of("nobody")).await?, [""; 0])?;
    let [task, _, _] = s.takes("w", ["a", "a", "a"]).await?;
    s.settle(&task, TaskVerdict::Rejected("no".to_owned())).await?;
    let page = s.api.list(s.of("w"), None, super::ALL).await?;
    for status in page.items {
        equal("a run that is listed", &status, &s.api.get(&status.run).await?.status)?;
    }
    Ok(())
}

async fn pages(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    for n in 0..7 {
        s.run("w", &n.to_string()).await?;
        s.pass(1);
    }
    let (mut after, mut found, mut sizes) = (None, Vec::new(), Vec::new());
    for more in 7..12 {
        let page = s.api.list(s.of("w"), after.as_deref(), 3).await?;
        sizes.push(page.items.len());
        found.extend(page.items.iter().map(|run| s.short(&run.run)));
        s.run("w", &more.to_string()).await?;
        after = page.next;
        if after.is_none() {
            let expected = ["6", "5", "4", "3", "2", "1", "0"];
            equal("the sizes of the pages", sizes, [3, 3, 1])?;
            return equal("the runs of all pages", found, expected);
        }
    }
    Err(Fault::new("there is always another page"))
}

async fn states(s: Subject) -> Outcome {
    s.define("w", vec![undoable("a", &[]), step("b", &["a"])]).await?;
    for run in ["failed", "reverted", "done", "compensating", "stopping", "running"] {
        s.run("w", run).await?;
        if run == "running" {
            continue;
        }
        s.does("w", ["a"]).await?;
        let [b] = s.takes("w", ["b"]).await?;
        match run {
            "done" => s.settle(&b, done("1")).await?,
            "stopping" => s.cancel(run).await?,
            _ => s.settle(&b, rejected()).await?,
        }
        if ["failed", "reverted", "compensating"].contains(&run) {
            let [undo] = s.takes("w", ["undo a"]).await?;
            match run {
                "failed" => s.settle(&undo, rejected()).await?,
                "reverted" => s.settle(&undo, done("")).await?,
                _ => {}
            }
        }
    }
    for state in RunState::ALL {
        let filter = RunFilter { states: vec![state], ..s.of("w") };
        equal("the runs in one state", s.list(filter).await?, [state.as_str()])?;
    }
    let states = vec![RunState::Failed, RunState::Running];
    let filter = RunFilter { states, ..s.of("w") };
    equal("the runs in two states", s.list(filter).await?, ["running", "failed"])?;
    equal("the runs in any state", s.list(s.of("w")).await?.len(), 6)?;
    let undone = s.step("reverted", "a").await?.state;
    equal("the state of what was undone", undone, StepState::Reverted)
}

async fn started(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    for n in 0..5 {
        s.run("w", &n.to_string()).await?;
        s.pass(1_000);
    }
    let first = s.get("0").await?.status.started;
    let at = |secs| Some(first + Duration::from_secs(secs));
    let between =
        |from, before| RunFilter { started_from: from, started_before: before, ..s.of("w") };
    equal("from 2 s on", s.list(between(at(2), None)).await?, ["4", "3", "2"])?;
    equal("before 2 s", s.list(between(None, at(2))).await?, ["1", "0"])?;
    equal("from 1 s to before 3 s", s.list(between(at(1), at(3))).await?, ["2", "1"])?;
    let filter = RunFilter { states: vec![RunState::Done], ..between(at(0), at(5)) };
    equal("those of them that are done", s.list(filter).await?, [""; 0])
}

async fn missing(s: Subject) -> Outcome {
    let run = s.own("no such run");
    names("looking it up", s.api.get(&run).await, ErrorKind::NotFound, &run)?;
    names("waiting for it", s.api.wait(&run).await, ErrorKind::NotFound, &run)
}
