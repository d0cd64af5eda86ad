//! Runs within runs.

use std::time::Duration;

use stheno::{RunFilter, RunState, StepDefinition, StepWork, Workflows};

use super::{Subject, done, rejected, results, step, undoable};
use crate::case::Case;
use crate::check::{Fault, Outcome, equal, there};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.nested.result" =>
        "A nested run has the parent's input, and its result is the step's." [with "nested"], result;
    "workflows.nested.input" =>
        "A nested run has the result of the step that is named as its input." [with "nested"], input;
    "workflows.nested.listed" =>
        "A step names the run that it began, that run its parent and the step, and it is found by its parent." [with "nested"],
        listed;
    "workflows.nested.fails" =>
        "A nested run that does not get to `done` has been compensated itself, and its step has failed for good." [with "nested"],
        fails;
    "workflows.nested.undone" =>
        "Compensating a nested step cancels its run, done as it is, before what came before the step is undone." [with "nested"],
        undone;
    "workflows.nested.cancelled" =>
        "A run that cannot go on cancels the runs that it has under way, and waits for them." [with "nested"],
        cancelled;
    "workflows.nested.stuck" =>
        "A nested run that fails to undo leaves its step stuck, and trying that again goes on in the nested run." [with "nested"],
        stuck;
    "workflows.nested.timeout" =>
        "A nested step whose time is up has failed, and its run is cancelled." [with "nested"], timeout;
    "workflows.nested.deep" => "A nested run may have nested runs." [with "nested"], deep;
};

impl Subject {
    /// The run that the step `n` of `r` began.
    async fn child(&self) -> Result<String, Fault> {
        there("the nested run", self.step("r", "n").await?.child)
    }

    async fn child_state(&self) -> Result<RunState, Fault> {
        Ok(self.api.get(&self.child().await?).await?.status.state)
    }

    /// `a`, then `n`, a run of `child`, then `b`; the child does `c` and `d`.
    async fn define_nested(&self) -> Outcome {
        self.define("child", vec![undoable("c", &[]), undoable("d", &["c"])]).await?;
        let n = self.nested("n", "child", &["a"]);
        self.define("w", vec![undoable("a", &[]), n, undoable("b", &["n"])]).await?;
        self.run("w", "r").await?;
        self.does("w", ["a"]).await?;
        self.does("child", ["c"]).await
    }
}

async fn result(s: Subject) -> Outcome {
    s.define("child", vec![step("c", &[])]).await?;
    s.define("w", vec![step("a", &[]), s.nested("n", "child", &["a"]), step("b", &["n"])]).await?;
    s.run_on("w", "r", "5").await?;
    s.does("w", ["a"]).await?;
    s.idle("w").await?;
    s.stands("r", "running: a done, n running, b pending").await?;
    let [c] = s.takes("child", ["c"]).await?;
    equal("the input of the nested run", c.input, b"5")?;
    let lost = s.api.settle(vec![(c.token, done("7"))]).await?;
    equal("tokens lost at once", lost, [""; 0])?;
    let [b] = s.takes("w", ["b"]).await?;
    equal("the results", results(&b), [("a", "\"a\""), ("n", "7")])?;
    s.settle(&b, done("1")).await?;
    s.stands("r", "done: a done, n done, b done").await
}

async fn input(s: Subject) -> Outcome {
    s.define("child", vec![step("c", &[])]).await?;
    let work = StepWork::Nested { workflow: s.own("child"), input_from: Some("a".to_owned()) };
    let n = StepDefinition { work, ..step("n", &["between"]) };
    s.define("w", vec![step("a", &[]), step("between", &["a"]), n]).await?;
    s.run_on("w", "r", "5").await?;
    s.does("w", ["a"]).await?;
    s.does("w", ["between"]).await?;
    let [c] = s.takes("child", ["c"]).await?;
    equal("the input of the nested run", c.input, b"\"a\"")
}

async fn listed(s: Subject) -> Outcome {
    s.define_nested().await?;
    let child = s.child().await?;
    let status = s.api.get(&child).await?.status;
    equal("the workflow of the nested run", &status.workflow, &s.own("child"))?;
    let parent = Some((s.own("r"), "n".to_owned()));
    equal("the parent of the nested run", &status.parent, &parent)?;
    let filter = RunFilter { parent: Some(s.own("r")), ..RunFilter::default() };
    let page = s.api.list(filter, None, super::ALL).await?;
    equal("the runs of this parent", page.items, [status])
}

