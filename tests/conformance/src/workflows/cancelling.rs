//! Runs that must not go on.

use stheno::{CauseKind, ErrorKind, RunState, Workflows};

use super::{Subject, done, rejected, step, undoable, waits};
use crate::case::Case;
use crate::check::{Outcome, equal, fails, holds, names, there};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.cancel.running" =>
        "A run that is cancelled begins nothing more, waits for what is under way, and is compensated.", running;
    "workflows.cancel.idle" => "A run that is cancelled while nothing is under way is compensated at once.", idle;
    "workflows.cancel.waiting" => "A step that waits is under way, and its run waits until it is completed.", waiting;
    "workflows.cancel.done" =>
        "A run that is done can be cancelled as long as it is retained, and is compensated.", of_done;
    "workflows.cancel.refused" =>
        "Cancelling a run that cannot go on already, or has ended otherwise than done, is `conflict`.", refused;
    "workflows.cancel.missing" => "Cancelling a run that does not exist is `not-found` and names it.", missing;
    "workflows.cancel.reason" => "A run tells that it was cancelled and why, up to 4 KiB.", reason;
};

async fn running(s: Subject) -> Outcome {
    s.define("w", vec![undoable("a", &[]), undoable("b", &["a"]), step("c", &["b"])]).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    let [b] = s.takes("w", ["b"]).await?;
    s.cancel("r").await?;
    s.stands("r", "stopping: a done, b running, c passed-over").await?;
    s.idle("w").await?;
    s.settle(&b, done("1")).await?;
    s.does("w", ["undo b"]).await?;
    s.does("w", ["undo a"]).await?;
    s.idle("w").await?;
    s.stands("r", "reverted: a reverted, b reverted, c passed-over").await
}

async fn idle(s: Subject) -> Outcome {
    s.define("w", vec![undoable("a", &[]), step("b", &["a"])]).await?;
    s.run("w", "first").await?;
    s.cancel("first").await?;
    s.idle("w").await?;
    s.stands("first", "reverted: a passed-over, b passed-over").await?;
    s.run("w", "second").await?;
    s.does("w", ["a"]).await?;
    s.cancel("second").await?;
    s.does("w", ["undo a"]).await?;
    s.stands("second", "reverted: a reverted, b passed-over").await
}

async fn waiting(s: Subject) -> Outcome {
    s.define("w", vec![undoable("a", &[]), waits("b", &["a"])]).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    s.cancel("r").await?;
    s.pass(super::LONG);
    s.idle("w").await?;
    s.stands("r", "stopping: a done, b waiting").await?;
    s.complete("r", "b", rejected()).await?;
    s.does("w", ["undo a"]).await?;
    s.stands("r", "reverted: a reverted, b failed").await
}

async fn of_done(s: Subject) -> Outcome {
    s.define("w", vec![undoable("a", &[]), undoable("b", &["a"])]).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    s.does("w", ["b"]).await?;
    s.stands("r", "done: a done, b done").await?;
    s.pass(1_000);
    s.cancel("r").await?;
    s.stands("r", "compensating: a done, b compensating").await?;
    s.does("w", ["undo b"]).await?;
    s.does("w", ["undo a"]).await?;
    s.stands("r", "reverted: a reverted, b reverted").await?;
    equal("the result", s.get("r").await?.result, None::<Vec<u8>>)
}

async fn refused(s: Subject) -> Outcome {
    s.define("w", vec![undoable("a", &[]), undoable("b", &["a"])]).await?;
    let cancel = async |run| s.api.cancel(&s.own(run), "again").await;
    for (run, last) in [("reverted", done("")), ("failed", rejected())] {
        s.run("w", run).await?;
        s.does("w", ["a"]).await?;
        let [b] = s.takes("w", ["b"]).await?;
        s.cancel(run).await?;
        fails("cancelling what is stopping", cancel(run).await, ErrorKind::Conflict)?;
        s.settle(&b, rejected()).await?;
        let [undo] = s.takes("w", ["undo a"]).await?;
        fails("cancelling what is compensating", cancel(run).await, ErrorKind::Conflict)?;
        s.settle(&undo, last).await?;
        equal("the state", s.get(run).await?.status.state.as_str(), run)?;
        fails(&format!("cancelling what is {run}"), cancel(run).await, ErrorKind::Conflict)?;
        equal("the state", s.get(run).await?.status.state.as_str(), run)?;
    }
    s.idle("w").await
}

async fn missing(s: Subject) -> Outcome {
    let run = s.own("no such run");
    names("cancelling", s.api.cancel(&run, "").await, ErrorKind::NotFound, &run)
}

async fn reason(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    for (run, text) in [("short", "the customer rang"), ("long", "é".repeat(4_096).as_str())] {
        s.run("w", run).await?;
        s.api.cancel(&s.own(run), text).await?;
        let status = s.get(run).await?.status;
        equal("the state", status.state, RunState::Reverted)?;
        let cause = there("the cause", status.cause)?;
        equal("the cause", (cause.kind, cause.step), (CauseKind::Cancelled, None))?;
        let kept = text.get(..text.len().min(4_096)).unwrap_or_default();
        holds(cause.reason == kept, || format!("the reason has {} bytes", cause.reason.len()))?;
    }
    Ok(())
}
