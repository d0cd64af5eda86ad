//! What fails is tried again.

use std::time::{Duration, SystemTime};

use stheno::{CauseKind, ErrorKind, Retries, StepDefinition, TaskVerdict, Workflows};

use super::{LONG, SECOND, Subject, done, failed, rejected, step, tried};
use crate::case::Case;
use crate::check::{Outcome, equal, fails, holds, names, there};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.retries.backoff" =>
        "The wait before attempt n+1 is the initial one doubled n-1 times, at most the largest, with at most half of it taken off.",
        backoff;
    "workflows.retries.attempts" =>
        "A step is tried as often as it says, and then it has failed for good.", attempts;
    "workflows.retries.succeeds" =>
        "A step whose later attempt is done is done, and the run goes on.", succeeds;
    "workflows.retries.rejected" => "A rejected attempt is not tried again.", rejects;
    "workflows.retries.by-hand" =>
        "A step that is not repeated by itself is `stalled` after a failure until somebody tries it again.",
        by_hand;
    "workflows.retries.now" => "A step that waits for its back-off is due at once if somebody tries it again.", now;
    "workflows.retries.refused" =>
        "Trying again what is neither stalled, nor waits for its back-off, nor is stuck is `conflict`.", refused;
    "workflows.retries.missing" =>
        "Trying again a run or a step that does not exist is `not-found` and names it.", missing;
    "workflows.retries.faults" =>
        "A run tells of the last 16 failed attempts of a step when, which and why.", faults;
    "workflows.retries.reason" => "A reason is kept up to 4 KiB.", reason;
};

fn with(retries: Retries) -> StepDefinition {
    StepDefinition { retries, ..step("a", &[]) }
}

fn at_once(attempts: u32) -> Retries {
    Retries { attempts, initial: Duration::ZERO, max: Duration::ZERO, automatic: true }
}

async fn backoff(s: Subject) -> Outcome {
    s.define("w", vec![with(tried(9))]).await?;
    s.run("w", "r").await?;
    for (attempt, wait) in (1..).zip([1_000, 2_000, 4_000, 5_000, 5_000]) {
        let [a] = s.takes("w", ["a"]).await?;
        equal("the attempt and how many there are", (a.attempt, a.attempts), (attempt, 9))?;
        s.settle(&a, failed()).await?;
        s.idle("w").await?;
        s.stands("r", "running: a running").await?;
        s.pass(wait / 2 - 1);
        s.idle("w").await?;
        s.pass(wait - (wait / 2 - 1));
    }
    s.does("w", ["a"]).await
}

async fn attempts(s: Subject) -> Outcome {
    for attempts in [1, 2, 4] {
        let name = attempts.to_string();
        s.define(&name, vec![with(tried(attempts)), step("b", &["a"])]).await?;
        s.run(&name, &name).await?;
        for attempt in 1..=attempts {
            let [a] = s.takes(&name, ["a"]).await?;
            equal(
                "the attempt and how many there are",
                (a.attempt, a.attempts),
                (attempt, attempts),
            )?;
            s.settle(&a, failed()).await?;
            s.pass(5_000);
        }
        s.idle(&name).await?;
        s.stands(&name, "reverted: a failed, b passed-over").await?;
        let run = s.get(&name).await?;
        equal("attempts made", run.step("a").map(|step| step.attempts), Some(attempts))?;
        let cause = there("the cause", run.status.cause)?;
        let found = (cause.kind, cause.step.as_deref(), cause.reason.as_str());
        equal("the cause", found, (CauseKind::StepFailed, Some("a"), "the case says so"))?;
    }
    Ok(())
}

async fn succeeds(s: Subject) -> Outcome {
    s.define("w", vec![with(tried(3)), step("b", &["a"])]).await?;
    s.run("w", "r").await?;
    for _ in 0..2 {
        let [a] = s.takes("w", ["a"]).await?;
        s.settle(&a, failed()).await?;
        s.pass(5_000);
    }
    s.does("w", ["a"]).await?;
    s.does("w", ["b"]).await?;
    s.stands("r", "done: a done, b done").await
}

async fn rejects(s: Subject) -> Outcome {
    s.define("w", vec![with(tried(5))]).await?;
    s.run("w", "r").await?;
    let [a] = s.takes("w", ["a"]).await?;
    s.settle(&a, rejected()).await?;
    s.pass(LONG);
    s.idle("w").await?;
    s.stands("r", "reverted: a failed").await
}