async fn fails(s: Subject) -> Outcome {
    s.define_nested().await?;
    let [d] = s.takes("child", ["d"]).await?;
    s.settle(&d, rejected()).await?;
    s.idle("w").await?;
    s.does("child", ["undo c"]).await?;
    equal("the state of the nested run", s.child_state().await?, RunState::Reverted)?;
    s.stands("r", "compensating: a compensating, n failed, b passed-over").await?;
    s.does("w", ["undo a"]).await?;
    s.stands("r", "reverted: a reverted, n failed, b passed-over").await
}

async fn undone(s: Subject) -> Outcome {
    s.define_nested().await?;
    s.does("child", ["d"]).await?;
    let [b] = s.takes("w", ["b"]).await?;
    equal("the state of the nested run", s.child_state().await?, RunState::Done)?;
    s.settle(&b, rejected()).await?;
    s.idle("w").await?;
    s.stands("r", "compensating: a done, n compensating, b failed").await?;
    s.does("child", ["undo d"]).await?;
    s.does("child", ["undo c"]).await?;
    equal("the state of the nested run", s.child_state().await?, RunState::Reverted)?;
    s.does("w", ["undo a"]).await?;
    s.stands("r", "reverted: a reverted, n reverted, b failed").await
}

async fn cancelled(s: Subject) -> Outcome {
    s.define_nested().await?;
    let [d] = s.takes("child", ["d"]).await?;
    s.cancel("r").await?;
    s.idle("w").await?;
    equal("the state of the nested run", s.child_state().await?, RunState::Stopping)?;
    equal("the state", s.get("r").await?.status.state, RunState::Stopping)?;
    s.settle(&d, done("1")).await?;
    s.does("child", ["undo d"]).await?;
    s.idle("w").await?;
    s.does("child", ["undo c"]).await?;
    s.does("w", ["undo a"]).await?;
    s.stands("r", "reverted: a reverted, n failed, b passed-over").await
}

async fn stuck(s: Subject) -> Outcome {
    s.define_nested().await?;
    s.does("child", ["d"]).await?;
    let [b] = s.takes("w", ["b"]).await?;
    s.settle(&b, rejected()).await?;
    let [undo] = s.takes("child", ["undo d"]).await?;
    s.settle(&undo, rejected()).await?;
    equal("the state of the nested run", s.child_state().await?, RunState::Failed)?;
    s.stands("r", "failed: a done, n stuck, b failed").await?;
    s.retry("r", "n").await?;
    s.does("child", ["undo d"]).await?;
    s.does("child", ["undo c"]).await?;
    s.does("w", ["undo a"]).await?;
    equal("the state of the nested run", s.child_state().await?, RunState::Reverted)?;
    s.stands("r", "reverted: a reverted, n reverted, b failed").await
}

async fn timeout(s: Subject) -> Outcome {
    s.define("child", vec![undoable("c", &[])]).await?;
    let n = s.nested("n", "child", &["a"]);
    let n = StepDefinition { timeout: Some(Duration::from_secs(10)), ..n };
    s.define("w", vec![undoable("a", &[]), n]).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    let [c] = s.takes("child", ["c"]).await?;
    s.pass(9_999);
    s.tick().await?;
    equal("the state in time", s.child_state().await?, RunState::Running)?;
    s.pass(1);
    s.idle("w").await?;
    equal("the state of the nested run", s.child_state().await?, RunState::Stopping)?;
    s.settle(&c, done("1")).await?;
    s.does("child", ["undo c"]).await?;
    s.does("w", ["undo a"]).await?;
    equal("the state", s.get("r").await?.status.state, RunState::Reverted)
}

async fn deep(s: Subject) -> Outcome {
    s.define("w3", vec![undoable("c", &[])]).await?;
    s.define("w2", vec![s.nested("n", "w3", &[])]).await?;
    s.define("w1", vec![s.nested("n", "w2", &[])]).await?;
    s.define("w", vec![s.nested("n", "w1", &[]), step("b", &["n"])]).await?;
    s.run_on("w", "r", "5").await?;
    let [c] = s.takes("w3", ["c"]).await?;
    equal("the input of the innermost", &c.input, b"5")?;
    s.settle(&c, done("7")).await?;
    let [b] = s.takes("w", ["b"]).await?;
    equal("the results", results(&b), [("n", "7")])?;
    s.settle(&b, rejected()).await?;
    s.does("w3", ["undo c"]).await?;
    s.stands("r", "reverted: n reverted, b failed").await
}
