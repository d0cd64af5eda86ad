//! Compensation: what was done is undone, in reverse.

use stheno::{CauseKind, Condition, Retries, StepDefinition, TaskVerdict, Workflows};

use super::{LEASE_MS, Subject, done, failed, rejected, results, step, tried, undoable};
use crate::case::Case;
use crate::check::{Outcome, equal, there};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.undo.reverse" =>
        "Steps that are done are compensated in reverse, each only after all that came after it.", reverse;
    "workflows.undo.parallel" =>
        "Steps that do not come after each other are compensated at the same time.", parallel;
    "workflows.undo.waits" =>
        "What is under way is waited for before anything is compensated, and is compensated too if it is done.",
        waits_for;
    "workflows.undo.begins-nothing" => "When a run cannot go on no further step begins.", begins_nothing;
    "workflows.undo.only-done" =>
        "A step that failed, was skipped or was passed over is not compensated.", only_done;
    "workflows.undo.lost" =>
        "A step whose attempt was lost is compensated, since nobody knows what it did.", lost;
    "workflows.undo.no-handler" => "A step without a handler that undoes it is taken as undone.", no_handler;
    "workflows.undo.results" =>
        "A compensation has the step's own result and those of the steps that it comes after.", own_results;
    "workflows.undo.retried" =>
        "A compensation that fails is tried again as the step is, counted from 1.", retried;
    "workflows.undo.by-hand" =>
        "A compensation of a step that is not repeated by itself is `stalled` until somebody tries it again.",
        by_hand;
    "workflows.undo.stuck" =>
        "A compensation that fails for good is `stuck`, what it does not hold up is undone, and the run is `failed`.",
        stuck;
    "workflows.undo.goes-on" =>
        "Trying a stuck compensation again, with all its attempts, goes on from there.", goes_on;
    "workflows.undo.cause" => "A run tells the first reason why it could not go on.", cause;
};

impl Subject {
    /// The last step is rejected, so that the run cannot go on.
    async fn breaks(&self, workflow: &str, step: &str) -> Outcome {
        let [task] = self.takes(workflow, [step]).await?;
        self.settle(&task, rejected()).await
    }
}

async fn reverse(s: Subject) -> Outcome {
    let steps = vec![undoable("a", &[]), undoable("b", &["a"]), undoable("c", &["b"])];
    s.define("w", [steps, vec![undoable("d", &["c"])]].concat()).await?;
    s.run("w", "r").await?;
    for step in ["a", "b", "c"] {
        s.does("w", [step]).await?;
    }
    s.breaks("w", "d").await?;
    s.stands("r", "compensating: a done, b done, c compensating, d failed").await?;
    for step in ["undo c", "undo b", "undo a"] {
        let [undo] = s.takes("w", [step]).await?;
        s.idle("w").await?;
        s.settle(&undo, done("")).await?;
    }
    s.idle("w").await?;
    s.stands("r", "reverted: a reverted, b reverted, c reverted, d failed").await
}

async fn parallel(s: Subject) -> Outcome {
    let steps = vec![
        undoable("a", &[]),
        undoable("b", &["a"]),
        undoable("c", &["a"]),
        undoable("e", &["b"]),
        step("d", &["c", "e"]),
    ];
    s.define("w", steps).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    s.does("w", ["b", "c"]).await?;
    s.does("w", ["e"]).await?;
    s.breaks("w", "d").await?;
    let [c, e] = s.takes("w", ["undo c", "undo e"]).await?;
    s.settle(&e, done("")).await?;
    s.does("w", ["undo b"]).await?;
    s.idle("w").await?;
    s.settle(&c, done("")).await?;
    s.does("w", ["undo a"]).await?;
    s.stands("r", "reverted: a reverted, b reverted, c reverted, e reverted, d failed").await
}

