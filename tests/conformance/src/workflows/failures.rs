//! What becomes of a run when a step has failed for good.

use stheno::{OnFailure, StepDefinition, Workflows};

use super::{LONG, Subject, done, failed, rejected, results, step, tried, undoable};
use crate::case::Case;
use crate::check::{Outcome, equal};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.failures.revert" =>
        "A run whose step has failed for good cannot go on, if nothing else was said.", revert;
    "workflows.failures.proceed" =>
        "With `proceed` the run goes on as if the step had ended, without a result.", proceed;
    "workflows.failures.skip-to" =>
        "With `skip-to` the run goes on with that step, and only the steps between the two are passed over.",
        skip_to;
    "workflows.failures.skip-rest" =>
        "With `skip-rest` all steps that come after are passed over, and what does not come after goes on.",
        skip_rest;
    "workflows.failures.last" =>
        "What is said for a failure holds when no attempt is left, and not before.", last;
    "workflows.failures.undone" =>
        "A step that was proceeded from is not compensated when the run cannot go on later.", undone;
};

fn on_failure(then: OnFailure, step: StepDefinition) -> StepDefinition {
    StepDefinition { on_failure: then, ..step }
}

impl Subject {
    /// The one task that is due is rejected.
    async fn rejects(&self, workflow: &str, step: &str) -> Outcome {
        let [task] = self.takes(workflow, [step]).await?;
        self.settle(&task, rejected()).await
    }
}

async fn revert(s: Subject) -> Outcome {
    s.define("w", vec![undoable("a", &[]), step("b", &["a"]), step("c", &["b"])]).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    s.rejects("w", "b").await?;
    s.does("w", ["undo a"]).await?;
    s.idle("w").await?;
    s.stands("r", "reverted: a reverted, b failed, c passed-over").await?;
    equal("the result", s.get("r").await?.result, None::<Vec<u8>>)
}

async fn proceed(s: Subject) -> Outcome {
    let b = on_failure(OnFailure::Proceed, step("b", &["a"]));
    s.define("w", vec![undoable("a", &[]), b, step("c", &["b"])]).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    s.rejects("w", "b").await?;
    let [c] = s.takes("w", ["c"]).await?;
    equal("the results", results(&c), [("a", "\"a\"")])?;
    s.settle(&c, done("1")).await?;
    s.idle("w").await?;
    s.stands("r", "done: a done, b failed, c done").await
}

async fn skip_to(s: Subject) -> Outcome {
    let steps = vec![
        step("a", &[]),
        on_failure(OnFailure::SkipTo("to".to_owned()), step("b", &["a"])),
        step("between", &["b"]),
        step("too", &["between"]),
        step("to", &["too"]),
        step("beside", &["b"]),
        step("last", &["to", "beside"]),
    ];
    s.define("w", steps).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    s.rejects("w", "b").await?;
    let [to, beside] = s.takes("w", ["to", "beside"]).await?;
    equal("the results", results(&to), [("a", "\"a\"")])?;
    s.settle(&to, done("1")).await?;
    s.settle(&beside, done("2")).await?;
    s.does("w", ["last"]).await?;
    let expected = "done: a done, b failed, between passed-over, too passed-over, to done, beside done, last done";
    s.stands("r", expected).await
}

async fn skip_rest(s: Subject) -> Outcome {
    let steps = vec![
        on_failure(OnFailure::SkipRest, step("a", &[])),
        step("beside", &[]),
        step("b", &["a"]),
        step("c", &["b", "beside"]),
        step("more", &["beside"]),
    ];
    s.define("w", steps).await?;
    s.run("w", "r").await?;
    let [a, beside] = s.takes("w", ["a", "beside"]).await?;
    s.settle(&a, rejected()).await?;
    s.idle("w").await?;
    s.stands("r", "running: a failed, beside running, b passed-over, c passed-over, more pending")
        .await?;
    s.settle(&beside, done("1")).await?;
    s.does("w", ["more"]).await?;
    s.stands("r", "done: a failed, beside done, b passed-over, c passed-over, more done").await
}

async fn last(s: Subject) -> Outcome {
    let a = StepDefinition { retries: tried(2), ..step("a", &[]) };
    s.define("w", vec![on_failure(OnFailure::Proceed, a), step("b", &["a"])]).await?;
    s.run("w", "r").await?;
    let [a] = s.takes("w", ["a"]).await?;
    s.settle(&a, failed()).await?;
    s.idle("w").await?;
    s.pass(LONG);
    let [a] = s.takes("w", ["a"]).await?;
    s.settle(&a, failed()).await?;
    s.does("w", ["b"]).await?;
    s.stands("r", "done: a failed, b done").await
}

async fn undone(s: Subject) -> Outcome {
    let a = on_failure(OnFailure::Proceed, undoable("a", &[]));
    s.define("w", vec![a, undoable("b", &["a"]), step("c", &["b"])]).await?;
    s.run("w", "r").await?;
    s.rejects("w", "a").await?;
    s.does("w", ["b"]).await?;
    s.rejects("w", "c").await?;
    s.does("w", ["undo b"]).await?;
    s.stands("r", "reverted: a failed, b reverted, c failed").await
}