async fn by_hand(s: Subject) -> Outcome {
    s.define("w", vec![with(Retries { automatic: false, ..tried(3) })]).await?;
    s.run("w", "r").await?;
    for attempt in 1..=3 {
        let [a] = s.takes("w", ["a"]).await?;
        equal("the attempt", a.attempt, attempt)?;
        s.settle(&a, failed()).await?;
        if attempt < 3 {
            s.pass(LONG / 2);
            s.idle("w").await?;
            s.stands("r", "running: a stalled").await?;
            s.retry("r", "a").await?;
        }
    }
    s.stands("r", "reverted: a failed").await
}

async fn now(s: Subject) -> Outcome {
    let hour = 3_600 * SECOND;
    s.define("w", vec![with(Retries { initial: hour, max: hour, ..tried(3) })]).await?;
    s.run("w", "r").await?;
    let [a] = s.takes("w", ["a"]).await?;
    s.settle(&a, failed()).await?;
    s.idle("w").await?;
    s.retry("r", "a").await?;
    let [a] = s.takes("w", ["a"]).await?;
    equal("the attempt", a.attempt, 2)?;
    s.settle(&a, done("1")).await?;
    s.pass(2 * 3_600_000);
    s.idle("w").await
}

async fn refused(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[]), step("b", &["a"])]).await?;
    s.run("w", "r").await?;
    let retry = async |step: &str| s.api.retry(&s.own("r"), step).await;
    fails("trying again what is due", retry("a").await, ErrorKind::Conflict)?;
    let [a] = s.takes("w", ["a"]).await?;
    fails("trying again what is leased", retry("a").await, ErrorKind::Conflict)?;
    fails("trying again what has not begun", retry("b").await, ErrorKind::Conflict)?;
    s.settle(&a, done("1")).await?;
    fails("trying again what is done", retry("a").await, ErrorKind::Conflict)?;
    s.does("w", ["b"]).await?;
    fails("trying again what is done", retry("b").await, ErrorKind::Conflict)?;
    s.stands("r", "done: a done, b done").await
}

async fn missing(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.run("w", "r").await?;
    let (run, other) = (s.own("r"), s.own("no such run"));
    names("trying again", s.api.retry(&other, "a").await, ErrorKind::NotFound, &other)?;
    names(
        "trying again",
        s.api.retry(&run, "no such step").await,
        ErrorKind::NotFound,
        "no such step",
    )?;
    s.does("w", ["a"]).await
}

async fn faults(s: Subject) -> Outcome {
    s.define("w", vec![with(at_once(20))]).await?;
    s.run("w", "r").await?;
    s.pass(5);
    for attempt in 1..=20 {
        let [a] = s.takes("w", ["a"]).await?;
        s.settle(&a, TaskVerdict::Failed(format!("why {attempt}"))).await?;
        s.pass(10);
    }
    let run = s.get("r").await?;
    let faults = run.step("a").map(|step| step.faults.as_slice()).unwrap_or_default();
    equal("how many are told of", faults.len(), 16)?;
    let millis =
        |at: SystemTime| at.duration_since(run.status.started).unwrap_or_default().as_millis();
    for (fault, attempt) in faults.iter().zip(5_u32..) {
        let found = (fault.attempt, fault.reason.as_str(), fault.compensation, millis(fault.at));
        let at = u128::from(attempt - 1) * 10 + 5;
        equal("a fault", found, (attempt, format!("why {attempt}").as_str(), false, at))?;
    }
    Ok(())
}

async fn reason(s: Subject) -> Outcome {
    s.define("w", vec![with(tried(1))]).await?;
    s.run("w", "r").await?;
    let [a] = s.takes("w", ["a"]).await?;
    s.settle(&a, TaskVerdict::Rejected("é".repeat(4_096))).await?;
    let fault = there("the fault", s.step("r", "a").await?.faults.pop())?;
    let cause = there("the cause", s.get("r").await?.status.cause)?;
    for reason in [fault.reason, cause.reason] {
        holds(reason == "é".repeat(2_048), || {
            format!("it has {} bytes, or others", reason.len())
        })?;
    }
    Ok(())
}