async fn waits_for(s: Subject) -> Outcome {
    s.define("w", vec![undoable("a", &[]), undoable("b", &[]), step("c", &[])]).await?;
    s.run("w", "r").await?;
    let [a, b, c] = s.takes("w", ["a", "b", "c"]).await?;
    s.settle(&a, done("1")).await?;
    s.settle(&c, rejected()).await?;
    s.stands("r", "stopping: a done, b running, c failed").await?;
    s.pass(LEASE_MS - 1);
    s.idle("w").await?;
    s.settle(&b, done("2")).await?;
    s.does("w", ["undo a", "undo b"]).await?;
    s.stands("r", "reverted: a reverted, b reverted, c failed").await
}

async fn begins_nothing(s: Subject) -> Outcome {
    let retries = Retries { automatic: false, ..tried(9) };
    let steps = vec![
        step("a", &[]),
        step("breaks", &[]),
        step("next", &["a"]),
        StepDefinition { retries: tried(9), ..step("again", &[]) },
        StepDefinition { retries, ..step("stalls", &[]) },
        StepDefinition { retries: tried(9), ..step("fails", &[]) },
    ];
    s.define("w", steps).await?;
    s.run("w", "r").await?;
    let all = ["a", "breaks", "again", "stalls", "fails"];
    let [a, breaks, again, stalls, fails] = s.takes("w", all).await?;
    s.settle(&again, failed()).await?;
    s.settle(&stalls, failed()).await?;
    s.settle(&breaks, rejected()).await?;
    s.settle(&fails, failed()).await?;
    s.settle(&a, done("1")).await?;
    s.pass(super::LONG / 2);
    s.idle("w").await?;
    let expected = "reverted: a reverted, breaks failed, next passed-over, again failed, stalls failed, fails failed";
    s.stands("r", expected).await
}

async fn only_done(s: Subject) -> Outcome {
    let never = vec![Condition::input("/never").present()];
    let steps = vec![
        undoable("a", &[]),
        undoable("b", &["a"]),
        StepDefinition { when: never, ..undoable("c", &["a"]) },
        undoable("d", &["b", "c"]),
        undoable("e", &["d"]),
    ];
    s.define("w", steps).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    let [b] = s.takes("w", ["b"]).await?;
    s.settle(&b, TaskVerdict::Skipped).await?;
    s.breaks("w", "d").await?;
    s.does("w", ["undo a"]).await?;
    s.stands("r", "reverted: a reverted, b skipped, c skipped, d failed, e passed-over").await
}

async fn lost(s: Subject) -> Outcome {
    s.define("w", vec![undoable("a", &[]), undoable("b", &[]), step("c", &[])]).await?;
    s.run("w", "r").await?;
    let [_, b, c] = s.takes("w", ["a", "b", "c"]).await?;
    s.settle(&c, rejected()).await?;
    s.settle(&b, failed()).await?;
    s.pass(LEASE_MS);
    // Nobody settled it, and it is not tried again.
    s.does("w", ["undo a"]).await?;
    s.stands("r", "reverted: a reverted, b failed, c failed").await
}

async fn no_handler(s: Subject) -> Outcome {
    s.define("w", vec![undoable("a", &[]), step("b", &["a"]), step("c", &["b"])]).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    s.does("w", ["b"]).await?;
    s.breaks("w", "c").await?;
    s.does("w", ["undo a"]).await?;
    s.stands("r", "reverted: a reverted, b reverted, c failed").await
}

async fn own_results(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[]), undoable("b", &["a"]), step("c", &["b"])]).await?;
    s.run_on("w", "r", "7").await?;
    s.does("w", ["a"]).await?;
    s.does("w", ["b"]).await?;
    s.breaks("w", "c").await?;
    let [undo] = s.takes("w", ["undo b"]).await?;
    equal("the results", results(&undo), [("a", "\"a\""), ("b", "\"b\"")])?;
    equal("the input", undo.input, b"7")
}

