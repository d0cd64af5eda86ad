//! Steps that somebody ends from outside.

use stheno::{ErrorKind, StepDefinition, TaskVerdict, Workflows};

use super::{LONG, Subject, done, failed, rejected, results, step, tried, undoable, waits};
use crate::case::Case;
use crate::check::{Outcome, equal, fails, names};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.waiting.complete" =>
        "A step that waits makes no task, until it is completed with its result.", complete;
    "workflows.waiting.handler" =>
        "A handler may say that its step waits: its token is over, no lease ends, and the step is completed as any other.",
        handler;
    "workflows.waiting.skipped" => "A step that waits can be completed as skipped.", skipped;
    "workflows.waiting.failed" =>
        "A step that waits and is failed is tried again if attempts are left, and waits anew.", fails_once;
    "workflows.waiting.rejected" => "A step that waits and is rejected has failed for good.", rejects;
    "workflows.waiting.compensation" =>
        "A compensation may wait too, and is completed as a step is.", compensation;
    "workflows.waiting.refused" => "Completing a step that does not wait is `conflict` and records nothing.", refused;
    "workflows.waiting.missing" =>
        "Completing a run or a step that does not exist is `not-found` and names it.", missing;
};

async fn complete(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[]), waits("b", &["a"]), step("c", &["b"])]).await?;
    s.run("w", "r").await?;
    s.stands("r", "running: a running, b pending, c pending").await?;
    s.does("w", ["a"]).await?;
    s.pass(LONG);
    s.idle("w").await?;
    s.stands("r", "running: a done, b waiting, c pending").await?;
    s.complete("r", "b", done("5")).await?;
    let [c] = s.takes("w", ["c"]).await?;
    equal("the results", results(&c), [("a", "\"a\""), ("b", "5")])?;
    s.settle(&c, done("6")).await?;
    s.stands("r", "done: a done, b done, c done").await
}

async fn handler(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[]), step("b", &["a"])]).await?;
    s.run("w", "r").await?;
    let [a] = s.takes("w", ["a"]).await?;
    s.settle(&a, TaskVerdict::Waiting).await?;
    s.stands("r", "running: a waiting, b pending").await?;
    s.is_lost(&a).await?;
    s.pass(LONG);
    s.idle("w").await?;
    s.complete("r", "a", done("5")).await?;
    let [b] = s.takes("w", ["b"]).await?;
    equal("the results", results(&b), [("a", "5")])
}

async fn skipped(s: Subject) -> Outcome {
    s.define("w", vec![waits("a", &[]), step("b", &["a"])]).await?;
    s.run("w", "r").await?;
    s.complete("r", "a", TaskVerdict::Skipped).await?;
    let [b] = s.takes("w", ["b"]).await?;
    equal("the results", results(&b), [])?;
    s.stands("r", "running: a skipped, b running").await
}

async fn fails_once(s: Subject) -> Outcome {
    s.define("w", vec![StepDefinition { retries: tried(2), ..waits("a", &[]) }]).await?;
    s.run("w", "good").await?;
    s.run("w", "bad").await?;
    for run in ["good", "bad"] {
        s.complete(run, "a", failed()).await?;
        s.stands(run, "running: a running").await?;
    }
    s.pass(1_000);
    s.tick().await?;
    for run in ["good", "bad"] {
        s.stands(run, "running: a waiting").await?;
    }
    s.complete("good", "a", done("1")).await?;
    s.stands("good", "done: a done").await?;
    s.complete("bad", "a", failed()).await?;
    s.stands("bad", "reverted: a failed").await
}

async fn rejects(s: Subject) -> Outcome {
    let a = StepDefinition { retries: tried(9), ..waits("a", &[]) };
    s.define("w", vec![a, step("b", &["a"])]).await?;
    s.run("w", "r").await?;
    s.complete("r", "a", rejected()).await?;
    s.stands("r", "reverted: a failed, b passed-over").await
}

async fn compensation(s: Subject) -> Outcome {
    s.define("w", vec![undoable("a", &[]), undoable("b", &["a"]), step("c", &["b"])]).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    s.does("w", ["b"]).await?;
    let [c] = s.takes("w", ["c"]).await?;
    s.settle(&c, rejected()).await?;
    let [undo] = s.takes("w", ["undo b"]).await?;
    s.settle(&undo, TaskVerdict::Waiting).await?;
    s.pass(LONG);
    s.idle("w").await?;
    s.stands("r", "compensating: a done, b waiting, c failed").await?;
    s.complete("r", "b", done("")).await?;
    s.does("w", ["undo a"]).await?;
    s.stands("r", "reverted: a reverted, b reverted, c failed").await
}

async fn refused(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[]), waits("b", &["a"])]).await?;
    s.run("w", "r").await?;
    let complete = async |step: &str| s.api.settle_waiting(&s.own("r"), step, done("0")).await;
    fails("completing what is due", complete("a").await, ErrorKind::Conflict)?;
    fails("completing what has not begun", complete("b").await, ErrorKind::Conflict)?;
    let [a] = s.takes("w", ["a"]).await?;
    fails("completing what is leased", complete("a").await, ErrorKind::Conflict)?;
    s.settle(&a, done("1")).await?;
    fails("completing what is done", complete("a").await, ErrorKind::Conflict)?;
    s.complete("r", "b", done("2")).await?;
    fails("completing twice", complete("b").await, ErrorKind::Conflict)?;
    equal("the result", s.get("r").await?.result, Some(b"2".to_vec()))
}

async fn missing(s: Subject) -> Outcome {
    s.define("w", vec![waits("a", &[])]).await?;
    s.run("w", "r").await?;
    let (run, other, step) = (s.own("r"), s.own("no such run"), "no such step");
    let complete = async |run: &str, step| s.api.settle_waiting(run, step, done("0")).await;
    names("completing", complete(&other, "a").await, ErrorKind::NotFound, &other)?;
    names("completing", complete(&run, step).await, ErrorKind::NotFound, step)?;
    s.stands("r", "running: a waiting").await
}