async fn retried(s: Subject) -> Outcome {
    let a = StepDefinition { retries: tried(3), ..undoable("a", &[]) };
    s.define("w", vec![a, step("b", &["a"])]).await?;
    s.run("w", "r").await?;
    let [a] = s.takes("w", ["a"]).await?;
    s.settle(&a, failed()).await?;
    s.pass(1_000);
    s.does("w", ["a"]).await?;
    s.breaks("w", "b").await?;
    for attempt in 1..=2 {
        let [undo] = s.takes("w", ["undo a"]).await?;
        equal("the attempt and how many there are", (undo.attempt, undo.attempts), (attempt, 3))?;
        s.settle(&undo, failed()).await?;
        s.pass(499);
        s.idle("w").await?;
        s.pass(5_000);
    }
    let faults = s.step("r", "a").await?.faults;
    let found: Vec<_> = faults.iter().map(|fault| (fault.compensation, fault.attempt)).collect();
    equal("the faults", found, [(false, 1), (true, 1), (true, 2)])?;
    s.does("w", ["undo a"]).await?;
    s.stands("r", "reverted: a reverted, b failed").await
}

async fn by_hand(s: Subject) -> Outcome {
    let retries = Retries { automatic: false, ..tried(2) };
    s.define("w", vec![StepDefinition { retries, ..undoable("a", &[]) }, step("b", &["a"])])
        .await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    s.breaks("w", "b").await?;
    let [undo] = s.takes("w", ["undo a"]).await?;
    s.settle(&undo, failed()).await?;
    s.pass(super::LONG / 2);
    s.idle("w").await?;
    s.stands("r", "compensating: a stalled, b failed").await?;
    s.retry("r", "a").await?;
    s.does("w", ["undo a"]).await?;
    s.stands("r", "reverted: a reverted, b failed").await
}

/// The compensation of `c` is stuck; `d` came beside it, `a` before both.
async fn until_stuck(s: &Subject) -> Outcome {
    let c = StepDefinition { retries: tried(2), ..undoable("c", &["a"]) };
    let steps = vec![undoable("a", &[]), c, undoable("d", &["a"]), step("e", &["c", "d"])];
    s.define("w", steps).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    s.does("w", ["c", "d"]).await?;
    s.breaks("w", "e").await?;
    let [c, d] = s.takes("w", ["undo c", "undo d"]).await?;
    s.settle(&c, rejected()).await?;
    s.stands("r", "compensating: a done, c stuck, d compensating, e failed").await?;
    s.settle(&d, done("")).await?;
    s.stands("r", "failed: a done, c stuck, d reverted, e failed").await
}

async fn stuck(s: Subject) -> Outcome {
    until_stuck(&s).await?;
    s.pass(super::LONG / 2);
    s.idle("w").await?;
    s.stands("r", "failed: a done, c stuck, d reverted, e failed").await?;
    let run = s.get("r").await?;
    equal("whether it tells when it ended", run.status.ended.is_some(), true)
}

async fn goes_on(s: Subject) -> Outcome {
    until_stuck(&s).await?;
    s.retry("r", "c").await?;
    s.stands("r", "compensating: a done, c compensating, d reverted, e failed").await?;
    for attempt in 1..=2 {
        let [undo] = s.takes("w", ["undo c"]).await?;
        equal("the attempt and how many there are", (undo.attempt, undo.attempts), (attempt, 2))?;
        if attempt == 1 {
            s.settle(&undo, failed()).await?;
            s.pass(1_000);
        } else {
            s.settle(&undo, done("")).await?;
        }
    }
    s.does("w", ["undo a"]).await?;
    s.stands("r", "reverted: a reverted, c reverted, d reverted, e failed").await
}

async fn cause(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[]), step("b", &[]), step("c", &[])]).await?;
    s.run("w", "r").await?;
    let [a, b, c] = s.takes("w", ["a", "b", "c"]).await?;
    s.settle(&b, TaskVerdict::Rejected("the first".to_owned())).await?;
    s.settle(&a, TaskVerdict::Rejected("the second".to_owned())).await?;
    s.settle(&c, done("1")).await?;
    let cause = there("the cause", s.get("r").await?.status.cause)?;
    let found = (cause.kind, cause.step.as_deref(), cause.reason.as_str());
    equal("the cause", found, (CauseKind::StepFailed, Some("b"), "the first"))
}
